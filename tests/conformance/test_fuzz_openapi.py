"""The OpenAPI document is kept: requests made from it, valid and invalid, are answered as it says, and never by a failure of ours.

https://spec.openapis.org/oas/v3.1.0 and https://hl7.org/fhir/R4/http.html#errors
"""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from server.specification.registry import RESOURCES
from tests.conformance.answers import UNLIMITED, examined
from tests.factories import coverage, explanation_of_benefit, organization, patient
from tests.lasting import World, lasting_world

ANNA = patient("0")
RECORDS = [organization("0"), ANNA, coverage("0", ANNA, "Organization/0"), explanation_of_benefit("0", ANNA)]
"""A member and records with the id that made-up requests begin with."""
TAGS = ("authorization", "discovery", "registration", *RESOURCES)
CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]
BOUNDED = settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
Strategies = Mapping[str, st.SearchStrategy[Case]]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with lasting_world(request.param, request, RECORDS, **UNLIMITED) as world:
        yield world


@pytest.fixture(scope="module")
def operations(world: World) -> list[Any]:
    """The operations of the document that this server serves."""
    schema = schemathesis.openapi.from_dict(world.served.get("/openapi.json").json)
    return [found.ok() for found in schema.get_all_operations()]


@pytest.fixture(scope="module")
def cases(operations: list[Any]) -> Strategies:
    """Requests, valid and invalid, by the tag of their operation."""
    return {
        tag: st.one_of(
            [
                operation.as_strategy(generation_mode=mode)
                for operation in operations
                if tag in operation.tags
                for mode in GenerationMode
            ]
        )
        for tag in TAGS
    }


def test_every_operation_of_the_document_has_a_tag_that_is_tried(operations: list[Any]) -> None:
    assert {tag for operation in operations for tag in operation.tags} == set(TAGS)
    assert all(len(operation.tags) == 1 for operation in operations)


@pytest.mark.parametrize("tag", TAGS)
def test_requests_made_from_the_document_are_answered_as_it_says(world: World, cases: Strategies, tag: str) -> None:
    @BOUNDED
    @given(case=cases[tag], is_known=st.sampled_from([True, True, False]))
    def ask(case: Case, is_known: bool) -> None:
        sent = requests.Request(**_arguments(case, world.settings.base_url)).prepare()
        path = urlsplit(sent.url).path
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in _headers(sent, is_known, path)]
        token = world.token("0") if is_known and path.startswith("/fhir") else ""
        body = sent.body.encode() if isinstance(sent.body, str) else sent.body or b""
        reply = world.served.runner.run(
            world.served.ask(str(sent.method), str(sent.url), token=token, headers=headers, body=body)
        )
        examined(world, path, reply, is_known=bool(token))
        content_type = {"content-type": [reply.header("content-type")]} if reply.raw else {}
        answer = schemathesis.Response(reply.status, content_type, reply.body, sent, elapsed=0, verify=False)
        case.validate_response(answer, checks=CHECKS)

    ask()


def _arguments(case: Case, base_url: str) -> dict[str, Any]:
    given = case.as_transport_kwargs(base_url=base_url)
    names = ("method", "url", "headers", "params", "data", "json", "cookies", "files")
    return {name: given[name] for name in names if name in given}


def _headers(sent: requests.PreparedRequest, is_known: bool, path: str) -> Iterator[tuple[str, str]]:
    for name, value in sent.headers.items():
        if name.lower() not in ("accept-encoding", "connection", "content-length") and not (
            name.lower() == "authorization" and is_known and path.startswith("/fhir")
        ):
            yield name.lower(), value if isinstance(value, str) else value.decode("latin-1")
