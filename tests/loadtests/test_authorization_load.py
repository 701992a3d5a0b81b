"""The measurement of the token endpoint runs from beginning to end, and refuses to measure what fails."""

import re
from pathlib import Path

import pytest

from loadtests.authorization import Rate, main


@pytest.mark.slow
def test_a_short_measurement_counts_exchanges_and_refreshes_and_writes_its_page(tmp_path: Path) -> None:
    page = tmp_path / "authorization.md"
    assert main(["--seconds", "1", "--codes", "16", "--output", str(page)]) in (0, 1)
    text = page.read_text("utf-8")
    exchanges, refreshes = re.findall(r"\| ([\d,]+) \| \*\*([\d,]+)\*\*", text)
    assert exchanges[0] == "16"
    assert int(refreshes[0].replace(",", "")) >= 16
    assert "300" in text


def test_too_few_codes_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--codes", "1"])
    assert "--codes" in capsys.readouterr().err


def test_a_rate_is_answers_by_seconds() -> None:
    assert Rate(600, 2.0, 1.0, 2.0).per_second == 300
