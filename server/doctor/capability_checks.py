"""Checks of the CapabilityStatement: FHIR R4, the SMART endpoints as discovery has them, and what payers must offer to be searched by.

https://hl7.org/fhir/R4/capabilitystatement.html, 42 CFR 422.119 and the CapabilityStatement of CARIN Blue Button
"""

from server.doctor.findings import Finding, failed, listed, passed, skipped, warned
from server.doctor.site import FHIR_JSON, METADATA, Site, dictionaries, is_capability_statement
from server.specification.standards import FHIR_VERSION

OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
TOLD_AS = {
    "authorize": "authorization_endpoint",
    "token": "token_endpoint",
    "revoke": "revocation_endpoint",
    "introspect": "introspection_endpoint",
    "register": "registration_endpoint",
    "manage": "management_endpoint",
}
"""The names of oauth-uris, and those of the SMART configuration."""
JSON_TYPES = (FHIR_JSON, "application/json")
ACCEPTED = (FHIR_JSON, "application/json", "*/*", "application/fhir+json; fhirVersion=4.0, application/json;q=0.5")
"""What apps send as Accept; servers that take only one of these are known to have lost apps."""
REQUIRED_SEARCHES = {
    "Patient": ("_id",),
    "Coverage": ("patient",),
    "ExplanationOfBenefit": ("_id", "_lastUpdated", "identifier", "patient", "service-date", "type"),
}
"""CARIN Blue Button's CapabilityStatement, SHALL; Coverage's ``patient`` or its other name."""
OTHER_NAMES = {("Coverage", "patient"): "beneficiary"}


def capability_statement(site: Site) -> Finding:
    """The CapabilityStatement is there without a token."""
    answer = site.get(METADATA, accept=FHIR_JSON)
    found = answer.json
    mend = f"serve it at {site.base}{METADATA} without a token"
    if answer.status != 200 or found is None or not is_capability_statement(found):
        return failed(f"{METADATA} gave {answer.told}", mend)
    missing = [name for name in ("status", "kind", "fhirVersion", "format", "rest") if not found.get(name)]
    if missing:
        return failed(f"missing: {listed(missing)}", "FHIR requires these elements")
    if not site.types:
        return failed("no resource type is announced", "rest.resource must name what is served")
    return passed(f"{len(site.types)} resource types")


def fhir_version(site: Site) -> Finding:
    """It is FHIR R4."""
    told = str(site.capabilities.get("fhirVersion", "none"))
    if told != FHIR_VERSION:
        return failed(f"fhirVersion is {told[:20]}", f"the rules name FHIR {FHIR_VERSION} (45 CFR 170.215)")
    return passed(f"FHIR {told}")


def content_types(site: Site) -> Finding:
    """Documents come as JSON and say so: FHIR as application/fhir+json, discovery as application/json."""
    wanted = {METADATA: (FHIR_JSON,), "/.well-known/smart-configuration": ("application/json",)}
    wrong = []
    for path, types in wanted.items():
        answer = site.get(path, accept=FHIR_JSON if path == METADATA else "application/json")
        if answer.status == 200 and answer.media_type not in types:
            wrong.append(f"{path} is {answer.media_type or 'without a type'}")
    if wrong:
        return failed("; ".join(wrong), "apps choose their parser by Content-Type")
    return passed("as they should be")


def accepted_types(site: Site) -> Finding:
    """Whichever JSON an app asks for, it gets."""
    refused = []
    for accept in ACCEPTED:
        answer = site.get(METADATA, accept=accept)
        if answer.status != 200 or answer.json is None:
            refused.append(f"{accept} ({answer.status})")
    if len(refused) == len(ACCEPTED):
        return skipped("see capability-statement")
    if refused:
        return failed(f"refused: {listed(refused)}", "answer JSON to every Accept that allows it")
    return passed(f"{len(ACCEPTED)} kinds of Accept")


def security(site: Site) -> Finding:
    """The CapabilityStatement's security part says SMART, with the endpoints of discovery."""
    security = site.rest.get("security")
    security = security if isinstance(security, dict) else {}
    told: dict[str, str] = {}
    for extension in dictionaries(security.get("extension")):
        if extension.get("url") == OAUTH_URIS:
            for part in dictionaries(extension.get("extension")):
                told[str(part.get("url"))] = str(part.get("valueUri"))
    smart = site.smart
    different = [name for name, member in TOLD_AS.items() if name in told and told[name] != smart.get(member)]
    if different:
        return failed(f"another than discovery: {listed(different)}", "make both from one source")
    codes = [
        str(coding.get("code"))
        for service in dictionaries(security.get("service"))
        for coding in dictionaries(service.get("coding"))
    ]
    if "SMART-on-FHIR" not in codes:
        return warned("security.service does not say SMART-on-FHIR", "US Core's CapabilityStatement says it")
    if not told:
        return warned("no oauth-uris extension", "older apps look for the endpoints there only")
    return passed(f"SMART-on-FHIR, {len(told)} endpoints as in discovery")


def required_searches(site: Site) -> Finding:
    """The resource types and searches that a payer must offer are announced."""
    types, missing = site.types, []
    for type, parameters in REQUIRED_SEARCHES.items():
        if type not in types:
            missing.append(type)
            continue
        told = {str(entry.get("name")) for entry in dictionaries(types[type].get("searchParam"))}
        missing += [f"{type}.{name}" for name in parameters if not {name, OTHER_NAMES.get((type, name), name)} & told]
    if missing:
        return failed(f"not announced: {listed(missing, 8)}", "CARIN Blue Button requires them")
    return passed(f"{sum(map(len, REQUIRED_SEARCHES.values()))} searches of {len(REQUIRED_SEARCHES)} types")
