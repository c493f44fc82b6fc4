"""Listening for charge points that try to reach a central system: who they are, without letting them in."""

from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import unquote

from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from behaviours.ports import Clock
from environments.devices.modbus.address import ModbusAddress
from ontology.errors import Unavailable

__all__ = ["Knock", "heard_knocking"]

_VERSIONS = {"ocpp1.6": "1.6J", "ocpp2.0.1": "2.0.1", "ocpp2.1": "2.1", "ocpp1.5": "1.5"}


class Knock(NamedTuple):
    """A charge point that came: identity, from where, which versions it offers, whether with a password."""

    identity: str
    host: str
    versions: tuple[str, ...]
    has_password: bool


async def heard_knocking(address: ModbusAddress, clock: Clock, listen_s: float) -> list[Knock]:
    """Listen for a time and return the charge points that came, each once; all are told to come later.

    A password that one shows is not looked at.
    Raises: Unavailable when the address is taken.
    """
    found: dict[str, Knock] = {}

    def turn_away(connection: ServerConnection, request: Request) -> Response:
        identity = unquote(request.path.partition("?")[0].rstrip("/").rpartition("/")[2])[:48]
        offered = request.headers.get("Sec-WebSocket-Protocol", "").split(",")
        versions = tuple(_VERSIONS[each.strip()] for each in offered if each.strip() in _VERSIONS)
        if identity.isprintable() and identity and versions:
            host = str(connection.remote_address[0])
            found[identity] = Knock(identity, host, versions, "Authorization" in request.headers)
        return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "come again later\n")

    process: Callable[[ServerConnection, Request], Response] = turn_away
    try:
        async with serve(_nobody, address.host, address.port, process_request=process):
            await clock.sleep_until(clock.now_s() + listen_s)
    except OSError as error:
        raise Unavailable(f"{address} cannot be listened at: {error.strerror or error}") from None
    return list(found.values())


async def _nobody(connection: ServerConnection) -> None:
    """Is never called: everybody is turned away before."""
