"""The HTTP endpoint to which participants post signed messages.

It sees to what HTTP says (method, content type, length) and leaves the message itself to a callback.
Source: Shapeshifter specification 3.1, transmission and error handling.
"""

import ssl
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from aiohttp import web

__all__ = ["MESSAGE_PATH", "Endpoint", "Receipt"]

MESSAGE_PATH = "/shapeshifter/api/v3/message"
LONGEST_BYTES = 4_000_000
"""A settlement of a hundred orders of a hundred intervals each is 2 MB in base64."""


class Receipt(NamedTuple):
    """How a post is answered: the HTTP status, and why, when it is not taken."""

    status: int = 200
    reason: str = ""


class Endpoint:
    """Listens for signed messages and answers with what the callback makes of each."""

    def __init__(self, take: Callable[[bytes], Awaitable[Receipt]]) -> None:
        """Hand each body to a callback."""
        self._take = take
        app = web.Application(client_max_size=LONGEST_BYTES)
        app.router.add_post(MESSAGE_PATH, self._post)
        self._runner = web.AppRunner(app, access_log=None)
        self.port = 0

    async def start(self, host: str, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        """Listen; port 0 is a free one, which `port` then tells.

        Raises: OSError when the address is taken.
        """
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, ssl_context=tls, shutdown_timeout=2)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Listen no more."""
        await self._runner.cleanup()

    async def _post(self, request: web.Request) -> web.Response:
        if request.content_length is None:
            return web.Response(status=411, text="Content-Length is missing")
        if request.content_type != "text/xml" or (request.charset or "utf-8").lower() != "utf-8":
            return web.Response(status=400, text="Content-Type must be text/xml, in UTF-8")
        status, reason = await self._take(await request.read())
        return web.Response(status=status, text=reason)
