"""Looking for Modbus devices on addresses that one is told: reading only, a few hosts at a time."""

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from behaviours.ports import Clock
from environments.devices.modbus.address import ModbusAddress
from environments.devices.modbus.link import ModbusLink, RegistersRefused
from environments.devices.sunspec.discovery import Chain, NotSunSpec, discovered, read_model
from environments.devices.sunspec.readings import BATTERY_MODELS, INVERTER_MODELS, METER_MODELS
from environments.wire.pauses import Pauses
from ontology.errors import InvalidInput, Problem, Unavailable, problem

__all__ = ["ADDRESSES_MAX", "USUAL_UNITS", "FoundUnit", "addresses_in", "scan"]

ADDRESSES_MAX = 1_024
"""More than a site's network has."""
USUAL_UNITS = (1, 2, 3, 100, 126, 200, 240)
"""Where devices and the meters behind them usually are."""
_SIZES = (120, 124, 702, 713, 802)
_HOSTS_AT_ONCE = 16
_NEVER_AGAIN = Pauses(first_s=0.0, longest_s=0.0)


class FoundUnit(NamedTuple):
    """A unit that answered: its SunSpec models, or None where it has none."""

    address: ModbusAddress
    unit: int
    chain: Chain | None

    @property
    def roles(self) -> tuple[str, ...]:
        """Which devices of a site file it can be."""
        if self.chain is None:
            return ()
        ids = {model.model_id for model in self.chain.models}
        roles = []
        if ids & set(METER_MODELS):
            roles.append("meter")
        if ids & set(BATTERY_MODELS):
            roles.append("battery")
        elif ids & set(INVERTER_MODELS):
            roles.append("pv")
        return tuple(roles)


def addresses_in(targets: Sequence[str]) -> list[str]:
    """Return the hosts that names, addresses and networks (`192.168.1.0/24`) mean, each once.

    Raises: InvalidInput naming every one that is none, and when they are too many.
    """
    hosts: dict[str, None] = {}
    wrong: list[Problem] = []
    for target in targets:
        try:
            hosts |= dict.fromkeys(_hosts(target))
        except ValueError:
            wrong.append(problem("target", target, "a host, an address or a network such as 192.168.1.0/24"))
        except OverflowError:
            wrong.append(problem("target", target, f"at most {ADDRESSES_MAX} addresses"))
    if not wrong and len(hosts) > ADDRESSES_MAX:
        wrong.append(problem("targets", len(hosts), f"at most {ADDRESSES_MAX} addresses"))
    if wrong:
        raise InvalidInput(wrong)
    return list(hosts)


async def scan(
    hosts: Sequence[str],
    clock: Clock,
    *,
    port: int = 502,
    units: Sequence[int] = USUAL_UNITS,
    answer_s: float = 1.0,
) -> AsyncIterator[FoundUnit]:
    """Yield the units that answer, host by host; each host is asked by one connection, one thing at a time.

    A server that answers alike for several units has one device.
    """
    turns = asyncio.Semaphore(_HOSTS_AT_ONCE)

    async def look(host: str) -> list[FoundUnit]:
        async with turns:
            return await _units_at(ModbusAddress(host, port), clock, units, answer_s)

    tasks = [asyncio.ensure_future(look(host)) for host in hosts]
    try:
        for task in tasks:
            for found in await task:
                yield found
    finally:
        for task in tasks:
            task.cancel()


async def _units_at(
    address: ModbusAddress, clock: Clock, units: Sequence[int], answer_s: float
) -> list[FoundUnit]:
    link = ModbusLink(address, clock, answer_s=answer_s, pauses=_NEVER_AGAIN)
    found: list[FoundUnit] = []
    try:
        for unit in units:
            try:
                one = await _unit_at(link, unit)
            except Unavailable:
                if not link.connections:
                    break  # nobody listens
                continue
            if not any(_is_same(one, other) for other in found):
                found.append(one)
    finally:
        await link.close()
    return found


async def _unit_at(link: ModbusLink, unit: int) -> FoundUnit:
    """Find a unit's models, and read those that say how big it is."""
    try:
        chain = await discovered(link, unit)
    except (NotSunSpec, RegistersRefused):
        return FoundUnit(link.address, unit, None)
    for model_id in _SIZES:
        model = chain.first(model_id)
        if model is not None:
            with suppress(RegistersRefused, NotSunSpec):
                await read_model(link, unit, model)
    return FoundUnit(link.address, unit, chain)


def _is_same(one: FoundUnit, other: FoundUnit) -> bool:
    if one.chain is None or other.chain is None:
        return one.chain is other.chain
    models = [[(each.model_id, each.address) for each in found.chain.models] for found in (one, other)]  # type: ignore[union-attr]
    return models[0] == models[1] and one.chain.nameplate == other.chain.nameplate


def _hosts(target: str) -> Iterator[str]:
    if "/" in target:
        network = ipaddress.ip_network(target, strict=False)
        if network.num_addresses > ADDRESSES_MAX:
            raise OverflowError
        yield from (str(each) for each in network.hosts())
        return
    if not target or any(each.isspace() for each in target) or target.startswith("-"):
        raise ValueError
    yield target
