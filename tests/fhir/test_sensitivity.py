"""Sensitivity policies: what is withheld by its labels, from whom, at every door, and what the ledger says of it.

https://hl7.org/fhir/R4/security-labels.html
"""

from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import delete, select

from seed_data.generate import AS_OF, SEED, resources
from seed_data.personas import MEMBERS
from seed_data.records import records
from server.authorization import sensitivity
from server.authorization.authority import REPRESENTATIVE, SELF
from server.authorization.clients import KINDS
from server.authorization.permissions import permissions
from server.authorization.sensitivity import SensitivityPoliciesFileError, policies_for, read_policies
from server.ingest.load import retract
from server.settings import Settings
from server.storage import migrate
from server.storage.criteria import TOKEN
from server.storage.labels import LABELLED_SINCE, index_labels
from tests import factories
from tests.asgi import Reply
from tests.factories import (
    Record,
    client,
    concept,
    coverage,
    explanation_of_benefit,
    ledger_rows,
    organization,
    patient,
    practitioner,
    provenance,
    record,
    reference,
    store,
)
from tests.lasting import World, lasting_world

EXAMPLE = Path(__file__).parents[2] / "seed_data" / "sensitivity_policies.toml"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
MATTER = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
ETH, RESTRICTED, PSY = {"system": MATTER, "code": "ETH"}, {"system": CONFIDENTIALITY, "code": "R"}, {"code": "PSY"}
POLICIES = f"""
[[policy]]
slug = "substance-use"
title = "Records of treatment for <substance> use"
labels = ["{MATTER}|ETH"]
from = ["representative", "system"]
legal_basis = "42 CFR part 2"

[[policy]]
slug = "restricted-claims"
title = "Restricted claims"
labels = ["{CONFIDENTIALITY}|R", "PSY"]
from = ["representative"]
resource_types = ["ExplanationOfBenefit"]
app_kinds = ["third-party"]
legal_basis = "An agreement with the member"
"""
ANNA, BEN = patient("anna"), patient("ben", meta={"security": [ETH]})
KIN = record("RelatedPerson", "kin", patient=reference(ANNA), meta={"security": [ETH]})
FRIEND = record("RelatedPerson", "friend", patient=reference(ANNA))


def labelled(*labels: Record) -> dict[str, Any]:
    return {"meta": {"security": list(labels)}}


def prescription(id: str, medication: str, **elements: Any) -> Record:
    asked = {"status": "active", "intent": "order", "medicationReference": reference(f"Medication/{medication}")}
    return record("MedicationRequest", id, subject=reference(ANNA), **asked, **elements)


def pill(id: str) -> Record:
    return record("Medication", id, code=concept("https://codes.example", id))


PLAIN = explanation_of_benefit("plain", ANNA, insurance=[{"focal": True, "coverage": reference("Coverage/open")}])
THERAPY = explanation_of_benefit(
    "therapy", ANNA, provider=reference("Organization/clinic"), **labelled(RESTRICTED, ETH)
)
REFERRING = explanation_of_benefit(
    "referring",
    ANNA,
    provider=reference("Organization/clinic"),
    insurance=[{"focal": True, "coverage": reference("Coverage/closed")}],
)
RESTRICTED_CLAIM = explanation_of_benefit("restricted", ANNA, **labelled(RESTRICTED))
ODD = explanation_of_benefit("odd", ANNA, **labelled(PSY))
BECOMES, BECAME = explanation_of_benefit("becomes", ANNA), explanation_of_benefit("became", ANNA, **labelled(ETH))
SECOND = [
    BECOMES | {"meta": BECOMES["meta"] | {"security": [ETH]}},
    {**BECAME, "meta": {"lastUpdated": factories.LAST_UPDATED}},
]
RECORDS = [
    organization("payer"),
    organization("clinic", **labelled(ETH)),
    practitioner("doctor"),
    *(ANNA, BEN, KIN, FRIEND),
    coverage("open", ANNA),
    coverage("closed", ANNA, **labelled(ETH)),
    *(PLAIN, THERAPY, REFERRING, RESTRICTED_CLAIM, ODD, BECOMES, BECAME),
    explanation_of_benefit("gone", ANNA),
    explanation_of_benefit("gone-too", ANNA, **labelled(ETH)),
    provenance("of-plain", PLAIN),
    provenance("of-therapy", THERAPY),
    provenance("of-both", PLAIN, THERAPY),
    provenance("of-gone", "ExplanationOfBenefit/gone"),
    *(pill("both"), pill("only-withheld")),
    prescription("one", "both"),
    prescription("two", "both", **labelled(ETH)),
    prescription("three", "only-withheld", **labelled(ETH)),
]
SEEN_CLAIMS = ["became", "plain", "referring"]
"""By a representative with a third-party app."""
ALL_CLAIMS = ["became", "becomes", "odd", "plain", "referring", "restricted", "therapy"]
SYSTEM = "system/*.rs"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Anna's labelled records, with policies in force."""
    path = tmp_path_factory.mktemp("policies") / "policies.toml"
    path.write_text(POLICIES, "utf-8")
    with lasting_world(request.param, request, RECORDS, sensitivity_policies_file=path) as world:
        store(world.database, world.settings, SECOND)
        gone = ["ExplanationOfBenefit/gone", "ExplanationOfBenefit/gone-too"]
        assert retract(world.database, world.settings, gone).exit_code == 0
        client(world.database, "payers-own", kind="payer")
        client(world.database, "job", kind="payer", authentication="private_key_jwt")
        yield world


def token(world: World, client_id: str = "app", scope: str = factories.EVERYTHING, kin: str = "friend") -> str:
    """A token that Anna's representative gave an app."""
    name = f"representative {client_id} {scope} {kin}"
    if name not in world.tokens:
        whose = {"grant_actor": REPRESENTATIVE, "grant_fhir_user": f"RelatedPerson/{kin}"}
        world.tokens[name] = factories.token(world.database, "anna", scope, client_id, **whose).text
    return world.tokens[name]


def system_token(world: World) -> str:
    if "system" not in world.tokens:
        own = {"grant_actor": "system", "grant_fhir_user": "", "grant_account": ""}
        world.tokens["system"] = factories.token(world.database, "", SYSTEM, "job", **own).text
    return world.tokens["system"]


def ids(reply: Reply, mode: str = "match") -> list[str]:
    assert reply.status == 200, reply.body
    return sorted(name.partition("/")[2] for name in reply.ids(mode))


def withheld(world: World, reply: Reply) -> dict[str, int]:
    """What the ledger says that was withheld; its text is compact and sorted."""
    (row,) = ledger_rows(world.database, request_id=reply.request_id)
    if not row.detail:
        return {}
    found: dict[str, int] = orjson.loads(row.detail)["withheld"]
    assert row.detail == orjson.dumps({"withheld": dict(sorted(found.items()))}).decode()
    return found


# -- reads -----------------------------------------------------------------------------------------------------------

READS = {
    "a claim of both": ("ExplanationOfBenefit/therapy", {"restricted-claims": 1, "substance-use": 1}),
    "a claim of one": ("ExplanationOfBenefit/restricted", {"restricted-claims": 1}),
    "a label of any system": ("ExplanationOfBenefit/odd", {"restricted-claims": 1}),
    "what has the label now": ("ExplanationOfBenefit/becomes", {"substance-use": 1}),
    "a shared record": ("Organization/clinic", {"substance-use": 1}),
    "its provenance": ("Provenance/of-therapy", {"restricted-claims": 1, "substance-use": 1}),
    "a provenance of it and another": ("Provenance/of-both", {"restricted-claims": 1, "substance-use": 1}),
    "a medicine that nothing else names": ("Medication/only-withheld", {"substance-use": 1}),
    "a coverage": ("Coverage/closed", {"substance-use": 1}),
}


@pytest.mark.parametrize(("target", "expected"), READS.values(), ids=READS)
def test_what_is_withheld_reads_as_an_unknown_id_and_is_counted(
    world: World, target: str, expected: dict[str, int]
) -> None:
    type, _, id = target.partition("/")
    for path in (target, f"{target}/_history/1", f"{target}/_history"):
        reply = world.served.get(path, token(world))
        unknown = world.served.get(path.replace(id, "unknown"), token(world))
        assert reply.status == 404 and reply.body == unknown.body.replace(b"unknown", id.encode())
        assert {name for name, _ in reply.headers} == {name for name, _ in unknown.headers}
        counted = dict.fromkeys(expected, 2) if id == "becomes" and path.endswith("_history") else expected
        assert withheld(world, reply) == counted and withheld(world, unknown) == {}
        assert world.get("anna", path).status == 200
    head = world.served.send("HEAD", target, token(world))
    assert head.status == 404 and withheld(world, head) == {}
    assert world.served.get(f"{type}?_id={id}", token(world)).json["total"] == 0


SERVED = {
    "what has no label": "ExplanationOfBenefit/plain",
    "what only refers to it": "ExplanationOfBenefit/referring",
    "what lost the label": "ExplanationOfBenefit/became",
    "a medicine that another names": "Medication/both",
    "a provenance of another": "Provenance/of-plain",
    "the actor's own record": "RelatedPerson/friend",
}


@pytest.mark.parametrize("target", SERVED.values(), ids=SERVED)
def test_everything_else_is_served_as_it_is(world: World, target: str) -> None:
    reply = world.served.get(target, token(world))
    assert reply.status == 200 and reply.body == world.get("anna", target).body
    assert withheld(world, reply) == {}


def test_a_version_is_withheld_by_its_own_labels_and_by_the_current_ones(world: World) -> None:
    lost = world.served.get("ExplanationOfBenefit/became/_history/1", token(world))
    assert lost.status == 404 and withheld(world, lost) == {"substance-use": 1}
    assert world.served.get("ExplanationOfBenefit/became/_history/2", token(world)).status == 200
    assert world.served.get("ExplanationOfBenefit/becomes/_history/1", token(world)).status == 404


def test_a_deletion_is_told_as_before_but_not_of_what_was_withheld(world: World) -> None:
    assert world.served.get("ExplanationOfBenefit/gone", token(world)).status == 410
    assert world.served.get("ExplanationOfBenefit/gone/_history/1", token(world)).status == 410
    for path in ("ExplanationOfBenefit/gone-too", "ExplanationOfBenefit/gone-too/_history/1"):
        assert world.served.get(path, token(world)).status == 404
        assert world.get("anna", path).status == 410
    finer = token(world, scope="patient/ExplanationOfBenefit.rs?type=x,oral,professional")
    assert world.served.get("ExplanationOfBenefit/gone", finer).status == 404


def test_the_tokens_own_fhir_user_is_withheld_too(world: World) -> None:
    scope = "openid fhirUser patient/Coverage.rs"
    assert world.served.get("RelatedPerson/friend", token(world, scope=scope)).status == 200
    reply = world.served.get("RelatedPerson/kin", token(world, scope=scope, kin="kin"))
    assert reply.status == 404 and withheld(world, reply) == {"substance-use": 1}


# -- searches --------------------------------------------------------------------------------------------------------

SEARCHES: dict[str, tuple[str, list[str], dict[str, int]]] = {
    "all": ("ExplanationOfBenefit", SEEN_CLAIMS, {"restricted-claims": 3, "substance-use": 2}),
    "some": ("ExplanationOfBenefit?_id=plain,odd", ["plain"], {"restricted-claims": 1}),
    "none of it": ("ExplanationOfBenefit?_id=plain", ["plain"], {}),
    "by the label": (f"ExplanationOfBenefit?_security={MATTER}|ETH", [], {"restricted-claims": 1, "substance-use": 2}),
    "by reference": ("ExplanationOfBenefit?provider=Organization/clinic", ["referring"], {"restricted-claims": 1, "substance-use": 1}),
    "by chain": ("ExplanationOfBenefit?coverage._id=open,closed", ["plain"], {"substance-use": 1}),
    "by reverse chain": ("Coverage?_has:ExplanationOfBenefit:coverage:_id=plain,referring", ["open"], {"substance-use": 1}),
    "provenance": ("Provenance", ["of-plain"], {"restricted-claims": 2, "substance-use": 3}),
    "medicines": ("Medication", ["both"], {"substance-use": 1}),
    "the directory": ("Organization", ["payer"], {"substance-use": 1}),
}  # fmt: skip


@pytest.mark.parametrize(("target", "found", "expected"), SEARCHES.values(), ids=SEARCHES)
def test_a_search_finds_and_counts_what_is_not_withheld(
    world: World, target: str, found: list[str], expected: dict[str, int]
) -> None:
    reply = world.served.get(target, token(world))
    assert (ids(reply), reply.json["total"]) == (found, len(found))
    if target == "Provenance":  # of a retracted claim, whose labels went with it
        assert withheld(world, reply) == {"restricted-claims": 3, "substance-use": 3}
        return
    assert withheld(world, reply) == expected
    counted = world.served.get(target + ("&" if "?" in target else "?") + "_summary=count", token(world))
    assert counted.json["total"] == len(found) and withheld(world, counted) == expected


def test_the_first_page_counts_for_all_pages(world: World) -> None:
    first = world.served.get("ExplanationOfBenefit?_count=2", token(world))
    assert withheld(world, first) == {"restricted-claims": 3, "substance-use": 2}
    second = world.served.get(first.links["next"], token(world))
    assert sorted(ids(first) + ids(second)) == SEEN_CLAIMS and "next" not in second.links
    assert withheld(world, second) == {}


def test_what_is_withheld_is_not_brought_along(world: World) -> None:
    target = "ExplanationOfBenefit?_id=plain,referring&_include=ExplanationOfBenefit:*&_revinclude=Provenance:target"
    reply = world.served.get(target, token(world))
    assert not {"closed", "clinic", "of-both"} & set(ids(reply, "include"))
    assert {"open", "of-plain"} <= set(ids(reply, "include"))
    assert {"closed", "clinic", "of-both"} <= set(ids(world.get("anna", target), "include"))
    assert withheld(world, reply) == {"restricted-claims": 1, "substance-use": 3}


# -- histories, operations -------------------------------------------------------------------------------------------


def entries(reply: Reply) -> list[str]:
    assert reply.status == 200, reply.body
    return sorted(
        f"{entry['request']['method']} {entry['fullUrl'].rpartition('/')[2]} {entry['response']['etag'][3:-1]}"
        for entry in reply.json.get("entry", [])
    )


def test_a_history_leaves_out_versions_and_deletions(world: World) -> None:
    reply = world.served.get("ExplanationOfBenefit/_history", token(world))
    assert entries(reply) == ["DELETE gone 2", "PUT became 2", "PUT plain 1", "PUT referring 1"]
    assert withheld(world, reply) == {"restricted-claims": 3, "substance-use": 4}
    assert len(entries(world.get("anna", "ExplanationOfBenefit/_history"))) == 11
    one = world.served.get("ExplanationOfBenefit/became/_history", token(world))
    assert entries(one) == ["PUT became 2"] and withheld(world, one) == {"substance-use": 1}


def test_pages_are_filled_up_so_that_a_short_one_tells_nothing(world: World) -> None:
    for first, size in (("ExplanationOfBenefit/_history?_count=2", 2), ("_history?_count=3", 3)):
        page, told = world.served.get(first, token(world)), 0
        while "next" in page.links:
            assert len(page.json["entry"]) == size
            told += len(page.json["entry"])
            page = world.served.get(page.links["next"], token(world))
        assert page.json["entry"] and told + len(page.json["entry"]) == len(
            entries(world.served.get(first.partition("?")[0], token(world)))
        )


def test_a_history_since_is_not_there_for_what_is_withheld(world: World) -> None:
    for id, status in (("plain", 200), ("therapy", 404), ("unknown", 404)):
        path = f"ExplanationOfBenefit/{id}/_history?_since=2100-01-01"
        assert world.served.get(path, token(world)).status == status


def test_everything_leaves_out_and_counts_what_is_withheld(world: World) -> None:
    whole = world.served.get("Patient/anna/$everything", token(world))
    told = {*ids(whole), *ids(whole, "include")}
    hidden = {"therapy", "restricted", "odd", "becomes", "closed", "two", "three", "only-withheld", "clinic", "kin"}
    assert not hidden & told
    assert {"anna", "plain", "open", "one", "both", "friend", "payer", "of-plain"} <= told
    members = world.get("anna", "Patient/anna/$everything")
    everything = {*ids(members), *ids(members, "include")}
    assert everything == told | hidden | {"of-therapy", "of-both", "of-gone"}
    assert withheld(world, whole)["restricted-claims"] == len(
        {"therapy", "restricted", "odd", "of-therapy", "of-both", "of-gone"}
    )
    assert withheld(world, whole)["substance-use"] == len((everything - told) - {"restricted", "odd"})
    page, paged = world.served.get("Patient/anna/$everything?_count=3&_type=ExplanationOfBenefit", token(world)), []
    assert "next" not in page.links and ids(page) == SEEN_CLAIMS
    page = world.served.get("Patient/anna/$everything?_count=2&_type=ExplanationOfBenefit", token(world))
    counts = [withheld(world, page)]
    paged += ids(page)
    while "next" in page.links:
        page = world.served.get(page.links["next"], token(world))
        paged += ids(page)
        counts.append(withheld(world, page))
    assert sorted(paged) == SEEN_CLAIMS
    assert sum(each.get("restricted-claims", 0) for each in counts) == 3
    assert sum(each.get("substance-use", 0) for each in counts) == 2


# -- for whom --------------------------------------------------------------------------------------------------------


def test_nothing_is_withheld_from_the_member(world: World) -> None:
    for target in ("ExplanationOfBenefit", "Patient/anna/$everything", "_history", "Provenance"):
        reply = world.get("anna", target)
        assert reply.status == 200 and withheld(world, reply) == {}
    assert world.found("anna", "ExplanationOfBenefit") == ALL_CLAIMS


def test_a_policy_can_be_for_some_kinds_of_app_alone(world: World) -> None:
    reply = world.served.get("ExplanationOfBenefit", token(world, "payers-own"))
    assert ids(reply) == sorted({*ALL_CLAIMS} - {"therapy", "becomes"})
    assert withheld(world, reply) == {"substance-use": 2}


def test_clients_own_tokens_have_their_own_policies(world: World) -> None:
    reply = world.served.get("ExplanationOfBenefit?patient=anna", system_token(world))
    assert ids(reply) == sorted({*ALL_CLAIMS} - {"therapy", "becomes"})
    assert withheld(world, reply) == {"substance-use": 2}
    for target in ("ExplanationOfBenefit/therapy", "Patient/ben", "Medication/only-withheld"):
        assert world.served.get(target, system_token(world)).status == 404
    (row,) = ledger_rows(world.database, request_id=world.served.get("Patient/ben", system_token(world)).request_id)
    assert (row.patient, row.detail) == ("ben", '{"withheld":{"substance-use":1}}')


def test_what_the_scopes_leave_out_is_not_counted_as_withheld(world: World) -> None:
    narrow = token(world, scope="patient/Coverage.rs patient/Provenance.rs")
    reply = world.served.get("Provenance", narrow)
    assert ids(reply) == [] and withheld(world, reply) == {}
    assert withheld(world, world.served.get("ExplanationOfBenefit", narrow)) == {}


def test_without_a_policy_that_applies_the_permissions_are_the_very_same(world: World) -> None:
    assert policies_for(world.settings, SELF, "third-party") == ()
    assert policies_for(Settings(), REPRESENTATIVE, "third-party") == ()
    assert permissions("patient/*.rs", ()).criteria("ExplanationOfBenefit", "r") == ()
    assert permissions("patient/*.rs", ()).plain is None


# -- labels ----------------------------------------------------------------------------------------------------------


def test_every_type_is_searched_by_label(world: World) -> None:
    assert world.found("anna", f"ExplanationOfBenefit?_security={CONFIDENTIALITY}|") == ["restricted", "therapy"]
    assert world.found("anna", "ExplanationOfBenefit?_security=PSY") == ["odd"]
    assert world.found("anna", "ExplanationOfBenefit?_security=|PSY") == ["odd"]
    assert world.found("anna", "Coverage?_security:missing=true") == ["open"]
    assert world.found("anna", "Coverage?_security:not=ETH") == ["open"]
    assert world.found("anna", "Organization?_security=ETH") == ["clinic"]


def test_labels_of_what_was_loaded_before_are_indexed_by_the_migration(world: World) -> None:
    def stored(transaction: Any) -> set[tuple[Any, ...]]:
        rows = transaction.all(select(TOKEN).where(TOKEN.c.parameter.like("\\_security%", escape="\\")))
        return {tuple(row) for row in rows}

    with world.database.transaction() as transaction:
        before = stored(transaction)
        transaction.execute(delete(TOKEN).where(TOKEN.c.parameter == "_security"))
        assert stored(transaction) < before
        assert index_labels(transaction.connection) == len(before) > 8
        assert stored(transaction) == before
        assert index_labels(transaction.connection) == len(before)
        assert stored(transaction) == before
    assert LABELLED_SINCE in migrate._pending("0003")


# -- the file --------------------------------------------------------------------------------------------------------

GOOD = {
    "slug": '"a"',
    "title": '"A title"',
    "labels": '["http://x.example|A"]',
    "from": '["representative"]',
    "legal_basis": '"A law"',
}
WRONG: dict[str, tuple[dict[str, str], str]] = {
    "no slug": ({"slug": ""}, "slug is missing"),
    "a slug with spaces": ({"slug": '"a b"'}, "slug is up to 64"),
    "no title": ({"title": ""}, "title is missing"),
    "no legal basis": ({"legal_basis": '" "'}, "legal_basis is missing"),
    "no labels": ({"labels": ""}, "labels is missing"),
    "empty labels": ({"labels": "[]"}, "labels is empty"),
    "a label that is none": ({"labels": '["|"]'}, "'|' is not system|code"),
    "a label without system": ({"labels": '["|A"]'}, "'|A' is not system|code"),
    "a label of two bars": ({"labels": '["a|b|c"]'}, "'a|b|c' is not"),
    "a long label": ({"labels": f'["{"a" * 1100}"]'}, "longer than 1024"),
    "many labels": ({"labels": str([f"code-{n}" for n in range(51)])}, "at most 50"),
    "labels that are a text": ({"labels": '"A"'}, "labels is a list of texts"),
    "an unknown audience": ({"from": '["nobody"]'}, "from: 'nobody' is none of representative, system, member"),
    "members without acknowledgement": ({"from": '["member"]'}, "add acknowledge_withholding_from_members = true"),
    "an acknowledgement that is a text": ({"acknowledge_withholding_from_members": '"yes"'}, "is true or false"),
    "an unknown type": ({"resource_types": '["Nothing"]'}, "resource_types: 'Nothing' is none of Patient"),
    "an unknown kind of app": ({"app_kinds": '["toy"]'}, "app_kinds: 'toy' is none of third-party, payer, probe"),
    "a field that is not known": ({"label": '"A"'}, "'label' is none of slug, title"),
}


def written(path: Path, *rows: dict[str, str]) -> Path:
    lines = [
        line for row in rows for line in ("[[policy]]", *(f"{name} = {text}" for name, text in row.items() if text))
    ]
    path.write_text("\n".join(lines), "utf-8")
    return path


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_row_is_named_in_one_line(tmp_path: Path, change: dict[str, str], message: str) -> None:
    path = written(tmp_path / "policies.toml", GOOD, GOOD | {"slug": '"b"'} | change)
    with pytest.raises(SensitivityPoliciesFileError) as raised:
        read_policies(path)
    text = str(raised.value)
    assert text.startswith(f"{path}: policy 2: ") and message in text and "\n" not in text


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    for content in ("[[policies]]\n", "policy = 1\n", "policy = [1]\n", "not toml"):
        path = tmp_path / "policies.toml"
        path.write_text(content, "utf-8")
        with pytest.raises(SensitivityPoliciesFileError, match=r"policies\.toml: "):
            read_policies(path)
    with pytest.raises(SensitivityPoliciesFileError, match="missing"):
        read_policies(tmp_path / "missing.toml")
    with pytest.raises(SensitivityPoliciesFileError, match="policy 2: a stands twice"):
        read_policies(written(tmp_path / "twice.toml", GOOD, GOOD))


def test_members_are_withheld_from_only_when_that_is_acknowledged(tmp_path: Path) -> None:
    row = GOOD | {"from": '["member"]', "acknowledge_withholding_from_members": "true"}
    (policy,) = read_policies(written(tmp_path / "policies.toml", row))
    assert policy.applies_to(SELF, "third-party")
    assert not policy.applies_to(REPRESENTATIVE, "third-party") and not policy.applies_to("system", "payer")


def test_the_example_can_be_used_and_leaves_members_alone() -> None:
    policies = read_policies(EXAMPLE)
    assert len(policies) == 3
    assert not [policy for policy in policies if policy.applies_to(SELF, "third-party")]


def test_the_example_keeps_a_persona_apart_from_who_acts_for_him(request: pytest.FixtureRequest) -> None:
    (niko,) = (member for member in MEMBERS if member.key == "petrov-niko")
    shared = takewhile(lambda each: each["resourceType"] != "Patient", resources())
    found = [*map(dict, shared), *map(dict, records(niko, SEED, AS_OF))]
    labelled = [each for each in found if each["meta"].get("security")]
    with lasting_world("sqlite", request, found, sensitivity_policies_file=EXAMPLE, former_members="allow") as world:
        mothers = factories.token(world.database, niko.id, grant_actor=REPRESENTATIVE).text
        for each in labelled:
            name = f"{each['resourceType']}/{each['id']}"
            assert (world.get(niko.id, name).status, world.served.get(name, mothers).status) == (200, 404)
        whole = world.served.get("Patient/$everything?_count=500", mothers)
        assert len(ids(whole)) > 5 and withheld(world, whole)["behavioral-health"] >= len(labelled) > 3


def test_its_words_are_those_of_the_rest_of_the_server() -> None:
    assert sensitivity.APP_KINDS == KINDS
    assert {*sensitivity.ACTORS.values()} == {SELF, REPRESENTATIVE, "system"}


def test_the_policies_in_force_are_public(world: World) -> None:
    page = world.served.get("/docs/sensitivity").body.decode()
    for text in ("42 CFR part 2", f"{MATTER}|ETH", "Records of treatment for &lt;substance&gt; use", "third-party"):
        assert text in page
