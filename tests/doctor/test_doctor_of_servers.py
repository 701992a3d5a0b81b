"""The doctor and this project's server: all is well as it is, and each fault is noticed by its check and by no other.

https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html
"""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from server.doctor.checks import ANSWERS, SITE_CHECKS
from server.doctor.checks import MEMBER as MEMBER_AREA
from server.doctor.findings import Outcome
from server.doctor.site import Acquaintance
from server.doctor.web import Limits
from tests.doctor.faults import FAULTS
from tests.doctor.faulty import Fault
from tests.doctor.payer import CLIENT_ID, MEMBER, REDIRECT_URI, Patient, complaints, payer, skips
from tests.lasting import lasting_database

TRANSPORT = {"https", "certificate", "tls-version", "hsts"}
"""Shown on a server with TLS: test_doctor_of_tls.py."""
WITH_TOKEN = {check.name for check in SITE_CHECKS if check.area in (MEMBER_AREA, ANSWERS)}
"""The others are the same without a token, with half of the requests."""


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest) -> Iterator[Patient]:
    """A server for all tests of this module, on SQLite."""
    with lasting_database("sqlite", request) as url, payer(url) as patient:
        yield patient


@pytest.fixture
def healthy(server: Patient) -> Iterator[Patient]:
    """The server without a fault."""
    server.layer.fault = None
    yield server
    server.layer.fault = None


def test_our_server_passes_every_check(healthy: Patient) -> None:
    diagnosis = healthy.examined()
    assert complaints(diagnosis) == {}
    assert skips(diagnosis) == TRANSPORT
    assert diagnosis.exit_code == 0
    assert diagnosis.summary == f"{len(SITE_CHECKS) - 4} of {len(SITE_CHECKS) - 4} checks pass (4 skipped)"


def test_our_server_passes_every_check_on_postgresql(request: pytest.FixtureRequest) -> None:
    with lasting_database("postgresql", request) as url, payer(url) as patient:
        assert complaints(patient.examined()) == {}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.check}: {fault.what}")
def test_a_fault_is_noticed_by_its_check_and_no_other(healthy: Patient, fault: Fault) -> None:
    healthy.layer.fault = fault
    told = healthy.told if fault.check in WITH_TOKEN else replace(healthy.told, token="")
    limits = Limits(seconds=30, slow_seconds=1) if fault.seconds else None
    found = complaints(healthy.examined(told, limits))
    assert set(found) == {fault.check}, found
    assert found[fault.check].mend


def test_every_check_has_a_fault_that_it_notices() -> None:
    assert {fault.check for fault in FAULTS} | TRANSPORT == {check.name for check in SITE_CHECKS}


def test_without_a_token_and_an_app_what_can_be_seen_is_checked(healthy: Patient) -> None:
    diagnosis = healthy.examined(Acquaintance())
    assert set(complaints(diagnosis)) == {"cors-token"}, "a stranger's web app cannot ask for tokens: a warning"
    assert {"pkce-required", "claims", "paging"} <= skips(diagnosis)
    assert diagnosis.exit_code == 0


def test_a_token_that_is_none_fails_once_and_the_rest_is_skipped(healthy: Patient) -> None:
    diagnosis = healthy.examined(Acquaintance(token="no-token-at-all", client_id=CLIENT_ID, redirect_uri=REDIRECT_URI))
    assert set(complaints(diagnosis)) == {"member-record"}
    assert "the token is not accepted" in complaints(diagnosis)["member-record"].mend
    assert {"claims", "paging", "everything"} <= skips(diagnosis)
    assert diagnosis.exit_code == 1


def test_another_member_s_id_is_not_the_token_s_member(healthy: Patient) -> None:
    diagnosis = healthy.examined(Acquaintance(token=healthy.told.token, patient="member-gallagher-ruiz"))
    assert "member-record" in complaints(diagnosis)


def test_the_member_may_be_named(healthy: Patient) -> None:
    told = Acquaintance(healthy.told.token, MEMBER, CLIENT_ID, REDIRECT_URI)
    assert complaints(healthy.examined(told)) == {}


def test_a_server_that_is_down_in_part_is_examined_to_the_end(healthy: Patient) -> None:
    def broken(_: object) -> None:
        raise RuntimeError("this part of the server is broken")

    healthy.layer.fault = Fault("", "", lambda asked: "/Coverage" in asked.path or asked.path == "/jwks", asked=broken)
    diagnosis = healthy.examined()
    assert len(diagnosis.conclusions) == len(SITE_CHECKS)
    assert {"coverage", "key-set"} <= set(complaints(diagnosis))


def test_no_finding_holds_the_token_or_a_name(healthy: Patient) -> None:
    text = "\n".join(healthy.examined().lines())
    for secret in (healthy.told.token, "Vantongeren", MEMBER):
        assert secret not in text


def test_the_document_says_the_same_as_the_lines(healthy: Patient) -> None:
    diagnosis = healthy.examined()
    document = diagnosis.document()
    assert document["examined"] == f"{healthy.base_url}/fhir"
    assert document["summary"] in list(diagnosis.lines())
    assert [check["name"] for check in document["checks"]] == [check.name for check in SITE_CHECKS]
    assert document["score"] == {"pass": len(SITE_CHECKS) - 4, "warn": 0, "fail": 0, "skip": 4}
    assert all(check["outcome"] in list(Outcome) for check in document["checks"])
