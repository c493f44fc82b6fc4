"""The schema of a site file: community, devices with their adapters, limits."""

from typing import Annotated, Literal

from msgspec import Meta

from environments.devices.fieldbus_settings import ModbusSettings, SunSpecSettings
from launch.schema.section import Section
from launch.schema.sites import Battery, Ev, HeatPump, HotWater, Pv

__all__ = [
    "DEVICES",
    "CentralSystemSection",
    "ChargePointDevice",
    "ChargePointLink",
    "Connection",
    "HeatPumpDevice",
    "HotWaterDevice",
    "MeterDevice",
    "MqttBroker",
    "PvDevice",
    "SiteFile",
    "SiteLocation",
    "StorageDevice",
    "TheCommunity",
]


class TheCommunity(Section, frozen=True, kw_only=True):
    """Where the community is, and whose certificates to trust."""

    domain: Annotated[str, Meta(pattern=r"^[^@/\s]+$", description="of all its agents' addresses")]
    host: Annotated[str | None, Meta(description="of its XMPP server; by default the domain")] = None
    port: Annotated[int, Meta(ge=1, le=65_535, description="of its XMPP server")] = 5222
    ca_file: Annotated[str, Meta(description="its certificate authority, PEM")] = "ca.pem"
    enrolment: Annotated[str, Meta(description="`https://…`, where a new site enrols")]


class ChargePointLink(Section, frozen=True, kw_only=True):
    """A charge point that comes to the site's central system (OCPP 1.6J or 2.0.1)."""

    identity: Annotated[str, Meta(description="the last part of the address that it was given")]
    password_file: Annotated[str, Meta(description="its password, 0600")]
    fallback_kw: Annotated[
        float, Meta(ge=0, le=350, description="what it may draw when nobody tells it anything, kW")
    ] = 4.2
    rate: Annotated[Literal["W", "A"], Meta(description="in what it is told its limits")] = "W"
    phases: Annotated[Literal[1, 3], Meta(description="that it is connected to")] = 3


class Connection(Section, frozen=True, kw_only=True):
    """How a device is reached: exactly one way."""

    mqtt: Annotated[str | None, Meta(description="a topic map (file)")] = None
    sunspec: Annotated[SunSpecSettings | None, Meta(description="SunSpec over Modbus TCP")] = None
    modbus: Annotated[ModbusSettings | None, Meta(description="Modbus TCP with a register map")] = None
    ocpp: Annotated[ChargePointLink | None, Meta(description="a charge point")] = None


class CentralSystemSection(Section, frozen=True, kw_only=True):
    """The site's central system, which its charge points come to."""

    host: Annotated[str, Meta(description="address to listen at, in the site's own network")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65_535, description="to listen at")] = 9000
    certificate: Annotated[str | None, Meta(description="of the central system, PEM; none: in clear")] = None
    key: Annotated[str | None, Meta(description="of that certificate, PEM, 0600")] = None
    tokens: Annotated[str | None, Meta(description="`token name` lines: who may charge")] = None
    free: Annotated[bool, Meta(description="everybody may charge")] = False


class MeterDevice(Section, frozen=True, kw_only=True):
    """The meter at the connection point."""

    connect: Connection


class PvDevice(Pv, frozen=True, kw_only=True):
    """A photovoltaic plant and its inverter."""

    connect: Connection


class StorageDevice(Battery, frozen=True, kw_only=True):
    """A stationary battery."""

    connect: Connection


class ChargePointDevice(Ev, frozen=True, kw_only=True):
    """A charge point, and the car that usually charges there."""

    connect: Connection


class HeatPumpDevice(HeatPump, frozen=True, kw_only=True):
    """A heat pump and the house that it heats."""

    connect: Connection


class HotWaterDevice(HotWater, frozen=True, kw_only=True):
    """A hot-water tank and its heater, such as one behind a relay."""

    connect: Connection


class MqttBroker(Section, frozen=True, kw_only=True):
    """The site's MQTT broker."""

    url: Annotated[str, Meta(description="`mqtts://host:port`; `mqtt://` on this machine only")]
    login_file: Annotated[str | None, Meta(description="`name:password`, 0600")] = None
    ca_file: Annotated[str | None, Meta(description="certificates to trust, PEM")] = None


class SiteLocation(Section, frozen=True, kw_only=True):
    """Where the site is."""

    latitude: Annotated[float, Meta(ge=-66, le=66, description="degrees north")]
    longitude: Annotated[float, Meta(ge=-180, le=180, description="degrees east")]


class SiteFile(Section, frozen=True, kw_only=True):
    """A site file."""

    site: Annotated[
        str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$", description="the id that the community gave it")
    ]
    zone: Annotated[str, Meta(description="IANA time zone, such as `Europe/Zurich`")]
    location: Annotated[SiteLocation, Meta(description="for the sun on its roof")]
    community: Annotated[TheCommunity, Meta(description="which one it joins")]
    data: Annotated[str, Meta(description="the one folder that is written to")] = "data"
    connection_kw: Annotated[
        float, Meta(gt=0, le=10_000, description="that its connection carries each way, kW")
    ] = 17.0
    annual_kwh: Annotated[
        float, Meta(gt=0, le=1_000_000, description="own demand without the devices below, kWh a year")
    ] = 3500.0
    profile: Annotated[
        Literal["household", "commerce"], Meta(description="of that demand until it is learnt")
    ] = "household"
    sample_s: Annotated[int, Meta(ge=1, le=300, description="how often devices are read, s")] = 10
    at_rest: Annotated[
        Literal["release", "keep"],
        Meta(description="when agents stop: give devices back to themselves, or let the last order run out"),
    ] = "release"
    broker: Annotated[MqttBroker | None, Meta(description="where devices speak MQTT")] = None
    central_system: Annotated[
        CentralSystemSection | None, Meta(description="where charge points come to")
    ] = None
    meter: Annotated[MeterDevice, Meta(description="at the connection point")]
    pv: Annotated[PvDevice | None, Meta(description="photovoltaics")] = None
    battery: Annotated[StorageDevice | None, Meta(description="stationary battery")] = None
    ev: Annotated[ChargePointDevice | None, Meta(description="charge point")] = None
    heat_pump: Annotated[HeatPumpDevice | None, Meta(description="space heating")] = None
    hot_water: Annotated[HotWaterDevice | None, Meta(description="hot-water tank")] = None


DEVICES = {
    "meter": "meter",
    "pv": "pv",
    "battery": "bess",
    "ev": "ev",
    "heat_pump": "heat_pump",
    "hot_water": "dhw",
}
"""Sections of devices, and what the site's agents call each device."""
