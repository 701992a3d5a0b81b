"""What an app can find out by itself: the discovery documents, all computed from one table of endpoints.

https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html, OpenID Connect Discovery 1.0 and RFC 8414.
"""

from typing import Any

from server.authorization.brand_bundle import user_access_brand
from server.authorization.keys import ALGORITHM
from server.authorization.scopes import supported_scopes
from server.settings import Settings
from server.specification.standards import SMART_CAPABILITIES

AUTHORIZE, TOKEN, REVOKE, INTROSPECT, JWKS, ACCOUNT, PUSH, USERINFO = (
    "/authorize",
    "/token",
    "/revoke",
    "/introspect",
    "/jwks",
    "/account",
    "/par",
    "/userinfo",
)
CLIENT_AUTHENTICATIONS = ("none", "client_secret_basic", "client_secret_post", "private_key_jwt")
ASSERTION_ALGORITHMS = ("RS384", "ES384")
"""How a private_key_jwt client signs (SMART App Launch 2.2)."""
GRANT_TYPES = ("authorization_code", "refresh_token", "client_credentials")
REGISTER = "/register"
FHIR = "/fhir"
OPENID_CONFIGURATION = FHIR + "/.well-known/openid-configuration"
AUTHORIZATION_SERVER_METADATA = "/.well-known/oauth-authorization-server" + FHIR
SMART_CONFIGURATION = FHIR + "/.well-known/smart-configuration"


def issuer(settings: Settings) -> str:
    """The issuer is the FHIR base: ``iss`` of a launch, ``aud`` of a request and ``iss`` of an answer are one string, as apps expect
    that look for the discovery documents below the ``iss`` they find in their address."""
    return settings.fhir_base


def oauth_uris(settings: Settings) -> dict[str, str]:
    """The ``oauth-uris`` extension of the CapabilityStatement: name to absolute URL."""
    paths = {
        "authorize": AUTHORIZE,
        "token": TOKEN,
        "register": REGISTER,
        "revoke": REVOKE,
        "introspect": INTROSPECT,
        "manage": ACCOUNT,
    }
    return {name: settings.base_url + path for name, path in paths.items()}


def authorization_server_metadata(settings: Settings) -> dict[str, Any]:
    """RFC 8414 section 2: what the other documents are made of."""
    uris = oauth_uris(settings)
    return {
        "issuer": issuer(settings),
        "authorization_endpoint": uris["authorize"],
        "token_endpoint": uris["token"],
        **_client_authentication("token"),
        "revocation_endpoint": uris["revoke"],
        **_client_authentication("revocation"),
        "introspection_endpoint": uris["introspect"],
        **_client_authentication("introspection"),
        "pushed_authorization_request_endpoint": settings.base_url + PUSH,
        "require_pushed_authorization_requests": False,
        "registration_endpoint": settings.base_url + REGISTER,
        "jwks_uri": settings.base_url + JWKS,
        "scopes_supported": supported_scopes(),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": list(GRANT_TYPES),
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
    }


def _client_authentication(endpoint: str) -> dict[str, list[str]]:
    return {
        f"{endpoint}_endpoint_auth_methods_supported": list(CLIENT_AUTHENTICATIONS),
        f"{endpoint}_endpoint_auth_signing_alg_values_supported": list(ASSERTION_ALGORITHMS),
    }


def smart_configuration(settings: Settings) -> dict[str, Any]:
    """``.well-known/smart-configuration`` of the FHIR base."""
    return {
        **authorization_server_metadata(settings),
        "management_endpoint": oauth_uris(settings)["manage"],
        "capabilities": list(SMART_CAPABILITIES),
        **user_access_brand(settings),
    }


def openid_configuration(settings: Settings) -> dict[str, Any]:
    """``.well-known/openid-configuration`` of the issuer."""
    return {
        **authorization_server_metadata(settings),
        "userinfo_endpoint": settings.base_url + USERINFO,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
        "claims_supported": [
            *("iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "fhirUser", "name"),
        ],
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "claims_parameter_supported": False,
    }
