"""The secret key of the deployment and the signing keys of id_tokens.

https://www.rfc-editor.org/rfc/rfc7517 and https://openid.net/specs/openid-connect-core-1_0.html#SigningKeys
"""

import logging
import os
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc.jwk import RSAKey
from sqlalchemy import Row

from server import clock
from server.settings import Settings
from server.storage.credential_store import ALL_KEYS, INSERT_SIGNING_KEY, PUBLISHED_KEYS, RETIRE_KEYS, REWRITE_KEY
from server.storage.database import Database, Transaction

ALGORITHM = "RS256"
KEY_BITS = 2048
PUBLISHED_AHEAD = 3600 * 1_000_000
"""Microseconds for which a new key is published before it signs."""
_LOG = logging.getLogger(__name__)


class MissingSecretKeyError(Exception):
    """A production deployment without SECRET_KEY: it must not start."""


def secret_key(settings: Settings) -> bytes:
    """The deployment's secret key, of which every other key is derived.

    From SECRET_KEY; a test deployment without one keeps a random one in SECRET_KEY_FILE (mode 0600), shared by its workers.
    Raises MissingSecretKeyError in production.
    """
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value().encode()
    if settings.environment == "production":
        raise MissingSecretKeyError(
            "SECRET_KEY is not set. A production deployment needs one of at least 32 random characters, kept outside of the "
            "database, e.g. from: python -c 'import secrets; print(secrets.token_urlsafe(48))'"
        )
    path = settings.secret_key_file
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(48))
        try:
            path.hardlink_to(draft)  # of several workers that start together, one wins
        except FileExistsError:
            _LOG.debug("another worker has just made the secret key")
        finally:
            draft.unlink()
    return path.read_text().strip().encode()


def derived_key(secret: bytes, purpose: str) -> bytes:
    """32 bytes for one purpose, from the secret key (RFC 5869)."""
    return HKDF(SHA256(), length=32, salt=None, info=purpose.encode()).derive(secret)


def encryption(settings: Settings, purpose: str) -> MultiFernet:
    """Encrypts what is stored under the secret key, for one purpose; reads what the previous secret key encrypted too."""
    secrets_in_use = [secret_key(settings)]
    if settings.secret_key_previous is not None:
        secrets_in_use.append(settings.secret_key_previous.get_secret_value().encode())
    return MultiFernet([Fernet(urlsafe_b64encode(derived_key(secret, purpose))) for secret in secrets_in_use])


@dataclass(frozen=True, slots=True)
class KeyDates:
    """A signing key's life, in microseconds: published from, signs from, published until (None: until it is replaced)."""

    kid: str
    created_at: int
    active_at: int
    retired_at: int | None

    def state(self, now: int) -> str:
        """What it is for now: published (signs later), in use (the last of them signs, all verify) or retired."""
        if self.retired_at is not None and self.retired_at <= now:
            return "retired"
        return "published" if now < self.active_at else "in use"


class SigningKeys:
    """The RS256 keys of the database: made at first need, private parts encrypted, unpacked keys kept by their kid.

    A new key is published PUBLISHED_AHEAD before it signs, so that apps that keep the key set know it by then; the one before stays published
    until the last id_token it signed is over. Every worker reads the same rows, so that a rotation needs no restart.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._encryption = encryption(settings, "signing keys")
        self._unpacked: dict[str, RSAKey] = {}

    def current(self, transaction: Transaction) -> RSAKey:
        """The key to sign with: of those that may sign by now the newest, or a new one."""
        now = clock.now_microseconds()
        for row in transaction.all(PUBLISHED_KEYS, {"moment": now}):
            key = self._key(row) if row.active_at <= now else None
            if key is not None:
                return key
        return self._make(transaction, now, now)

    def jwks(self, database: Database) -> dict[str, list[Any]]:
        """The public keys as a JWK Set (RFC 7517 section 5): those that sign, did so a while ago, or will soon."""
        with database.reading() as reading:
            keys = self._published(reading)
        if not keys:
            with database.transaction() as transaction:
                keys = [self.current(transaction)]
        return {"keys": [{**key.as_dict(private=False), "use": "sig", "alg": ALGORITHM} for key in keys]}

    def rotate(self, transaction: Transaction, at_once: bool = False) -> KeyDates:
        """Make a new key that signs in an hour (``at_once``: now), and set the end of those before it.

        What the previous secret key encrypted is encrypted with the present one, so that SECRET_KEY_PREVIOUS can be taken away after.
        """
        now = clock.now_microseconds()
        active_at = now if at_once else now + PUBLISHED_AHEAD
        kid = str(self._make(transaction, now, active_at).kid)
        end = active_at + self._settings.access_token_seconds * 1_000_000
        transaction.execute(RETIRE_KEYS, {"successor": kid, "end": end})
        for row in transaction.all(PUBLISHED_KEYS, {"moment": now}):
            if self._key(row) is not None:
                encrypted = self._encryption.rotate(row.private_key)
                transaction.execute(REWRITE_KEY, {"key_id": row.kid, "encrypted": encrypted})
        return KeyDates(kid, now, active_at, None)

    def usable(self, transaction: Transaction) -> int:
        """How many published keys the secret key (or the one before it) decrypts."""
        return len(self._published(transaction))

    def can_read(self, transaction: Transaction) -> bool:
        """Whether the secret key is the one under which the keys in use were encrypted; True when there is none yet."""
        rows = transaction.all(PUBLISHED_KEYS, {"moment": clock.now_microseconds()})
        return not rows or any(self._key(row) is not None for row in rows)

    def _published(self, transaction: Transaction) -> list[RSAKey]:
        rows = transaction.all(PUBLISHED_KEYS, {"moment": clock.now_microseconds()})
        return [key for key in map(self._key, rows) if key is not None]

    def _key(self, row: Row[Any]) -> RSAKey | None:
        return self._unpacked.get(row.kid) or self._unpack(row.kid, row.private_key)

    def _unpack(self, kid: str, encrypted: bytes) -> RSAKey | None:
        try:
            pem = self._encryption.decrypt(encrypted)
        except InvalidToken:
            _LOG.warning("signing key %s was made under another SECRET_KEY and is not used", kid)
            return None
        key = self._unpacked[kid] = RSAKey.import_key(pem, {"kid": kid})
        return key

    def _make(self, transaction: Transaction, created_at: int, active_at: int) -> RSAKey:
        key = RSAKey.generate_key(KEY_BITS, auto_kid=True)
        assert key.kid is not None
        transaction.execute(
            INSERT_SIGNING_KEY,
            {
                "kid": key.kid,
                "private_key": self._encryption.encrypt(key.as_pem(private=True)),
                "created_at": created_at,
                "active_at": active_at,
                "retired_at": None,
            },
        )
        return key


def all_keys(transaction: Transaction) -> list[KeyDates]:
    """Every signing key there ever was, the newest first."""
    rows = transaction.all(ALL_KEYS)
    return [KeyDates(row.kid, row.created_at, row.active_at, row.retired_at) for row in rows]
