"""What the tests of the console's pages share."""

from collections.abc import Callable

from litestar.testing import TestClient

__all__ = ["SignIn"]

SignIn = Callable[..., TestClient]
"""Signs somebody in: a role, the sites that are its own, and `rights=`."""
