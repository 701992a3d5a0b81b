"""The secret key of the deployment and the signing keys of id_tokens.

https://www.rfc-editor.org/rfc/rfc7517 and https://openid.net/specs/openid-connect-core-1_0.html#SigningKeys
"""

import logging
import os
import secrets
from base64 import urlsafe_b64encode
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc.jwk import RSAKey

from server import clock
from server.settings import Settings
from server.storage.authorization_store import INSERT_SIGNING_KEY, SIGNING_KEYS
from server.storage.database import Database, Transaction

ALGORITHM = "RS256"
KEY_BITS = 2048
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


class SigningKeys:
    """The RS256 keys of the database: made at first need, private parts encrypted, unpacked keys kept by their kid."""

    def __init__(self, settings: Settings) -> None:
        self._fernet = Fernet(urlsafe_b64encode(derived_key(secret_key(settings), "signing keys")))
        self._unpacked: dict[str, RSAKey] = {}

    def current(self, transaction: Transaction) -> RSAKey:
        """The key to sign with: the newest in use, or a new one."""
        keys = self._in_use(transaction)
        return keys[0] if keys else self._make(transaction)

    def jwks(self, database: Database) -> dict[str, list[Any]]:
        """The public keys as a JWK Set (RFC 7517 section 5)."""
        with database.reading() as reading:
            keys = self._in_use(reading)
        if not keys:
            with database.transaction() as transaction:
                keys = [self.current(transaction)]
        return {"keys": [{**key.as_dict(private=False), "use": "sig", "alg": ALGORITHM} for key in keys]}

    def _in_use(self, transaction: Transaction) -> list[RSAKey]:
        keys = []
        for row in transaction.all(SIGNING_KEYS):
            key = self._unpacked.get(row.kid) or self._unpack(row.kid, row.private_key)
            if key is not None:
                keys.append(key)
        return keys

    def _unpack(self, kid: str, encrypted: bytes) -> RSAKey | None:
        try:
            pem = self._fernet.decrypt(encrypted)
        except InvalidToken:
            _LOG.warning("signing key %s was made under another SECRET_KEY and is not used", kid)
            return None
        key = self._unpacked[kid] = RSAKey.import_key(pem, {"kid": kid})
        return key

    def _make(self, transaction: Transaction) -> RSAKey:
        key = RSAKey.generate_key(KEY_BITS, auto_kid=True)
        assert key.kid is not None
        now = clock.now_microseconds()
        transaction.execute(
            INSERT_SIGNING_KEY,
            {
                "kid": key.kid,
                "private_key": self._fernet.encrypt(key.as_pem(private=True)),
                "created_at": now,
                "active_at": now,
                "retired_at": None,
            },
        )
        return key
