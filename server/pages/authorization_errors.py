"""The error codes of the authorization endpoints in plain words: the OAuth registry's own codes, as this server uses them.

https://www.rfc-editor.org/rfc/rfc6749#section-5.2, #section-4.1.2.1, RFC 7009 section 2.2.1 and OpenID Connect Core section 3.1.2.6
"""

from dataclasses import dataclass

from server.authorization.grant_errors import GRANT_ERRORS


@dataclass(frozen=True, slots=True)
class AuthorizationError:
    """One ``error`` of RFC 6749 JSON or of a redirect; ``where`` names the endpoints that answer with it."""

    code: str
    where: str
    meaning: str


AUTHORIZATION_ERRORS = (
    AuthorizationError(
        "invalid_request",
        "all",
        "A parameter is missing, sent twice, or not what it should be: a wrong aud, no PKCE challenge, a redirect URI that is"
        " not registered. error_description says which.",
    ),
    AuthorizationError(
        "unauthorized_client", "authorize, token", "The app is suspended, or may not use this way of getting a token."
    ),
    AuthorizationError("unsupported_response_type", "authorize", "Only response_type=code is offered."),
    AuthorizationError(
        "invalid_scope",
        "authorize, token",
        "None of the requested scopes can be granted. Others are left out silently.",
    ),
    AuthorizationError(
        "access_denied",
        "authorize",
        "The member chose not to share: do not ask again by yourself, offer a button. Or nobody's information can be shared: then"
        " error_description begins with member_disenrolled, line_of_business_not_served or no_member.",
    ),
    AuthorizationError(
        "login_required", "authorize", "prompt=none cannot succeed: nobody is signed in, or longer ago than max_age."
    ),
    AuthorizationError(
        "consent_required", "authorize", "prompt=none cannot succeed, because the member is always asked."
    ),
    AuthorizationError(
        "invalid_request_uri",
        "authorize",
        "The pushed request was used before, waited too long, or is another app's. Push it again.",
    ),
    AuthorizationError(
        "request_not_supported", "authorize, par", "Send the parameters as they are, not in a request object."
    ),
    AuthorizationError(
        "invalid_client",
        "token, revoke, introspect, par",
        "The client id is not known, its secret or signed assertion is missing or wrong, or the assertion was used before.",
    ),
    AuthorizationError(
        "invalid_grant",
        "token, revoke",
        "The code or refresh token is not known, expired, was used before, belongs to another app, or its verifier is"
        " wrong; or the member stopped sharing. error_code says which; most often, start again with the member.",
    ),
    AuthorizationError(
        "unsupported_grant_type",
        "token",
        "Only authorization_code and refresh_token are offered, and client_credentials to the payer's own jobs.",
    ),
    AuthorizationError("invalid_token", "userinfo", "The access token is not known, expired, or was revoked."),
    AuthorizationError("insufficient_scope", "userinfo", "The access token was not granted openid."),
    AuthorizationError("temporarily_unavailable", "all", "The database does not answer. Wait as Retry-After says."),
    AuthorizationError("server_error", "all", "The server made a mistake. Try once more, then tell the payer."),
)

GRANT_ERROR_CODES = tuple(GRANT_ERRORS.items())
"""``error_code`` beside ``invalid_grant``, and what it means; stable, so that an app can tell the member what to do."""
