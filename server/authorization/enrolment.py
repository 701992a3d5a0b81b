"""Whether a member is entitled to the API: enrolled now, in a line of business that it serves.

42 CFR 422.119(a) "current individual MA enrollee" and its parallels 431.60, 457.730 and 45 CFR 156.221
"""

from functools import lru_cache

from server import clock
from server.authorization.languages import Message
from server.settings import Settings

DISENROLLED, NOT_SERVED = "member_disenrolled", "line_of_business_not_served"
"""The stable error codes."""
WITHDRAWN = "withdrawn"
"""The line of business of a spell that was withdrawn: written ``withdrawn|0000``."""
REASONS = {
    DISENROLLED: "The member's coverage has ended. If it begins again, so does the app's access, without being asked for again.",
    NOT_SERVED: "The member's plan is of a line of business that this API does not serve.",
}
"""What apps are told, by code."""
PLAN_TYPES = {
    "medicare-advantage": Message("Medicare Advantage"),
    "medicaid-ffs": Message("Medicaid"),
    "medicaid-managed-care": Message("Medicaid managed care"),
    "chip-ffs": Message("Children's Health Insurance Program (CHIP)"),
    "chip-managed-care": Message("CHIP managed care"),
    "qhp": Message("plans bought on HealthCare.gov"),
}
"""How people call the lines of business."""


def entitlement(settings: Settings, enrolled: str, today: str) -> str:
    """'' when the member may use the API; else ``member_disenrolled`` or ``line_of_business_not_served``.

    ``enrolled`` is ``member.enrolled``: words ``line-of-business|until``, '' when no enrolment was ever recorded, which is not disenrolled.
    ``today`` is ISO, in PAYER_TIME_ZONE.
    """
    if not enrolled:
        return ""
    return _entitlement(enrolled, today, settings.served_lines_of_business, settings.former_members == "allow")


@lru_cache(maxsize=4096)
def _entitlement(enrolled: str, today: str, served: tuple[str, ...], former_allowed: bool) -> str:
    spells = [word.rpartition("|")[::2] for word in enrolled.split()]
    lines = [line for line, until in spells if line != WITHDRAWN and (not until or until >= today)]
    if not lines:
        if not former_allowed:
            return DISENROLLED
        lines = [line for line, _ in spells if line != WITHDRAWN]
    return "" if not lines or any(line in served for line in lines) else NOT_SERVED


def today(settings: Settings) -> str:
    """The payer's calendar day, ISO. Cheap: worked out once a minute."""
    return _day(clock.now_microseconds() // 60_000_000, settings)


_days: dict[str, tuple[int, str]] = {}


def _day(minute: int, settings: Settings) -> str:
    known = _days.get(settings.payer_time_zone)
    if known is None or known[0] != minute:
        local = clock.from_microseconds(minute * 60_000_000).astimezone(settings.time_zone)
        known = _days[settings.payer_time_zone] = (minute, local.date().isoformat())
    return known[1]


def served_plans(settings: Settings) -> tuple[Message, ...]:
    """The lines of business that the API serves, as people call them."""
    return tuple(PLAN_TYPES.get(line) or Message(line.replace("-", " ")) for line in settings.served_lines_of_business)
