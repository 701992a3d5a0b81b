"""What an access token tells of the person who signed in.

https://openid.net/specs/openid-connect-core-1_0.html#UserInfo and https://www.rfc-editor.org/rfc/rfc6750#section-3
"""

from typing import Any

from authlib.oauth2.rfc6749 import OAuth2Error
from authlib.oauth2.rfc6750 import InsufficientScopeError, InvalidTokenError

from server.authorization.tokens import ACCESS, fhir_user_url, find_token, gives_access
from server.settings import Settings
from server.storage.account_store import ACCOUNT_BY_ID
from server.storage.database import Transaction


class NoTokenError(OAuth2Error):  # type: ignore[misc]
    """401 to a request without a bearer token, with the bare challenge of RFC 6750 section 3."""

    error = "invalid_request"
    description = "An access token is needed, in the Authorization header."
    status_code = 401

    def get_headers(self) -> list[tuple[str, str]]:
        """The challenge."""
        return [*super().get_headers(), ("WWW-Authenticate", "Bearer")]


def userinfo(transaction: Transaction, settings: Settings, authorization: str) -> dict[str, Any]:
    """The claims that the bearer token of an Authorization header gives. Raises OAuth2Error (401, 403)."""
    scheme, _, text = authorization.partition(" ")
    if scheme.lower() != "bearer" or not text.strip():
        raise NoTokenError
    token = find_token(transaction, settings, text.strip(), (ACCESS,))
    if token is None or not gives_access(settings, token):
        raise InvalidTokenError("The access token is not known, expired, or was revoked.")
    scopes = token.scope.split()
    if "openid" not in scopes:
        raise InsufficientScopeError("The access token was not granted 'openid'.")
    claims = {"sub": token.grant.account}
    fhir_user = fhir_user_url(settings, token.grant, token.scope)
    if fhir_user is not None:
        claims["fhirUser"] = fhir_user
    account = transaction.first(ACCOUNT_BY_ID, {"account": token.grant.account}) if "profile" in scopes else None
    if account is not None and token.grant.fhir_user:
        claims["name"] = account.display_name
    return claims
