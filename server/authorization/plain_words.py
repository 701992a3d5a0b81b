"""What codes mean, for members to read: why nothing of a person can be shared, why sharing ended, what people are to each other.

https://www.plainlanguage.gov/guidelines/ - short sentences, no codes; the Spanish is in ``locale``.
"""

from collections.abc import Mapping

from server.authorization.authority import AUTHORITY_ENDED
from server.authorization.enrolment import DISENROLLED, NOT_SERVED
from server.authorization.grant_errors import (
    CODE_USED,
    GRANT_EXPIRED,
    REFRESH_REUSED,
    REVOKED_BY_APP,
    REVOKED_BY_MEMBER,
    SIGNED_OUT,
)
from server.authorization.languages import Message

UNAVAILABLE: Mapping[str, Message] = {
    DISENROLLED: Message("The coverage has ended. Apps can get the information of current members only."),
    NOT_SERVED: Message("Apps cannot get the information of this kind of plan."),
    AUTHORITY_ENDED: Message("You may not act for this person any more."),
}
"""Why nothing of a member can be shared now, by error code."""
UNAVAILABLE_OTHERWISE = Message("Apps cannot get this person's information now.")

ENDED: Mapping[str, Message] = {
    REVOKED_BY_MEMBER: Message("Sharing was stopped on this page."),
    REVOKED_BY_APP: Message("The app ended it."),
    GRANT_EXPIRED: Message("The time was over."),
    SIGNED_OUT: Message("You signed out."),
    AUTHORITY_ENDED: Message("Who allowed it may not act for this person any more."),
    REFRESH_REUSED: Message("We ended it for your safety: something tried to use the access twice."),
    CODE_USED: Message("We ended it for your safety: something tried to use the access twice."),
}
"""Why sharing ended, by the grant's error code."""
ENDED_OTHERWISE = Message("It was ended.")

RELATIONSHIPS = (
    Message("parent"),
    Message("guardian"),
    Message("spouse"),
    Message("partner"),
    Message("child"),
    Message("caregiver"),
    Message("power of attorney"),
    Message("representative"),
)
"""What an account's person is to a member; other words that an operator used are shown as they are."""


def why_unavailable(code: str) -> Message:
    """Why nothing of a member can be shared now."""
    return UNAVAILABLE.get(code, UNAVAILABLE_OTHERWISE)


def why_ended(code: str) -> Message:
    """Why sharing ended, by the grant's error code."""
    return ENDED.get(code, ENDED_OTHERWISE)
