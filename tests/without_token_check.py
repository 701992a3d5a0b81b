"""The server without its token check, to measure what the check costs:
``python -m loadtests.hot_path --beside tests.without_token_check:create_app --goal 0.9``.

https://www.rfc-editor.org/rfc/rfc6750#section-2.1 - it remembers for ever what each token gave, so that no revocation holds. The product has
no such switch, and nothing outside of the tests may make one.
"""

from server import app
from server.authorization.access import Access
from server.fhir.routing import Request


def create_app() -> app.Application:
    """The application of the environment's settings; a token is looked up when it comes first, and believed from then on."""
    application = app.create_app()
    checked = application.fhir._authenticate
    remembered: dict[bytes, Access] = {}

    async def believed(request: Request) -> Access:
        header = request.header(b"authorization")
        access = remembered.get(header)
        if access is None:
            access = remembered[header] = await checked(request)
        return access

    application.fhir._authenticate = believed  # type: ignore[method-assign]
    return application
