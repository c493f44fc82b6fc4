"""The grid operator's systems in a scenario: those that its agents reach, and those that a run emulates."""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from behaviours.ports import Barrier, Clock, MonitoringSystem, PhaseCompensator
from environments.devices.dstatcom_commands import CommandTerms
from environments.devices.dstatcom_http import HttpDstatcom
from environments.devices.dstatcom_mqtt import MqttDstatcom
from environments.monitoring import HttpMonitoring, MqttMonitoring
from environments.monitoring.http_client import MONITORING
from environments.monitoring.intake import IntakeRules
from environments.simulation.clock import WallClock
from environments.simulation.dso_systems import DsoSystems, SystemsSettings
from environments.simulation.world import World
from environments.wire.addresses import Place, bearer_token, is_this_machine, login_from, place_of, trust_in
from environments.wire.http_link import Service
from environments.wire.mqtt_link import Broker
from launch.schema import Access, Dstatcom, Scenario
from launch.schema import DsoSystems as Section
from ontology.errors import InvalidInput, problem
from ontology.grid import DstatcomMode

__all__ = ["Outside", "listen_at", "outside_of", "outside_problems", "reaches_outside", "systems_of"]

_HTTP, _MQTT = ("http", "https"), ("mqtt", "mqtts")
_LEAST_VALID_S = 60
_STALE_S, _STALE_PERIODS = 600, 3


@dataclass(frozen=True)
class Outside:
    """What the DSO's agents reach outside: its monitoring system, and D-STATCOMs by their ids."""

    monitoring: MonitoringSystem | None = None
    units: Mapping[str, PhaseCompensator] = field(default_factory=dict)

    async def start(self) -> None:
        """Begin to listen where systems tell by themselves."""
        for each in self._links():
            if isinstance(each, MqttMonitoring | MqttDstatcom):
                await each.start()

    async def close(self) -> None:
        """Let go of all connections."""
        for each in self._links():
            await each.close()

    def _links(self) -> Iterator[HttpMonitoring | MqttMonitoring | HttpDstatcom | MqttDstatcom]:
        for each in (self.monitoring, *self.units.values()):
            if isinstance(each, HttpMonitoring | MqttMonitoring | HttpDstatcom | MqttDstatcom):
                yield each


def reaches_outside(scenario: Scenario) -> bool:
    """Tell whether a scenario's agents ask systems that its own run does not emulate."""
    grid = scenario.grid
    addresses = [each.address for each in grid.dstatcoms or () if each.address]
    if grid.monitoring is not None and grid.monitoring.source != "world":
        addresses.append(grid.monitoring.source)
    return not all(grid.systems is not None and _is_served(each, grid.systems) for each in addresses)


def _is_served(address: str, systems: Section) -> bool:
    """Tell whether emulated systems are what is at an address."""
    place = place_of(address, *_HTTP, *_MQTT)
    if place.scheme in _MQTT:
        return bool(systems.broker) and place == place_of(systems.broker, *_MQTT)
    return bool(systems.listen) and (place.host, place.port) == listen_at(systems.listen)


def outside_of(scenario: Scenario, world: World, clock: Clock, barrier: Barrier | None = None) -> Outside:
    """Return the systems that a scenario reaches outside, not connected yet.

    Raises: InvalidInput when an address or a file has changed since the scenario was read.
    """
    network = WallClock()
    return Outside(
        _monitoring(scenario, world, clock, network, barrier),
        {
            asset_id: _unit(asset_id, unit, scenario, clock, network, barrier)
            for asset_id, unit in _addressed(scenario, world)
        },
    )


def systems_of(
    scenario: Scenario, world: World, clock: Clock, barrier: Barrier | None = None
) -> DsoSystems | None:
    """Return the systems that a run emulates, not listening yet; None where the scenario wants none.

    A barrier waits for what those publish that the scenario's own agents hear by MQTT.

    Raises: InvalidInput when an address or a file has changed since the scenario was read.
    """
    section = scenario.grid.systems
    if section is None:
        return None
    barriers = {} if barrier is None else dict.fromkeys(_awaited(scenario, world, section), barrier)
    return DsoSystems(world, systems_settings(section), clock, WallClock(), barriers=barriers)


def systems_settings(section: Section) -> SystemsSettings:
    """Return where emulated systems answer and publish.

    Raises: InvalidInput with all that is wrong.
    """
    return SystemsSettings(
        listen=listen_at(section.listen) if section.listen else None,
        token=_token(section.access) if section.listen else "",
        broker=_broker(section.broker, section.access) if section.broker else None,
        fallback=DstatcomMode(section.fallback.upper()),
        watchdog_s=section.watchdog_s,
    )


def listen_at(text: str) -> tuple[str, int]:
    """Return host and port to listen at, on this machine: a proxy in front of it ends TLS.

    Raises: InvalidInput when they are none.
    """
    try:
        parts = urlsplit(f"//{text}")
        if parts.hostname and is_this_machine(parts.hostname) and parts.port is not None and not parts.path:
            return parts.hostname, parts.port
    except ValueError:
        pass
    expected = "a host that is this machine, and a port, such as 127.0.0.1:8090"
    raise InvalidInput(problem("listen", text, expected))


def _monitoring(
    scenario: Scenario, world: World, clock: Clock, network: Clock, barrier: Barrier | None
) -> MonitoringSystem | None:
    """Return the monitoring system at its source; None is the world's own, if there is any."""
    section = scenario.grid.monitoring
    if section is None or section.source == "world":
        return None
    rules = IntakeRules(
        nodes=frozenset(node for each in world.grid.networks for node in each.nodes),
        stale_s=max(_STALE_S, _STALE_PERIODS * max(section.period_s, scenario.step_s)),
    )
    place = place_of(section.source, *_HTTP, *_MQTT, path="source")
    if place.scheme in _HTTP:
        service = _service(place, section.access)
        return HttpMonitoring(service, clock, network, rules=rules, barrier=barrier)
    name = f"dso-{secrets.token_hex(4)}"
    broker = _broker(section.source, section.access)
    return MqttMonitoring(broker, name, clock, network, rules=rules, barrier=barrier, resumes=False)


def _unit(
    asset_id: str,
    unit: Dstatcom,
    scenario: Scenario,
    clock: Clock,
    network: Clock,
    barrier: Barrier | None,
) -> PhaseCompensator:
    place = place_of(unit.address, *_HTTP, *_MQTT, path="address")
    status_s = scenario.grid.dstatcom_status_s
    terms = CommandTerms(valid_s=max(_LEAST_VALID_S, 2 * status_s))
    if place.scheme in _HTTP:
        service = _service(place, unit.access)
        return HttpDstatcom(asset_id, service, clock, network, terms=terms, barrier=barrier)
    name, broker = f"{asset_id}-{secrets.token_hex(4)}", _broker(unit.address, unit.access)
    return MqttDstatcom(asset_id, broker, name, clock, network, terms=terms, silent_s=0, barrier=barrier)


def _addressed(scenario: Scenario, world: World) -> Iterator[tuple[str, Dstatcom]]:
    """Yield the units that have an address, with the ids that the world gives them."""
    listed = scenario.grid.dstatcoms or ()
    for segment in world.grid.segments:
        own = [each for each in listed if each.segment == segment.segment_id]
        for unit, placed in zip(own, world.compensators(segment.segment_id), strict=False):
            if unit.address:
                yield placed.asset_id, unit


def _awaited(scenario: Scenario, world: World, systems: Section) -> Iterator[str]:
    """Yield whose publications the scenario's own agents hear at the systems' broker."""
    monitoring = scenario.grid.monitoring
    told = {asset_id: unit.address for asset_id, unit in _addressed(scenario, world)}
    if monitoring is not None:
        told[MONITORING] = monitoring.source
    for name, address in told.items():
        if address.startswith(_MQTT) and _is_served(address, systems):
            yield name


def _service(place: Place, access: Access) -> Service:
    trust = trust_in(Path(access.ca_file) if access.ca_file else None) if place.is_secured else None
    return Service(place, _token(access), trust)


def _token(access: Access) -> str:
    if access.token_file is None:
        raise InvalidInput(problem("access.token_file", None, "given for HTTP"))
    return bearer_token(Path(access.token_file))


def _broker(url: str, access: Access) -> Broker:
    place = place_of(url, *_MQTT)
    trust = trust_in(Path(access.ca_file) if access.ca_file else None) if place.is_secured else None
    login = login_from(Path(access.login_file)) if access.login_file else None
    return Broker(place, login, trust)


# ------------------------------------------------------------------------------------ what is wrong


def outside_problems(scenario: Scenario) -> Iterator[tuple[str, object, str]]:
    """Yield path (below `grid`), value and what would be right, for addresses and files of secrets."""
    grid = scenario.grid
    if grid.monitoring is not None and grid.monitoring.source != "world":
        section = grid.monitoring
        yield from _address_problems("monitoring.source", section.source, "monitoring", section.access)
    for i, unit in enumerate(grid.dstatcoms or ()):
        if unit.address:
            path = f"dstatcoms[{i}]"
            yield from _address_problems(f"{path}.address", unit.address, path, unit.access)
    if grid.systems is not None:
        yield from _systems_problems(grid.systems)


def _systems_problems(section: Section) -> Iterator[tuple[str, object, str]]:
    path = "systems"
    if not section.listen and not section.broker:
        yield f"{path}.listen", "", "must be given where there is no broker either"
    if section.listen:
        yield from _found(lambda: listen_at(section.listen), f"{path}.listen")
        yield from _found(lambda: _token(section.access), f"{path}.access.token_file")
    if section.broker:
        yield from _address_problems(f"{path}.broker", section.broker, path, section.access, _MQTT)


def _address_problems(
    path: str, url: str, section: str, access: Access, schemes: Sequence[str] = (*_HTTP, *_MQTT)
) -> Iterator[tuple[str, object, str]]:
    wrong = list(_found(lambda: place_of(url, *schemes), path))
    yield from wrong
    if wrong:
        return
    place = place_of(url, *schemes)
    if place.scheme in _HTTP:
        yield from _found(lambda: _token(access), f"{section}.access.token_file")
    elif access.login_file:
        yield from _found(lambda: login_from(Path(str(access.login_file))), f"{section}.access.login_file")
    if place.is_secured and access.ca_file:
        yield from _found(lambda: trust_in(Path(str(access.ca_file))), f"{section}.access.ca_file")


def _found(read: Callable[[], Any], path: str) -> Iterator[tuple[str, object, str]]:
    """Yield what reading a value finds wrong."""
    try:
        read()
    except InvalidInput as error:
        for each in error.problems:
            yield path, each.value, f"must be {each.expected}"
