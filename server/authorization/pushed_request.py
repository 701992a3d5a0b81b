"""Pushed authorization requests: checked when they are pushed, kept for a moment, used once by the client that pushed them.

https://www.rfc-editor.org/rfc/rfc9126
"""

import json
from typing import Any

from server import clock
from server.authorization.authorization_request import PUSHED_PREFIX, Asked, refusal_when_pushed
from server.authorization.authorization_server import Parameters
from server.authorization.clients import RegisteredClient
from server.authorization.tokens import SECOND, random_token, token_hash
from server.settings import Settings
from server.storage.credential_store import CONSUME_PUSHED, INSERT_PUSHED
from server.storage.database import Transaction

LIFETIME = 90
"""Seconds from the push to the authorization request."""
NOT_KEPT = frozenset(("client_secret", "client_assertion", "client_assertion_type"))


def push(transaction: Transaction, settings: Settings, client: RegisteredClient, sent: Parameters) -> dict[str, Any]:
    """Keep a request of an authenticated client; answer the body of the response. Raises OAuth2Error as /authorize would tell it."""
    kept = {name: value for name, value in sent.data.items() if name not in NOT_KEPT}
    kept["client_id"] = client.client_id
    refused = refusal_when_pushed(Asked(settings, Parameters(tuple(kept.items())), client))
    if refused is not None:
        refused.description = refused.get_error_description()  # of some errors it is made as it is asked for
        raise refused
    reference = random_token()
    transaction.execute(
        INSERT_PUSHED,
        {
            "hash": token_hash(reference),
            "client_id": client.client_id,
            "parameters": json.dumps(kept),
            "expires_at": clock.now_microseconds() + LIFETIME * SECOND,
        },
    )
    return {"request_uri": PUSHED_PREFIX + reference, "expires_in": LIFETIME}


def pulled(transaction: Transaction, sent: Parameters) -> Parameters:
    """The parameters of an authorization request: those pushed before, when it names them, and then no others (section 4).

    A reference that is not known, over, used before or another client's leaves the request as it came; then a check refuses it.
    """
    request_uri = sent.data.get("request_uri", "")
    if not request_uri.startswith(PUSHED_PREFIX):
        return sent
    values = {"key_hash": token_hash(request_uri.removeprefix(PUSHED_PREFIX)), "client": sent.data.get("client_id", "")}
    row = transaction.first(CONSUME_PUSHED, values)
    if row is None or row.expires_at <= clock.now_microseconds():
        return sent
    return Parameters(tuple(json.loads(row.parameters).items()))
