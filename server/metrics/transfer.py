"""What counts as a transfer, as data: the definition in plain English, its version, and the exclusions with their reasons.

42 CFR 431.60(f) and its parallels say "transferred" and "more than once" and define neither; the definition is printed on every report.
"""

from dataclasses import dataclass

from server.storage.usage import Predicate

ENVIRONMENTS = ("production", "test")


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Answers that are not transfers. An answer goes to the first exclusion whose predicate holds."""

    slug: str
    title: str
    reason: str
    predicate: Predicate


@dataclass(frozen=True, slots=True)
class TransferDefinition:
    """What one transfer occasion is: the answers left after ``exclusions``, distinct by person, local calendar day and
    ``occasion_columns`` of the ledger. A change of meaning is a new ``version``."""

    slug: str
    title: str
    version: str
    text: str
    occasion_columns: tuple[str, ...]
    exclusions: tuple[Exclusion, ...]

    def exclusions_for(self, environment: str) -> tuple[Exclusion, ...]:
        """All exclusions of a report on an environment: answers of the other environment come first.

        Raises ValueError for an unknown environment.
        """
        if environment not in ENVIRONMENTS:
            raise ValueError(f"the environment is one of {', '.join(ENVIRONMENTS)}, not {environment!r}")
        return (
            Exclusion(
                OTHER_ENVIRONMENT,
                _LEFT_OUT[environment],
                "A row is production only if the deployment, the app and the member all were when the answer left.",
                Predicate("environment", "is not", environment),
            ),
            *self.exclusions,
        )


OTHER_ENVIRONMENT = "other-environment"
_LEFT_OUT = {
    "production": "Not production: a test deployment, app or member",
    "test": "Production deployment, app and member",
}


def other_environment(environment: str) -> str:
    """The environment a report leaves out."""
    return next(other for other in ENVIRONMENTS if other != environment)


EXCLUSIONS = (
    Exclusion(
        "own-portal",
        "The payer's own portal or app",
        "Not a health app that the patient designated.",
        Predicate("client_kind", "is", "payer"),
    ),
    Exclusion(
        "probe",
        "Monitoring probes",
        "The payer watching its own API; no patient asked for it.",
        Predicate("client_kind", "is", "probe"),
    ),
    Exclusion(
        "not-third-party",
        "Any other client that is not a third-party app",
        "Only an app of a third party can be designated by the patient.",
        Predicate("client_kind", "is not", "third-party"),
    ),
    Exclusion(
        "no-grant",
        "Without a grant",
        "Nobody directed the transfer: sibling APIs, backend clients, the CapabilityStatement.",
        Predicate("grant_id", "is", ""),
    ),
    Exclusion(
        "no-patient",
        "Without a patient",
        "The answer was about no one patient.",
        Predicate("patient", "is", ""),
    ),
    Exclusion(
        "failed",
        "Not successful",
        "An error, a redirect or 304 Not Modified transfers no data.",
        Predicate("status", "is outside", (200, 299)),
    ),
    Exclusion(
        "empty",
        "Empty",
        "No resource of the patient in the answer: an empty searchset, or directory data only.",
        Predicate("resources", "is below", 1),
    ),
)

APP_DAY = TransferDefinition(
    slug="app-day",
    title="One occasion per app and calendar day",
    version="1",
    text=(
        "A transfer is a successful answer (HTTP status 200 to 299) of the Patient Access API, holding at least one resource "
        "of a patient, to a third-party app that held a grant for that patient. All answers about one person to one app on "
        "one calendar day in the payer's time zone are one occasion: the many requests of one synchronisation count once; "
        "two apps on one day, or one app on two days, are two occasions. "
        "The person counted is the one whose data moved, never the representative who signed in; Patient ids with the same "
        "enterprise identity, as recorded last, are one person. "
        "A person counts in every reporting unit in which that Patient was enrolled on the day of the transfer, and more than "
        "once in a unit if two occasions fell on days of enrolment in it; transfers on a day without enrolment are shown as "
        "(no reporting unit). The organisation total counts each person once over all units; it is not their sum."
    ),
    occasion_columns=("client_id",),
    exclusions=EXCLUSIONS,
)
