"""Every query about people who sign in: accounts, whom they may act for, and their sessions, as statements.

https://pages.nist.gov/800-63-4/sp800-63b.html - passwords are argon2, session cookies are looked up by their SHA-256.
"""

from sqlalchemy import BindParameter, Table, bindparam, delete, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or_not

from server.specification.registry import MEMBER_TYPE
from server.storage.authorization_schema import Account, AccountMember, AccountRole, Grant, SignInSession
from server.storage.schema import Member, Resource

ACCOUNT: Table = Account.__table__  # type: ignore[attr-defined]
ACCOUNT_MEMBER: Table = AccountMember.__table__  # type: ignore[attr-defined]
ACCOUNT_ROLE: Table = AccountRole.__table__  # type: ignore[attr-defined]
MEMBER: Table = Member.__table__  # type: ignore[attr-defined]
SESSION: Table = SignInSession.__table__  # type: ignore[attr-defined]
GRANT: Table = Grant.__table__  # type: ignore[attr-defined]
RESOURCE: Table = Resource.__table__  # type: ignore[attr-defined]

_HASH: BindParameter[bytes] = bindparam("key_hash")
_NOW: BindParameter[int] = bindparam("moment")
_ACCOUNT: BindParameter[str] = bindparam("account")

# -- accounts --------------------------------------------------------------------------------------------------------

USERNAMES_OF_TEST_MEMBERS = (
    select(ACCOUNT.c.username)
    .distinct()
    .select_from(
        ACCOUNT.join(ACCOUNT_MEMBER, ACCOUNT_MEMBER.c.account == ACCOUNT.c.id).join(
            MEMBER, MEMBER.c.patient == ACCOUNT_MEMBER.c.patient
        )
    )
    .where(MEMBER.c.environment == "test")
)
"""Who signs in for members that are marked test."""
ACCOUNT_BY_USERNAME = select(ACCOUNT).where(ACCOUNT.c.username == bindparam("username"))
"""Values: username."""
ACCOUNT_BY_ID = select(ACCOUNT).where(ACCOUNT.c.id == _ACCOUNT)
"""Values: account."""
ACCOUNT_BY_SUBJECT = select(ACCOUNT).where(
    ACCOUNT.c.issuer == bindparam("issuer"), ACCOUNT.c.subject == bindparam("subject")
)
"""The account of a person whom an OpenID provider knows. Values: issuer, subject."""
INSERT_ACCOUNT = insert(ACCOUNT)
INSERT_ACCOUNT_ONCE = insert_or_not(ACCOUNT).on_conflict_do_nothing()
"""Of two inserts of the same account at the same moment, one waits for the other and does nothing."""
UPDATE_ACCOUNT = update(ACCOUNT).where(ACCOUNT.c.id == _ACCOUNT).values(failures=0)
"""Values: account, and the columns to set."""
SIGN_IN_FAILED = update(ACCOUNT).where(ACCOUNT.c.id == _ACCOUNT).values(failures=ACCOUNT.c.failures + 1, failed_at=_NOW)
"""Values: account, moment."""
COUNT_GUESS = (
    update(ACCOUNT)
    .where(
        ACCOUNT.c.id == _ACCOUNT,
        or_(
            ACCOUNT.c.failures < bindparam("most"),
            ACCOUNT.c.failed_at <= bindparam("rested"),
            ACCOUNT.c.failed_at >= bindparam("ahead"),
        ),
    )
    .values(failures=ACCOUNT.c.failures + 1, failed_at=_NOW)
)
"""Count a guess as wrong before it is looked at, unless the account pauses: parallel guesses are no more than others. Values: account,
moment, most (failures before a pause), rested (a pause that began then is over), ahead (one that began then is of a clock set back since)."""
SIGN_IN_SUCCEEDED = update(ACCOUNT).where(ACCOUNT.c.id == _ACCOUNT, ACCOUNT.c.failures > 0).values(failures=0)
"""Values: account."""
SET_TOTP = (
    update(ACCOUNT)
    .where(ACCOUNT.c.id == _ACCOUNT, ACCOUNT.c.totp_secret.is_(None))
    .values(totp_secret=bindparam("secret"), totp_step=bindparam("step"))
)
"""Turn one-time codes on, for an account that has none. Values: account, secret, step (the one just used)."""
TOTP_SECRETS = select(ACCOUNT.c.id, ACCOUNT.c.totp_secret).where(ACCOUNT.c.totp_secret.is_not(None))
REWRITE_TOTP = (
    update(ACCOUNT)
    .where(ACCOUNT.c.id == bindparam("person"), ACCOUNT.c.totp_secret == bindparam("before"))
    .values(totp_secret=bindparam("after"))
)
"""Encrypt a secret anew. Values: person, before, after."""
CLEAR_TOTP = update(ACCOUNT).where(ACCOUNT.c.id == _ACCOUNT).values(totp_secret=None, totp_step=0)
"""Values: account."""
USE_TOTP_STEP = (
    update(ACCOUNT)
    .where(
        ACCOUNT.c.id == _ACCOUNT,
        ACCOUNT.c.totp_step < bindparam("step"),
        ACCOUNT.c.totp_secret == bindparam("secret"),
    )
    .values(totp_step=bindparam("step"), failures=0)
)
"""One atomic update: of two sign-ins with the same code, one touches a row. Values: account, secret, step."""

# -- whom they may act for -------------------------------------------------------------------------------------------

DELETE_ACCOUNT_MEMBERS = delete(ACCOUNT_MEMBER).where(ACCOUNT_MEMBER.c.account == _ACCOUNT)
"""Values: account."""
INSERT_ACCOUNT_MEMBER = insert(ACCOUNT_MEMBER)
MEMBERS_OF_ACCOUNT = (
    select(
        ACCOUNT_MEMBER.c.patient,
        ACCOUNT_MEMBER.c.relationship,
        ACCOUNT_MEMBER.c.related_person,
        ACCOUNT_MEMBER.c.authority,
        ACCOUNT_MEMBER.c.until,
        MEMBER.c.environment,
        MEMBER.c.enrolled,
        RESOURCE.c.body,
    )
    .select_from(
        ACCOUNT_MEMBER.outerjoin(MEMBER, MEMBER.c.patient == ACCOUNT_MEMBER.c.patient).outerjoin(
            RESOURCE,
            (RESOURCE.c.type == MEMBER_TYPE)
            & (RESOURCE.c.id == ACCOUNT_MEMBER.c.patient)
            & (RESOURCE.c.patient == ACCOUNT_MEMBER.c.patient)
            & RESOURCE.c.deleted.is_(False),
        )
    )
    .where(ACCOUNT_MEMBER.c.account == _ACCOUNT)
    .order_by(ACCOUNT_MEMBER.c.relationship != "self", ACCOUNT_MEMBER.c.patient)
)
"""Whom an account may act for, themself first, with the member's own resource. Values: account."""
MEMBER_OF_ACCOUNT = MEMBERS_OF_ACCOUNT.where(ACCOUNT_MEMBER.c.patient == bindparam("member"))
"""One of them. Values: account, member."""
EXISTING_MEMBERS = select(RESOURCE.c.id).where(
    RESOURCE.c.type == MEMBER_TYPE,
    RESOURCE.c.id.in_(bindparam("ids", expanding=True)),
    RESOURCE.c.patient == RESOURCE.c.id,
    RESOURCE.c.deleted.is_(False),
)
"""Those of these ids that are members here. Values: ids."""
MEMBER_BY_PATIENT = select(MEMBER).where(MEMBER.c.patient == bindparam("member"))
"""Values: member."""
INSERT_MEMBER = insert(MEMBER)
UPDATE_MEMBER = update(MEMBER).where(MEMBER.c.patient == bindparam("member")).values(environment=bindparam("mark"))
"""Values: member, mark."""
LIVE_GRANTS_OF_ACCOUNT = select(GRANT.c.id, GRANT.c.patient).where(
    GRANT.c.account == _ACCOUNT, GRANT.c.ended_at.is_(None), GRANT.c.expires_at > _NOW
)
"""What an account allowed and is in force, its code exchanged or not. Values: account, moment."""
SOME_LIVE_GRANTS = (
    select(GRANT.c.id).where(GRANT.c.ended_at.is_(None), GRANT.c.expires_at > _NOW).limit(bindparam("most"))
)
"""Whatever is in force, some of it. Values: moment, most."""

# -- what they may do beyond a member's own matters --------------------------------------------------------------------

ROLE_OF_ACCOUNT = select(ACCOUNT_ROLE.c.role).where(ACCOUNT_ROLE.c.account == _ACCOUNT)
"""Values: account."""
DELETE_ROLES = delete(ACCOUNT_ROLE).where(ACCOUNT_ROLE.c.account == _ACCOUNT)
"""Values: account."""
INSERT_ROLE = insert(ACCOUNT_ROLE)

# -- sign-in sessions ------------------------------------------------------------------------------------------------

INSERT_SESSION = insert(SESSION)
SESSION_BY_HASH = (
    select(SESSION.c.account, SESSION.c.authenticated_at, SESSION.c.provider_token, ACCOUNT.c.display_name)
    .select_from(SESSION.join(ACCOUNT, ACCOUNT.c.id == SESSION.c.account))
    .where(SESSION.c.hash == _HASH, SESSION.c.expires_at > _NOW)
)
"""Values: key_hash, moment."""
DELETE_SESSION = delete(SESSION).where(SESSION.c.hash == _HASH)
"""Values: key_hash."""
DELETE_SESSIONS_OF_ACCOUNT = delete(SESSION).where(SESSION.c.account == _ACCOUNT)
"""Values: account."""
DELETE_EXPIRED_SESSIONS = delete(SESSION).where(SESSION.c.expires_at <= _NOW)
"""Values: moment."""
