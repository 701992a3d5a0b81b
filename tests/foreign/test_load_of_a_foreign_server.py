"""A load shape and a server that nobody here wrote, whose sign-in are the forms of npm oidc-provider.

https://docs.locust.io/en/stable/running-without-web-ui.html
"""

import json
import subprocess
from pathlib import Path

from tests.foreign.foreign_server import ForeignServer
from tests.foreign.records import MEMBERS
from tests.serving import COMMAND, ROOT


def test_a_steady_day_for_some_seconds_has_no_unexpected_errors(foreign: ForeignServer, tmp_path: Path) -> None:
    manifest, output = tmp_path / "manifest.json", tmp_path / "report"
    manifest.write_text(json.dumps(foreign.manifest()), "utf-8")
    options = {
        "--target": foreign.fhir_base,
        "--shape": "steady-day",
        "--minutes": "0.1",
        "--users": "4",
        "--pace": "0.05",
        "--sign-in": "forms",
        "--manifest": str(manifest),
        "--output": str(output),
    }
    words = [word for pair in options.items() for word in pair]
    done = subprocess.run(
        [*COMMAND, "loadtest", *words], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((output / "steady-day.json").read_text("utf-8"))
    assert (report["verdict"], report["errors"]) == ("pass", [])
    steps = {step["name"]: step["failed"] for step in report["steps"]}
    assert {"sign-in form 1", "sign-in form 2", "token", "search ExplanationOfBenefit of 10"} <= set(steps)
    assert not any(steps.values())
    assert (output / "steady-day.html").stat().st_size > 1000
    text = json.dumps(report)
    for id in MEMBERS.values():
        assert id not in text, "no member is in a report"
