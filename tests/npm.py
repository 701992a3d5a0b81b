"""Packages from npm for tests: installed once per version, outside of the repository.

https://docs.npmjs.com/cli/commands/npm-install
"""

import json
import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

OPTIONS = ["--no-audit", "--no-fund", "--no-package-lock", "--omit=optional", "--ignore-scripts"]


def package(name: str, version: str) -> Path:
    """The directory of one package. Skips the test when npm is not there, or cannot install it."""
    if shutil.which("npm") is None:
        pytest.skip("needs Node.js and npm")
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "patient-access-tests"
    kept = caches / f"{name}-{version}"
    if not kept.exists():
        caches.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=caches))
        (made / "package.json").write_text(json.dumps({"private": True, "dependencies": {name: version}}), "utf-8")
        try:
            done = subprocess.run(["npm", "install", *OPTIONS], cwd=made, capture_output=True, text=True, timeout=300)
            if done.returncode != 0:
                pytest.skip(f"npm could not install {name}: {done.stderr.strip()[-200:]}")
            with suppress(OSError):  # another process of the tests was faster
                made.rename(kept)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return kept / "node_modules" / name
