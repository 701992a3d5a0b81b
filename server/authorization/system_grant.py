"""Client credentials: the payer's own jobs get a token of their own, about no member and without a person's consent.

https://www.rfc-editor.org/rfc/rfc6749#section-4.4 and https://hl7.org/fhir/smart-app-launch/STU2.2/backend-services.html
"""

import uuid
from typing import Any

from authlib.oauth2.rfc6749 import InvalidScopeError, grants
from authlib.oauth2.rfc6749.errors import UnauthorizedClientError

from server import clock
from server.authorization.access import environment_of
from server.authorization.clients import OPERATOR, PUBLIC, RegisteredClient
from server.authorization.discovery import CLIENT_AUTHENTICATIONS
from server.authorization.grants import new_grant
from server.authorization.scopes import SYSTEM_CONTEXTS, narrow
from server.authorization.tokens import ONCE, SECOND, SYSTEM, GrantRecord

LIFETIME = 300
"""Seconds that such a token lasts: what SMART recommends, as there is nothing to refresh."""


def is_system_client(client: RegisteredClient) -> bool:
    """Whether a client is a job of the payer's own: registered so by the operator, able to prove itself, for ``system/`` scopes only."""
    words = client.scope.split()
    return (
        client.kind == "payer"
        and client.registered_by == OPERATOR
        and client.authentication != PUBLIC
        and bool(words)
        and all(word.startswith("system/") for word in words)
    )


class ClientCredentialsGrant(grants.ClientCredentialsGrant):  # type: ignore[misc]
    """The grant of a job: its own access token, no refresh token; in the ledger, and never counted as Patient Access."""

    TOKEN_ENDPOINT_AUTH_METHODS = [*CLIENT_AUTHENTICATIONS]

    def validate_token_request(self) -> None:
        """Who asks, and for what of its registered scopes."""
        client: RegisteredClient = self.authenticate_token_endpoint_client()
        self.request.client = client
        if not is_system_client(client):
            raise UnauthorizedClientError(
                "Only the payer's own jobs, registered for system scopes, get tokens without a member."
            )
        self.request.scope = narrow(self.request.payload.scope or client.scope, client.scope, SYSTEM_CONTEXTS).scope
        if not self.request.scope:
            raise InvalidScopeError("None of the requested scopes is registered for the client.")

    def generate_token(self, **_options: Any) -> dict[str, Any]:
        """Write the grant, and answer its token."""
        server, client = self.server, self.request.client
        now = clock.now_microseconds()
        grant = GrantRecord(
            id=uuid.uuid4().hex,
            client_id=client.client_id,
            client_kind=client.kind,
            environment=environment_of(server.settings, client.environment, None),
            account="",
            patient="",
            actor=SYSTEM,
            fhir_user="",
            scope=self.request.scope,
            expires_at=now + min(LIFETIME, server.settings.access_token_seconds) * SECOND,
            ended_at=None,
        )
        new_grant(server.transaction, grant, duration=ONCE)
        self.request.user = grant
        token: dict[str, Any] = server.generate_token(
            self.GRANT_TYPE, client, grant, grant.scope, include_refresh_token=False
        )
        return token
