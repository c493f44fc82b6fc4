"""A virtual power plant of about 100 device models: formed offline, through Prosody, and with deaths."""

import asyncio
import time
from collections import Counter
from typing import Any

from behaviours.vpp.initiation import VppInitiation, VppRecord, metrics_of
from environments.live.prosody import available
from launch.live import LiveCommunity
from launch.offline import OfflineCommunity
from launch.scenario import Scenario, scenario_of
from ontology.base import INTERVAL_S
from ontology.letter import Envelope

__all__ = ["plant_scenario", "rows"]

SITES = 240
POWER_KW = 150
ANNOUNCED, DELIVERING = 1, 2
"""The intervals in which the plant is formed and in which it begins to deliver."""


class Weighed:
    """Counts the letters of a transport, and their bytes, from a moment on."""

    def __init__(self, transport: Any) -> None:
        self.counts: Counter[str] = Counter()
        self._send = transport.send
        transport.send = self

    def __call__(self, envelope: Envelope) -> None:
        size = len(envelope.body)
        self.counts["letters"] += 1
        self.counts["bytes"] += size
        self.counts["longest"] = max(self.counts["longest"], size)
        self._send(envelope)


def plant_scenario(connection: str = "component", sites: int = SITES, power_kw: float = POWER_KW) -> Scenario:
    """Return a winter night in which a big community sells flexibility."""
    return scenario_of(
        {
            "start": "2024-02-13",
            "zone": "Europe/Berlin",
            "seed": 5,
            "intervals": 8,
            "record": False,
            "population": {"sites": sites},
            "server": {"kind": "prosody", "connection": connection, "domain": "population.localhost"},
            "products": [
                {"id": "big", "hour": 0.5, "hours": 1, "power_kw": power_kw, "price": 0.3, "lead_hours": 0.25}
            ],
        }
    )


def rows() -> list[dict[str, object]]:
    """Form the same plant in different ways."""
    measured = [_offline("offline"), _offline("offline, 10 die in C", dying=(ANNOUNCED, 100.3))]
    measured.append(_offline("offline, 10 die in E", dying=(DELIVERING + 1, 300.0)))
    if available():
        measured.append(asyncio.run(_live("Prosody, one component", "component")))
        measured.append(asyncio.run(_live("Prosody, accounts", "accounts", sites=100, power_kw=60)))
    return measured


def _offline(name: str, dying: tuple[int, float] | None = None) -> dict[str, object]:
    run = OfflineCommunity(plant_scenario())
    formed_s, weighed = 0.0, Weighed(run.transport)
    for interval in range(run.community.scenario.intervals or 0):
        if interval == ANNOUNCED:
            weighed.counts.clear()
        if dying and dying[0] == interval:
            run.clock.call_at(run.clock.now_s() + dying[1], lambda: _kill(run.community, 10))
        began_s = time.perf_counter()
        run.step()
        if interval == ANNOUNCED:
            formed_s, told = time.perf_counter() - began_s, Counter(weighed.counts)
    run.settle()
    return _row(name, _record(run.community), formed_s, told)


async def _live(name: str, connection: str, **size: Any) -> dict[str, object]:
    scenario = plant_scenario(connection, **size)
    async with LiveCommunity(scenario) as run:
        weighed = Weighed(run.transport)
        for interval in range(scenario.intervals or 0):
            if interval == ANNOUNCED:
                weighed.counts.clear()
            began_s = time.perf_counter()
            await run.step()
            if interval == ANNOUNCED:
                formed_s, told = time.perf_counter() - began_s, Counter(weighed.counts)
        await run.settle()
        return _row(name, _record(run.community), formed_s, told)


def _kill(community: Any, count: int) -> None:
    record = _record(community)
    for address in sorted(record.commitments or record.bids)[:count]:
        community.kill(address)


def _record(community: Any) -> VppRecord:
    aggregator = next(a for a in community.agents.values() if a.address.startswith("aggregator@"))
    (record,) = aggregator.behaviour(VppInitiation).plants.values()
    return record


def _row(name: str, record: VppRecord, formed_s: float, told: Counter[str]) -> dict[str, object]:
    figures = {metric.name: metric.value for metric in metrics_of(record)}
    last_s = record.product.start_s + (len(record.product.target_w) - 1) * INTERVAL_S
    last_wh = sum(own.get(last_s, 0) for own in record.delivered.values())
    return {
        "how": name,
        "members": len(record.commitments),
        "lost": len(record.lost),
        "formed in s": formed_s,
        "letters": told["letters"],
        "MB": told["bytes"] / 1e6,
        "longest kB": told["longest"] / 1000,
        "residual": figures["residual"],
        "delivered share": figures["delivered_share"],
        "last interval, of target": last_wh / (record.product.target_w[-1] / 4),
    }
