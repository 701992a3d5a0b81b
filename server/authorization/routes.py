"""The authorization server's endpoints on one router: /token /revoke /introspect /par /userinfo /jwks, the .well-known documents, the pages.

https://www.rfc-editor.org/rfc/rfc6749#section-3 and https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html
"""

from collections.abc import Callable
from typing import Annotated, Any

from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Error
from fastapi import APIRouter, Depends, Request
from starlette.background import BackgroundTask
from starlette.responses import JSONResponse, Response

from server.authorization import discovery, protocol, pushed_request
from server.authorization.authorization_server import Parameters, ProtocolRequest, ProtocolResponse, describable
from server.authorization.authorization_server import SmartAuthorizationServer as Server
from server.authorization.brand_bundle import MEDIA_TYPE, BrandBundle, brand_bundle
from server.authorization.brand_bundle import PATH as BRANDS
from server.authorization.client_assertion import ClientAssertions
from server.authorization.client_guesses import ClientGuesses
from server.authorization.clients import is_origin_of_client
from server.authorization.code_routes import create_code_router
from server.authorization.endpoint_forms import ABOUT_TOKEN, BEARER, PUSHED, TOKEN, form_body
from server.authorization.keys import SigningKeys
from server.authorization.member_routes import create_member_router
from server.authorization.pruning import Pruning
from server.authorization.sign_in_routes import create_sign_in_router
from server.authorization.userinfo import userinfo
from server.authorization.web_page import ICON, ICON_PATH, STYLE_PATH, STYLE_SHEET
from server.settings import Settings
from server.storage.database import Database
from server.storage.ledger import EventLedger
from server.storage.permits import Permits

PUBLIC_CACHE = {"Cache-Control": "public, max-age=300"}
Form = Annotated[Parameters, Depends(protocol.form_parameters)]


def create_router(database: Database, settings: Settings, ledger: EventLedger) -> APIRouter:
    """Everything of floor 3 that is reached over HTTP. Raises MissingSecretKeyError as ``keys.secret_key`` does."""
    keys = SigningKeys(settings)
    router = APIRouter()
    router.include_router(_protocol_router(database, settings, ledger, keys))
    router.include_router(_public_router(database, settings, keys))
    router.include_router(create_member_router(database, settings, ledger, keys))
    router.include_router(create_sign_in_router(database, settings, ledger))
    if settings.identity == "local":
        router.include_router(create_code_router(database, settings, ledger))
    _refuse_other_methods(router, discovery.AUTHORIZE, ("GET", "POST"))
    return router


def _protocol_router(database: Database, settings: Settings, ledger: EventLedger, keys: SigningKeys) -> APIRouter:
    def is_allowed_origin(origin: str) -> bool:
        return is_origin_of_client(database, origin)

    router = APIRouter(route_class=protocol.protocol_route(is_allowed_origin), tags=["authorization"])

    assertions = ClientAssertions(database, settings)
    pruning = Pruning(database)
    permits = Permits(settings.rate_limit_per_minute, "token:")

    def respond(
        request: Request, form: Parameters, endpoint: str, run: Callable[[Server, ProtocolRequest], Any]
    ) -> Response:
        """One request, one transaction: refusals commit too, since what they end must end. A signed assertion is checked before."""
        protocol_request = ProtocolRequest(request.method, request.headers, form)
        assertion = assertions.check(form.data, "/" + endpoint)
        try:
            with ledger.transaction() as transaction:
                server = Server(
                    transaction, settings, keys, endpoint, assertion, None if endpoint == "revoke" else permits
                )
                server.guesses = guesses = ClientGuesses(transaction, settings, request, form.data)
                answer: ProtocolResponse
                try:
                    if form.repeated:
                        raise InvalidRequestError(describable(f"Sent more than once: {', '.join(form.repeated)}."))
                    guesses.require()
                    answer = run(server, protocol_request)
                except OAuth2Error as error:
                    answer = server.handle_error_response(protocol_request, error)
        except BaseException:
            permits.forget()
            raise
        response = protocol.answer(answer)
        if pruning.is_due:
            response.background = BackgroundTask(pruning.run)
        return response

    @router.post(
        discovery.TOKEN,
        summary="Exchange a code, refresh, or ask as a job of the payer's own",
        openapi_extra=form_body(TOKEN),
    )
    def token(request: Request, form: Form) -> Response:
        if not form.grant_type:
            raise InvalidRequestError("Missing 'grant_type'.")
        return respond(request, form, "token", lambda server, sent: server.create_token_response(sent))

    @router.post(discovery.REVOKE, summary="Revoke a token (RFC 7009)", openapi_extra=form_body(ABOUT_TOKEN))
    def revoke(request: Request, form: Form) -> Response:
        return respond(
            request, form, "revoke", lambda server, sent: server.create_endpoint_response("revocation", sent)
        )

    @router.post(
        discovery.INTROSPECT, summary="Ask what a token stands for (RFC 7662)", openapi_extra=form_body(ABOUT_TOKEN)
    )
    def introspect(request: Request, form: Form) -> Response:
        return respond(
            request, form, "introspect", lambda server, sent: server.create_endpoint_response("introspection", sent)
        )

    @router.post(
        discovery.PUSH,
        summary="Push an authorization request (RFC 9126)",
        status_code=201,
        openapi_extra=form_body(PUSHED),
    )
    def push(request: Request, form: Form) -> Response:
        def run(server: Server, sent: ProtocolRequest) -> ProtocolResponse:
            client = server.authenticate_client(sent, [*discovery.CLIENT_AUTHENTICATIONS], "par")
            return ProtocolResponse(201, pushed_request.push(server.transaction, settings, client, form), [])

        return respond(request, form, "par", run)

    for path in (discovery.TOKEN, discovery.REVOKE, discovery.INTROSPECT, discovery.PUSH):
        _refuse_other_methods(router, path, ("POST",))

    def about_person(request: Request) -> Response:
        with database.reading() as transaction:
            claims = userinfo(transaction, settings, request.headers.get("Authorization", ""))
        return JSONResponse(claims, headers=protocol.NO_STORE)

    for method in ("GET", "POST"):
        router.add_api_route(
            discovery.USERINFO,
            about_person,
            methods=[method],
            name=f"userinfo {method}",
            summary="Who signed in (OpenID Connect)",
            include_in_schema=method == "GET",
            openapi_extra=BEARER,
        )
    _refuse_other_methods(router, discovery.USERINFO, ("GET", "POST"))
    return router


def _public_router(database: Database, settings: Settings, keys: SigningKeys) -> APIRouter:
    router = APIRouter(route_class=protocol.protocol_route(), tags=["discovery"])
    smart = discovery.smart_configuration(settings)
    documents: dict[str, dict[str, Any]] = {
        discovery.SMART_CONFIGURATION: smart,
        discovery.OPENID_CONFIGURATION: discovery.openid_configuration(settings),
        discovery.AUTHORIZATION_SERVER_METADATA: discovery.authorization_server_metadata(settings),
    }

    def document(content: dict[str, Any]) -> Callable[[], Response]:
        return lambda: JSONResponse(content, headers=PUBLIC_CACHE)

    for path, content in documents.items():
        _get(router, path, document(content))
    brands = brand_bundle(settings)
    for path, body in brands.bodies.items():
        _get(router, path, _brands(brands, body), in_schema=path == BRANDS, responses=_BRAND_RESPONSES)
    _get(router, discovery.JWKS, lambda: JSONResponse(keys.jwks(database), headers=PUBLIC_CACHE))
    _get(router, STYLE_PATH, _static(STYLE_SHEET, "text/css"), in_schema=False)
    _get(router, ICON_PATH, _static(ICON, "image/svg+xml"), in_schema=False)
    return router


def _brands(bundle: BrandBundle, body: bytes) -> Callable[[Request], Response]:
    headers = {**PUBLIC_CACHE, "ETag": bundle.etag, "Last-Modified": bundle.last_modified}
    headers["Access-Control-Expose-Headers"] = "ETag, Last-Modified"

    def handler(request: Request) -> Response:
        if bundle.has_not_changed(request.headers.get("If-None-Match", "")):
            return Response(status_code=304, headers=headers)
        return Response(body, media_type=MEDIA_TYPE, headers=headers)

    return handler


_BRAND_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"content": {MEDIA_TYPE: {"schema": {"type": "object", "required": ["resourceType"]}}}},
    304: {"description": "The contents of If-None-Match are still the current ones"},
}


def _static(content: bytes, media_type: str) -> Callable[[], Response]:
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
    return lambda: Response(content, media_type=media_type, headers=headers)


def _get(
    router: APIRouter,
    path: str,
    handler: Callable[..., Response],
    in_schema: bool = True,
    responses: dict[int | str, dict[str, Any]] | None = None,
) -> None:
    router.add_api_route(
        path,
        handler,
        methods=["GET"],
        name=path,
        include_in_schema=in_schema,
        responses=responses,
        response_class=Response if responses else JSONResponse,
    )
    router.add_api_route(path, handler, methods=["HEAD"], include_in_schema=False)
    _refuse_other_methods(router, path, ("GET", "HEAD"))


def _refuse_other_methods(router: APIRouter, path: str, allowed: tuple[str, ...]) -> None:
    others = [method for method in protocol.METHODS if method not in allowed]
    router.add_api_route(path, protocol.preflight(allowed), methods=["OPTIONS"], include_in_schema=False)
    router.add_api_route(path, protocol.method_not_allowed(allowed), methods=others, include_in_schema=False)
