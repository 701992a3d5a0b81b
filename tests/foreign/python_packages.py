"""Packages from Python's index that cannot live beside ours: a virtual environment of their own, made once, outside of the repository.

https://docs.python.org/3/library/venv.html - fhirstarter needs an older FastAPI than this server.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import venv
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest


def python_with(*requirements: str) -> Path:
    """The interpreter of an environment with these packages. Skips the test when they cannot be installed."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "patient-access-tests"
    told = "\n".join((*requirements, sys.version, sys.base_prefix))
    kept = caches / f"python-{sha256(told.encode()).hexdigest()[:12]}"
    if not kept.exists():
        caches.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=caches))
        try:
            venv.create(made, symlinks=True, with_pip=False)
            pip = [sys.executable, "-m", "pip", "--python", str(made / "bin" / "python")]
            options = ["--quiet", "--no-input", "--disable-pip-version-check", "--prefer-binary"]
            done = subprocess.run(
                [*pip, "install", *options, *requirements], capture_output=True, text=True, timeout=300
            )
            if done.returncode != 0:
                pytest.skip(f"pip could not install {', '.join(requirements)}: {done.stderr.strip()[-300:]}")
            with suppress(OSError):  # another process of the tests was faster
                made.rename(kept)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return kept / "bin" / "python"
