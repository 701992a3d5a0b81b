"""The foreign server's FHIR API: PyPI fhirstarter, in a virtual environment of its own, with a token check by introspection and nothing more.

https://github.com/canvas-medical/fhirstarter - run by ``foreign_server.py`` as a script, told by one JSON argument. What it lacks (CORS,
paging, challenges, FHIR 4.0.1) is how it comes, and is for the doctor to find.
"""

import json
import sys
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import Depends, Request
from fastapi.responses import JSONResponse
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.coverage import Coverage
from fhir.resources.R4B.explanationofbenefit import ExplanationOfBenefit
from fhir.resources.R4B.patient import Patient
from fhirstarter import FHIRProvider, FHIRStarter, InteractionContext
from fhirstarter.exceptions import FHIRResourceNotFoundError, FHIRUnauthorizedError

TOLD = json.loads(sys.argv[1])
ISSUER, RESOURCE_SERVER = TOLD["issuer"], TOLD["resourceServer"]
RECORDS: list[dict[str, Any]] = json.loads(Path(TOLD["records"]).read_text("utf-8"))
INTROSPECTION = httpx.AsyncClient(auth=(RESOURCE_SERVER["client_id"], RESOURCE_SERVER["client_secret"]), timeout=10)


async def check_token(request: Request) -> None:
    """Whose token it is, by RFC 7662. Raises FHIRUnauthorizedError."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise FHIRUnauthorizedError("A bearer token is required.")
    answer = await INTROSPECTION.post(f"{ISSUER}/token/introspection", data={"token": token})
    told = answer.json()
    if not told.get("active") or "patient" not in told:
        raise FHIRUnauthorizedError("The token is not active.")
    request.state.member = told["patient"]


def of_member(context: InteractionContext, type: str) -> list[dict[str, Any]]:
    """The member's own records of a type."""
    reference = f"Patient/{context.request.state.member}"
    return [
        record
        for record in RECORDS
        if record["resourceType"] == type
        and reference
        in (
            f"Patient/{record['id']}" if type == "Patient" else "",
            record.get("patient", {}).get("reference"),
            record.get("beneficiary", {}).get("reference"),
        )
    ]


def one(context: InteractionContext, type: str, id: str) -> dict[str, Any]:
    """The member's own record. Raises FHIRResourceNotFoundError."""
    for record in of_member(context, type):
        if record["id"] == id:
            return record
    raise FHIRResourceNotFoundError


def searchset(context: InteractionContext, type: str, id: str | None, patient: str | None) -> Bundle:
    """The member's own records as a Bundle, without pages."""
    member = context.request.state.member
    asked = [record for record in of_member(context, type) if id in (None, record["id"])]
    found = asked if patient in (None, member, f"Patient/{member}") else []
    entries = [{"fullUrl": f"{TOLD['fhirBase']}/{type}/{record['id']}", "resource": record} for record in found]
    return Bundle(type="searchset", total=len(found), entry=entries or None)


app = FHIRStarter(title="A foreign payer")
provider = FHIRProvider(dependencies=[Depends(check_token)])


@provider.read(Patient)
async def patient_read(context: InteractionContext, id_: str) -> Patient:
    """The member."""
    return Patient(**one(context, "Patient", id_))


@provider.search_type(Patient)
async def patient_search(context: InteractionContext, _id: str | None) -> Bundle:
    """The member."""
    return searchset(context, "Patient", _id, None)


@provider.read(Coverage)
async def coverage_read(context: InteractionContext, id_: str) -> Coverage:
    """A coverage of the member."""
    return Coverage(**one(context, "Coverage", id_))


@provider.search_type(Coverage)
async def coverage_search(context: InteractionContext, _id: str | None, patient: str | None) -> Bundle:
    """The member's coverage."""
    return searchset(context, "Coverage", _id, patient)


@provider.read(ExplanationOfBenefit)
async def claim_read(context: InteractionContext, id_: str) -> ExplanationOfBenefit:
    """A claim of the member."""
    return ExplanationOfBenefit(**one(context, "ExplanationOfBenefit", id_))


@provider.search_type(ExplanationOfBenefit)
async def claim_search(context: InteractionContext, _id: str | None, patient: str | None) -> Bundle:
    """The member's claims."""
    return searchset(context, "ExplanationOfBenefit", _id, patient)


app.add_providers(provider)


@app.get("/.well-known/smart-configuration")
async def smart_configuration() -> JSONResponse:
    """Where to sign in."""
    return JSONResponse(
        {
            "issuer": ISSUER,
            "jwks_uri": f"{ISSUER}/jwks",
            "authorization_endpoint": f"{ISSUER}/auth",
            "token_endpoint": f"{ISSUER}/token",
            "revocation_endpoint": f"{ISSUER}/token/revocation",
            "introspection_endpoint": f"{ISSUER}/token/introspection",
            "userinfo_endpoint": f"{ISSUER}/me",
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "response_types_supported": ["code"],
            "scopes_supported": ["openid", "fhirUser", "offline_access", "launch/patient", "patient/*.rs"],
            "code_challenge_methods_supported": ["S256"],
            "capabilities": [
                *("launch-standalone", "client-public", "context-standalone-patient", "sso-openid-connect"),
                *("permission-offline", "permission-patient", "permission-v2"),
            ],
        }
    )


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=TOLD["port"], log_level="warning")
