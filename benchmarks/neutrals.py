"""What it costs to solve the neutrals of the world's feeders as conductors of their own."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from environments.simulation.world import FeederSettings, SiteSettings, World, WorldSettings

__all__ = ["rows"]

START_S = 1_704_906_000
REPEATS = 20


def rows() -> Sequence[Mapping[str, Any]]:
    """Return a row for each size of world and each network."""
    cases = (("street", 60), ("street", 1_000), ("ieee-european-lv", 55))
    return [row(network, sites) for network, sites in cases]


def row(network: str, sites: int) -> Mapping[str, Any]:
    """Measure one instant of a world's feeders: phases as they are always solved, neutrals besides."""
    world = World(
        WorldSettings(
            start_s=START_S,
            step_s=900,
            feeder=FeederSettings(network=network, four_wires=True),
            sites=tuple(SiteSettings(id=f"h{i:04d}", zone="Europe/Berlin") for i in range(sites)),
        )
    )
    world.step()
    flows = world.grid.solve(world.power_w)
    phases_ms = _least_ms(lambda: world.grid.solve(world.power_w))
    neutrals_ms = _least_ms(lambda: world.grid.neutrals(world.power_w, flows))
    found = world.grid.neutrals(world.power_w, flows)
    head_a = np.array([each.head_a for each in found])
    implied_a = np.array([flow.busbar_current_a()[-1, 3] for flow in flows])
    return {
        "network": network,
        "sites": sites,
        "feeders": len(flows),
        "phases, ms": round(phases_ms, 2),
        "neutrals, ms": round(neutrals_ms, 2),
        "highest neutral, V": round(max(each.voltage_v for each in found), 2),
        "currents differ by, mA": round(1000 * float(np.abs(head_a - implied_a).max()), 4),
    }


def _least_ms(work: Any) -> float:
    """Return the least time of several."""
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return 1000 * min(times)
