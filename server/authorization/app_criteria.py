"""The published criteria by which an app can be refused or suspended: security of the payer's own systems, and nothing else.

42 CFR 422.119 and its parallels (431.60, 457.730, 45 CFR 156.221): objective, verifiable, the same for all apps and developers.
"""

from dataclasses import dataclass

PATH = "/docs/app-criteria"
"""Below BASE_URL: the page of the criteria; with ``.json`` behind it, the same for programs."""
CITATION = "42 CFR 422.119 and its parallels 431.60 and 457.730; 45 CFR 156.221"


@dataclass(frozen=True, slots=True)
class AppCriterion:
    """One reason. ``verified``: what is looked at, so that two people come to the same answer; ``evidence``: what is recorded;
    ``remedy``: what ends it."""

    id: str
    title: str
    verified: str
    evidence: str
    remedy: str


_ROWS = (
    AppCriterion(
        "access-without-approval",
        "Information obtained without the member's approval",
        "The ledger shows that the app used tokens, codes or sign-ins that the member concerned did not give it, or the member denies the"
        " approval and the sign-in was not theirs.",
        "Request ids of the ledger rows, and the member's statement or the sign-in record.",
        "The app's makers show how it happened and that it cannot happen again; the tokens concerned are ended.",
    ),
    AppCriterion(
        "attack-on-systems",
        "Attack on the payer's systems",
        "Automated monitoring or the ledger shows requests whose purpose is to break in: guessing of ids, codes or secrets,"
        " injection, probing of addresses that no client has a reason to ask.",
        "Request ids or monitoring records with times, addresses and what was tried.",
        "The cause is found and removed; where it was a stolen key or server, its keys are replaced.",
    ),
    AppCriterion(
        "credentials-exposed",
        "The app's credentials are known to others",
        "The app's secret, private key or registration access token was found in a public place, or used from where its makers say"
        " they do not work.",
        "Where and when it was found, or the addresses it was used from; never the credential itself.",
        "The makers replace the credential; the suspension ends at once when they have.",
    ),
    AppCriterion(
        "malicious-software",
        "The app or its addresses spread malicious software",
        "At least two independent public lists or one analysis that anyone can repeat name the app, or the host of one of its"
        " redirect URIs, as a source of malicious software or of stolen passwords.",
        "The lists with the dates of their entries, or the analysis.",
        "The lists remove the entry, or the analysis no longer finds anything.",
    ),
    AppCriterion(
        "impersonation",
        "The app poses as the payer or as another app",
        "The app's name, home page or redirect URIs are made to be taken for the payer or for another registered app, and its makers"
        " cannot show that they control that name or host.",
        "The registration beside what it imitates, and the result of asking for proof of control (a file or DNS record).",
        "The name is changed, or control is shown.",
    ),
    AppCriterion(
        "redirect-not-controlled",
        "A redirect URI is not under the makers' control",
        "The host of a redirect URI has another owner, passes answers on to any address (open redirector), or belongs to nobody.",
        "The request and the answer that show it, repeatable by anyone, or the registration record of the domain.",
        "The redirect URI is removed from the registration, or mended.",
    ),
    AppCriterion(
        "transport-not-protected",
        "Codes or tokens travel unprotected",
        "A host to which the app has codes or tokens sent accepts them over a connection below TLS 1.2, or with a certificate"
        " that fails the usual checks.",
        "The record of a connection that shows protocol, certificate and time.",
        "The connection passes the same check.",
    ),
    AppCriterion(
        "known-vulnerability",
        "A known vulnerability that reaches the payer's systems",
        "The app has a vulnerability that is published or can be repeated, by which others obtain its codes or tokens, or act in its name"
        " against the payer's systems, and that was not mended within the time set in a notice.",
        "The publication or the steps to repeat it, the notice, and its date.",
        "A version without it is in use.",
    ),
    AppCriterion(
        "endangered-availability",
        "Load that endangers the service for others",
        "After answers 429 with Retry-After the app goes on above the published limits, to a degree that slows or stops answers to"
        " others.",
        "Counts of answers 429 and of the requests that followed them, with times, and the effect measured.",
        "The app keeps to Retry-After.",
    ),
)

CRITERIA: dict[str, AppCriterion] = {row.id: row for row in _ROWS}
"""Id to row, in the order in which they are published. An id never changes its meaning."""

NOT_CRITERIA = (
    "the quality, length or absence of a privacy policy",
    "what the app does with information after a member has let it have it",
    "a missing privacy attestation (members see a notice instead)",
    "who makes the app, for what purpose, or whether it competes with the payer",
    "how many members use it, or whether it has a contract or pays",
)
"""What is never a reason, said where the reasons are published."""


def criterion(id: str) -> AppCriterion:
    """The criterion of an id. Raises ValueError with the ids there are."""
    found = CRITERIA.get(id.strip())
    if found is None:
        raise ValueError(f"no published criterion has the id {id or chr(39) * 2}; there are: {', '.join(CRITERIA)}")
    return found
