"""The same server, people and app as the tests of authorization; for browsers, Chromium and a sandbox that really runs.

https://playwright.dev/python/docs/api/class-browser
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.authorization.conftest import app, web
from tests.journeys.test_make_run import free_port, sandbox
from tests.npm import package

__all__ = ["app", "web"]

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, headless."""
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()


@dataclass(frozen=True, slots=True)
class RunningSandbox:
    """What ``patient-access sandbox`` serves, and where it keeps its files."""

    base_url: str
    directory: Path


@pytest.fixture(scope="module")
def running_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    """A sandbox of its own, with its members' records loaded."""
    directory, port = tmp_path_factory.mktemp("sandbox"), free_port()
    with sandbox(directory, port, directory / "server.log"):
        yield RunningSandbox(f"http://127.0.0.1:{port}", directory)


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core, which finds what makes pages hard to use."""
    return (package("axe-core", "4.14.1") / "axe.min.js").read_text("utf-8")
