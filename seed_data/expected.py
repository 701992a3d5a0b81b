"""`expected.json`: what a correct app shows of every persona, to be read by programs. Story facts are the answer key's; counts and
totals are counted from the rows of the members and from how the payer decided them, and not read from any FHIR JSON.

https://hl7.org/fhir/us/carin-bb/Common_Payer_Consumer_Data_Set.html"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from seed_data.adjudication import Amounts
from seed_data.generate import AS_OF, SEED
from seed_data.members import Claim, Member
from seed_data.personas import EVERYONE
from seed_data.personas.answers import ANSWERS, UNITS, Answer, Decided
from seed_data.records import decisions, records

PASSWORD_RULE = "the username, followed by -sandbox"  # noqa: S105 - a rule, no secret
REFUSED = {"status": 401, "code": "member-disenrolled"}
NOT_SEARCHED = {"Medication"}
"""Everybody's, whoever they are prescribed to."""
PROFILES = {
    "inpatient": "Inpatient-Institutional",
    "outpatient": "Outpatient-Institutional",
    "professional": "Professional-NonClinician",
    "oral": "Oral",
    "pharmacy": "Pharmacy",
}
COLUMNS = {
    "asOf": "The day on which the payer looks back: enrolled, expired and ages are as of it.",
    "passwordRule": "How every password is made.",
    "columns": "This table.",
    "members": "One object for each made-up member, with what follows.",
    "members.key": "A short name that never changes.",
    "members.section": "Under which heading the members' page has it.",
    "members.patient": "The Patient id.",
    "members.name": "Given and family name; birthDate beside it.",
    "members.story": "What the member's records tell.",
    "members.shows": "What a correct app shows, in words.",
    "members.seenBy": "Who may let an app see this member: username, relationship, and until, the last day ('' when it is open).",
    "members.refused": "null, or the HTTP status and error code that an app with a token gets, and why. With FORMER_MEMBERS=allow nobody "
    "is refused, and the rest of the object is what is shown then.",
    "members.current": "The plans in force on asOf: plan (Coverage.class plan) and unit (Coverage.class group), by which it is reported.",
    "members.resources": "How many resources of each type a search finds (Bundle.total); types without any are left out.",
    "members.claims": "By CARIN profile: how many claims have the status active, and how many cancelled.",
    "members.payments": "Of the active claims: how many are paid, denied and partiallypaid (ExplanationOfBenefit.payment.type).",
    "members.totals": "By Coverage that decided them, of the active claims: submitted, paidByPlan and memberLiability, decimals as text. "
    "Of a member with two plans never add submitted of both: it is the same bill.",
    "members.authorizations": "By number: what was asked for first, status, decision (approved A1, partially-approved A2, denied A3, pended "
    "A4, cancelled C, none: no reviewAction), reason (code and text, null without one), priority, units of each line (requested, "
    "approved, used), expires (the last day of an approval, else null), expired (on asOf).",
}


def expected(members: Iterable[Member] = EVERYONE) -> dict[str, Any]:
    """The document of these personas, for the usual seed and as-of date."""
    return {
        "asOf": AS_OF.isoformat(),
        "passwordRule": PASSWORD_RULE,
        "columns": COLUMNS,
        "members": [_member(member, ANSWERS[member.key]) for member in members],
    }


def _member(member: Member, answer: Answer) -> dict[str, Any]:
    return {
        "key": member.key,
        "section": answer.section,
        "patient": member.id,
        "name": member.name,
        "birthDate": member.birth_date.isoformat(),
        "story": member.story,
        "shows": answer.shows,
        "seenBy": [
            {"username": username, "relationship": relationship, "until": until}
            for username, relationship, until in answer.seen_by or ((member.key, "self", ""),)
        ],
        "refused": {**REFUSED, "why": answer.refused} if answer.refused else None,
        "current": [{"plan": plan, "unit": UNITS.get(plan, "EMPLOYER")} for plan in answer.current],
        "resources": _resources(member),
        "claims": _claims(member.claims),
        "payments": dict(sorted(Counter(claim.payment for claim in member.claims if _stands(claim)).items())),
        "totals": _totals(member),
        "authorizations": [_authorization(row) for row in answer.authorizations],
    }


def _stands(claim: Claim) -> bool:
    return not claim.replaced_by and not claim.reversed


def _resources(member: Member) -> dict[str, int]:
    found = Counter(str(record["resourceType"]) for record in records(member, SEED, AS_OF))
    return {name: count for name, count in sorted(found.items()) if name not in NOT_SEARCHED}


def _claims(claims: Iterable[Claim]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for claim in claims:
        row = found.setdefault(PROFILES[claim.kind], {"active": 0, "cancelled": 0})
        row["active" if _stands(claim) else "cancelled"] += 1
    return dict(sorted(found.items()))


def _totals(member: Member) -> dict[str, dict[str, str]]:
    """Sums of what was decided, by the Coverage in force on the day of the claim; a second payer's claim is of the second one."""
    spells, decided = decisions(member, SEED, AS_OF)
    found: dict[str, list[Amounts]] = {}
    for number, claim in enumerate(member.claims, 1):
        if _stands(claim):
            ago = [(AS_OF - spell.start).days for spell in spells]
            over = [(AS_OF - spell.end).days if spell.end else -1 for spell in spells]
            within = [n for n in range(len(spells)) if ago[n] >= claim.days_ago >= over[n]]
            cover = spells[within[1 if claim.primary else 0]].record["id"]
            found.setdefault(cover, []).extend(decided[number])
    return {
        cover: {
            "submitted": _text(sum(line.submitted for line in lines)),
            "paidByPlan": _text(sum(line.benefit for line in lines)),
            "memberLiability": _text(sum(line.member_liability for line in lines)),
        }
        for cover, lines in sorted(found.items())
    }


def _text(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


def _authorization(row: Decided) -> dict[str, Any]:
    code, text = row.reason
    return {
        "number": row.number,
        "what": row.what,
        "status": "cancelled" if row.decision == "cancelled" else "active",
        "decision": row.decision,
        "reason": {"code": code, "text": text} if code else None,
        "priority": row.priority,
        "units": [{"requested": asked, "approved": approved, "used": used} for asked, approved, used in row.units],
        "expires": row.expires or None,
        "expired": row.expired,
    }
