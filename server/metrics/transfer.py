"""What one transfer is, as data: four definitions in plain English, each with its version and what it goes back to.

42 CFR 431.60(f) and its parallels say "transferred" and "more than once" and define neither; the definition is printed on every
report. What does not count under any of them: ``exclusions``.
"""

from dataclasses import dataclass

from server.metrics.exclusions import EXCLUSIONS, Exclusion, other_environment_exclusion


@dataclass(frozen=True, slots=True)
class TransferDefinition:
    """What one transfer occasion is: of the answers left after ``exclusions``, those of a person that agree in
    ``occasion_columns`` (day, client_id, patient, occasion; the last holds ``told_apart_by``, a column of the ledger).

    ``each_answer``: every answer is an occasion. ``window_hours``: an occasion takes in what follows within so many hours.
    ``from_rollups``: the daily roll-ups hold all it needs. A change of meaning is a new ``version``.
    """

    slug: str
    title: str
    version: str
    text: str
    citation: str
    occasion_columns: tuple[str, ...]
    exclusions: tuple[Exclusion, ...] = EXCLUSIONS
    told_apart_by: str = ""
    each_answer: bool = False
    window_hours: int = 0
    from_rollups: bool = False

    @property
    def is_app_day(self) -> bool:
        """Whether an occasion is an app and a day, and nothing else."""
        return set(self.occasion_columns) == {"day", "client_id"} and not self.each_answer

    def occasion(self, patient: str, client_id: str, occasion: str, day: str) -> tuple[str, ...]:
        """What names the occasion of an answer among those of its person."""
        named = {"patient": patient, "client_id": client_id, "occasion": occasion, "day": day}
        return tuple(named[column] for column in self.occasion_columns)

    def exclusions_for(self, environment: str) -> tuple[Exclusion, ...]:
        """All exclusions of a report on an environment: answers of the other environment come first.

        Raises ValueError for an unknown environment.
        """
        return (other_environment_exclusion(environment), *self.exclusions)


_WHAT = (
    "A transfer is a successful answer (HTTP status 200 to 299) of the Patient Access API, holding at least one resource "
    "of a patient, to a third-party app that held a grant for that patient. "
)
_WHO = (
    "The person counted is the one whose data moved, never the representative who signed in; Patient ids with the same "
    "enterprise identity, as recorded last, are one person. "
    "A person counts in every reporting unit in which that Patient was enrolled on the day of the transfer, and more than "
    "once in a unit if two occasions fell on days of enrolment in it; transfers on a day without enrolment are shown as "
    "(no reporting unit). The organisation total counts each person once over all units; it is not their sum."
)
_PREAMBLE = (
    "The rule defines neither transfer nor occasion. CMS-0057-F, 89 FR 8758, section II.A, expects repeat transfers of patients "
    "who use several apps or whose apps update their information over the year."
)

APP_DAY = TransferDefinition(
    slug="app-day",
    title="One occasion per app and calendar day",
    version="1",
    text=(
        f"{_WHAT}All answers about one person to one app on one calendar day in the payer's time zone are one occasion: the many "
        "requests of one synchronisation count once; two apps on one day, or one app on two days, are two occasions. "
        f"{_WHO}"
    ),
    citation=_PREAMBLE,
    occasion_columns=("day", "client_id"),
    from_rollups=True,
)
REQUEST = TransferDefinition(
    slug="request",
    title="Each answer",
    version="1",
    text=(
        f"{_WHAT}Every such answer is an occasion by itself. One synchronisation of an app is tens of requests, so that nearly every "
        f"person counts as more than once: for comparison. {_WHO}"
    ),
    citation="The narrowest reading of the word transferred, and what counting lines of an access log gives.",
    occasion_columns=("patient", "day", "client_id"),
    each_answer=True,
    from_rollups=True,
)
GRANT = TransferDefinition(
    slug="grant",
    title="One occasion per grant",
    version="1",
    text=(
        f"{_WHAT}All answers under one grant (one permission that the person or a representative gave to one app) within the period "
        "are one occasion, however often the app came back; allowing the app again, or on a second device, makes another. "
        f"{_WHO}"
    ),
    citation="The reading in which an occasion is the person's own act of designating an app: for comparison.",
    occasion_columns=("occasion",),
    told_apart_by="grant_id",
)
ROLLING_24H = TransferDefinition(
    slug="rolling-24h",
    title="One occasion per app and 24 hours",
    version="1",
    text=(
        f"{_WHAT}An occasion of a person and an app begins with the first answer of the period, and again with each answer that left "
        "more than 24 hours after the beginning of the occasion before; the answers until then belong to that one. No occasion is "
        "carried over from before the period. An occasion counts in each reporting unit and month in which one of its answers fell. "
        f"{_WHO}"
    ),
    citation="Like app-day without its seam at midnight, when one synchronisation that runs past it is two: for comparison.",
    occasion_columns=("client_id", "occasion"),
    window_hours=24,
)
DEFINITIONS = {row.slug: row for row in (APP_DAY, REQUEST, GRANT, ROLLING_24H)}
"""The first is the default."""


def definition(slug: str) -> TransferDefinition:
    """The definition of that name. Raises ValueError for an unknown one."""
    if slug not in DEFINITIONS:
        raise ValueError(f"the definition is one of {', '.join(DEFINITIONS)}, not {slug!r}")
    return DEFINITIONS[slug]
