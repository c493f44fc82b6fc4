"""What the DSO measures in its network: stored, estimated from, and red at once where it lasts (SPEC 4.10).

Each minute the monitoring system is asked for what is new. A state of each segment is estimated from it;
where that is red for two minutes, the running interval is red from then on (SPEC 2.1).
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import structlog
from numpy.typing import NDArray

from behaviours.behaviour import Behaviour, every
from behaviours.decisions.grid.network import Network
from behaviours.decisions.grid.node_readings import NodeReadings
from behaviours.decisions.grid.outlook import strains_of
from behaviours.decisions.grid.power_flow import FlowResult
from behaviours.decisions.grid.pseudo_measurements import (
    Expectation,
    expected_loads,
    from_meter,
    from_profile,
    of_minutes,
)
from behaviours.decisions.grid.state_estimation import Estimate, StateEstimation
from behaviours.decisions.grid.traffic_light import Strain, red_since
from behaviours.grid.dso_settings import DsoSettings, Metering
from behaviours.grid.dstatcom_coordination import DstatcomCoordination
from behaviours.ports import MonitoringSystem
from ontology.base import INTERVAL_S
from ontology.discourse import Acknowledgement
from ontology.errors import Failed, ParityError, Unavailable
from ontology.grid import MAX_MEASUREMENTS, GridMeasurement, GridMeasurementBatch
from ontology.performatives import Performative

__all__ = ["Foresight", "NetworkMeasuring"]

log = structlog.get_logger()

Array = NDArray[np.float64]
WhenRed = Callable[[Network, Strain, FlowResult, int], None]

REMEMBERED_S = 3 * INTERVAL_S
"""How long measurements and expectations are held; what is older is in the repository."""
MOST_WAITING = 100_000
"""Measurements that wait for a repository that is away; beyond, the oldest are given up and counted."""
_STORED = "measurements stored up to"


class Foresight:
    """What sites are expected to draw, by start of interval, as far as they have said it."""

    def __init__(self) -> None:
        self._of_interval: dict[int, tuple[Expectation, NDArray[np.bool_]]] = {}

    def note(self, start_s: int, forecast: Expectation, is_known: NDArray[np.bool_]) -> None:
        """Remember what is foreseen for an interval, (sites,); forget what is long past."""
        oldest_s = start_s - REMEMBERED_S
        self._of_interval = {at: known for at, known in self._of_interval.items() if at >= oldest_s}
        self._of_interval[start_s] = (forecast, is_known)

    def of(self, start_s: int, sites: slice, local_hour: float) -> Expectation:
        """Return what some sites are expected to draw in an interval: by forecast, or standard profile."""
        profile = from_profile(local_hour, sites.stop - sites.start)
        if start_s not in self._of_interval:
            return profile
        forecast, is_known = self._of_interval[start_s]
        return forecast.of(sites).where(is_known[sites], profile)


class NetworkMeasuring(Behaviour):
    """Takes measurements each minute and estimates the state of every segment from them."""

    settings: DsoSettings

    def setup(self) -> None:
        """Nothing has been measured since the start; what was stored before is remembered."""
        self._system: MonitoringSystem | None = self.agent.surroundings.monitoring
        self._metering = self.settings.metering or Metering()
        self.foresight = Foresight()
        self._segments = {
            network.segment_id: _Segment(network, sites)
            for network, sites in _with_sites(self.settings.networks if self.measures else ())
        }
        self._node_of = {
            node_id: (segment_id, node)
            for segment_id, segment in self._segments.items()
            for node, node_id in enumerate(segment.network.nodes)
        }
        self._taken_to_s: int | None = None
        self._to_store: list[GridMeasurement] = []
        self._is_storing = False
        self.when_red: WhenRed = lambda *_: None
        """Called when red has lasted: segment, strain, and the flow and instant that it is of"""

    def change(self, network: Network) -> None:
        """Go on estimating a network that an event has changed."""
        segment = self._segments.get(network.segment_id)
        if segment is not None:
            segment.change(network)

    @property
    def measures(self) -> bool:
        """Whether there is a monitoring system at all."""
        return self._system is not None and self.settings.metering is not None

    @every(seconds=lambda settings: settings.metering.period_s if settings.metering else 0, offset_s=2)
    async def measure(self) -> None:
        """Take what is new, raise RED where it lasts, and have everything stored."""
        times = self._take(await self._fresh())
        for segment_id in sorted(times):
            self._watch(self._segments[segment_id], sorted(times[segment_id]))
        await self._store()

    def estimate_interval(self, segment_id: str, start_s: int, read_w: Array) -> Estimate | None:
        """Return the mean state of a segment in an interval that has ended; None where nobody can tell.

        Args:
            segment_id: which.
            start_s: of the interval.
            read_w: what the meters of its sites say, (sites,) in W; not a number where a reading is missing.
        """
        segment = self._segments.get(segment_id)
        if segment is None:
            return None
        times = [time_s for time_s in segment.times if start_s < time_s <= start_s + INTERVAL_S]
        guess = self._expectation(segment, start_s)
        known = from_meter(np.nan_to_num(read_w)).where(np.isfinite(read_w), guess)
        readings = [each.mean() for each in segment.readings(times, self._metering)] if times else []
        return self._estimate(segment, known, readings)

    def _expectation(self, segment: "_Segment", start_s: int) -> Expectation:
        zone = ZoneInfo(self._metering.zone)
        hour = datetime.fromtimestamp(start_s, UTC).astimezone(zone).hour
        return self.foresight.of(start_s, segment.sites, hour)

    def _estimate(
        self, segment: "_Segment", known: Expectation, readings: Sequence[NodeReadings]
    ) -> Estimate | None:
        """Return the state of a segment, what D-STATCOMs report included, and count what was discarded."""
        instants = len(readings[0].voltage_v) if readings else 1
        segment_id = segment.network.segment_id
        drawn_va = np.array(self.sibling(DstatcomCoordination).reported(segment_id)).reshape(-1, 3)
        has_units = len(drawn_va) == len(segment.network.compensator_nodes)
        loads = expected_loads(
            known.repeated(instants),
            segment.network.site_phase,
            self.settings.reactive_share,
            np.tile(drawn_va, (instants, 1, 1)) if has_units else None,
            segment.network.three_phase_range_w,
        )
        try:
            found = segment.estimation.estimate(loads, readings)
        except Failed:
            self.agent.counts["states not estimated"] += 1
            return None
        for each in found.discarded:
            self.agent.counts["measurements discarded"] += 1
            node_id = segment.network.nodes[each.node]
            log.warning("measurement discarded", node=node_id, quantity=each.quantity, residual=each.residual)
        return found

    # -- minutes -----------------------------------------------------------------------------------

    async def _fresh(self) -> Sequence[GridMeasurement]:
        """Return what was measured since the last time; after a restart, since what was stored."""
        assert self._system is not None
        since_s = self._taken_to_s
        if since_s is None:
            stored_s = int(self.agent.kept_bytes(_STORED) or 0)
            since_s = max(stored_s, self.now_s() - REMEMBERED_S)
        try:
            return await self._system.measurements(since_s + 1)
        except Unavailable:
            self.agent.counts["monitoring unavailable"] += 1
            return ()

    def _take(self, fresh: Sequence[GridMeasurement]) -> dict[str, set[int]]:
        """Note measurements of nodes that are known, and return the new times by segment."""
        times: dict[str, set[int]] = defaultdict(set)
        for each in fresh:
            place = self._node_of.get(each.node_id)
            if place is None:
                self.agent.counts["measurements of unknown nodes"] += 1
                continue
            segment_id, node = place
            self._segments[segment_id].note(node, each)
            times[segment_id].add(each.time_s)
            self._to_store.append(each)
        too_many = max(0, len(self._to_store) - MOST_WAITING)
        self.agent.counts["measurements not stored"] += too_many
        del self._to_store[:too_many]
        if fresh:
            self._taken_to_s = max(each.time_s for each in fresh)
        return times

    def _watch(self, segment: "_Segment", times: list[int]) -> None:
        """Follow a red condition over the newest minutes of a segment."""
        interval_s = (times[-1] - 1) // INTERVAL_S * INTERVAL_S
        expected = of_minutes(self._expectation(segment, interval_s))
        found = self._estimate(segment, expected, segment.readings(times, self._metering))
        if found is None:
            return
        for index, (time_s, strain) in enumerate(zip(times, strains_of(found.flow), strict=True)):
            segment.red_since_s, lasts = red_since(
                segment.red_since_s, strain, time_s, self.settings.thresholds
            )
            if lasts:
                self.when_red(segment.network, strain, found.flow, index)

    async def _store(self) -> None:
        """Bring measurements to the repository, oldest first, until one letter is not acknowledged."""
        if self._is_storing:
            return
        self._is_storing = True
        try:
            await self._store_all()
        finally:
            self._is_storing = False

    async def _store_all(self) -> None:
        while self._to_store:
            some = self._to_store[:MAX_MEASUREMENTS]
            batch = GridMeasurementBatch(measurements=some)
            try:
                await self.ask(self.settings.repository, batch, Acknowledgement, act=Performative.REQUEST)
            except ParityError:
                self.agent.counts["repository unavailable"] += 1
                return
            del self._to_store[: len(some)]
            self.keep(_STORED, str(some[-1].time_s).encode())


class _Segment:
    """A segment, what was measured of it lately, and since when it is red."""

    def __init__(self, network: Network, sites: slice) -> None:
        self.network, self.sites = network, sites
        self.estimation = StateEstimation(network)
        self.red_since_s: float | None = None
        self._measured: dict[int, dict[int, GridMeasurement]] = defaultdict(dict)
        """By time and node"""

    def change(self, network: Network) -> None:
        """Go on with the same measurements in a network that has changed."""
        self.network, self.estimation = network, StateEstimation(network)

    @property
    def times(self) -> list[int]:
        """When something was measured, ascending."""
        return sorted(self._measured)

    def note(self, node: int, measurement: GridMeasurement) -> None:
        """Remember a measurement, and forget what is long past."""
        self._measured[measurement.time_s][node] = measurement
        oldest_s = measurement.time_s - REMEMBERED_S
        for time_s in [each for each in self._measured if each < oldest_s]:
            del self._measured[time_s]

    def readings(self, times: Sequence[int], metering: Metering) -> list[NodeReadings]:
        """Return what each meter said at some times; not a number where it said nothing."""
        nodes = sorted({node for time_s in times for node in self._measured[time_s]})
        return [
            NodeReadings(
                node,
                self._values(node, times, "voltage_v"),
                self._values(node, times, "power_w"),
                self._values(node, times, "reactive_var"),
                metering.voltage_error,
                metering.power_error,
            )
            for node in nodes
        ]

    def _values(self, node: int, times: Sequence[int], name: str) -> Array:
        """Return a quantity at a node, (times, 3)."""
        measured = [self._measured[time_s].get(node) for time_s in times]
        values = [[np.nan] * 3 if each is None else getattr(each, name) for each in measured]
        return np.array(values, dtype=np.float64)


def _with_sites(networks: Sequence[Network]) -> Iterator[tuple[Network, slice]]:
    """Yield each network with its place in the order of all sites."""
    first = 0
    for network in networks:
        yield network, slice(first, first := first + len(network.sites))
