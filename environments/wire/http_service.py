"""A small HTTP service of JSON behind a bearer token: what the emulated systems answer with."""

import hmac
import ssl
from collections.abc import Awaitable, Callable, Iterable

import msgspec
import structlog
from aiohttp import web

from ontology.errors import InvalidInput, ParityError, Problem, consequence_of

__all__ = ["HttpService", "answered"]

log = structlog.get_logger()

_LONGEST_BYTES = 65_536

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def answered(content: object, status: int = 200) -> web.Response:
    """Return an answer in JSON."""
    return web.Response(body=msgspec.json.encode(content), status=status, content_type="application/json")


class HttpService:
    """Listens on an address; whoever does not show the token gets 401, and errors become statuses."""

    def __init__(self, token: str, routes: Iterable[web.RouteDef]) -> None:
        """Prepare to listen.

        Args:
            token: that each request must bear; an empty one lets nobody in.
            routes: what is answered.
        """
        self._token = token.encode()
        app = web.Application(client_max_size=_LONGEST_BYTES, middlewares=[self._guarded])
        app.router.add_routes(routes)
        self._runner = web.AppRunner(app, access_log=None)
        self.host, self.port = "", 0

    @property
    def url(self) -> str:
        """Where it listens, on this machine."""
        return f"http://{self.host}:{self.port}"

    async def start(self, host: str, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        """Listen; port 0 is a free one, which `port` then tells.

        Raises: OSError when the address is taken.
        """
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port, ssl_context=tls, shutdown_timeout=2).start()
        self.host, self.port = host, self._runner.addresses[0][1]

    async def close(self) -> None:
        """Listen no more."""
        await self._runner.cleanup()

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        known = hmac.compare_digest(token.strip().encode(), self._token)
        if scheme.lower() != "bearer" or not self._token or not known:
            return answered({"error": "a bearer token that is known here is needed"}, 401)
        try:
            return await handler(request)
        except web.HTTPException as error:
            return answered({"error": error.reason}, error.status)
        except ParityError as error:
            return answered(_told(error), consequence_of(error).http_status)
        except Exception:
            log.exception("request not handled", path=request.path)
            return answered({"error": "went wrong here"}, 500)


def _told(error: ParityError) -> dict[str, object]:
    found: tuple[Problem, ...] = error.problems if isinstance(error, InvalidInput) else ()
    return {"error": str(error), "problems": list(found)}
