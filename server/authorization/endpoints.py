"""Revocation and introspection of tokens.

https://www.rfc-editor.org/rfc/rfc7009 and https://www.rfc-editor.org/rfc/rfc7662
"""

from typing import Any

from authlib.oauth2.rfc6749 import InvalidGrantError, InvalidRequestError
from authlib.oauth2.rfc7009 import RevocationEndpoint as AuthlibRevocationEndpoint
from authlib.oauth2.rfc7662 import IntrospectionEndpoint as AuthlibIntrospectionEndpoint

from server import clock
from server.authorization.clients import OWN_ACCESS_TOKEN, REFRESHING_PUBLIC_CLIENT, RegisteredClient
from server.authorization.discovery import CLIENT_AUTHENTICATIONS, issuer
from server.authorization.grant_errors import REVOKED_BY_APP, TOKEN_OF_ANOTHER, GrantRefusedError
from server.authorization.tokens import (
    ACCESS,
    FOREVER,
    SECOND,
    SYSTEM,
    StoredToken,
    end_grant,
    fhir_user_url,
    find_token,
    gives_access,
)
from server.storage.authorization_store import REVOKE_ACCESS_TOKEN


class _AnyTypeHint:
    """``token_type_hint`` is only a hint: whatever it says, the token is looked for everywhere."""

    server: Any

    def check_params(self, request: Any, _client: RegisteredClient) -> None:
        """A token must be named."""
        if not request.form.get("token"):
            raise InvalidRequestError("Missing 'token' in request.")

    def query_token(self, token: str, _hint: str | None) -> StoredToken | None:
        """The stored token of either type."""
        return find_token(self.server.transaction, self.server.settings, token)


class RevocationEndpoint(_AnyTypeHint, AuthlibRevocationEndpoint):  # type: ignore[misc]
    """RFC 7009: an access token dies alone; a refresh token takes its grant, and so every token of it, along."""

    CLIENT_AUTH_METHODS = [*CLIENT_AUTHENTICATIONS, REFRESHING_PUBLIC_CLIENT]

    def authenticate_token(self, request: Any, client: RegisteredClient) -> StoredToken | None:
        """The token to revoke; None when it is not known, which is as good as revoked (section 2.2)."""
        try:
            token: StoredToken | None = super().authenticate_token(request, client)
        except InvalidGrantError as error:
            raise GrantRefusedError(TOKEN_OF_ANOTHER) from error
        return token

    def revoke_token(self, token: StoredToken, _request: Any) -> None:
        """Revoke; saying so twice changes nothing."""
        transaction = self.server.transaction
        if token.type != ACCESS:
            end_grant(transaction, token.grant, "revoke", "revoked by the app", REVOKED_BY_APP)
            return
        values = {"key_hash": token.hash, "moment": clock.now_microseconds()}
        if transaction.execute(REVOKE_ACCESS_TOKEN, values) == 1:
            transaction.record(token.grant.event("revocation", "revoke", "access token revoked by the app"))


class IntrospectionEndpoint(_AnyTypeHint, AuthlibIntrospectionEndpoint):  # type: ignore[misc]
    """RFC 7662, with the launch context and identity that SMART adds. A client may ask about its own tokens, the payer's own
    clients about any."""

    CLIENT_AUTH_METHODS = [*CLIENT_AUTHENTICATIONS, OWN_ACCESS_TOKEN]

    def check_permission(self, token: StoredToken, client: RegisteredClient, _request: Any) -> bool:
        """Whether the client may know about this token."""
        return token.check_client(client) or client.kind == "payer"

    def introspect_token(self, token: StoredToken) -> dict[str, Any]:
        """What is said of a token in force; of one whose member is not enrolled at the moment nothing."""
        settings = self.server.settings
        if not gives_access(settings, token):
            return {"active": False}
        payload: dict[str, Any] = {
            "active": True,
            "scope": token.scope,
            "client_id": token.grant.client_id,
            "token_type": "Bearer" if token.type == ACCESS else token.type,
            "iat": token.issued_at // SECOND,
            "iss": issuer(settings),
            "sub": token.grant.account or token.grant.client_id,
            "aud": settings.fhir_base,
        }
        if token.expires_at < FOREVER:
            payload["exp"] = token.expires_at // SECOND
        if token.grant.actor != SYSTEM:
            payload |= {"patient": token.grant.patient, "access_grant_expiration": token.grant.expiration}
        fhir_user = fhir_user_url(settings, token.grant, token.scope)
        if fhir_user is not None:
            payload["fhirUser"] = fhir_user
        return payload
