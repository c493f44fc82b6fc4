"""What the DSO has measured in the simulated network: transformer stations and some sites' smart meters.

A meter gives a value a minute of what the last step of the world was, with the error of its class; some
values do not come. Everything follows from the seed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from environments.simulation.world.generators import generator
from ontology.grid import GridMeasurement

if TYPE_CHECKING:
    from behaviours.decisions.grid.power_flow import FlowResult
    from environments.simulation.world.settings import MonitoringSettings
    from environments.simulation.world.world import World

__all__ = ["NetworkMeters"]

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]

REMEMBERED = 1_500
"""Readings of each meter that can still be asked for: a day of minutes."""


class _Meter(NamedTuple):
    """A meter: the feeder and node where it stands, and the sites behind it, none of a transformer's."""

    feeder: int
    node: int
    node_id: str
    sites: tuple[int, ...]


class NetworkMeters:
    """The port `MonitoringSystem` of a simulated world; `record` notes what is measured at its time."""

    def __init__(self, world: World, settings: MonitoringSettings) -> None:
        """Place meters in every feeder; which sites have one is drawn by the seed of the world."""
        self._world, self._settings = world, settings
        self._meters = list(_placed(world, settings))
        self._noise = generator(world.settings.seed, "network meters")
        self._readings: deque[GridMeasurement] = deque(maxlen=REMEMBERED * max(1, len(self._meters)))

    @property
    def node_ids(self) -> tuple[str, ...]:
        """The nodes that are metered."""
        return tuple(each.node_id for each in self._meters)

    async def measurements(self, since_s: int) -> Sequence[GridMeasurement]:
        """Return what was measured at metered nodes from a time on, ascending."""
        newest: list[GridMeasurement] = []
        for reading in reversed(self._readings):
            if reading.time_s < since_s:
                break
            newest.append(reading)
        return newest[::-1]

    def record(self) -> None:
        """Note what every meter shows now, where it is a full period of theirs."""
        if self._meters and self._world.now_s % self._settings.period_s == 0:
            flows, drawn_va = self._world.solve_now(), self._world.drawn_va()
            for meter in self._meters:
                reading = self._reading(meter, flows[meter.feeder], drawn_va)
                if self._noise.random() >= self._settings.missing:
                    self._readings.append(reading)

    def _reading(self, meter: _Meter, flow: FlowResult, drawn_va: Complex) -> GridMeasurement:
        """Return a reading with the errors of its channels; each draws, whether it arrives or not."""
        volts = flow.phasors_v(meter.node)[-1]
        power_va = drawn_va[list(meter.sites)].sum(axis=0) if meter.sites else _busbar_va(flow)
        error = self._noise.standard_normal((3, 3))
        magnitude_v = np.abs(volts) * (1 + self._settings.voltage_error * error[0])
        power_w = power_va.real * (1 + self._settings.power_error * error[1])
        reactive_var = power_va.imag * (1 + self._settings.power_error * error[2])
        current = np.conj((power_w + 1j * reactive_var) / volts) * np.abs(volts) / magnitude_v
        return GridMeasurement(
            node_id=meter.node_id,
            time_s=self._world.now_s,
            voltage_v=[round(float(each), 2) for each in magnitude_v],
            current_a=[round(float(abs(each)), 2) for each in (*current, current.sum())],
            power_w=[round(float(each)) for each in power_w],
            reactive_var=[round(float(each)) for each in reactive_var],
        )


def _busbar_va(flow: FlowResult) -> Complex:
    return np.asarray(flow.busbar_w[-1] + 1j * flow.busbar_var[-1])


def _placed(world: World, settings: MonitoringSettings) -> Sequence[_Meter]:
    """Return the meters feeder by feeder: that of the transformer, then those at sites' nodes."""
    meters, first = [], 0
    for feeder, network in enumerate(world.grid.networks):
        if settings.transformer:
            meters.append(_Meter(feeder, 1, network.nodes[1], ()))
        draw = generator(world.settings.seed, "network meters", network.segment_id)
        count = round(settings.share_of_sites * len(network.sites))
        chosen = draw.choice(len(network.sites), count, replace=False)
        for node in np.unique(network.site_node[chosen]).tolist():
            behind = np.flatnonzero(network.site_node == node) + first
            meters.append(_Meter(feeder, node, network.nodes[node], tuple(behind.tolist())))
        first += len(network.sites)
    return meters
