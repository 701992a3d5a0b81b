"""A row of the ledger as a resource for auditors: who asked for what of whom, through which app, and how it ended.

https://profiles.ihe.net/ITI/BALP/ (patterns for a read and a query about a patient) and https://hl7.org/fhir/R4/auditevent.html - it holds ids
and no records. The ledger keeps neither network addresses nor the text of queries, so that no profile of the guide is claimed.
"""

import re
from base64 import b64encode
from typing import Any

import orjson

from server import clock
from server.authorization.access import SYSTEM
from server.settings import Settings
from server.specification.audit import AUDIT_EVENT
from server.specification.definition import READ, SEARCH_TYPE, VREAD
from server.specification.registry import MEMBER_TYPE, RESOURCES
from server.storage.audit_trail import AnsweredRequest

Resource = dict[str, Any]
_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"
_BALP = "https://profiles.ihe.net/ITI/BALP/CodeSystem/"
_DCM = "http://dicom.nema.org/resources/ontology/DCM"
_INTERACTION = "http://hl7.org/fhir/restful-interaction"
_INTERACTIONS = {READ, VREAD, SEARCH_TYPE, "history-instance", "history-type", "history-system"}
"""Codes of http://hl7.org/fhir/restful-interaction; everything else is an operation."""
_READS = (READ, VREAD)
_ID = re.compile(r"([0-9a-f]{16})-([1-9][0-9]{0,17})")


def id_of(row: AnsweredRequest) -> str:
    """The id of a row's resource: its writer and its number, which stay for ever."""
    return f"{row.writer}-{row.sequence}"


def named_by(id: str) -> tuple[str, int] | None:
    """The writer and number that an id stands for; None for what no resource has as its id."""
    match = _ID.fullmatch(id)
    return None if match is None else (match[1], int(match[2]))


def audit_event(row: AnsweredRequest, settings: Settings) -> Resource:
    """The resource of a row."""
    is_read = row.interaction in _READS
    resource: Resource = {
        "resourceType": AUDIT_EVENT.type,
        "id": id_of(row),
        "meta": {"versionId": "1", "lastUpdated": clock.instant(row.at)},
        "type": _coding(_TERMINOLOGY + "audit-event-type", "rest", "Restful Operation"),
    }
    if row.interaction:
        code = row.interaction if row.interaction in _INTERACTIONS else "operation"
        resource["subtype"] = [_coding(_INTERACTION, code)]
    resource |= {
        "action": "R" if is_read else "E",
        "recorded": clock.instant(row.at),
        "outcome": _outcome(row.status),
        "outcomeDesc": f"HTTP {row.status}",
        "agent": [_client(row, settings), _server(settings), *_user(row, settings)],
        "source": {
            "site": settings.base_url,
            "observer": {"display": settings.payer_name},
            "type": [_coding(_TERMINOLOGY + "security-source-type", "4", "Application Server")],
        },
        "entity": [_request(row), *_patient(row), _asked(row, is_read=is_read)],
    }
    if row.actor != SYSTEM:
        purpose = _coding(_TERMINOLOGY + "v3-ActReason", "PATRQT", "patient requested")
        resource["purposeOfEvent"] = [{"coding": [purpose]}]
    return resource


def _coding(system: str, code: str, display: str = "") -> Resource:
    return {"system": system, "code": code, **({"display": display} if display else {})}


def _outcome(status: int) -> str:
    """https://hl7.org/fhir/R4/valueset-audit-event-outcome.html: 0 success, 4 refused or wrong, 8 we failed."""
    return "0" if status < 400 else "4" if status < 500 else "8"


def _client(row: AnsweredRequest, settings: Settings) -> Resource:
    agent: Resource = {
        "type": {"coding": [_coding(_DCM, "110153", "Source Role ID")]},
        "who": {"identifier": {"system": f"{settings.base_url}/clients", "value": row.client_id}},
    }
    if row.client_name:
        agent["name"] = row.client_name
    return agent | {"requestor": row.actor == SYSTEM}


def _server(settings: Settings) -> Resource:
    return {
        "type": {"coding": [_coding(_DCM, "110152", "Destination Role ID")]},
        "who": {"display": settings.fhir_base},
        "requestor": False,
        "network": {"address": settings.fhir_base, "type": "5"},
    }


def _user(row: AnsweredRequest, settings: Settings) -> list[Resource]:
    """The person whose permission the app used; a client's own token has nobody behind it."""
    if row.actor == SYSTEM:
        return []
    who: Resource = {"reference": row.fhir_user} if row.fhir_user else {"display": row.actor or "not told"}
    if row.account:
        who["identifier"] = {"system": f"{settings.base_url}/accounts", "value": row.account}
    agent: Resource = {
        "type": {"coding": [_coding(_BALP + "UserAgentTypes", "UserOauthAgent")]},
        **({"role": [{"text": row.actor}]} if row.actor else {}),
        "who": who,
        "requestor": True,
    }
    return [agent | ({"policy": [f"urn:grant:{row.grant_id}"]} if row.grant_id else {})]


def _request(row: AnsweredRequest) -> Resource:
    return {
        "what": {"identifier": {"value": row.request_id}},
        "type": _coding(_BALP + "BasicAuditEntityType", "XrequestId"),
    }


def _patient(row: AnsweredRequest) -> list[Resource]:
    if not row.patient:
        return []
    return [
        {
            "what": {"reference": f"{MEMBER_TYPE}/{row.patient}"},
            "type": _coding(_TERMINOLOGY + "audit-entity-type", "1", "Person"),
            "role": _coding(_TERMINOLOGY + "object-role", "1", _ROLE_OF_MEMBER),
        }
    ]


_ROLE_OF_MEMBER = MEMBER_TYPE
"""The display of role 1 is the type's own name."""


def _asked(row: AnsweredRequest, *, is_read: bool) -> Resource:
    """What was asked for: a type, as far as the ledger tells; how many resources were sent, and how many withheld."""
    role = ("4", "Domain Resource") if is_read else ("24", "Query")
    entity: Resource = {
        "type": _coding(_TERMINOLOGY + "audit-entity-type", "2", "System Object"),
        "role": _coding(_TERMINOLOGY + "object-role", *role),
    }
    if is_read:
        entity["what"] = {"type": row.resource_type} if row.resource_type in RESOURCES else {"display": "not told"}
    else:
        asked = "/".join(filter(None, (row.resource_type, row.interaction if row.interaction != SEARCH_TYPE else "")))
        in_compartment = f"{MEMBER_TYPE}/{row.patient}/{asked}" if row.patient and row.resource_type else asked
        entity["query"] = b64encode((in_compartment or "?").encode()).decode()
        entity["description"] = "The type and the member; the ledger does not keep the parameters."
    details = [{"type": "resources", "valueString": str(row.resources)}]
    withheld = orjson.loads(row.detail).get("withheld", {}) if row.detail.startswith("{") else {}
    details += [{"type": f"withheld:{slug}", "valueString": str(count)} for slug, count in withheld.items()]
    return entity | {"detail": details}
