"""Guesses at the token, revocation, introspection and pushed request endpoints: what counts as one, and for whom.

https://www.rfc-editor.org/rfc/rfc6749#section-10.10 - a client's own count is kept per address, so that nobody can lock another's app out.
"""

from base64 import b64decode

from authlib.oauth2.rfc6749 import InvalidClientError, OAuth2Error
from starlette.requests import Request

from server.authorization.attempts import CLIENT, Attempts, address_of
from server.authorization.client_metadata import PUBLIC
from server.authorization.clients import RegisteredClient
from server.authorization.grant_errors import CODE_UNKNOWN, REFRESH_UNKNOWN, GrantRefusedError
from server.settings import Settings
from server.storage.database import Transaction


class ClientGuesses:
    """The guesses of one request's client, as it names itself."""

    def __init__(
        self, transaction: Transaction, settings: Settings, request: Request, parameters: dict[str, str]
    ) -> None:
        self._attempts = Attempts(transaction, settings)
        self._address = address_of(request)
        claimed = parameters.get("client_id") or _basic_name(request.headers.get("Authorization", ""))
        self._key = f"{claimed}|{self._address}"

    def require(self) -> None:
        """Raises TooManyAttemptsError when the client at this address, or the address, has used up its tries."""
        self._attempts.require(CLIENT, self._key, self._address)

    def count(self, error: OAuth2Error, client: RegisteredClient | None) -> None:
        """Count a refusal if it was a guess: a client that is not proven, or, of one that has nothing to prove itself with, a code or
        refresh token that never was. One that was good once is none: an app may find out so that a member has stopped sharing."""
        unknown = isinstance(error, GrantRefusedError) and error.code in (CODE_UNKNOWN, REFRESH_UNKNOWN)
        if isinstance(error, InvalidClientError) or (
            unknown and client is not None and client.authentication == PUBLIC
        ):
            self._attempts.guessed_wrong(CLIENT, self._key, self._address)


def _basic_name(authorization: str) -> str:
    """The user name of HTTP Basic, not proven, or ''."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return b64decode(encoded.strip()).decode("utf-8", "replace").partition(":")[0]
    except ValueError:
        return ""
