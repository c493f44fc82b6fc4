"""The central system: a WebSocket server that known charge points come to, by OCPP 1.6J or 2.0.1."""

import base64
import binascii
import hmac
import logging
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import unquote

import structlog
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from behaviours.ports import AgentStore, Clock
from environments.devices.ocpp.device import ChargePointDevice
from environments.devices.ocpp.link import ChargePointLink, Desk, Socket
from environments.devices.ocpp.settings import (
    CentralSystemSettings,
    ChargePointSettings,
    checked,
    listens_in_clear,
    password_in,
    tls_of,
    tokens_in,
)
from environments.devices.ocpp.station import ChargePointHealth, Station
from environments.devices.ocpp.v16.central_side import CentralSide16
from environments.devices.ocpp.v201.central_side import CentralSide201
from ontology.errors import Unavailable

__all__ = ["SUBPROTOCOLS", "CentralSystem"]

log = structlog.get_logger()

SUBPROTOCOLS = ("ocpp2.0.1", "ocpp1.6")
_Side = Callable[[ChargePointSettings, Socket, Desk, float], ChargePointLink]
_SIDES: dict[str, _Side] = {"ocpp1.6": CentralSide16, "ocpp2.0.1": CentralSide201}
_LONGEST_BYTES = 262_144
_PING_S = 20
_QUIET = logging.getLogger("environments.devices.ocpp.connections")
_QUIET.setLevel(logging.CRITICAL + 1)
_WRONG_S = 1.0
"""How long the answer to a wrong password takes."""


class CentralSystem:
    """Serves charge points; each connector is a `Device` from the beginning, connected or not.

    ```python
    async with CentralSystem(settings, store, clock) as central:
        gateway_devices = central.devices()
    ```
    """

    def __init__(
        self, settings: CentralSystemSettings, store: AgentStore, clock: Clock, *, token: str = ""
    ) -> None:
        """Prepare to listen.

        Args:
            settings: where, and for whom.
            store: keeps transactions over a restart.
            clock: the machine's time, or what stands for it.
            token: what sessions that are started from here are for.

        Raises: InvalidInput with everything that is wrong with the settings and the files they name.
        """
        self.settings = checked(settings)
        self._passwords = {
            each.identity: password_in(each.password_file).encode() for each in settings.charge_points
        }
        self._tls, self._clock = tls_of(settings), clock
        tokens = tokens_in(settings.tokens) if settings.tokens else {}
        self.stations = {
            each.identity: Station(
                each, store, clock, tokens, free=settings.free, heartbeat_s=settings.heartbeat_s
            )
            for each in settings.charge_points
        }
        self._devices = [
            ChargePointDevice(station, connector, clock, token=token)
            for station in self.stations.values()
            for connector in station.controls
        ]
        self.counts: Counter[str] = Counter()
        self._server: Server | None = None
        self.port = settings.port

    @property
    def url(self) -> str:
        """Where charge points connect; their identity follows."""
        scheme = "wss" if self._tls else "ws"
        return f"{scheme}://{self.settings.host}:{self.port}/ocpp"

    def devices(self) -> list[ChargePointDevice]:
        """Return every connector as a device, in the order of the settings."""
        return list(self._devices)

    def health(self) -> list[ChargePointHealth]:
        """Tell how each charge point is."""
        return [station.health() for station in self.stations.values()]

    async def start(self) -> None:
        """Listen.

        Raises: Unavailable when the address is taken.
        """
        settings = self.settings
        if listens_in_clear(settings):
            log.warning("passwords of charge points cross the network in clear", host=settings.host)
        try:
            self._server = await serve(
                self._serve,
                settings.host,
                settings.port,
                ssl=self._tls,
                subprotocols=SUBPROTOCOLS,  # type: ignore[arg-type]
                process_request=self._admit,
                max_size=_LONGEST_BYTES,
                ping_interval=_PING_S,
                ping_timeout=_PING_S,
                open_timeout=10,
                close_timeout=2,
                server_header=None,
                logger=_QUIET,
            )
        except OSError as error:
            raise Unavailable(f"{settings.host}:{settings.port}: {error.strerror or error}") from error
        self.port = int(next(iter(self._server.sockets)).getsockname()[1])

    async def close(self) -> None:
        """Close all connections and listen no more."""
        server, self._server = self._server, None
        if server is not None:
            server.close(close_connections=False)
            for station in self.stations.values():
                await station.close()
            server.close()
            await server.wait_closed()

    async def __aenter__(self) -> "CentralSystem":
        """Listen.

        Raises: Unavailable when the address is taken.
        """
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Listen no more."""
        await self.close()

    async def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Let known charge points in that show their password; 404 for an unknown identity, else 401."""
        identity = unquote(request.path.split("?")[0].rstrip("/").rpartition("/")[2])
        password = self._passwords.get(identity)
        if password is None:
            return await self._turned_away(connection, HTTPStatus.NOT_FOUND, "unknown charge points")
        name, shown = _basic(request.headers.get("Authorization", ""))
        if name != identity.encode() or not hmac.compare_digest(shown, password):
            return await self._turned_away(connection, HTTPStatus.UNAUTHORIZED, "wrong passwords")
        return None

    async def _turned_away(self, connection: ServerConnection, status: HTTPStatus, counted: str) -> Response:
        self.counts[counted] += 1
        host = (connection.remote_address or ("?",))[0]
        log.warning("charge point turned away", why=counted, host=host)
        await self._clock.sleep_until(self._clock.now_s() + _WRONG_S)
        response = connection.respond(status, "")
        if status is HTTPStatus.UNAUTHORIZED:
            response.headers["WWW-Authenticate"] = 'Basic realm="ocpp"'
        return response

    async def _serve(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        path = connection.request.path.split("?")[0]
        station = self.stations[unquote(path.rstrip("/").rpartition("/")[2])]
        side = _SIDES[str(connection.subprotocol)]
        link: ChargePointLink = side(station.settings, connection, station, self.settings.answer_s)
        log.info("charge point connected", charge_point=station.settings.identity, version=link.version)
        await station.serve(link, connection)
        log.info("charge point gone", charge_point=station.settings.identity)


def _basic(header: str) -> tuple[bytes, bytes]:
    """Return name and password of a Basic authorization, empty where it is none."""
    scheme, _, encoded = header.partition(" ")
    try:
        raw = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return b"", b""
    name, colon, password = raw.partition(b":")
    return (name, password) if scheme.lower() == "basic" and colon else (b"", b"")
