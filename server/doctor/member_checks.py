"""Checks with a member's token: the required searches find what they should and nothing else, and nobody else's records are there.

https://hl7.org/fhir/us/carin-bb/STU2.1/CapabilityStatement-c4bb.html and https://hl7.org/fhir/R4/search.html
"""

from typing import Any

from server.doctor.capability_checks import OTHER_NAMES
from server.doctor.findings import Finding, MissingError, failed, listed, passed, skipped, warned
from server.doctor.site import FHIR_JSON, NOBODY, Site, dictionaries, entries, is_outcome, link, matches
from server.doctor.web import Answer

CLAIM, COVERAGE, MEMBER = "ExplanationOfBenefit", "Coverage", "Patient"
LONG_AGO, FAR_AHEAD = "1900-01-01", "2200-01-01"
INCLUDES = {"coverage": "insurance", "provider": "provider", "patient": "patient", "insurer": "insurer"}
"""Includes of CARIN Blue Button, and the element of a claim that each follows; the first that a claim has is tried."""
MOST_TYPES = 45
"""Announced types that are searched, so that the requests stay few."""


def record(site: Site) -> Finding:
    """The token reads its own member, exactly one."""
    if not site.told.token:
        return skipped("no token was given (--token-file)")
    answer = site.search(MEMBER, {})
    found = matches(answer)
    if len(found) > 1:
        return failed(f"the search of Patient finds {len(found)} people", "a member's token sees one member")
    if not found and not site.told.patient:
        if answer.status == 401:
            return failed(
                f"the search of Patient gave {answer.told}", "the token is not accepted: get a new one of this server"
            )
        return failed(
            f"the search of Patient gave {answer.told}", "GET Patient under a token finds its member; or give --patient"
        )
    id = site.told.patient or str(found[0].get("id"))
    own = site.get(f"{MEMBER}/{id}", with_token=True, accept=FHIR_JSON)
    if own.status != 200 or (own.json or {}).get("id") != id:
        return failed(
            f"the read of the member gave {own.told}", "the token is refused, or the id of --patient is another's"
        )
    if not found:
        return warned(f"the search of Patient gave {answer.told}", "apps whose token response has no patient need it")
    return passed("one member")


def coverage(site: Site) -> Finding:
    """The member's coverage is found by ``patient``."""
    member = site.member()
    answer = site.search(COVERAGE, {"patient": member})
    if answer.status != 200:
        other = OTHER_NAMES[COVERAGE, "patient"]
        if site.search(COVERAGE, {other: member}).status == 200:
            return warned(f"by {other} only", "take patient too: apps search every type by it")
    return _of_the_member(answer, ("beneficiary",), member)


def claims(site: Site) -> Finding:
    """The member's claims are found by ``patient``."""
    member = site.member()
    return _of_the_member(site.search(CLAIM, {"patient": member}), ("patient",), member)


def _of_the_member(answer: Answer, elements: tuple[str, ...], member: str) -> Finding:
    if answer.status != 200 or (answer.json or {}).get("type") != "searchset":
        return failed(f"the search gave {answer.told}", "answer a Bundle of type searchset")
    found = matches(answer)
    if any(_is_another(resource.get(element), member) for resource in found for element in elements):
        return failed(
            "records of ANOTHER member are found", "take the server off the network, and see how searches are bounded"
        )
    if not found:
        return warned("nothing is found", "examine it with a member who has records")
    return passed(f"{_total(answer)} found")


def _is_another(value: Any, member: str) -> bool:
    """Whether an element refers to a Patient who is not the member; what names nobody by reference says nothing."""
    text = str(value.get("reference", "")) if isinstance(value, dict) else ""
    target = text.partition("/_history/")[0]
    return f"{MEMBER}/" in target and not target.endswith(f"{MEMBER}/{member}")


def _total(answer: Answer) -> int:
    told = (answer.json or {}).get("total")
    return told if isinstance(told, int) and not isinstance(told, bool) else len(matches(answer))


def last_updated(site: Site) -> Finding:
    """Claims are found by ``_lastUpdated``, as apps do that keep in sync."""
    return _by_date(site, "_lastUpdated")


def service_date(site: Site) -> Finding:
    """Claims are found by ``service-date``."""
    return _by_date(site, "service-date")


def _by_date(site: Site, parameter: str) -> Finding:
    claims, member = site.claims(), site.member()
    later = site.search(CLAIM, {"patient": member, parameter: f"ge{FAR_AHEAD}"})
    since = site.search(CLAIM, {"patient": member, parameter: f"ge{LONG_AGO}"})
    for answer in (later, since):
        if answer.status != 200:
            return failed(f"the search gave {answer.told}", f"support {parameter} with prefixes")
    if matches(later):
        return failed(
            f"claims of after {FAR_AHEAD[:4]} are found", f"{parameter} is ignored: every sync would fetch all"
        )
    if not matches(since) or (parameter == "_lastUpdated" and _total(since) != _total(claims)):
        return failed(
            f"since {LONG_AGO[:4]} {_total(since)} of {_total(claims)} are found", f"compare {parameter} as FHIR says"
        )
    return passed(f"{_total(since)} since {LONG_AGO[:4]}, none after {FAR_AHEAD[:4]}")


def type_of_claim(site: Site) -> Finding:
    """Claims are found by ``type``."""
    codings = [
        (resource, coding)
        for resource in matches(site.claims())
        for coding in dictionaries((resource.get("type") or {}).get("coding"))
        if coding.get("code") and coding.get("system")
    ]
    if not codings:
        return skipped("no claim has a coded type")
    coding = codings[0][1]
    return _by_token(
        site, "type", coding, lambda resource: dictionaries((resource.get("type") or {}).get("coding")), "code"
    )


def identifier(site: Site) -> Finding:
    """A claim is found by its ``identifier``."""
    found = [
        identifier
        for resource in matches(site.claims())
        for identifier in dictionaries(resource.get("identifier"))
        if identifier.get("system") and identifier.get("value")
    ]
    if not found:
        return skipped("no claim has an identifier")
    return _by_token(site, "identifier", found[0], lambda resource: dictionaries(resource.get("identifier")), "value")


def _by_token(site: Site, parameter: str, wanted: dict[str, Any], having: Any, member: str) -> Finding:
    value = f"{wanted['system']}|{wanted[member]}"
    answer = site.search(CLAIM, {"patient": site.member(), parameter: value})
    if answer.status != 200:
        return failed(f"the search gave {answer.told}", f"support {parameter}")
    found = matches(answer)
    same = [
        resource
        for resource in found
        if any(one.get("system") == wanted["system"] and one.get(member) == wanted[member] for one in having(resource))
    ]
    if not same:
        return failed("a claim that has it is not found", f"search {parameter} by system|value")
    if len(same) < len(found):
        return failed(f"{len(found) - len(same)} claims that do not have it are found", f"{parameter} is ignored")
    return passed(f"{_total(answer)} found")


def include(site: Site) -> Finding:
    """``_include`` brings what a claim refers to."""
    told = site.types.get(CLAIM, {}).get("searchInclude")
    announced = [str(value) for value in told] if isinstance(told, list) else []
    for name, element in INCLUDES.items():
        value = f"{CLAIM}:{name}"
        if value not in announced and f"{CLAIM}:*" not in announced:
            continue
        for resource in matches(site.claims()):
            target = _reference(resource.get(element))
            if target and resource.get("id"):
                return _included(site, str(resource["id"]), value, target)
    return failed(
        "no include of claims is announced", f"CARIN Blue Button requires {CLAIM}:{next(iter(INCLUDES))} and others"
    )


def _included(site: Site, id: str, value: str, target: str) -> Finding:
    answer = site.search(CLAIM, {"_id": id, "_include": value})
    brought = [f"{one.get('resourceType')}/{one.get('id')}" for one in entries(answer, "include")]
    if target not in brought:
        return failed(
            f"{value} brings {len(brought)} resources, not the one referred to", "bring it, with search.mode include"
        )
    return passed(f"{value} brings it")


def _reference(value: Any) -> str:
    """``Type/id`` of an element's relative reference, or ''; of ``insurance`` the coverage."""
    if isinstance(value, list):
        value = value[0].get("coverage") if value and isinstance(value[0], dict) else None
    text = str(value.get("reference", "")) if isinstance(value, dict) else ""
    return text.split("/_history/")[0] if text.count("/") in (1, 3) and "://" not in text else ""


def announced_searches(site: Site) -> Finding:
    """Every type that is announced to be searched by ``patient`` is."""
    member, wrong, refused, good = site.member(), [], 0, 0
    for type, entry in list(site.types.items())[:MOST_TYPES]:
        codes = {str(one.get("code")) for one in dictionaries(entry.get("interaction"))}
        names = {str(one.get("name")) for one in dictionaries(entry.get("searchParam"))}
        if "search-type" not in codes or "patient" not in names:
            continue
        answer = site.search(type, {"patient": member, "_count": "1"})
        if answer.status in (401, 403):
            refused += 1
        elif answer.status != 200 or (answer.json or {}).get("resourceType") != "Bundle":
            wrong.append(f"{type} ({answer.status})")
        else:
            good += 1
    if wrong:
        return failed(f"announced, and not so: {listed(wrong)}", "the CapabilityStatement must be true")
    if not good + refused:
        return skipped("no search by patient is announced")
    return passed(f"{good} types{f', {refused} not of the scopes of this token' if refused else ''}")


def post_search(site: Site) -> Finding:
    """A search by POST finds the same as by GET."""
    claims, member = site.claims(), site.member()
    answer = site.post(f"{CLAIM}/_search", {"patient": member}, with_token=True, Accept=FHIR_JSON)
    if answer.status != 200:
        return failed(f"POST _search gave {answer.told}", "FHIR R4 requires it beside GET")
    if [one.get("id") for one in matches(answer)] != [one.get("id") for one in matches(claims)]:
        return failed("POST _search finds another than GET", "read the form's parameters")
    return passed(f"{_total(answer)} found")


def others(site: Site) -> Finding:
    """Who asks for somebody else gets nothing, and learns nothing."""
    site.member()
    read = site.get(f"{MEMBER}/{NOBODY}", with_token=True, accept=FHIR_JSON)
    if read.status not in (403, 404):
        return failed(f"the read of another Patient gave {read.told}", "answer 404 with an OperationOutcome, or 403")
    if not is_outcome(read):
        return failed(f"{read.status} without an OperationOutcome", "send one")
    search = site.search(CLAIM, {"patient": NOBODY})
    if matches(search):
        return failed("claims are found although another's were asked for", "patient is ignored, or worse")
    return passed(f"{read.status} for the read, {search.status} and nothing for the search")


def everything(site: Site) -> Finding:
    """``$everything``, where announced, answers with the member's records."""
    operations = {str(one.get("name")).lstrip("$") for one in dictionaries(site.types.get(MEMBER, {}).get("operation"))}
    if "everything" not in operations:
        return skipped("it is not announced")
    member = site.member()
    answer = site.get(f"{MEMBER}/{member}/$everything?_count=10", with_token=True, accept=FHIR_JSON)
    found = entries(answer, "match", "include")
    if answer.status != 200 or not found:
        return failed(f"announced, and gave {answer.told}", "serve it, or do not announce it")
    people = {str(one.get("id")) for one in found if one.get("resourceType") == MEMBER}
    if people - {member}:
        return failed("it brings ANOTHER Patient", "bound it to the member")
    return passed(f"{len(found)} resources{' and more pages' if link(answer, 'next') else ''}")


def references(site: Site) -> Finding:
    """What claims refer to can be read with the same token."""
    targets: dict[str, None] = {}
    for resource in matches(site.claims()):
        for element in INCLUDES.values():
            target = _reference(resource.get(element))
            if target:
                targets[target] = None
    dead = []
    for target in list(targets)[:5]:
        if site.get(target, with_token=True, accept=FHIR_JSON).status in (404, 410):
            dead.append(target.partition("/")[0])
    if not targets:
        raise MissingError("claims refer to nothing below this base")
    if dead:
        return failed(f"references to {listed(dead)} lead to nothing", "serve what is referred to, or leave it out")
    return passed(f"{min(len(targets), 5)} references lead somewhere")
