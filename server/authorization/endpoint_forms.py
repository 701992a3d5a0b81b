"""What the authorization endpoints take, for the OpenAPI document: the fields of their forms, and /authorize.

https://www.rfc-editor.org/rfc/rfc6749#section-4.1, RFC 7636, RFC 7009, RFC 7662 and https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html
"""

from typing import Any

from server.authorization.protocol import FORM

Json = dict[str, Any]
CLIENT_SCHEME = "client"
"""The security scheme of a confidential client in the OpenAPI document."""
Fields = dict[str, tuple[str, bool]]
"""Field name to what it is, and whether it must be sent."""

_CLIENT: Fields = {
    "client_id": ("The app; public apps send it here, confidential ones may authenticate with HTTP Basic.", False),
    "client_secret": ("Of a confidential app that does not use HTTP Basic.", False),
    "client_assertion_type": ("urn:ietf:params:oauth:client-assertion-type:jwt-bearer, with client_assertion.", False),
    "client_assertion": (
        "Of a confidential app with a key: a JWT signed with RS384 or ES384, new for every request.",
        False,
    ),
}
ABOUT_TOKEN: Fields = {
    "token": ("An access token or a refresh token.", True),
    "token_type_hint": ("access_token or refresh_token.", False),
    **_CLIENT,
}
TOKEN: Fields = {
    "grant_type": ("authorization_code or refresh_token; client_credentials for the payer's own jobs.", True),
    "code": ("For authorization_code: what the redirect brought.", False),
    "redirect_uri": ("For authorization_code: as in the authorization request.", False),
    "code_verifier": ("For authorization_code: the secret behind the code challenge.", False),
    "refresh_token": ("For refresh_token.", False),
    "scope": (
        "For refresh_token: fewer scopes than were granted. For client_credentials: some of those registered.",
        False,
    ),
    **_CLIENT,
}
_AUTHORIZE: Fields = {
    "response_type": ("code.", True),
    "client_id": ("The app.", True),
    "redirect_uri": ("One of the registered ones, letter for letter.", True),
    "scope": ("What the app asks for.", True),
    "state": ("Comes back unchanged; at least 122 unguessable bits.", True),
    "aud": ("The FHIR base.", True),
    "code_challenge": ("SHA-256 of the code verifier, base64url without padding.", True),
    "code_challenge_method": ("S256.", True),
    "nonce": ("Comes back in the id_token.", False),
    "prompt": (
        "login or select_account: the member signs in again. none: fails, as the member is always asked.",
        False,
    ),
    "max_age": ("Seconds: a member who signed in longer ago signs in again.", False),
    "login_hint": ("What the member signs in with, if the app knows: it is filled in.", False),
    "ui_locales": ("Languages of the pages, the best first, e.g. es-MX es en.", False),
}
PUSHED: Fields = {**_AUTHORIZE, **_CLIENT}
_PULLED: Fields = {"request_uri": ("Of a pushed request: then client_id is the only other parameter.", False)}

AUTHORIZE_OPERATION: Json = {
    "tags": ["authorization"],
    "operationId": "authorize",
    "summary": "Send the member here, in a browser, to sign in and decide",
    "parameters": [
        {"name": name, "in": "query", "required": required, "description": text, "schema": {"type": "string"}}
        for name, (text, required) in {**_AUTHORIZE, **_PULLED}.items()
    ],
    "responses": {
        "303": {"description": "To the sign-in page, and in the end to redirect_uri with code, state and iss, or with error"},
        "400": {"description": "A page: the app or its redirect URI is not known"},
        "429": {"description": "A page: too many wrong guesses from this address"},
        "503": {"description": "A page: the database does not answer"},
    },
}  # fmt: skip
"""/authorize answers with pages, so FastAPI does not describe it."""
REFUSAL: Json = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
    "additionalProperties": True,
    "description": "Why there is no token: https://www.rfc-editor.org/rfc/rfc6749#section-5.2",
}
"""The schema of what the endpoints answer when they refuse."""
REFUSED = {
    400: "The request, or what it brings, is not good",
    401: "The client, or the token, is not known",
    413: "The body is too large",
    429: "Too many requests or wrong guesses; Retry-After says how long to wait",
    503: "The database does not answer; try again",
}
"""Statuses with that schema, beside the one of success."""
BEARER: Json = {"security": [{"smart": ["openid"]}]}
"""An operation that takes an access token."""


def form_body(fields: Fields) -> Json:
    """A form as the request body of an operation, and the ways in which a client may say who it is."""
    properties = {name: {"type": "string", "description": text} for name, (text, _) in fields.items()}
    schema = {
        "type": "object",
        "required": [name for name, (_, required) in fields.items() if required],
        "properties": properties,
    }
    body = {"required": True, "content": {FORM: {"schema": schema}}}
    return {"requestBody": body, "security": [{}, {CLIENT_SCHEME: []}]}
