"""What a site file says of devices that speak SunSpec or Modbus."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from environments.devices.modbus.address import ModbusAddress

__all__ = ["ModbusSettings", "SunSpecSettings"]

Host = Annotated[str, Meta(min_length=1, max_length=253, description="name or address in the site's network")]
Port = Annotated[int, Meta(ge=1, le=65_535, description="TCP port")]
Unit = Annotated[int, Meta(ge=0, le=255, description="the unit behind that address")]
AnswerTime = Annotated[float, Meta(gt=0, le=30, description="how long to wait for an answer, s")]


class SunSpecSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A SunSpec unit at a site: where it is, and what becomes of it without us."""

    host: Host
    port: Port = 502
    unit: Unit = 1
    base: Annotated[
        Annotated[int, Meta(ge=0, le=65_000)] | None,
        Meta(description="where its models begin; usually found"),
    ] = None
    serial: Annotated[str, Meta(description="of the device that was installed; another one is not used")] = ""
    power: Annotated[
        Literal["terminals", "battery"],
        Meta(description="of a battery: at the inverter, or at the battery (802, 714) where PV shares it"),
    ] = "terminals"
    power_sign: Annotated[
        Literal[1, -1], Meta(description="-1 for a device that counts the other way than SunSpec says")
    ] = 1
    watchdog_s: Annotated[
        int, Meta(ge=5, le=3_600, description="after which it falls back when nobody tells it any more")
    ] = 60
    fallback_w: Annotated[
        int | None, Meta(description="what it then does, consumption positive (model 704); none: its own way")
    ] = None
    without_watchdog: Annotated[
        bool, Meta(description="steer it though it has no watchdog: it would go on for ever")
    ] = False
    answer_s: AnswerTime = 2.0

    @property
    def address(self) -> ModbusAddress:
        """Where it listens."""
        return ModbusAddress(self.host, self.port)


class ModbusSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A Modbus unit at a site: where it is, and the map that says how it speaks."""

    host: Host
    map: Annotated[str, Meta(min_length=1, description="one that is shipped, or a file ending in .yaml")]
    port: Port = 502
    unit: Unit = 1
    without_watchdog: Annotated[
        bool, Meta(description="steer it though its map has no watchdog: it would go on for ever")
    ] = False
    answer_s: AnswerTime = 2.0

    @property
    def address(self) -> ModbusAddress:
        """Where it listens."""
        return ModbusAddress(self.host, self.port)
