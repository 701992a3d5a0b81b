"""What deployment files are compared with: the settings, the commands, the paths and the times of the server itself.

https://12factor.net/config
"""

import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
import yaml

from server.cli import app
from server.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PORT = 8000
USER = 10001
SETTINGS = {name.upper() for name in Settings.model_fields} | {"HOST", "PORT", "WORKERS"}
"""Every environment variable that the server reads."""
SHUTDOWN_SECONDS: float = Settings.model_fields["shutdown_seconds"].default


def program(name: str) -> str:
    """A program of the test extra, beside this interpreter."""
    found = shutil.which(name, path=str(Path(sys.executable).parent))
    assert found is not None, f"{name} is missing: pip install '.[test]'"
    return found


def documents(path: Path) -> list[dict[str, Any]]:
    """The YAML documents of a file."""
    return [one for one in yaml.safe_load_all(path.read_text("utf-8")) if one is not None]


def commands_in(script: str) -> Iterator[list[str]]:
    """The arguments of every call of ``patient-access`` in a shell script."""
    for line in re.split(r"[\n;]|&&|\bthen\b", script):
        if "patient-access " in line:
            words = shlex.split(line.replace("$$(", "$("))
            starts = next((at for at, word in enumerate(words) if word.split("/")[-1] == "patient-access"), None)
            if starts is not None:
                yield words[starts + 1 :]


def what_is_wrong_with(arguments: list[str]) -> str:
    """Why ``patient-access`` with these arguments is no command with options that exist; '' when it is one."""
    command: Any = typer.main.get_command(app)
    words = list(arguments)
    while hasattr(command, "commands"):
        if not words or words[0] not in command.commands:
            return f"no such command: {' '.join(arguments)}"
        command = command.commands[words.pop(0)]
    options = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    unknown = [word for word in words if word.startswith("--") and word.partition("=")[0] not in options]
    return f"{' '.join(arguments)}: no such option: {', '.join(unknown)}" if unknown else ""


def seconds(text: str) -> float:
    """``2m30s`` as seconds."""
    parts = re.findall(r"([\d.]+)(ms|s|m|h)", text)
    assert parts, f"{text!r} is no duration"
    return sum(float(number) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600}[unit] for number, unit in parts)
