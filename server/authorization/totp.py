"""One-time codes as a second factor: a secret in the member's own app, a code for every half minute, each taken once.

https://www.rfc-editor.org/rfc/rfc6238 and https://pages.nist.gov/800-63-4/sp800-63b.html#singlefactotp
"""

import hmac
import json
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO

import pyotp
import segno
from cryptography.fernet import InvalidToken
from sqlalchemy import Row

from server import clock
from server.authorization.browser import Browser
from server.authorization.identity import count_guess, record_failure
from server.authorization.keys import encryption
from server.authorization.tokens import SECOND
from server.settings import Settings
from server.storage.account_store import ACCOUNT_BY_ID, CLEAR_TOTP, REWRITE_TOTP, SET_TOTP, TOTP_SECRETS, USE_TOTP_STEP
from server.storage.database import Database, Transaction
from server.storage.ledger import EventLedger

STEP_SECONDS, DIGITS = 30, 6
STEPS_AROUND = 1
"""A code of the step before and of the step after is taken too: phones' clocks differ (RFC 6238 section 5.2)."""
TICKET_MICROSECONDS = 5 * 60 * SECOND
"""How long after the password the code may come."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a browser holds between the password and the code. ``secret``: a new one that is being set up, or ''."""

    account: str
    browser: str
    at: int
    secret: str = ""


class OneTimeCodes:
    """Sets codes up, and checks them. One per worker."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._secrets = encryption(settings, "one-time codes")
        self._tickets = encryption(settings, "one-time code tickets")

    # -- between the password and the code ---------------------------------------------------------------------------

    def ticket(self, browser: Browser, account: str, secret: str = "") -> str:
        """Proof for five minutes that this browser's person gave the right password (or is signed in): opaque text for a form."""
        content = {"account": account, "browser": browser.id, "at": clock.now_microseconds(), "secret": secret}
        return self._tickets.encrypt(json.dumps(content).encode()).decode()

    def opened(self, browser: Browser, ticket: str) -> Ticket | None:
        """What a ticket says, or None when it is not ours, another browser's, or too old."""
        try:
            opened = Ticket(**json.loads(self._tickets.decrypt(ticket.encode())))
        except (InvalidToken, ValueError, TypeError):
            return None
        is_fresh = -SECOND <= clock.now_microseconds() - opened.at < TICKET_MICROSECONDS
        is_own = hmac.compare_digest(opened.browser.encode(), browser.id.encode())
        return opened if is_fresh and is_own and not browser.is_new else None

    # -- setting up --------------------------------------------------------------------------------------------------

    def uri(self, secret: str, username: str) -> str:
        """What an authenticator app takes in: an ``otpauth:`` address."""
        return pyotp.TOTP(secret).provisioning_uri(name=username, issuer_name=self._settings.payer_name)

    def turn_on(self, transaction: Transaction, account: str, secret: str, code: str) -> bool:
        """Use one-time codes from now on, when the code is one of the secret's; False also when others were set up meanwhile."""
        step = matching_step(secret, code)
        if step is None:
            return False
        values = {"account": account, "secret": self._secrets.encrypt(secret.encode()), "step": step}
        return transaction.execute(SET_TOTP, values) == 1

    def turn_off(self, transaction: Transaction, account: str) -> None:
        """Use none any more."""
        transaction.execute(CLEAR_TOTP, {"account": account})

    def encrypt_anew(self, transaction: Transaction) -> int:
        """Encrypt with the present secret key what the previous one encrypted; answer how many accounts' secrets."""
        rewritten = 0
        for row in transaction.all(TOTP_SECRETS):
            with suppress(InvalidToken):  # of a secret key that is gone: no code fits, the operator resets it
                values = {"person": row.id, "before": row.totp_secret, "after": self._secrets.rotate(row.totp_secret)}
                rewritten += transaction.execute(REWRITE_TOTP, values)
        return rewritten

    # -- checking ----------------------------------------------------------------------------------------------------

    def check(self, database: Database, ledger: EventLedger, account: str, code: str) -> bool:
        """Whether a code is the account's of this moment and was not used before; a wrong one counts as a wrong password does.

        Whoever asks keeps the answer False back for a moment, as for passwords.
        """
        with database.reading() as reading:
            row = reading.first(ACCOUNT_BY_ID, {"account": account})
        if row is None or row.totp_secret is None:
            return False
        step = matching_step(self._secret(row), code)
        with database.transaction() as transaction:
            paused = not count_guess(transaction, self._settings, account)
            values = {"account": account, "secret": row.totp_secret, "step": step}
            if not paused and step is not None and transaction.execute(USE_TOTP_STEP, values) == 1:
                return True  # which also forgets the failures
        what = "paused after failures" if paused else "wrong one-time code"
        record_failure(ledger, self._settings, row, what, counts=False)
        return False

    def _secret(self, account: Row[tuple[object, ...]]) -> str:
        try:
            return self._secrets.decrypt(account.totp_secret).decode()
        except InvalidToken:  # encrypted under a secret key that is gone: no code fits, the operator resets it
            return ""


def new_secret() -> str:
    """A random secret of 160 bits, base32 (RFC 4226 section 4, R6)."""
    return pyotp.random_base32()


def matching_step(secret: str, code: str) -> int | None:
    """The time step whose code this is, near now; None when it is none's."""
    digits = "".join(code.split())
    if not secret or len(digits) != DIGITS or not (digits.isascii() and digits.isdigit()):
        return None
    now = clock.now_microseconds() // SECOND // STEP_SECONDS
    codes = pyotp.TOTP(secret, digits=DIGITS, interval=STEP_SECONDS)
    steps = range(now - STEPS_AROUND, now + STEPS_AROUND + 1)
    matching = [step for step in steps if hmac.compare_digest(codes.generate_otp(step), digits)]
    return matching[0] if matching else None


def picture(uri: str) -> str:
    """An address as a QR code: inline SVG without styles or scripts."""
    drawn = BytesIO()
    segno.make(uri, micro=False).save(drawn, kind="svg", scale=4, xmldecl=False, svgns=True, nl=False)
    return drawn.getvalue().decode()
