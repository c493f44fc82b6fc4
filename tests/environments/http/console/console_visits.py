"""What the tests of the console's pages share."""

from collections.abc import Callable

from litestar.testing import TestClient

from environments.http.console.sessions import COOKIE, SIGN_HEADER, sign_of

__all__ = ["SignIn", "sign"]

SignIn = Callable[..., TestClient]
"""Signs somebody in: a role, the sites that are its own, and `rights=`."""


def sign(client: TestClient) -> dict[str, str]:
    """Return the header that changes of a session must bring."""
    return {SIGN_HEADER: sign_of(str(client.cookies.get(COOKIE)))}
