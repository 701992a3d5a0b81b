"""What the hot path is made of: a read, searches of 10 and 50 claims, a gzip'd page, asked by members' apps that were really allowed.

https://hl7.org/fhir/R4/http.html#read and #search - the answers are taken apart before and after they are measured.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import requests

from loadtests import claims
from loadtests.load_generator import LoadError, Target
from loadtests.sign_in import OwnPages, PlainSession
from loadtests.smart_dance import Client, DanceError, SmartDance

CLAIMS = 50
"""Of each member."""
USERNAME, CALLBACK = "hot-path", "http://127.0.0.1:9/callback"
_PATH = "/fhir/ExplanationOfBenefit"


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of request: the query of a search or '' for a read, how many claims come back, the goals for the ratio by database,
    and the content coding that is asked for."""

    slug: str
    title: str
    query: str
    claims: int
    on_sqlite: float
    on_postgresql: float
    encoding: str = "identity"

    def goal(self, *, postgresql: bool) -> float:
        """The goal on that database."""
        return self.on_postgresql if postgresql else self.on_sqlite


CASES = (
    Case("read", "read", "", 1, 0.35, 0.14),
    Case("search-10", "search, 10 EOBs", "?_count=10", 10, 0.26, 0.09),
    Case("search-50", "search, 50 EOBs", "?_count=50", 50, 0.35, 0.14),
)
"""Measured beside the bare application."""
PLAIN = CASES[1]
COMPRESSED = Case("search-10-gzip", "search, 10 EOBs, gzip", PLAIN.query, PLAIN.claims, 0.7, 0.7, "gzip")
"""Measured beside the same page of the same server without gzip."""


@dataclass(frozen=True, slots=True)
class Member:
    """A member for whom the app was allowed: their number in ``claims``, and the access token."""

    number: int
    token: str


def sign_in(base_url: str, number: int, client_id: str, password: str) -> Member:
    """The whole dance for one of the members the person may act for, in a fresh browser. Raises DanceError."""
    login = {"username": USERNAME, "password": password, "patient": claims.patient_id(number)}
    with PlainSession() as session:
        dance = SmartDance(session, f"{base_url}/fhir", Client(client_id, CALLBACK))
        dance.discover()
        tokens = dance.exchange(dance.code(OwnPages().sign_in(session, dance.authorization_url(), login)))
    if tokens.patient != claims.patient_id(number) or "patient/*.rs" not in tokens.scope.split():
        raise DanceError("token", f"the token is for {tokens.patient} with {tokens.scope}")
    return Member(number, tokens.access_token)


def targets(case: Case, members: Sequence[Member]) -> list[Target]:
    """What is asked of the server: every member in turn, and for reads every claim."""
    if case.query:
        return [Target(_PATH + case.query, member.token, case.encoding) for member in members]
    return [
        Target(f"{_PATH}/{claims.claim_id(member.number, claim)}", member.token, case.encoding)
        for claim in range(CLAIMS)
        for member in members
    ]


def verify(base_url: str, case: Case, members: Sequence[Member]) -> int:
    """Take every member's answer apart: status, ids, whose, how many, total, next link. The size of the body, unpacked, in bytes.

    Raises LoadError when anything is not as it must be.
    """
    sizes = {_verified(base_url, case, member) for member in members}
    if len(sizes) != 1:
        raise LoadError(f"{case.title}: bodies of different sizes ({sorted(sizes)})")
    return sizes.pop()


def bare_environment(base_url: str, members: Sequence[Member]) -> dict[str, str]:
    """The environment of the bare application: the sizes and the content type of the server's own answers."""
    sizes = {f"/{case.slug}": verify(base_url, case, members) for case in CASES}
    content_type = _ask(base_url, CASES[0], members[0]).headers["content-type"]
    return {"BARE_ANSWERS": json.dumps(sizes), "BARE_CONTENT_TYPE": content_type}


def bytes_sent(base_url: str, case: Case, member: Member) -> int:
    """The size of a body as it travels."""
    return int(_ask(base_url, case, member).headers["content-length"])


def _ask(base_url: str, case: Case, member: Member) -> requests.Response:
    """A case's first request, as the load generator makes it."""
    target = targets(case, [member])[0]
    headers = {"Authorization": f"Bearer {target.token}", "Accept-Encoding": target.encoding}
    return requests.get(base_url + target.path, headers=headers, timeout=30)


def _verified(base_url: str, case: Case, member: Member) -> int:
    wanted = [claims.claim_id(member.number, claim) for claim in range(case.claims)]
    answer = _ask(base_url, case, member)
    if answer.status_code != 200 or not answer.headers["content-type"].startswith("application/fhir+json"):
        raise LoadError(f"{case.title}: status {answer.status_code}, {answer.headers.get('content-type')}")
    if answer.headers.get("content-encoding", "identity") != case.encoding:
        raise LoadError(f"{case.title}: content-encoding {answer.headers.get('content-encoding')}")
    found = answer.json()
    resources = [entry["resource"] for entry in found["entry"]] if case.query else [found]
    if [resource["id"] for resource in resources] != wanted:
        raise LoadError(f"{case.title}: other claims came back than were loaded")
    if {resource["patient"]["reference"] for resource in resources} != {f"Patient/{claims.patient_id(member.number)}"}:
        raise LoadError(f"{case.title}: a claim of another member came back")
    if case.query:
        following = "next" in {link["relation"] for link in found["link"]}
        if found["total"] != CLAIMS or following != (case.claims < CLAIMS):
            raise LoadError(f"{case.title}: total {found['total']}, next link {following}")
    return len(answer.content)
