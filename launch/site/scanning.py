"""`parity-mas site scan`: what is there to be connected, as a fragment of a site file."""

from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from behaviours.ports import Clock
from environments.devices.home_assistant import TOPICS, Announced, announced_in, topic_map_of
from environments.devices.modbus.address import ModbusAddress
from environments.devices.ocpp_knocking import Knock, heard_knocking
from environments.devices.scan import USUAL_UNITS, FoundUnit, addresses_in, scan
from environments.devices.sunspec.readings import nameplate_kw, nameplate_kwh
from environments.simulation.clock import WallClock
from environments.wire.mqtt_link import Broker, MqttLink, Received
from ontology.errors import InvalidInput, problem

__all__ = [
    "announced_at",
    "fragment_of",
    "fragment_of_knocks",
    "fragment_of_topics",
    "scanned",
    "units_in",
    "units_on",
]

LISTEN_S = 3.0


def units_in(text: str) -> tuple[int, ...]:
    """Return the units that a list such as `1,2,100-103` means.

    Raises: InvalidInput when it is none.
    """
    if not text:
        return USUAL_UNITS
    units: dict[int, None] = {}
    try:
        for part in text.split(","):
            first, _, last = part.partition("-")
            units |= dict.fromkeys(range(int(first), int(last or first) + 1))
    except ValueError:
        units = {}
    if not units or not all(0 <= unit <= 255 for unit in units):
        raise InvalidInput(problem("--units", text, "numbers from 0 to 255, such as 1,2,100-103"))
    return tuple(units)


async def units_on(
    targets: Sequence[str], *, port: int, units: Sequence[int], clock: Clock | None = None
) -> list[FoundUnit]:
    """Return the Modbus units on hosts and networks.

    Raises: InvalidInput when they are none or too many.
    """
    hosts = addresses_in(targets)
    return [found async for found in scan(hosts, clock or WallClock(), port=port, units=units)]


async def announced_at(broker: Broker, *, listen_s: float = LISTEN_S) -> dict[str, list[Announced]]:
    """Return what devices have announced at a broker, by device.

    Raises: Unavailable when the broker does not answer.
    """
    clock, found = WallClock(), dict[str, list[Announced]]()

    def note(message: Received) -> None:
        for each in announced_in(message.topic, message.payload):
            found.setdefault(each.device, []).append(each)

    link = MqttLink(broker, f"scan-{int(clock.now_s())}", clock, subscribe=TOPICS, receive=note)
    try:
        await link.start(5.0)
        await clock.sleep_until(clock.now_s() + listen_s)
    finally:
        await link.close()
    return found


def fragment_of(found: Sequence[FoundUnit]) -> str:
    """Return sections of a site file for units that were found, with comments; the first of a role counts."""
    lines, taken = list[str](), set[str]()
    for each in found:
        lines.append(f"# {each.address} unit {each.unit}: {_words(each)}")
        for role in each.roles:
            commented = role in taken
            taken.add(role)
            lines += [("# " if commented else "") + line for line in _section(role, each)]
    return "\n".join(lines)


def fragment_of_topics(found: dict[str, list[Announced]]) -> str:
    """Return topic maps of devices that announced themselves, one after the other, with comments."""
    parts = []
    for entities in found.values():
        shown = yaml.safe_dump(topic_map_of(entities), sort_keys=False, allow_unicode=True)
        head = f"# {entities[0].title}: a topic map; check which way its power is counted (sign: -1)"
        parts.append(f"{head}\n{shown}")
    return "\n".join(parts)


def _words(found: FoundUnit) -> str:
    if found.chain is None:
        return "answers Modbus, but has no SunSpec models: it needs a map of registers"
    plate, ids = found.chain.nameplate, [model.model_id for model in found.chain.models]
    name = " ".join(part for part in (plate.manufacturer, plate.model, plate.serial) if part)
    wrong = f" ({found.chain.wrong})" if found.chain.wrong else ""
    return f"{name or 'nameless'}; SunSpec models {', '.join(map(str, ids))}{wrong}"


def _section(role: str, found: FoundUnit) -> list[str]:
    reach: dict[str, Any] = {"host": found.address.host}
    if found.address.port != 502:
        reach["port"] = found.address.port
    reach["unit"] = found.unit
    if found.chain is not None and found.chain.nameplate.serial:
        reach["serial"] = found.chain.nameplate.serial
    lines = [f"{role}:", *_sizes(role, found)]
    inner = yaml.safe_dump(reach, default_flow_style=True, sort_keys=False, width=200).strip()
    return [*lines, f"  connect: {{sunspec: {inner}}}"]


def _sizes(role: str, found: FoundUnit) -> Iterator[str]:
    """Yield what the site file wants to know of an asset, as far as its device says."""
    assert found.chain is not None
    power_kw, capacity_kwh = nameplate_kw(found.chain), nameplate_kwh(found.chain)
    if role == "pv":
        yield f"  kwp: {power_kw or '?'}  # of its inverter: fill in the panels' peak power"
    if role == "battery":
        yield f"  capacity_kwh: {'?  # fill in' if capacity_kwh is None else capacity_kwh}"
        if power_kw is not None:
            yield f"  power_kw: {power_kw}"


async def scanned(
    targets: Sequence[str],
    *,
    port: int,
    units: Sequence[int],
    broker: Broker | None = None,
    ocpp: ModbusAddress | None = None,
    listen_s: float = 60.0,
) -> str:
    """Look on hosts, at a broker and for charge points, and return parts of a site file; empty: nothing.

    Raises: InvalidInput, Unavailable when the broker does not answer or an address is taken.
    """
    parts = []
    if targets:
        parts.append(fragment_of(await units_on(targets, port=port, units=units)))
    if broker is not None:
        parts.append(fragment_of_topics(await announced_at(broker)))
    if ocpp is not None:
        parts.append(fragment_of_knocks(await heard_knocking(ocpp, WallClock(), listen_s)))
    return "\n".join(filter(None, parts))


def fragment_of_knocks(found: Sequence[Knock]) -> str:
    """Return sections of a site file for charge points that came, with comments."""
    lines = []
    for each in found:
        password, versions = "with" if each.has_password else "without", ", ".join(each.versions)
        ocpp = {"identity": each.identity, "password_file": f"{each.identity}.password"}
        lines += [
            f"# {each.identity} came from {each.host}, {password} a password; OCPP {versions}",
            yaml.safe_dump({"ev": {"connect": {"ocpp": ocpp}}}, sort_keys=False).rstrip(),
        ]
    return "\n".join(lines)
