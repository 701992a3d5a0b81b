"""Checks of what a server says of itself: SMART configuration, OAuth and OpenID metadata, and keys; of each other and of what it does.

https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html, RFC 8414 and OpenID Connect Discovery 1.0
"""

from base64 import urlsafe_b64decode
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from server.doctor.findings import Finding, MissingError, failed, listed, passed, skipped, warned
from server.doctor.site import NOBODY, SMART, Site, dictionaries, is_smart_configuration
from server.doctor.web import Answer

REQUIRED_MEMBERS = (
    *("authorization_endpoint", "token_endpoint", "grant_types_supported", "capabilities"),
    "code_challenge_methods_supported",
)
STANDALONE = ("launch-standalone", "context-standalone-patient", "permission-patient")
"""Capabilities without which a member's own app cannot start (SMART's set "Patient Access for Standalone Apps")."""
USEFUL = ("permission-offline", "sso-openid-connect", "permission-v2")
CLIENTS = ("client-public", "client-confidential-symmetric", "client-confidential-asymmetric")
AGREEING = (
    *("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri", "revocation_endpoint"),
    *("introspection_endpoint", "registration_endpoint", "code_challenge_methods_supported"),
)
"""Members that several documents name: they must name the same."""
PRIVATE_MEMBERS = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
SMALLEST_RSA = 2048
CURVES = ("P-256", "P-384", "P-521", "Ed25519", "Ed448")


def smart_configuration(site: Site) -> Finding:
    """The SMART configuration is there without a token, and has what an app needs."""
    answer = site.get(SMART, accept="application/json")
    found = answer.json
    mend = f"serve it at {site.base}{SMART} without a token"
    if answer.status != 200 or found is None or not is_smart_configuration(found):
        return failed(f"{SMART} gave {answer.told}", mend)
    missing = [name for name in REQUIRED_MEMBERS if not found.get(name)]
    if "sso-openid-connect" in words(found, "capabilities"):
        missing += [name for name in ("issuer", "jwks_uri") if not found.get(name)]
    if missing:
        return failed(f"missing: {listed(missing)}", "SMART App Launch 2.2 requires these members")
    return passed(f"{len(found)} members")


def capabilities(site: Site) -> Finding:
    """It announces what a member's own app needs."""
    told = words(site.smart, "capabilities")
    missing = [name for name in STANDALONE if name not in told]
    if not set(CLIENTS) & set(told):
        missing.append("client-public")
    if missing:
        return failed(f"not announced: {listed(missing)}", "a member's own app needs them; announce what is so")
    wanting = [name for name in USEFUL if name not in told]
    if wanting:
        return warned(
            f"not announced: {listed(wanting)}", "apps sync in the background, and know who signed in, by them"
        )
    return passed(f"{len(told)} capabilities")


def authorization_server_metadata(site: Site) -> Finding:
    """RFC 8414 metadata, where it is, says the same as the SMART configuration."""
    issuer = site.smart.get("issuer") or site.base
    parts = urlsplit(str(issuer))
    root = f"{parts.scheme}://{parts.netloc}/.well-known/oauth-authorization-server"
    for url in dict.fromkeys((f"{root}{parts.path.rstrip('/')}", f"{issuer}/.well-known/oauth-authorization-server")):
        answer = site.get(url, accept="application/json")
        if answer.status == 200 and answer.json is not None:
            return _agreement(site, answer.json, str(site.smart.get("issuer") or ""))
    return skipped("there is none, and SMART does not ask for it")


def openid_configuration(site: Site) -> Finding:
    """The issuer's OpenID configuration is where apps look for it, and says the same."""
    document, issuer = _openid(site)
    if document.json is None or document.status != 200:
        return failed(
            f"/.well-known/openid-configuration of the issuer gave {document.told}",
            "sso-openid-connect is announced: serve it below the issuer",
        )
    missing = [name for name in ("subject_types_supported", "response_types_supported") if name not in document.json]
    if missing:
        return failed(f"missing: {listed(missing)}", "OpenID Connect Discovery 1.0 requires these members")
    return _agreement(site, document.json, issuer)


def _openid(site: Site) -> tuple[Answer, str]:
    """The answer for the OpenID configuration, and the issuer. Raises MissingError."""
    issuer = str(site.smart.get("issuer") or "")
    if "sso-openid-connect" not in words(site.smart, "capabilities") or not issuer:
        raise MissingError("sso-openid-connect is not announced")
    return site.get(f"{issuer.rstrip('/')}/.well-known/openid-configuration", accept="application/json"), issuer


def _agreement(site: Site, document: Mapping[str, Any], issuer: str) -> Finding:
    if issuer and document.get("issuer") != issuer:
        return failed(
            f"its issuer is {str(document.get('issuer'))[:100]}, not {issuer[:100]}",
            "the issuer is compared as a string, trailing slash included: name one",
        )
    smart = site.smart
    different = [name for name in AGREEING if name in smart and name in document and smart[name] != document[name]]
    if different:
        return failed(f"another than smart-configuration: {listed(different)}", "make all documents from one source")
    return passed(f"agrees in {sum(name in smart and name in document for name in AGREEING)} members")


def endpoints(site: Site) -> Finding:
    """Behind every announced endpoint there is one."""
    asked: dict[str, Answer] = {}
    for name in ("revocation_endpoint", "introspection_endpoint"):
        if isinstance(site.smart.get(name), str):
            asked[name] = site.post(site.endpoint(name), {"token": NOBODY})
    for name in ("management_endpoint", "userinfo_endpoint"):
        if isinstance(site.smart.get(name), str):
            asked[name] = site.get(site.endpoint(name))
    asked["token_endpoint"] = site.post(site.endpoint("token_endpoint"), {})
    asked["authorization_endpoint"] = site.get(site.endpoint("authorization_endpoint"))
    absent = [f"{name} ({answer.status})" for name, answer in asked.items() if answer.status in (404, 405, 410, 501)]
    absent += [f"{name} ({answer.status})" for name, answer in asked.items() if answer.status in (500, 502)]
    if absent:
        return failed(f"nothing there, or broken: {listed(absent)}", "announce only what is served")
    return passed(f"{len(asked)} endpoints answer")


def pkce_announced(site: Site) -> Finding:
    """PKCE with S256 is announced, and plain is not."""
    methods = words(site.smart, "code_challenge_methods_supported")
    if "S256" not in methods:
        return failed("S256 is not announced", "code_challenge_methods_supported must have S256")
    if "plain" in methods:
        return failed("plain is announced", "code_challenge_methods_supported must not have plain")
    return passed("S256, and not plain")


def key_set(site: Site) -> Finding:
    """The public keys can be fetched, are strong, named, and public only."""
    if "jwks_uri" not in site.smart:
        return skipped("no jwks_uri is announced")
    answer = site.get(site.endpoint("jwks_uri"), accept="application/json")
    keys = dictionaries((answer.json or {}).get("keys"))
    if answer.status != 200 or not keys:
        return failed(f"no keys: {answer.told}", "serve the public keys as a JWK Set")
    private = [str(key.get("kid")) for key in keys if any(name in key for name in PRIVATE_MEMBERS)]
    if private:
        return failed(
            f"private keys are published: {listed(private)}", "replace these keys NOW, and publish public parts only"
        )
    kids = [str(key.get("kid") or "") for key in keys]
    if len(keys) > 1 and (len(set(kids)) < len(kids) or "" in kids):
        return failed("keys without a kid, or with the same", "name each key by a kid of its own")
    weak = [kid for kid, key in zip(kids, keys, strict=True) if not _is_strong(key)]
    if weak:
        return failed(f"weak or unknown keys: {listed(weak)}", f"use RSA of {SMALLEST_RSA} bits, or P-256")
    return passed(f"{len(keys)} public keys")


def _is_strong(key: Mapping[str, Any]) -> bool:
    if key.get("kty") == "RSA":
        try:
            modulus = urlsafe_b64decode(str(key.get("n", "")) + "==")
        except ValueError:
            return False
        return int.from_bytes(modulus, "big").bit_length() >= SMALLEST_RSA
    return key.get("kty") in ("EC", "OKP") and key.get("crv") in CURVES


def id_token_algorithms(site: Site) -> Finding:
    """id_tokens are signed with a public key, RS256 among the choices."""
    document = _openid(site)[0].json
    if document is None:
        raise MissingError("see openid-configuration")
    told = words(document, "id_token_signing_alg_values_supported")
    if "none" in told:
        return failed("none is announced", "an id_token that nobody signed proves nothing")
    if "RS256" not in told:
        return failed(f"RS256 is not announced ({listed(told) or 'nothing'})", "SMART and OpenID Connect require RS256")
    return passed(listed(told))


def words(document: Mapping[str, Any], name: str) -> list[str]:
    """A member that is an array of strings; empty for anything else."""
    value = document.get(name)
    return [word for word in value if isinstance(word, str)] if isinstance(value, list) else []
