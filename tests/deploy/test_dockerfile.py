"""The Dockerfile as a text: the linter has nothing to say, the last stage has no tools and no root, nothing migrates by itself.

https://github.com/hadolint/hadolint - of the registry, so that no Docker engine is needed.
"""

import subprocess
from pathlib import Path

import pytest

from tests.deploy.facts import PORT, ROOT, USER, program, what_is_wrong_with
from tests.deploy.image import context_files, instructions

DOCKERFILE = ROOT / "Dockerfile"


def test_the_linter_finds_nothing() -> None:
    done = subprocess.run([program("hadolint"), "--no-color", str(DOCKERFILE)], capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_linter_would_find_something(tmp_path: Path) -> None:
    wrong = tmp_path / "Dockerfile"
    wrong.write_text("FROM python\nRUN apt-get install gcc\nUSER root\n", "utf-8")
    done = subprocess.run([program("hadolint"), "--no-color", str(wrong)], capture_output=True, text=True)
    assert done.returncode == 1
    assert {"DL3006", "DL3015"} <= set(done.stdout.split())


def test_images_are_named_by_version_and_by_no_host() -> None:
    stages: set[str] = set()
    for one in instructions(DOCKERFILE):
        if one.word == "FROM":
            source, _, stage = one.text.partition(" AS ")
            name, _, tag = source.partition(":")
            assert source in stages or (tag and tag != "latest" and "." not in name and "/" not in name), source
            stages.add(stage)


def test_the_last_stage_is_the_server_and_runs_a_command_that_exists() -> None:
    last = instructions(DOCKERFILE)
    begins = max(at for at, one in enumerate(last) if one.word == "FROM")
    assert last[begins].text == "runtime AS server"
    (command,) = [one.text for one in last[begins:] if one.word == "CMD"]
    assert command == '["serve"]'
    assert what_is_wrong_with(["serve"]) == ""
    assert [one.text for one in last[begins:] if one.word == "EXPOSE"] == [str(PORT)]
    assert [one.word for one in last[begins:] if one.word == "RUN"] == []


def test_the_user_is_a_number_so_that_a_cluster_can_see_that_it_is_not_root() -> None:
    user = {}
    for one in instructions(DOCKERFILE):
        if one.word == "FROM":
            source, _, stage = one.text.partition(" AS ")
            user[stage] = user.get(source, "root")
        elif one.word == "USER":
            user[stage] = one.text
    assert {name: of for name, of in user.items() if not name.startswith("build")} == dict.fromkeys(
        ("runtime", "loadtest", "backup", "server"), f"{USER}:{USER}"
    )


@pytest.mark.parametrize("secret", ["SECRET", "TOKEN", "PASSWORD", "DATABASE_URL"])
def test_no_secret_is_baked_in(secret: str) -> None:
    assert not [one for one in instructions(DOCKERFILE) if one.word in ("ENV", "ARG") and secret in one.text]


def test_only_sources_go_into_the_build() -> None:
    files = list(context_files(ROOT))
    assert {file.parts[0] for file in files} == {
        *("pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "server", "seed_data", "loadtests")
    }
    assert not [file for file in files if file.suffix in (".pyc", ".db", ".key") or "__pycache__" in file.parts]
