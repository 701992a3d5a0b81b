"""The image's steps, run in a clean directory: it builds from its files, serves, is healthy, stops, and holds no tools.

https://docs.docker.com/reference/dockerfile/ - tests/deploy/image.py says what such a run shows and what it does not.
"""

import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from tests.deploy.facts import SHUTDOWN_SECONDS
from tests.deploy.image import Builder, Image, instructions, written
from tests.serving import REPORTING_UNITS, free_port

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "Dockerfile"
KEY = "Zk3vQ9xR1tB7nL5wY2cD8fH4jM6pS0aE"


@dataclass(frozen=True, slots=True)
class Built:
    """The finished image and the environment that stands for its base."""

    image: Image
    base: Path

    def environment(self, scratch: Path, port: int) -> dict[str, str]:
        """A production deployment's, with its secret in a file, as containers have it."""
        secrets = scratch / "secrets"
        secrets.mkdir(exist_ok=True)
        (secrets / "secret_key").write_text(KEY + "\n", "utf-8")
        return self.image.started_with(
            self.base,
            PORT=str(port),
            WORKERS="2",
            BASE_URL=f"http://127.0.0.1:{port}",
            ENVIRONMENT="production",
            REPORTING_UNITS_FILE=str(REPORTING_UNITS),
            SECRETS_DIRECTORY=str(secrets),
            TMPDIR=str(scratch),
            METRICS_TOKEN=KEY,
        )

    def words(self, *arguments: str) -> list[str]:
        """A command line in the image: its entry point with these arguments, or its own."""
        program, *more = [*self.image.entrypoint, *(arguments or self.image.command)]
        found = shutil.which(program, path=self.environment_path)
        assert found is not None, f"{program} is not in the image"
        assert Path(found).is_relative_to(self.image.root), f"{found} is not in the image"
        return [found, *more]

    @property
    def environment_path(self) -> str:
        """PATH in the image."""
        return self.image.started_with(self.base)["PATH"]


@pytest.fixture
def built(tmp_path: Path) -> Iterator[Built]:
    """The default stage and those it is made of; gone after the test, since it is large."""
    scratch = tmp_path / "image"
    scratch.mkdir()
    builder = Builder(DOCKERFILE, scratch)
    yield Built(builder.build("build", "runtime", "server"), builder.base)
    shutil.rmtree(scratch)


@pytest.mark.slow
def test_the_image_holds_what_runs_and_nothing_more(built: Built, tmp_path: Path, subtests: pytest.Subtests) -> None:
    """One test, so that the image is built once on however many processes the tests run."""
    with subtests.test("it migrates, serves, is healthy and stops, and writes to its volume alone"):
        _it_migrates_serves_is_healthy_and_stops_and_writes_to_its_volume_alone(built, tmp_path)
    with subtests.test("no tool that builds or installs is in it"):
        _no_tool_that_builds_or_installs_is_in_it(built)
    with subtests.test("what the server reads at run time is in it"):
        _what_the_server_reads_at_run_time_is_in_it(built)
    with subtests.test("it runs as a numbered user who owns the volume"):
        _it_runs_as_a_numbered_user_who_owns_the_volume(built)


def _it_migrates_serves_is_healthy_and_stops_and_writes_to_its_volume_alone(built: Built, tmp_path: Path) -> None:
    image, port = built.image, free_port()
    environment, workdir = built.environment(tmp_path, port), image.path(".")
    begun = time.time()
    migrated = subprocess.run(
        built.words("migrate"), env=environment, cwd=workdir, capture_output=True, text=True, timeout=60
    )
    assert (migrated.returncode, migrated.stderr) == (0, ""), migrated.stderr
    process = subprocess.Popen(built.words(), env=environment, cwd=workdir, stderr=subprocess.PIPE, text=True)
    try:
        health = [shutil.which(image.health[0], path=environment["PATH"]) or "", *image.health[1:]]
        until = time.monotonic() + 90
        while subprocess.run(health, env=environment, capture_output=True, timeout=30).returncode:
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < until, "it does not become healthy"
            time.sleep(0.2)
        capabilities = httpx2.get(f"http://127.0.0.1:{port}/fhir/metadata", timeout=30)
        assert (capabilities.status_code, capabilities.json()["resourceType"]) == (200, "CapabilityStatement")
        figures = httpx2.get(f"http://127.0.0.1:{port}/metrics", headers={"Authorization": f"Bearer {KEY}"}, timeout=30)
        assert "patient_access_worker_starts_total 2.0" in figures.text
    finally:
        process.send_signal(signal.Signals[image.stop_signal])
        try:
            said = process.communicate(timeout=SHUTDOWN_SECONDS + 5)[1]
        finally:
            process.kill()
    assert (process.returncode, "Traceback" in said) == (0, False), said
    assert subprocess.run(health, env=environment, capture_output=True, timeout=30).returncode != 0
    elsewhere = {
        path for path in written(image.root, begun) if not any(path.startswith(volume) for volume in image.volumes)
    }
    assert elsewhere == set()


def _no_tool_that_builds_or_installs_is_in_it(built: Built) -> None:
    here = built.image.root / "opt" / "patient-access"
    programs = {path.name for path in (here / "bin").iterdir()}
    assert "patient-access" in programs
    assert not {name for name in programs if name.startswith(("pip", "gcc", "cc", "locust", "pytest", "ruff"))}
    packages = {path.name.partition("-")[0].lower() for path in here.glob("lib/python*/site-packages/*.dist-info")}
    assert "fastapi" in packages
    assert not packages & {"pip", "setuptools", "wheel", "locust", "pytest", "mypy"}
    assert not (built.base / "bin" / "pip").exists(), "pip is left in the base"


def _what_the_server_reads_at_run_time_is_in_it(built: Built) -> None:
    (packages,) = (built.image.root / "opt" / "patient-access").glob("lib/python*/site-packages")
    for folder, suffixes in (
        ("server", {".html", ".css", ".js", ".po", ".py", ".md"}),
        ("seed_data", {".toml", ".py"}),
    ):
        files = {path.relative_to(ROOT) for path in (ROOT / folder).rglob("*") if path.suffix in suffixes}
        missing = {str(path) for path in files if not (packages / path).exists() and "__pycache__" not in path.parts}
        assert missing == set()


def _it_runs_as_a_numbered_user_who_owns_the_volume(built: Built) -> None:
    image = built.image
    assert image.user == "10001:10001"
    assert {path: image.owners.get(path) for path in image.volumes} == {"/srv/patient-access/var": image.user}
    assert image.labels["org.opencontainers.image.licenses"] == "Apache-2.0"


def test_the_version_on_the_label_is_the_project_s() -> None:
    from server import __version__

    (argument,) = [
        one.text for one in instructions(DOCKERFILE) if one.word == "ARG" and one.text.startswith("VERSION=")
    ]
    assert argument == f"VERSION={__version__}"
