"""Many members with a token each, and what is asked in their names: one of their claims, or their first ten.

https://www.rfc-editor.org/rfc/rfc6750 - a token is random and stored as SHA-256. The grants and tokens of thousands of members are written
into the tables, where hot_path.py has a few that were allowed through the pages; the server reads them as it reads any.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from random import Random

import requests

from loadtests.load_generator import LoadError, Target
from loadtests.processes import run
from loadtests.stores import CLAIM, Store

CLIENT_ID, CALLBACK = "scale-app", "http://127.0.0.1:9/callback"
SCOPE = "launch/patient openid fhirUser offline_access patient/*.rs"
DAY = 86_400_000_000
PAGE = 10
"""Claims of a page that is searched; only members who have as many are asked for."""
MOST_MEMBERS = 20_000
REQUESTS = 20_000
"""Of a list that the connections take in turn."""
VERIFIED = 16
NOT_MEMBERS = ("", "?", "*")
"""What the table has in a member's place: shared, not known yet, of several."""

_GRANT = """
INSERT INTO "grant" (id, client_id, account, patient, actor, fhir_user, scope, created_at, expires_at, ended_reason, ended_code, withheld,
                     duration) VALUES (?, ?, ?, ?, 'self', ?, ?, ?, ?, '', '', '', '')
"""
_TOKEN = """
INSERT INTO access_token (hash, grant_id, client_id, scope, issued_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)
"""
_MEMBERS = "SELECT patient FROM resource WHERE type = ? GROUP BY patient HAVING count(*) >= ?"


@dataclass(frozen=True, slots=True)
class Asked:
    """A member's token and one of their claims."""

    patient: str
    token: str
    claim: str


@dataclass(frozen=True, slots=True)
class Workload:
    """Who asks: every member alike, or few of them most of the time (``skew`` is the power of the random number)."""

    name: str
    skew: int


EVERYONE = Workload("every member alike", 1)
REALITY = Workload("few members most of the time", 4)
"""A tenth of the members make 56 % of the requests, as apps that sync daily do beside those that were tried once."""
WORKLOADS = (EVERYONE, REALITY)


@dataclass(frozen=True, slots=True)
class Question:
    """One kind of request."""

    slug: str
    title: str

    def target(self, asked: Asked) -> Target:
        """It, asked for a member."""
        path = f"/fhir/{CLAIM}/{asked.claim}" if self.slug == "read" else f"/fhir/{CLAIM}?_count={PAGE}"
        return Target(path, asked.token)


QUESTIONS = (Question("read", "read"), Question("search-10", "search, 10 EOBs"))


def allowed(store: Store, environment: Mapping[str, str]) -> list[Asked]:
    """Tokens for the members of a store who have enough claims, MOST_MEMBERS of them at random. Raises LoadError when there are none."""
    draw = Random(store.members)
    patients = sorted(patient for (patient,) in store.rows(_MEMBERS, CLAIM, PAGE) if patient not in NOT_MEMBERS)
    if not patients:
        raise LoadError(f"none of {store.members} members has {PAGE} claims; load more members")
    patients = draw.sample(patients, min(len(patients), MOST_MEMBERS))
    run(environment, "client", "add", "--name", "Scale", "--redirect-uri", CALLBACK, "--id", CLIENT_ID)
    now = time.time_ns() // 1000
    asked, grants, tokens = [], [], []
    for patient in patients:
        token, grant = draw.randbytes(24).hex() + f"{now:x}", f"{draw.getrandbits(64):016x}-{now:x}"
        grants.append(
            (grant, CLIENT_ID, f"account-{patient}", patient, f"Patient/{patient}", SCOPE, now, now + 2 * DAY)
        )
        tokens.append((sha256(token.encode()).digest(), grant, CLIENT_ID, SCOPE, now, now + 2 * DAY))
        asked.append((patient, token))
    for table in ('"grant"', "access_token"):  # those of an earlier measurement of a kept store
        store.write(f"DELETE FROM {table} WHERE client_id = ?", [(CLIENT_ID,)])
    store.write(_GRANT, grants)
    store.write(_TOKEN, tokens)
    claims = _one_claim_each(store, patients, draw)
    return [Asked(patient, token, claims[patient]) for patient, token in asked]


def _one_claim_each(store: Store, patients: Sequence[str], draw: Random) -> dict[str, str]:
    wanted = set(patients)
    claims: dict[str, list[str]] = {patient: [] for patient in patients}
    for patient, claim in store.rows("SELECT patient, id FROM resource WHERE type = ?", CLAIM):
        if patient in wanted:
            claims[patient].append(claim)
    return {patient: draw.choice(sorted(ids)) for patient, ids in claims.items()}


def requests_of(question: Question, workload: Workload, members: Sequence[Asked], seed: int) -> list[Target]:
    """What the connections ask in turn: members drawn anew for each seed."""
    draw = Random(seed)
    count = min(REQUESTS, 20 * len(members))
    return [question.target(members[int(len(members) * draw.random() ** workload.skew)]) for _ in range(count)]


def verify(base_url: str, question: Question, members: Sequence[Asked]) -> None:
    """Take some members' answers apart: status, how many claims, whose. Raises LoadError."""
    for one in members[:: max(1, len(members) // VERIFIED)]:
        target = question.target(one)
        answer = requests.get(base_url + target.path, headers={"Authorization": f"Bearer {target.token}"}, timeout=30)
        if answer.status_code != 200:
            raise LoadError(f"{question.title}: status {answer.status_code}")
        found = answer.json()
        claims = [found] if question.slug == "read" else [entry["resource"] for entry in found["entry"]]
        if len(claims) != (1 if question.slug == "read" else PAGE):
            raise LoadError(f"{question.title}: {len(claims)} claims")
        if {claim["patient"]["reference"] for claim in claims} != {f"Patient/{one.patient}"}:
            raise LoadError(f"{question.title}: a claim of another member came back")
        if question.slug == "read" and claims[0]["id"] != one.claim:
            raise LoadError(f"{question.title}: another claim came back")
