"""A Modbus TCP connection: one request at a time, and pauses that grow while the device is away."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence

import structlog
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU

from behaviours.ports import Clock
from environments.devices.health import DeviceHealth
from environments.devices.modbus.address import ModbusAddress
from environments.wire.pauses import USUAL_PAUSES, Pauses
from ontology.errors import ParityError, Refused, Unavailable

__all__ = ["READ_MAX", "WRITE_MAX", "ModbusLink", "RegistersRefused"]

log = structlog.get_logger()
logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)  # what goes wrong is said here, once

READ_MAX, WRITE_MAX = 125, 123
"""Registers that one request can read and write (Modbus Application Protocol 1.1b3, 6.3 and 6.12)."""

_EXCEPTIONS = {
    1: "the device does not know this function",
    2: "the device has no such registers",
    3: "the device does not take this value",
    4: "the device failed",
    5: "the device needs longer",
    6: "the device is busy",
    8: "the device's memory is damaged",
    10: "the gateway has no path to the unit",
    11: "the unit behind the gateway does not answer",
}
_FINAL = frozenset({1, 2, 3})
"""Exceptions that asking again does not change."""

_Request = Callable[[AsyncModbusTcpClient], Awaitable[ModbusPDU]]


class RegistersRefused(Refused):
    """The device answered that it will not: an exception with its code."""

    def __init__(self, code: int, what: str) -> None:
        super().__init__(f"{what}: {_EXCEPTIONS.get(code, 'exception')} (Modbus exception {code})")
        self.code = code


class _Patience:
    """When somebody who failed may be asked again."""

    def __init__(self) -> None:
        self.failures, self.not_before_s = 0, 0.0

    def lose(self, now_s: float, pauses: Pauses) -> None:
        """Wait longer after each failure in a row."""
        self.failures += 1
        self.not_before_s = now_s + pauses.after(self.failures)

    def regain(self) -> None:
        """Begin anew after a success."""
        self.failures, self.not_before_s = 0, 0.0


class ModbusLink:
    """Reads and writes registers of the units behind one address.

    After a timeout or a torn frame the connection is dropped: a late answer must not be taken for another.
    Then the unit, or an address where nothing listens, is left alone for a while, and for longer each time.
    Raises: Unavailable from every request while it is away, RegistersRefused when the device says no.
    """

    def __init__(
        self,
        address: ModbusAddress,
        clock: Clock,
        *,
        answer_s: float = 2.0,
        pauses: Pauses = USUAL_PAUSES,
    ) -> None:
        """Prepare a link.

        Args:
            address: where the server listens.
            clock: the machine's time.
            answer_s: how long to wait for a connection, and for an answer.
            pauses: between attempts, growing.
        """
        self.address, self._clock, self._answer_s, self._pauses = address, clock, answer_s, pauses
        self._client: AsyncModbusTcpClient | None = None
        self._turn = asyncio.Lock()
        self._server, self._why_away = _Patience(), f"nobody listens at {address}"
        self._units: defaultdict[int, _Patience] = defaultdict(_Patience)
        self._health: defaultdict[int, DeviceHealth] = defaultdict(DeviceHealth)
        self.connections = 0
        """How often it has connected; who knows something of a device may have to ask again after that."""

    def health_of(self, unit: int) -> DeviceHealth:
        """Return how a unit does."""
        return self._health[unit]

    async def read(
        self, unit: int, register: int, count: int, *, is_input: bool = False, chunk: int = READ_MAX
    ) -> list[int]:
        """Return registers, read in as many requests as it takes.

        Raises: Unavailable, RegistersRefused.
        """
        found: list[int] = []
        while len(found) < count:
            size = min(chunk, count - len(found))
            found += await self._read_once(unit, register + len(found), size, is_input)
        return found

    async def write(self, unit: int, register: int, values: Sequence[int]) -> None:
        """Write adjacent registers in one request.

        Raises: Unavailable, RegistersRefused.
        """
        if not 1 <= len(values) <= WRITE_MAX:
            raise ValueError(f"{len(values)} registers in one request")

        async def ask(client: AsyncModbusTcpClient) -> ModbusPDU:
            return await client.write_registers(register, list(values), device_id=unit)

        async with self._turn:
            await self._answer(
                unit, ask, f"{self.address} unit {unit}, writing {_span(register, len(values))}"
            )

    async def close(self) -> None:
        """Disconnect."""
        async with self._turn:
            self._drop()

    async def _read_once(self, unit: int, register: int, count: int, is_input: bool) -> list[int]:
        async def ask(client: AsyncModbusTcpClient) -> ModbusPDU:
            read = client.read_input_registers if is_input else client.read_holding_registers
            return await read(register, count=count, device_id=unit)

        what = f"{self.address} unit {unit}, reading {_span(register, count)}"
        async with self._turn:
            registers = list((await self._answer(unit, ask, what)).registers)
            if len(registers) != count:
                raise self._lost(unit, "torn answers", f"{what}: {len(registers)} registers came")
        return registers

    async def _answer(self, unit: int, ask: _Request, what: str) -> ModbusPDU:
        """Have one request answered; the caller has the turn."""
        client = await self._connected(unit)
        began_s = self._clock.now_s()
        try:
            answer = await ask(client)
        except (ModbusException, OSError) as error:
            raise self._lost(unit, "no answers", f"{what}: {_short(error)}") from None
        except asyncio.CancelledError:
            self._drop()  # what is on its way must not be taken for the next answer
            raise
        self._units[unit].regain()
        now_s = self._clock.now_s()
        if answer.isError():
            raise self._refusal(unit, int(getattr(answer, "exception_code", 0)), what)
        self._health[unit].heard(now_s, now_s - began_s)
        return answer

    def _refusal(self, unit: int, code: int, what: str) -> ParityError:
        """Return what an exception of a device means: asking again helps, or does not."""
        refusal, health = RegistersRefused(code, what), self._health[unit]
        if code in _FINAL:
            health.counts["refused"] += 1
            return refusal
        health.failed("not ready", str(refusal))
        return Unavailable(str(refusal))

    async def _connected(self, unit: int) -> AsyncModbusTcpClient:
        if self._clock.now_s() < max(self._server.not_before_s, self._units[unit].not_before_s):
            away = self._clock.now_s() < self._server.not_before_s
            raise Unavailable(self._why_away if away else self._health[unit].report().why_down)
        if self._client is not None and self._client.connected:
            return self._client
        self._drop()
        client = AsyncModbusTcpClient(
            self.address.host, port=self.address.port, timeout=self._answer_s, retries=0, reconnect_delay=0
        )
        self._client = client
        if not await client.connect():
            self._server.lose(self._clock.now_s(), self._pauses)
            self._drop()
            self._health[unit].failed("no connections", self._why_away)
            raise Unavailable(self._why_away)
        self._server.regain()
        self.connections += 1
        return client

    def _lost(self, unit: int, kind: str, why: str) -> Unavailable:
        patience = self._units[unit]
        patience.lose(self._clock.now_s(), self._pauses)
        self._health[unit].failed(kind, why)
        self._drop()
        if patience.failures == 1:
            log.info("Modbus unit does not answer", address=str(self.address), unit=unit, why=why)
        return Unavailable(why)

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()


def _span(register: int, count: int) -> str:
    return f"register {register}" if count == 1 else f"registers {register} to {register + count - 1}"


def _short(error: BaseException) -> str:
    text = str(error).partition("]")[2] or str(error)
    return (text.strip() or type(error).__name__)[:160]
