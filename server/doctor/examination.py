"""An examination: every row is tried, none can break the others; what came out, as text for people and as an object for programs.

https://www.rfc-editor.org/rfc/rfc8259
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from server import __version__
from server.doctor.findings import Check, Conclusion, Finding, MissingError, Outcome, Subject, failed, skipped
from server.doctor.web import TimeIsUpError, UnreachableError

_WORDS = {Outcome.PASS: "pass", Outcome.WARN: "WARN", Outcome.FAIL: "FAIL", Outcome.SKIP: "skip"}


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What an examination concluded. ``subject``: the FHIR base, or 'this machine'."""

    subject: str
    conclusions: tuple[Conclusion, ...]

    @property
    def exit_code(self) -> int:
        """0 if nothing failed, else 1."""
        return int(any(one.finding.outcome is Outcome.FAIL for one in self.conclusions))

    @property
    def score(self) -> dict[str, int]:
        """How many checks ended in each way."""
        counts = Counter(one.finding.outcome for one in self.conclusions)
        return {str(outcome): counts[outcome] for outcome in Outcome}

    @property
    def summary(self) -> str:
        """One line, e.g. ``17 of 19 checks pass, 2 warnings``: of the checks that were made."""
        score = self.score
        made = sum(score.values()) - score["skip"]
        text = f"{score['pass']} of {made} checks pass"
        for word, name in (("failure", "fail"), ("warning", "warn")):
            if score[name]:
                text += f", {score[name]} {word}{'' if score[name] == 1 else 's'}"
        return text + (f" ({score['skip']} skipped)" if score["skip"] else "")

    def lines(self) -> Iterator[str]:
        """The findings by area, and the summary, for people."""
        yield f"Examined {self.subject}"
        width = max((len(one.name) for one in self.conclusions), default=0)
        for area in dict.fromkeys(one.area for one in self.conclusions):
            yield ""
            yield area
            for one in self.conclusions:
                if one.area == area:
                    yield f"  {_WORDS[one.finding.outcome]}  {one.name:{width}}  {one.finding.found}"
                    if one.finding.mend:
                        yield f"        {'':{width}}  mend: {one.finding.mend}"
                        yield f"        {'':{width}}  see:  {one.citation}"
        yield ""
        yield self.summary

    def document(self) -> dict[str, Any]:
        """The same for programs."""
        checks = []
        for one in self.conclusions:
            flat = asdict(one)
            finding = flat.pop("finding")
            checks.append({**flat, **finding, "outcome": str(one.finding.outcome)})
        return {
            "examined": self.subject,
            "version": __version__,
            "summary": self.summary,
            "score": self.score,
            "checks": checks,
        }


def examine(name: str, subject: Subject, rows: Iterable[Check[Subject]]) -> Diagnosis:
    """Try every row on a subject."""
    return Diagnosis(name, tuple(_conclude(row, subject) for row in rows))


def _conclude(row: Check[Subject], subject: Subject) -> Conclusion:
    begun = time.monotonic()
    try:
        finding = row.examine(subject)
    except MissingError as error:
        finding = skipped(str(error))
    except TimeIsUpError as error:
        finding = skipped(str(error))
    except UnreachableError as error:
        finding = failed(f"no answer: {error}", "see whether the server, or a proxy in front, breaks off")
    except OSError as error:
        words = getattr(error, "verify_message", "") or error.strerror or type(error).__name__
        finding = failed(
            f"no connection: {words}", "see whether every address that is announced can be reached and trusted"
        )
    except Exception as error:  # what a foreign server says may surprise a check: then it is that answer which is wrong
        finding = failed(
            f"the answer cannot be understood ({type(error).__name__})", "see the cited page for its shape"
        )
    milliseconds = round((time.monotonic() - begun) * 1000)
    clean = Finding(finding.outcome, _printable(finding.found), _printable(finding.mend))
    return Conclusion(row.name, row.area, row.title, row.citation, clean, milliseconds)


def _printable(text: str) -> str:
    """One line that cannot steer a terminal: what is told comes from a stranger."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:400]
