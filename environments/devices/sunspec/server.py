"""SunSpec units that answer Modbus as the definitions say: what simulated devices stand behind.

Each unit is an image of its models. Points that the definitions call writable may be written, all others
answer with an exception; controls with a reversion time fall back by themselves when it has run out.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice
from sunspec2 import device as sunspec

from behaviours.ports import Clock
from environments.devices.modbus.address import ModbusAddress
from environments.devices.sunspec.models import registers_in
from ontology.errors import Unavailable

__all__ = ["SunSpecServer", "UnitImage"]

Points = Mapping[str, Any]
"""Points of a model by name, as registers hold them; scale factors among them."""

BASE = 40_000
_MARK = [0x5375, 0x6E53]
_END = [0xFFFF, 0]


class _Reversion(NamedTuple):
    """A control that falls back: what starts its time again, its time, what is left of it, and to what."""

    model_id: int
    switch: str
    time: str
    remaining: str = ""
    starts: tuple[str, ...] = ()
    falls_to: tuple[tuple[str, str], ...] = ()
    """Points that take the value of others; without any, the switch goes to 0."""


_REVERSIONS = (
    _Reversion(123, "WMaxLim_Ena", "WMaxLimPct_RvrtTms", starts=("WMaxLimPct",)),
    _Reversion(124, "StorCtl_Mod", "InOutWRte_RvrtTms", starts=("InWRte", "OutWRte")),
    _Reversion(
        704,
        "WMaxLimPctEna",
        "WMaxLimPctRvrtTms",
        "WMaxLimPctRvrtRem",
        starts=("WMaxLimPct",),
        falls_to=(("WMaxLimPctEna", "WMaxLimPctEnaRvrt"), ("WMaxLimPct", "WMaxLimPctRvrt")),
    ),
    _Reversion(
        704,
        "WSetEna",
        "WSetRvrtTms",
        "WSetRvrtRem",
        starts=("WSet",),
        falls_to=(("WSetEna", "WSetEnaRvrt"), ("WSet", "WSetRvrt")),
    ),
)


class UnitImage:
    """The registers of one unit: its models one after the other, and what its controls do in time."""

    def __init__(
        self, unit: int, models: Sequence[tuple[int, Points]], clock: Clock, *, base: int = BASE
    ) -> None:
        """Lay a unit out.

        Args:
            unit: its number.
            models: their numbers, in order, with values that registers hold, scale factors first.
            clock: by which controls fall back.
            base: where its registers begin.
        """
        self.unit, self.base, self._clock = unit, base, clock
        self._models: dict[int, Any] = {}
        self._at: dict[int, int] = {}
        self.registers = list(_MARK)
        for model_id, points in models:
            model = sunspec.Model(model_id=model_id)
            model.set_dict(dict(points))
            self._at[model_id] = base + len(self.registers)
            self._models[model_id] = model
            self.registers += registers_in(model.get_mb())
        self.registers += _END
        self._deadline_s: dict[_Reversion, float] = {}
        self.written: Callable[[], object] = lambda: None
        """Is called after each write that was taken."""

    def has(self, model_id: int) -> bool:
        """Tell whether the unit has a model."""
        return model_id in self._models

    def number(self, model_id: int, point: str) -> float:
        """Return a point in its unit, 0 where it is not implemented."""
        return float(self._models[model_id].points[point].cvalue or 0)

    def tell(self, model_id: int, values: Mapping[str, float]) -> None:
        """Have points say values in their units, cut to what the registers can hold."""
        for name, value in values.items():
            point = self._models[model_id].points[name]
            point.cvalue = value if point.sf_required else round(value)
            self._show(model_id, name)

    def revert(self) -> None:
        """Let controls fall back whose time has run out."""
        now_s = self._clock.now_s()
        for reversion, deadline_s in list(self._deadline_s.items()):
            if reversion.remaining:
                self.tell(reversion.model_id, {reversion.remaining: max(0.0, round(deadline_s - now_s))})
            if now_s >= deadline_s:
                del self._deadline_s[reversion]
                self._fall_back(reversion)

    def write(self, register: int, values: Sequence[int]) -> ExcCodes | None:
        """Take registers that somebody writes: whole points that may be written, or none of them."""
        spans = self._spans(register, len(values))
        if spans is None:
            return ExcCodes.ILLEGAL_ADDRESS
        at = 0
        for model_id, name, size in spans:
            point = self._models[model_id].points[name]
            raw = b"".join(word.to_bytes(2, "big") for word in values[at : at + size])
            value = point.info.data_to(raw)
            symbols = [each["value"] for each in point.pdef.get("symbols", [])]
            if point.pdef["type"] == "enum16" and symbols and value not in symbols:
                return ExcCodes.ILLEGAL_VALUE
            at += size
        at = 0
        for model_id, name, size in spans:
            point = self._models[model_id].points[name]
            point.value = point.info.data_to(
                b"".join(word.to_bytes(2, "big") for word in values[at : at + size])
            )
            self._show(model_id, name)
            self._start(model_id, name)
            at += size
        self.written()
        return None

    async def serve(
        self, function: int, start: int, address: int, count: int, current: list[int], given: Any
    ) -> ExcCodes | None:
        """Answer a request of pymodbus's server (its `SimAction`)."""
        self.revert()
        refusal = None if given is None else self.write(address, given)
        current[:] = self.registers
        return refusal

    def _spans(self, register: int, count: int) -> list[tuple[int, str, int]] | None:
        """Return the points that registers are, if they are whole ones that may be written."""
        found, at, end = list[tuple[int, str, int]](), register, register + count
        for model_id, model in self._models.items():
            for name, point in model.points.items():
                if at < end and self._at[model_id] + point.offset == at:
                    if point.pdef.get("access") != "RW" or point.value is None or at + point.len > end:
                        return None
                    found.append((model_id, name, point.len))
                    at += point.len
        return found if at == end else None

    def _show(self, model_id: int, name: str) -> None:
        point = self._models[model_id].points[name]
        at = self._at[model_id] - self.base + point.offset
        self.registers[at : at + point.len] = registers_in(point.get_mb())

    def _start(self, model_id: int, name: str) -> None:
        """Begin the time anew of a control that a point belongs to."""
        for each in _REVERSIONS:
            if each.model_id == model_id and name in (each.switch, each.time, *each.starts):
                self._deadline_s.pop(each, None)
                time_s = self.number(model_id, each.time)
                if time_s and self.number(model_id, each.switch):
                    self._deadline_s[each] = self._clock.now_s() + time_s

    def _fall_back(self, reversion: _Reversion) -> None:
        points = self._models[reversion.model_id].points
        for name, source in reversion.falls_to or ((reversion.switch, ""),):
            points[name].value = (points[source].value or 0) if source else 0
            self._show(reversion.model_id, name)
        self.written()


class SunSpecServer:
    """Serves units on a socket."""

    def __init__(self, images: Sequence[UnitImage], address: ModbusAddress) -> None:
        """Prepare to serve; port 0 is a free one."""
        self._images, self.address = images, address
        self._server: ModbusTcpServer | None = None

    async def start(self) -> None:
        """Begin to listen; the address then has the port.

        Raises: Unavailable when the address is taken.
        """
        devices = [
            SimDevice(
                id=image.unit,
                simdata=[
                    SimData(address=image.base, values=list(image.registers), datatype=DataType.REGISTERS)
                ],
                action=image.serve,
            )
            for image in self._images
        ]
        server = ModbusTcpServer(devices, address=(self.address.host, self.address.port))
        if not await server.listen():
            raise Unavailable(f"{self.address} is taken")
        self._server = server
        transport: Any = server.transport
        port = transport.sockets[0].getsockname()[1]
        self.address = self.address._replace(port=port)

    async def close(self) -> None:
        """Stop listening, and drop who is connected."""
        server: Any = self._server
        self._server = None
        if server is not None:
            with suppress(OSError):
                await server.shutdown()
