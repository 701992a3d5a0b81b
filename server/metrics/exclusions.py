"""Which answers are not transfers, as data: in a fixed order, so that every answer left out is left out for one reason.

42 CFR 431.60(f) and its parallels: data transferred "via the Patient Access API to a health app designated by the beneficiary".
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


OTHER_ENVIRONMENT = "other-environment"
_LEFT_OUT = {
    "production": "Not production: a test deployment, app or member",
    "test": "Production deployment, app and member",
}


def other_environment(environment: str) -> str:
    """The environment a report leaves out."""
    return next(other for other in ENVIRONMENTS if other != environment)


def other_environment_exclusion(environment: str) -> Exclusion:
    """The first exclusion of a report on an environment. Raises ValueError for an unknown environment."""
    if environment not in ENVIRONMENTS:
        raise ValueError(f"the environment is one of {', '.join(ENVIRONMENTS)}, not {environment!r}")
    return Exclusion(
        OTHER_ENVIRONMENT,
        _LEFT_OUT[environment],
        "A row is production only if the deployment, the app and the member all were when the answer left; the ledger "
        "keeps that one mark, not which of the three it was.",
        Predicate("environment", "is not", environment),
    )


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
        "sibling-api",
        "Clients acting for themselves: sibling APIs, bulk export",
        "A client with a token of its own (Provider Access, Payer-to-Payer, jobs) was not designated by the patient.",
        Predicate("client_kind", "is", "system"),
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
        "Nobody directed the transfer.",
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
        "Empty: no resource of the patient",
        "An empty searchset, directory data only, a HEAD request, the status of an export.",
        Predicate("resources", "is below", 1),
    ),
)
"""What has no token (the CapabilityStatement, discovery, the sign-in and token endpoints) never is an answer in the ledger."""
