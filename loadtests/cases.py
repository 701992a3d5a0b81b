"""What the hot path is made of: a read, a search of 10 and one of 50 claims, asked by members' apps that were really allowed.

https://hl7.org/fhir/R4/http.html#read and #search - the answers are taken apart before and after they are measured.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import requests

from loadtests import claims
from loadtests.load_generator import LoadError, Target
from loadtests.smart_dance import Client, DanceError, Response, SmartDance

CLAIMS = 50
"""Of each member."""
USERNAME, CALLBACK = "hot-path", "http://127.0.0.1:9/callback"
_PATH = "/fhir/ExplanationOfBenefit"


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of request: the query of a search or '' for a read, how many claims come back, and the goal for the ratio."""

    slug: str
    title: str
    query: str
    claims: int
    goal: float


CASES = (
    Case("read", "read", "", 1, 0.25),
    Case("search-10", "search, 10 EOBs", "?_count=10", 10, 0.18),
    Case("search-50", "search, 50 EOBs", "?_count=50", 50, 0.25),
)


@dataclass(frozen=True, slots=True)
class Member:
    """A member for whom the app was allowed: their number in ``claims``, and the access token."""

    number: int
    token: str


def sign_in(base_url: str, number: int, client_id: str, password: str) -> Member:
    """The whole dance for one of the members the person may act for, in a fresh browser. Raises DanceError."""
    with requests.Session() as session:

        def send(step: str, method: str, url: str, status: int, **options: Any) -> Response:
            answer = session.request(method, url, allow_redirects=False, timeout=30, **options)
            if answer.status_code != status:
                text = " ".join(answer.text.split())[:200]
                raise DanceError(step, f"{answer.status_code} instead of {status}: {text}")
            return answer

        dance = SmartDance(send, f"{base_url}/fhir", Client(client_id, CALLBACK))
        dance.discover()
        code = dance.consent(dance.sign_in(dance.authorize(), USERNAME, password), claims.patient_id(number))
        tokens = dance.exchange(code)
    if tokens.patient != claims.patient_id(number) or "patient/*.rs" not in tokens.scope.split():
        raise DanceError("token", f"the token is for {tokens.patient} with {tokens.scope}")
    return Member(number, tokens.access_token)


def targets(case: Case, members: Sequence[Member]) -> list[Target]:
    """What is asked of the server: every member in turn, and for reads every claim."""
    if case.query:
        return [Target(_PATH + case.query, member.token) for member in members]
    every = range(CLAIMS)
    return [Target(f"{_PATH}/{claims.claim_id(m.number, claim)}", m.token) for claim in every for m in members]


def verify(base_url: str, case: Case, members: Sequence[Member]) -> int:
    """Take every member's answer apart: status, ids, whose, how many, total, next link. The size of the body in bytes.

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


def _ask(base_url: str, case: Case, member: Member) -> requests.Response:
    """A case's first request, without compression as the load generator makes it."""
    target = targets(case, [member])[0]
    headers = {"Authorization": f"Bearer {target.token}", "Accept-Encoding": "identity"}
    return requests.get(base_url + target.path, headers=headers, timeout=30)


def _verified(base_url: str, case: Case, member: Member) -> int:
    wanted = [claims.claim_id(member.number, claim) for claim in range(case.claims)]
    answer = _ask(base_url, case, member)
    if answer.status_code != 200 or not answer.headers["content-type"].startswith("application/fhir+json"):
        raise LoadError(f"{case.title}: status {answer.status_code}, {answer.headers.get('content-type')}")
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
