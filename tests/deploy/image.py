"""A small interpreter of Dockerfiles: runs a stage's own instructions in a scratch directory, as the user who runs the tests.

https://docs.docker.com/reference/dockerfile/ - FROM, ARG, ENV, WORKDIR, COPY, RUN, USER, VOLUME, EXPOSE, LABEL, STOPSIGNAL, HEALTHCHECK,
ENTRYPOINT and CMD; anything else is refused. What stands for what: the base image is a virtual environment of this interpreter; an absolute path
of an instruction is that path below the scratch directory, the same one for every stage, as in a container; a cache mount is this machine's
own pip cache; `chown`, which only root can, is recorded and not done.

What such a run shows: that the files copied are enough, that every command of the build works and in this order, that the command starts
from the environment it has in the image, writes nowhere but in volumes, passes its health check and stops by its signal. What it does not:
the base image's own content and Python version, that a numeric user without a name and a read-only root are enough (what is written is
compared instead), limits of memory, and the network.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

KNOWN = {"PATH", "HOME", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR"}
"""What a build step sees of this machine, besides pip's own configuration."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, with continuation lines joined."""

    word: str
    text: str
    line: int


@dataclass(slots=True)
class Image:
    """What a stage leaves: files below a root, and how its command is run."""

    root: Path
    base: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = "root"
    volumes: list[str] = field(default_factory=list)
    ports: list[int] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    stop_signal: str = "SIGTERM"
    health: list[str] = field(default_factory=list)
    health_options: dict[str, str] = field(default_factory=dict)
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    owners: dict[str, str] = field(default_factory=dict)

    def path(self, absolute: str) -> Path:
        """Where a path of the image lies on this machine."""
        return self.root / str(PurePosixPath(self.workdir, absolute)).lstrip("/")

    def started_with(self, base: Path, **more: str) -> dict[str, str]:
        """The environment of a process in the image: nothing of this machine's but the way to its programs."""
        path = _mapped(self.environment.get("PATH", "$PATH"), self.root).replace("$PATH", f"{base}/bin:/usr/bin:/bin")
        return {"LANG": "C.UTF-8", **self.environment, "HOME": "/", "PATH": path, **more}


def instructions(path: Path) -> list[Instruction]:
    """A Dockerfile's instructions in their order."""
    found, pending, start = [], "", 0
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        start = start if pending else number
        pending += line.strip().removesuffix("\\").rstrip() + " "
        if not line.rstrip().endswith("\\"):
            word, _, text = pending.strip().partition(" ")
            found.append(Instruction(word.upper(), text.strip(), start))
            pending = ""
    return found


def context_files(root: Path) -> Iterator[Path]:
    """The files that .dockerignore lets into the build, relative to it; the last pattern that matches decides."""
    patterns = [line.strip() for line in (root / ".dockerignore").read_text("utf-8").splitlines()]
    patterns = [line for line in patterns if line and not line.startswith("#")]

    def excluded(relative: Path) -> bool:
        outcome = False
        for pattern in patterns:
            bare = pattern.removeprefix("!")
            names = ["/".join(relative.parts[: end + 1]) for end in range(len(relative.parts))]
            if any(fnmatch(name, bare) or fnmatch("/" + name, bare.replace("**", "*")) for name in names):
                outcome = not pattern.startswith("!")
        return outcome

    for folder, folders, files in os.walk(root):
        here = Path(folder).relative_to(root)
        folders[:] = [name for name in folders if name not in {".git", ".venv", "var", "__pycache__", "node_modules"}]
        for name in files:
            if not excluded(here / name):
                yield here / name


class Builder:
    """Builds the stages of a Dockerfile below ``scratch``, one after another at the same place."""

    def __init__(self, dockerfile: Path, scratch: Path) -> None:
        self.context, self.scratch, self.root = dockerfile.parent, scratch, scratch / "root"
        self.base = scratch / "base"
        self.instructions = instructions(dockerfile)
        self.finished: dict[str, Path] = {}
        self._arguments: dict[str, str] = {}

    def build(self, *stages: str) -> Image:
        """Run these stages in the order of the file; the image of the last. A stage from another one begins with its files."""
        subprocess.run([sys.executable, "-m", "venv", str(self.base)], check=True)
        shims = self.scratch / "shims"
        shims.mkdir()
        (shims / "chown").write_text(
            f'#!/bin/sh\necho "$(pwd) $*" >> {shlex.quote(str(self.scratch))}/chowned\n', "utf-8"
        )
        (shims / "chown").chmod(0o755)
        images: dict[str, Image] = {}
        image, name = Image(self.root), ""
        for one in self.instructions:
            if one.word == "FROM":
                self._keep(image, name, images)
                source, _, name = (
                    part.strip() for part in re.split(r"(\bAS\b)", self._expanded(one.text, Image(self.root)))
                )
                image = self._begin(source, images) if name in stages else Image(self.root)
            elif not name and one.word == "ARG":
                key, _, value = one.text.partition("=")
                self._arguments[key] = value
            elif name in stages:
                self._run(one, image)
        self._keep(image, name, images)
        final = images[stages[-1]]
        self.finished[stages[-1]].rename(self.root)
        return final

    def _keep(self, image: Image, name: str, images: dict[str, Image]) -> None:
        if self.root.exists():
            images[name] = image
            self.finished[name] = self.scratch / f"stage-{name}"
            self.root.rename(self.finished[name])

    def _begin(self, source: str, images: dict[str, Image]) -> Image:
        if source not in images:
            self.root.mkdir()
            return Image(self.root, base=source)
        shutil.copytree(self.finished[source], self.root, symlinks=True)
        former = images[source]
        return Image(
            **{
                name: getattr(former, name).copy() if hasattr(getattr(former, name), "copy") else getattr(former, name)
                for name in Image.__slots__
            }
        )

    def _expanded(self, text: str, image: Image) -> str:
        known = {**self._arguments, **{k: v for k, v in image.environment.items() if k != "PATH"}}
        return re.sub(r"\$\{(\w+)\}", lambda found: known.get(found[1], found[0]), text)

    def _run(self, one: Instruction, image: Image) -> None:
        text = self._expanded(one.text, image) if one.word not in ("RUN", "HEALTHCHECK") else one.text
        match one.word:
            case "ARG":
                key, _, value = text.partition("=")
                self._arguments[key] = value
            case "ENV":
                image.environment |= dict(part.split("=", 1) for part in shlex.split(text))
            case "LABEL":
                image.labels |= dict(part.split("=", 1) for part in shlex.split(text))
            case "WORKDIR":
                image.workdir = str(PurePosixPath(image.workdir, text))
                image.path(".").mkdir(parents=True, exist_ok=True)
            case "COPY":
                self._copy(text, image)
            case "RUN":
                self._shell(one, image)
            case "USER":
                image.user = text
            case "VOLUME":
                image.volumes.append(text)
            case "EXPOSE":
                image.ports.append(int(text))
            case "STOPSIGNAL":
                image.stop_signal = text
            case "ENTRYPOINT":
                image.entrypoint, image.command = json.loads(text), []
            case "CMD":
                image.command = json.loads(text)
            case "HEALTHCHECK":
                options, _, command = text.partition("CMD ")
                image.health = json.loads(command)
                image.health_options = dict(part.lstrip("-").split("=", 1) for part in options.split())
            case other:
                raise ValueError(f"line {one.line}: {other} is not known here")

    def _copy(self, text: str, image: Image) -> None:
        words = text.split()
        stage = next((word.removeprefix("--from=") for word in words if word.startswith("--from=")), None)
        *sources, target = (word for word in words if not word.startswith("--"))
        for source in sources:
            place = image.path(target) / Path(source).name if target.endswith("/") else image.path(target)
            place.parent.mkdir(parents=True, exist_ok=True)
            if stage is not None:
                shutil.copytree(self.finished[stage] / source.lstrip("/"), place, symlinks=True)
                continue
            files = [
                file for file in context_files(self.context) if file == Path(source) or Path(source) in file.parents
            ]
            if not files:
                raise FileNotFoundError(f"COPY {source}: .dockerignore lets no such file in")
            for file in files:
                goal = place if file == Path(source) else place / file.relative_to(source)
                goal.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(self.context / file, goal, follow_symlinks=False)

    def _shell(self, one: Instruction, image: Image) -> None:
        command = re.sub(r"--mount=\S+\s+", "", one.text)
        own = {
            k: v
            for k, v in os.environ.items()
            if k in KNOWN or k.startswith(("PIP_", "XDG_", "HTTP", "http", "no_proxy"))
        }
        path = f"{self.scratch}/shims:{self.base}/bin:{os.environ.get('PATH', '/usr/bin:/bin')}"
        done = subprocess.run(
            ["sh", "-ec", _mapped(command, self.root)],
            cwd=image.path("."),
            env=own | self._arguments | {k: v for k, v in image.environment.items() if k != "PATH"} | {"PATH": path},
            capture_output=True,
            text=True,
            timeout=300,
        )
        if done.returncode:
            raise RuntimeError(
                f"line {one.line}: RUN ended with {done.returncode}: {(done.stdout + done.stderr)[-2000:]}"
            )
        recorded = self.scratch / "chowned"
        if recorded.exists():
            for line in recorded.read_text("utf-8").splitlines():
                folder, owner, *paths = line.split()
                for path in paths:
                    inside = Path(folder, path).relative_to(self.root)
                    image.owners[f"/{inside}"] = owner
            recorded.unlink()


def _mapped(text: str, root: Path) -> str:
    """The text with its absolute paths below ``root``; what stands after ``$`` or ``:$`` is no path."""
    return re.sub(
        r"(^|[\s=\"':])(/(?:opt|srv|build|app|etc|root|usr|home)\b[\w./-]*)", lambda f: f"{f[1]}{root}{f[2]}", text
    )


def written(root: Path, since: float) -> set[str]:
    """The paths below ``root``, as the image names them, of files and directories that were made or changed since."""
    found = set()
    for folder, _, files in os.walk(root):
        for path in (Path(folder), *(Path(folder, name) for name in files)):
            if path.lstat().st_mtime > since or path.lstat().st_ctime > since:
                found.add("/" + str(path.relative_to(root)).removeprefix("."))
    return found
