"""What the steps of a member's way share: their paths, the app's request that waits meanwhile, and the ways on.

https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html - sign in, consent, back to the app; or the account pages.
"""

from typing import Annotated

from fastapi import Depends, Request
from starlette.responses import Response

from server.authorization import authorization_request, protocol
from server.authorization.authorization_request import PendingRequest
from server.authorization.authorization_server import Parameters
from server.authorization.discovery import ACCOUNT
from server.authorization.languages import Message
from server.authorization.web_page import WebPages
from server.storage.database import Transaction

SIGN_IN, CONSENT, SIGN_OUT = "/sign-in", "/consent", "/sign-out"
NO_FAILURE = Message("")

Form = Annotated[Parameters, Depends(protocol.form_parameters)]
Query = Annotated[Parameters, Depends(protocol.query_parameters)]


class Steps:
    """Between the pages of a member's way."""

    def __init__(self, pages: WebPages) -> None:
        self._pages = pages

    def pending(self, transaction: Transaction, parameters: Parameters) -> PendingRequest | None:
        """The app's request that a page or form belongs to, or None."""
        reference = parameters.data.get("request", "")
        return authorization_request.find(transaction, reference) if reference else None

    def onwards(self, path: str, pending: PendingRequest | None) -> Response:
        """On to another page, with the app's request."""
        query = "" if pending is None else f"?request={pending.reference}"
        return self._pages.redirect(self._pages.path(path) + query)

    def after_sign_in(self, pending: PendingRequest | None) -> Response:
        """On to what a person signed in for: the app's question, or their account."""
        return self.onwards(ACCOUNT if pending is None else CONSENT, pending)

    def request_over(self, request: Request) -> Response:
        """The answer for an app's request that is there no more."""
        text = Message(
            "It was answered already, or it waited too long. Go back to the app and connect again; nothing is lost."
        )
        return self._pages.problem(request, 400, Message("This request is over"), text)
