"""A charge point's connection: the ocpp library's calls, and every way to fail made one of two errors."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar, cast

import ocpp.routing
import structlog
from ocpp.exceptions import OCPPError
from ocpp.messages import Call, unpack
from websockets.exceptions import ConnectionClosed

from environments.devices.ocpp.meter_values import MeterSample
from environments.devices.ocpp.profiles import Profile
from ontology.errors import Refused, Unavailable

__all__ = ["SILENT", "ChargePointLink", "Desk", "Socket", "afterwards", "answers", "asked", "heard"]

log = structlog.get_logger()

F = TypeVar("F", bound=Callable[..., Any])

_MOST_MALFORMED = 20

SILENT = logging.getLogger("environments.devices.ocpp.messages")
"""What the ocpp library writes whole messages to, with tokens in them: nowhere."""
SILENT.setLevel(logging.CRITICAL + 1)


class Socket(Protocol):
    """What is needed of a WebSocket connection."""

    async def recv(self) -> str | bytes:
        """Return the next message."""

    async def send(self, message: str) -> None:
        """Send a message."""

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection."""


class Desk(Protocol):
    """What a charge point's messages are about in either version; times are as the charge point says them."""

    heartbeat_s: int

    def now(self) -> str:
        """Return the time for the charge point, in ISO 8601."""

    def boot(self, vendor: str, model: str, firmware: str) -> bool:
        """Note who it is; tell whether it may take part."""

    def is_admitted(self) -> bool:
        """Tell whether it may take part."""

    def is_known(self, token: str) -> bool:
        """Tell whether a token may charge."""

    def report_status(self, connector: int, status: str, error: str) -> None:
        """Note what state a connector says it is in."""

    def begin(
        self,
        connector: int,
        timestamp: str,
        *,
        token: str,
        origin: str,
        transaction_id: str,
        meter_wh: float | None,
    ) -> str:
        """Begin a transaction and return its id."""

    def knows(self, transaction_id: str) -> bool:
        """Tell whether a transaction was heard of."""

    async def settle(self) -> None:
        """Tell a charge point that has started what it is to keep to."""

    def measure(self, transaction_id: str, connector: int, samples: Sequence[MeterSample]) -> None:
        """Take meter values."""

    def end(self, transaction_id: str, timestamp: str, *, meter_wh: float | None, reason: str) -> None:
        """End a transaction."""

    def wish(self, connector: int, energy_wh: int, departure: str) -> None:
        """Note what the vehicle says that it needs."""

    def count(self, what: str) -> None:
        """Count something."""


class ChargePointLink(Protocol):
    """A charge point that is connected, in either version.

    Raises: Unavailable from each call when it does not answer, Refused when it will not.
    """

    version: str

    async def listen(self) -> None:
        """Take what it says until the connection ends."""

    async def configure(self, meter_every_s: int) -> None:
        """Have it measure what is wanted, as often as is wanted."""

    async def set_profile(self, connector: int, profile: Profile, transaction_id: str) -> None:
        """Give it a charging profile; one of the same id is replaced."""

    async def clear_profile(self, profile_id: int) -> None:
        """Take a charging profile back; that it was not there is no error."""

    async def start_transaction(self, connector: int, token: str) -> None:
        """Start a transaction from afar."""

    async def stop_transaction(self, transaction_id: str) -> None:
        """Stop a transaction from afar."""

    async def reserve(self, connector: int, reservation_id: int, token: str, until_s: int) -> None:
        """Keep a connector for a token until a time."""

    async def release(self, reservation_id: int) -> None:
        """Give a reservation back."""

    async def ask_meter(self, connector: int) -> None:
        """Ask for meter values now."""


def answers(action: str) -> Callable[[F], F]:
    """Mark a method as what answers an action of the charge point (the ocpp library's `on`, typed)."""
    return cast(Callable[[F], F], ocpp.routing.on(action))


def afterwards(action: str) -> Callable[[F], F]:
    """Mark a method as what follows the answer to an action (the ocpp library's `after`, typed)."""
    return cast(Callable[[F], F], ocpp.routing.after(action))


async def asked(point: Any, payload: Any, ended: asyncio.Event) -> Any:
    """Call a charge point and return what it answers; the call ends with the connection.

    Raises: Unavailable when there is no answer in time, Refused when the answer is an error or no valid one.
    """
    call = asyncio.ensure_future(point.call(payload, suppress=False))
    gone = asyncio.ensure_future(ended.wait())
    try:
        await asyncio.wait((call, gone), return_when=asyncio.FIRST_COMPLETED)
        if not call.done():
            raise Unavailable(f"{point.id}: the connection ended before an answer")
        return call.result()
    except TimeoutError:
        raise Unavailable(f"{point.id}: no answer to {type(payload).__name__}") from None
    except (ConnectionClosed, OSError):
        raise Unavailable(f"{point.id}: the connection ended") from None
    except OCPPError as error:
        raise Refused(f"{point.id}: {type(payload).__name__}: {error.code} {error.description}") from None
    finally:
        call.cancel()
        gone.cancel()


async def heard(point: Any, socket: Socket, count: Callable[[str], None]) -> None:
    """Hand what comes to the ocpp library until the connection ends.

    A message that cannot be read or handled is counted; who sends twenty of them is disconnected.
    """
    malformed = 0
    while malformed < _MOST_MALFORMED:
        try:
            message = await socket.recv()
            if _is_readable(message):
                await point.route_message(message)
                continue
        except ConnectionClosed:
            return
        except Exception as error:
            log.info("OCPP message not handled", charge_point=point.id, why=type(error).__name__)
        count("messages malformed")
        malformed += 1
    await socket.close(1002, "too many messages that cannot be read")


def _is_readable(message: str | bytes) -> bool:
    """Tell whether the ocpp library can read a message; it logs whole ones that it cannot."""
    try:
        read = unpack(message)
    except (OCPPError, RecursionError, KeyError):
        return False
    return not isinstance(read, Call) or (isinstance(read.action, str) and isinstance(read.payload, dict))
