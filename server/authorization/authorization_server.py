"""Authlib's authorization server, bound to our store for the time of one request and one transaction.

https://www.rfc-editor.org/rfc/rfc6749 - Authlib is synchronous and speaks no framework; ``protocol.py`` is its edge to FastAPI.
"""

import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from authlib.oauth2.base import invalid_error_characters
from authlib.oauth2.rfc6749 import (
    AccessDeniedError,
    AuthorizationServer,
    InvalidClientError,
    InvalidRequestError,
    OAuth2Error,
    OAuth2Request,
)
from authlib.oauth2.rfc6749.authenticate_client import ClientAuthentication
from authlib.oauth2.rfc6749.requests import OAuth2Payload
from authlib.oauth2.rfc9207 import IssuerParameter

from server.authorization.access import environment_of
from server.authorization.attempts import ThrottledError
from server.authorization.client_assertion import Assertion, ClientNotProvenError
from server.authorization.client_guesses import ClientGuesses
from server.authorization.client_metadata import PRIVATE_KEY_JWT
from server.authorization.clients import (
    OWN_ACCESS_TOKEN,
    PUBLIC,
    REFRESHING_PUBLIC_CLIENT,
    RegisteredClient,
    find_client,
)
from server.authorization.discovery import issuer
from server.authorization.endpoints import IntrospectionEndpoint, RevocationEndpoint
from server.authorization.grants import AuthorizationCodeGrant, LaunchContext, RefreshTokenGrant, RequiredCodeChallenge
from server.authorization.keys import SigningKeys
from server.authorization.suspension import SuspendedAppError
from server.authorization.system_grant import ClientCredentialsGrant
from server.authorization.tokens import ACCESS, GrantRecord, find_token, gives_access, save_tokens, token_response
from server.settings import Settings
from server.storage.ledger import LedgerEvent, RecordingTransaction, new_request_id
from server.storage.permits import Permits

Pairs = tuple[tuple[str, str], ...]


class Parameters(OAuth2Payload):  # type: ignore[misc]
    """The parameters of a request; one sent without a value counts as not sent (RFC 6749 section 3.1)."""

    def __init__(self, pairs: Pairs) -> None:
        self._datalist: dict[str, list[str]] = {}
        for name, value in pairs:
            if value:
                self._datalist.setdefault(name, []).append(value)
        self._data = {name: values[0] for name, values in self._datalist.items()}

    @property
    def data(self) -> dict[str, str]:
        """The first value of each parameter."""
        return self._data

    @property
    def datalist(self) -> dict[str, list[str]]:
        """Every value of each parameter."""
        return self._datalist

    @property
    def repeated(self) -> tuple[str, ...]:
        """Names sent more than once."""
        return tuple(name for name, values in self._datalist.items() if len(values) > 1)


class ProtocolRequest(OAuth2Request):  # type: ignore[misc]
    """A request as Authlib reads it."""

    def __init__(self, method: str, headers: Mapping[str, str], parameters: Parameters) -> None:
        # Where TLS ends is the deployment's business (BASE_URL says so), so Authlib's own look at the scheme is satisfied.
        super().__init__(method, "https://localhost/", headers=headers)
        self.payload = parameters

    @property
    def args(self) -> dict[str, str]:
        """The parameters."""
        data: dict[str, str] = self.payload.data
        return data

    form = args


@dataclass(slots=True)
class ProtocolResponse:
    """An answer in Authlib's terms: status, body (a dict for JSON) and headers."""

    status: int
    body: dict[str, Any] | str
    headers: list[tuple[str, str]]

    @property
    def location(self) -> str | None:
        """Where a redirect leads."""
        return next((value for name, value in self.headers if name.lower() == "location"), None)

    @location.setter
    def location(self, value: str) -> None:
        self.headers = [*((n, v) for n, v in self.headers if n.lower() != "location"), ("location", value)]


def describable(text: str) -> str:
    """Text as an ``error_description`` may hold it (RFC 6749 section 5.2): printable ASCII but for quotes and backslashes."""
    bad = set(invalid_error_characters(text))
    return "".join(
        "'" if char == '"' else " " if char in string.whitespace else "?" if char in bad else char for char in text
    )


class SmartAuthorizationServer(AuthorizationServer):  # type: ignore[misc]
    """The protocol side of one request: grants, endpoints, client authentication, and refusals in the ledger."""

    def __init__(
        self,
        transaction: RecordingTransaction,
        settings: Settings,
        keys: SigningKeys,
        endpoint: str,
        assertion: Assertion | None = None,
        permits: Permits | None = None,
    ) -> None:
        super().__init__()
        self.permits = permits
        self.guesses: ClientGuesses | None = None
        self.assertion = assertion
        self.endpoint = endpoint
        self.transaction = transaction
        self.settings = settings
        self.keys = keys
        self._client_auth = ClientAuthentication(self.query_client)
        self.register_client_auth_method(REFRESHING_PUBLIC_CLIENT, self._client_of_refresh_token)
        self.register_client_auth_method(OWN_ACCESS_TOKEN, self._client_of_bearer_token)
        self.register_client_auth_method(PRIVATE_KEY_JWT, self._client_of_assertion)
        self.register_grant(AuthorizationCodeGrant, [RequiredCodeChallenge(), LaunchContext()])
        self.register_grant(RefreshTokenGrant)
        self.register_grant(ClientCredentialsGrant)
        self.register_endpoint(RevocationEndpoint)
        self.register_endpoint(IntrospectionEndpoint)
        self.register_extension(_Issuer)

    def query_client(self, client_id: str) -> RegisteredClient | None:
        """The client of this id."""
        return find_client(self.transaction, client_id)

    def authenticate_client(
        self, request: ProtocolRequest, methods: list[str], endpoint: str = "token"
    ) -> RegisteredClient:
        """The client that sent the request: 401 invalid_client when it is not known or not proven, 400 when suspended."""
        if self.assertion is not None:
            if _has_basic(request) or request.form.get("client_secret"):
                raise InvalidRequestError("The client authenticates in two ways at once.")
            methods = [PRIVATE_KEY_JWT]
        elif _has_basic(request):
            methods = ["client_secret_basic"]  # who sends a header is never taken for the public client of the form
        try:
            client: RegisteredClient = super().authenticate_client(request, methods, endpoint)
        except ClientNotProvenError:
            raise
        except (InvalidClientError, UnicodeDecodeError) as error:
            raise ClientNotProvenError from error
        if request.form.get("client_id", client.client_id) != client.client_id and _has_basic(request):
            raise InvalidRequestError("The Authorization header and 'client_id' name different clients.")
        request.client = client
        if not client.is_active:
            raise SuspendedAppError(client)
        wait = 0 if self.permits is None else self.permits.take_within(self.transaction, client.client_id)
        if wait:
            raise ThrottledError(wait)
        return client

    def generate_token(
        self,
        grant_type: str,
        client: RegisteredClient,
        user: GrantRecord,
        scope: str,
        expires_in: int | None = None,
        include_refresh_token: bool = True,
    ) -> dict[str, Any]:
        """The token response for a grant."""
        return token_response(self.settings, user, scope, include_refresh_token)

    def save_token(self, token: dict[str, Any], request: ProtocolRequest) -> None:
        """Store the tokens of a response; ``request.user`` is the grant."""
        save_tokens(self.transaction, token, request.user)

    def create_oauth2_request(self, request: ProtocolRequest) -> ProtocolRequest:
        """Requests arrive here as Authlib wants them."""
        return request

    def handle_response(
        self, status: int, body: dict[str, Any] | str, headers: list[tuple[str, str]]
    ) -> ProtocolResponse:
        """Answers leave as values."""
        return ProtocolResponse(status, body, list(headers))

    def handle_error_response(self, request: ProtocolRequest, error: OAuth2Error) -> ProtocolResponse:
        """The refusal, told to the app and, when the client is known, to the ledger (a member's no: ``consent.deny``)."""
        if self.guesses is not None:
            self.guesses.count(error, request.client)
        if request.client is not None and not isinstance(error, AccessDeniedError):
            self.record_refusal(request.client, error)
        response: ProtocolResponse = super().handle_error_response(request, error)
        return response

    def record_refusal(self, client: RegisteredClient, error: OAuth2Error) -> None:
        """One ledger row for a refusal to an identified client."""
        self.transaction.record(
            LedgerEvent(
                kind="refusal",
                request_id=new_request_id(),
                environment=environment_of(self.settings, client.environment, None),
                client_id=client.client_id,
                client_kind=client.kind,
                interaction=self.endpoint,
                detail=f"{error.error}: {error.get_error_description() or ''}",
            )
        )

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Nobody listens: what is to be noticed is in the ledger."""

    def _client_of_assertion(self, _query: object, _request: ProtocolRequest) -> RegisteredClient | None:
        """The client whose assertion was checked before this transaction; here it is used, once for all workers."""
        client = None if self.assertion is None else self.query_client(self.assertion.client_id)
        if self.assertion is None or client is None or client.authentication != PRIVATE_KEY_JWT:
            return None
        if not self.assertion.use(self.transaction):
            raise ClientNotProvenError("The assertion was used before: every request needs one of its own (jti).")
        return client

    def _client_of_refresh_token(self, _query: object, request: ProtocolRequest) -> RegisteredClient | None:
        """SMART lets a public client refresh and revoke without ``client_id``: the token names it."""
        token = request.form.get("refresh_token") or request.form.get("token")
        if not token or request.form.get("client_id") or request.headers.get("Authorization"):
            return None
        stored = find_token(self.transaction, self.settings, token)
        client = None if stored is None else self.query_client(stored.grant.client_id)
        return client if client is not None and client.authentication == PUBLIC else None

    def _client_of_bearer_token(self, _query: object, request: ProtocolRequest) -> RegisteredClient | None:
        """The client to which the bearer token of the Authorization header was issued, while that token is in force."""
        scheme, _, token = (request.headers.get("Authorization") or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return None
        stored = find_token(self.transaction, self.settings, token.strip(), (ACCESS,))
        if stored is None or not gives_access(self.settings, stored):
            return None
        return self.query_client(stored.grant.client_id)


def _has_basic(request: ProtocolRequest) -> bool:
    scheme: str = (request.headers.get("Authorization") or "").partition(" ")[0]
    return scheme.lower() == "basic"


class _Issuer(IssuerParameter):  # type: ignore[misc]
    """RFC 9207: every authorization response names its issuer."""

    def __init__(self, server: SmartAuthorizationServer) -> None:
        self._issuer = issuer(server.settings)
        self(server)

    def get_issuer(self) -> str:
        """The issuer."""
        return self._issuer
