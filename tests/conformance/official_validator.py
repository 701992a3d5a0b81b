"""``make conformance``: the official HL7 validator over personas, generated members and the server's answers, and what it says.

https://hl7.org/fhir/R4/validation.html - offline, with the packages of one folder and no terminology server.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from loadtests.evidence import machine
from tests.conformance import undecided
from tests.conformance.checked_guides import CARRIERS, GUIDES, PACKAGES, CheckedGuide, unchecked
from tests.conformance.package_cache import companion, definitions, install
from tests.conformance.planted_errors import PLANTED, PlantedError, planted
from tests.conformance.validator_inputs import Record, answers, generated, of_each_shape, personas

ROOT = Path(__file__).parents[2]
VAR = ROOT / "var" / "conformance"
THREADS = 2
MEMORY = "-Xmx3g"
ERRORS = {"error", "fatal"}
SHOWN = 60


@dataclass(frozen=True, slots=True)
class Message:
    """What the validator says of one place: guide, resource, severity, path, its own message id, text."""

    guide: str
    name: str
    severity: str
    path: str
    id: str
    text: str

    @property
    def kind(self) -> str:
        """The message without what varies from record to record."""
        text = re.sub(r"\[\d+\]|\d{4}-\d\d(-\d\d\S*)?|[A-Z][A-Za-z]+/[A-Za-z0-9.-]+", "…", self.text)
        return re.sub(r"'[^']{0,80}'", "'…'", text)[:160]


@dataclass(slots=True)
class Outcome:
    """What a run found: resources validated for each guide, errors, what could not be decided, warnings, planted errors missed."""

    validated: Counter[str] = field(default_factory=Counter)
    errors: list[Message] = field(default_factory=list)
    undecided: Counter[tuple[str, str]] = field(default_factory=Counter)
    others: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    missed: list[str] = field(default_factory=list)
    unchecked: Counter[str] = field(default_factory=Counter)
    absent: list[str] = field(default_factory=list)
    systems: set[str] = field(default_factory=set)

    @property
    def failed(self) -> bool:
        """Whether a resource has an error, claims what is not checked, or a planted error was not found."""
        return bool(self.errors or self.missed or self.unchecked)


def run(
    packages: Path,
    records: Sequence[Record],
    answered: Sequence[tuple[str, Record]],
    work: Path,
    guides: Sequence[CheckedGuide] = GUIDES,
    chosen: Sequence[Record] = (),
) -> Outcome:
    """Validates records (or those chosen of them), answers and planted errors against the profiles that each claims."""
    outcome = Outcome(unchecked=Counter(profile for record in records for profile in unchecked(record)))
    cache = work / "home" / ".fhir" / "packages"
    outcome.absent = install(packages, PACKAGES, cache)
    folder = work / "messages"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with (folder / "guides.tsv").open("w") as file:
        for guide in guides:
            more = companion(guide.name, guide.own, PACKAGES[1:], CARRIERS, packages, cache)
            file.write("\t".join([guide.name, *guide.packages, more]) + "\n")
    _write(folder / "records.tsv", ((f"{record['resourceType']}/{record['id']}", record) for record in records))
    errors: dict[tuple[str, str], PlantedError] = {}
    spoilt: dict[str, list[tuple[str, Record]]] = defaultdict(list)
    for checked, error, record in planted(records, guides):
        errors[checked.name, f"{record['resourceType']}/{record['id']}"] = error
        spoilt[checked.name].append((f"{record['resourceType']}/{record['id']}", record))
    for guide in guides:
        shown = _shown(guide, chosen or records, answered)
        _write(folder / f"{guide.name}.tsv", [*shown, *_seen(guide, spoilt[guide.name])])
    _validate(work, folder)
    for guide in guides:
        defined = definitions(PACKAGES, packages, cache) | definitions(guide.own, packages, cache)
        _judge(outcome, guide, (folder / f"{guide.name}.ndjson").read_bytes(), errors, undecided.Definitions(defined))
    return outcome


def _shown(
    guide: CheckedGuide, records: Sequence[Record], answered: Sequence[tuple[str, Record]]
) -> Iterator[tuple[str, Record]]:
    chosen = (record for record in records if guide.claims(record))
    yield from _seen(guide, ((f"{record['resourceType']}/{record['id']}", record) for record in chosen))
    is_first = guide is GUIDES[0]
    if is_first:  # what claims nothing is checked against FHIR alone, once
        yield from ((f"{r['resourceType']}/{r['id']}", r) for r in records if not r["meta"].get("profile"))
    for name, answer in answered:
        resources = [entry["resource"] for entry in answer.get("entry", []) if entry["search"]["mode"] == "match"]
        if any(guide.claims(resource) for resource in resources) or (is_first and not resources):
            yield from _seen(guide, [(name, answer)])


def _seen(guide: CheckedGuide, named: Iterable[tuple[str, Record]]) -> Iterator[tuple[str, Record]]:
    return ((name, guide.seen(record)) for name, record in named)


def _write(path: Path, rows: Iterable[tuple[str, Record]]) -> None:
    with path.open("wb") as file:
        for name, resource in rows:
            file.write(name.encode() + b"\t" + orjson.dumps(resource) + b"\n")


def _validate(work: Path, folder: Path) -> None:
    (work / "tmp").mkdir(exist_ok=True)
    command = ["java", MEMORY, f"-Duser.home={work / 'home'}", f"-Djava.io.tmpdir={work / 'tmp'}"]
    command += ["-cp", f"{VAR / 'classes'}{os.pathsep}{VAR / 'jars'}/*", "Validate", str(folder), str(THREADS)]
    with (work / "java.log").open("w") as log:
        done = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise RuntimeError(f"the validator ended with {done.returncode}:\n{(work / 'java.log').read_text()[-4000:]}")


def _judge(
    outcome: Outcome,
    guide: CheckedGuide,
    messages: bytes,
    errors: Mapping[tuple[str, str], PlantedError],
    defined: undecided.Definitions,
) -> None:
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for line in messages.splitlines():
        row: dict[str, Any] = orjson.loads(line)
        key = (guide.name, row["name"])
        if "severity" not in row:
            outcome.validated[guide.name] += key not in errors
            continue
        text = row["text"]
        if match := undecided.UNKNOWN_SYSTEM.match(text):
            outcome.systems.add(match[1])
        message = Message(guide.name, row["name"], row["severity"], row["path"], row.get("id") or "", text)
        is_error = message.severity in ERRORS or undecided.misspelt(text)
        reason = undecided.explained(guide.name, text, defined) if is_error else None
        if is_error and not reason:
            if key in errors:
                found[key].append(text)
            else:
                outcome.errors.append(message)
        elif reason and key not in errors:
            outcome.undecided[reason] += 1
        elif key not in errors:
            outcome.others[message.severity][f"{guide.name}: {message.kind}"] += 1
    for key, error in errors.items():
        if key[0] == guide.name and not any(error.said in text for text in found[key]):
            outcome.missed.append(f"{error.guide}: {error.name} ({error.profile}), said instead: {found[key]}")


def report(outcome: Outcome, seconds: float, everything: bool) -> Iterator[str]:
    """The lines of the report, in Markdown."""
    yield "| Guide | Resources validated | Errors |"
    yield "|---|---|---|"
    for guide in GUIDES:
        errors = sum(message.guide == guide.name for message in outcome.errors)
        yield f"| {guide.name} | {outcome.validated[guide.name]:,} | {errors:,} |"
    yield ""
    yield f"{len(PLANTED) - len(outcome.missed)} of {len(PLANTED)} planted errors were found. {seconds:.0f} s."
    yield ""
    yield "What the packages at hand cannot decide:"
    yield ""
    yield "| Kind | Reason | Count |"
    yield "|---|---|---|"
    for (kind, reason), count in sorted(outcome.undecided.items()):
        yield f"| {kind} | {reason} | {count:,} |"
    yield ""
    yield f"Packages that a guide depends on and that are not in the folder: {', '.join(sorted(outcome.absent)) or 'none'}."
    unused = sorted(set(undecided.ABSENT_CODE_SYSTEMS) - outcome.systems)
    yield ""
    yield f"Code systems with a reason of which no message speaks: {', '.join(unused) or 'none'}."
    for severity, kinds in sorted(outcome.others.items(), reverse=True):
        yield ""
        yield f"{sum(kinds.values()):,} messages of severity {severity}, {len(kinds)} kinds:"
        yield ""
        for kind, count in kinds.most_common(None if everything else 12):
            yield f"- {count:,} x {kind}"
    for profile, count in outcome.unchecked.items():
        yield f"NOT CHECKED {count:,} resources claim {profile}, of no guide version here"
    for text in outcome.missed:
        yield f"MISSED {text}"
    kinds_of_error = Counter((message.guide, message.kind) for message in outcome.errors)
    shown: set[tuple[str, str]] = set()
    for message in outcome.errors:
        key = (message.guide, message.kind)
        if key not in shown and len(shown) < SHOWN:
            shown.add(key)
            yield f"ERROR {kinds_of_error[key]:,} x {message.guide} {message.name} {message.path} [{message.id}] {message.text[:600]}"


def main() -> int:
    """Run, print, and answer the exit code."""
    parser = argparse.ArgumentParser(prog="make conformance", description=__doc__)
    parser.add_argument("--packages", type=Path, required=True, help="folder of FHIR packages (.tgz) from HL7")
    parser.add_argument("--members", type=int, default=40, help="generated members besides the personas")
    parser.add_argument("--seed", type=int, default=2026, help="seed of the generated members")
    parser.add_argument("--output", type=Path, help="also write the report to this file")
    parser.add_argument("--everything", action="store_true", help="every record, and every kind of warning")
    options = parser.parse_args()
    if not options.packages.is_dir():
        parser.error(
            f"{options.packages} is no folder; name the one with the downloaded packages: make conformance PACKAGES=..."
        )
    begin = time.monotonic()
    seeded = personas()
    records = {(r["resourceType"], r["id"]): r for r in [*seeded, *generated(options.members, options.seed)]}
    try:
        shown = [*records.values()] if options.everything else of_each_shape([*records.values()])
        outcome = run(options.packages, [*records.values()], answers(seeded), VAR, chosen=shown)
    except FileNotFoundError as error:
        parser.error(str(error))
    lines = list(report(outcome, time.monotonic() - begin, options.everything))
    print("\n".join(lines))
    if options.output:
        title = f"# The official HL7 validator over the personas and {options.members} generated members"
        more = ' CONFORMANCE_ARGS="--everything"' if options.everything else ""
        command = f"    make conformance PACKAGES=path/to/packages MEMBERS={options.members}{more}"
        about = f"{datetime.now(UTC):%Y-%m-%d}, {machine()}."
        options.output.write_text("\n".join([title, "", command, "", about, "", *lines]) + "\n", encoding="utf-8")
    return int(outcome.failed)


if __name__ == "__main__":
    sys.exit(main())
