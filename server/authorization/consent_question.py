"""The consent page's question: what an app asks for by category, for how long, and what the member set of it.

https://hl7.org/fhir/smart-app-launch/STU2.2/best-practices.html and 42 CFR 422.119(g) on what members are told
"""

from collections.abc import Mapping
from dataclasses import dataclass

from server import clock
from server.authorization.clients import RegisteredClient
from server.authorization.languages import Message
from server.authorization.permissions import permissions
from server.authorization.scopes import withhold
from server.authorization.tokens import ONCE, UNTIL_REVOKED, grant_expiry
from server.settings import Settings
from server.specification.definition import ResourceDefinition
from server.specification.registry import RESOURCES
from server.specification.standards import CONSENT_CATEGORIES, DEMOGRAPHICS, LAUNCH_SCOPES, ConsentCategory

SHARE = "share-"
"""Beginning of a category's name in the form; a category that does not come back in it is withheld."""
DAY = 86_400_000_000
"""Microseconds."""
DAYS_OF_A_MONTH = 30.44

NOTHING_LEFT = Message(
    "You took the tick from every box, so nothing would be shared. Tick at least one, or choose “Don't allow”."
)
NO_DURATION = Message("Please choose for how long to share.")


@dataclass(frozen=True, slots=True)
class Duration:
    """A choice of how long: ``until`` is microseconds since 1970, ``months`` about how many that are (0: less than one)."""

    value: str
    until: int
    months: int


@dataclass(frozen=True, slots=True)
class Question:
    """What the consent page asks.

    ``categories`` can be withheld; ``directory`` are lines about records that belong to nobody; ``may`` about what is not records.
    ``durations`` is empty where the member has nothing to choose: then the access is for once, or (``is_online``) while they
    are signed in, at most until ``until`` (microseconds). ``warns``: the app's makers have not attested to its privacy practices.
    """

    app: str
    is_payers_own: bool
    client_uri: str
    policy_uri: str
    warns: bool
    categories: tuple[ConsentCategory, ...]
    directory: tuple[str, ...]
    may: tuple[str, ...]
    durations: tuple[Duration, ...]
    is_online: bool
    until: int
    minutes: int

    @property
    def names_member(self) -> bool:
        """Whether the app asks who the member is."""
        return any(category.slug == DEMOGRAPHICS for category in self.categories)


@dataclass(frozen=True, slots=True)
class Choices:
    """What the member set on the page: the categories without a tick, for how long, and whose information ('' : not said)."""

    withheld: tuple[str, ...]
    duration: str
    patient: str


def question(settings: Settings, client: RegisteredClient, scope: str, language: str) -> Question:
    """The question that a scope puts to the member, for a reader of a language (the app may have a name in it)."""
    words = scope.split()
    now = clock.now_microseconds()
    return Question(
        app=client.title.get(language) or client.name,
        is_payers_own=client.kind == "payer",
        client_uri=client.client_uri,
        policy_uri=client.policy_uri,
        warns=client.kind != "payer" and not client.has_privacy_attestation,
        categories=categories_of(scope),
        directory=tuple(row.title for row in _rows(scope) if not row.categories),
        may=tuple(row.consent for row in LAUNCH_SCOPES if row.consent and row.scope in words and not row.category),
        durations=tuple(_duration(settings, scope, value, now) for value in _offered(settings, scope)),
        is_online="online_access" in words,
        until=grant_expiry(settings, scope, "", now),
        minutes=settings.access_token_seconds // 60,
    )


def categories_of(scope: str) -> tuple[ConsentCategory, ...]:
    """The categories of which a scope gives anything: withholding one of them would leave less."""
    return tuple(category for category in CONSENT_CATEGORIES if withhold(scope, (category.slug,)) != scope)


def visible_data(scope: str) -> tuple[str, ...]:
    """What a scope lets an app see, in plain words: the categories, then what belongs to nobody."""
    others = (row.title for row in _rows(scope) if not row.categories)
    return (*(category.title for category in categories_of(scope)), *others)


def _rows(scope: str) -> list[ResourceDefinition]:
    return [RESOURCES[type] for type in permissions(scope).resource_types]


def _offered(settings: Settings, scope: str) -> tuple[str, ...]:
    return settings.grant_durations if "offline_access" in scope.split() else ()


def _duration(settings: Settings, scope: str, value: str, now: int) -> Duration:
    until = grant_expiry(settings, scope, value, now)
    days = (until - now) / DAY if value not in (ONCE, UNTIL_REVOKED) else 0
    return Duration(value, until, round(days / DAYS_OF_A_MONTH))


def first_choices(question: Question) -> Choices:
    """The page as it is shown first: everything ticked, the first duration."""
    return Choices((), question.durations[0].value if question.durations else "", "")


def choices(question: Question, form: Mapping[str, str]) -> Choices:
    """What a form that came back says."""
    withheld = tuple(category.slug for category in question.categories if SHARE + category.slug not in form)
    return Choices(withheld, form.get("duration", "") if question.durations else "", form.get("patient", ""))


def complaint(question: Question, choices: Choices) -> Message:
    """What is wrong with the choices, for the member to read; '' when they can be followed."""
    if question.categories and len(choices.withheld) == len(question.categories):
        return NOTHING_LEFT
    if question.durations and choices.duration not in {duration.value for duration in question.durations}:
        return NO_DURATION
    return Message("")
