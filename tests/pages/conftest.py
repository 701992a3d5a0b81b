"""The same server, people and app as the tests of authorization."""

from tests.authorization.conftest import app, web

__all__ = ["app", "web"]
