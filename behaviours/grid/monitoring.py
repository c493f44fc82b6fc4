"""The DSO watches its network: measured and foreseen flows become the traffic light (D8.1 3.9, SPEC 2.1)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from behaviours.behaviour import Behaviour, every, when
from behaviours.decisions.grid.network import Network
from behaviours.decisions.grid.outlook import UNSOLVABLE, outlook_of, places_of, strains_of
from behaviours.decisions.grid.power_flow import FlowResult, PowerFlow, over_phases
from behaviours.decisions.grid.pseudo_measurements import Expectation, from_forecast
from behaviours.decisions.grid.traffic_light import (
    Light,
    Strain,
    causes,
    limit_w,
    next_light,
)
from behaviours.grid.activation_limiting import ActivationLimiting
from behaviours.grid.active_network_management import ActiveNetworkManagement
from behaviours.grid.dso_settings import DsoSettings
from behaviours.grid.dstatcom_coordination import DstatcomCoordination
from behaviours.grid.flexibility_procurement import FlexibilityProcurement
from behaviours.grid.measuring import NetworkMeasuring
from behaviours.grid.relief_planning import ReliefPlanning, SegmentOutlook
from behaviours.information.delivery import grouped
from behaviours.site.fact_reporting import FactReporting
from ontology.base import INTERVAL_S
from ontology.codec import message_type_of
from ontology.discourse import Query, QueryResult
from ontology.errors import Failed, ParityError
from ontology.forecasts import Forecast
from ontology.grid import (
    GridConstraint,
    GridOutlook,
    GridState,
    GridStatusEvent,
)
from ontology.measurements import IntervalReading
from ontology.performatives import Performative

__all__ = ["NetworkMonitoring"]

Array = npt.NDArray[np.float64]
Phasors = npt.NDArray[np.complex128]

_FORECAST = message_type_of(Forecast)
_READING = message_type_of(IntervalReading)

AFRESH = 4
"""Intervals after which what is beyond the next steps is solved again: as often as sites plan."""
HELD = "held"
"""The cause of a light that is not over yet although nothing is wrong any more."""
SITES_A_QUERY = 24
"""Forecasts of a day that fit one letter."""


class Foreseen(NamedTuple):
    """What the sites expect to draw, with 10 and 90 % quantiles, each (steps, sites) in W; else nothing."""

    power_w: Array
    low_w: Array
    high_w: Array
    is_known: npt.NDArray[np.bool_]
    """(sites,): who has said what it expects"""

    def next_interval(self) -> Expectation:
        """Return what is expected in the first interval, and how wrong that may be."""
        return from_forecast(self.power_w[0], self.low_w[0], self.high_w[0])


class NetworkMonitoring(Behaviour):
    """Solves the power flow of what was measured and what is foreseen, and sets the light 5 minutes ahead."""

    settings: DsoSettings
    publishes = (GridStatusEvent, GridConstraint, GridOutlook)

    def setup(self) -> None:
        """Recall the lights of the last interval; without any they are green."""
        self.networks: tuple[Network, ...] = self.settings.networks
        """As they are now: events change them."""
        self._flow = PowerFlow(self.networks)
        self._sites = [site for network in self.settings.networks for site in network.sites]
        self._phases = np.concatenate([network.site_phase for network in self.settings.networks])
        self._three_phase_w = np.concatenate([each.three_phase_range_w for each in self.settings.networks])
        self._escalated: set[tuple[str, int]] = set()
        self._announced: dict[tuple[str, int], GridState] = {}
        """What was said of a segment's running and coming interval."""
        self._alone: dict[str, PowerFlow] = {}
        self._ahead: tuple[int, list[list[Strain]]] = (0, [])
        """From when on what strains are foreseen beyond the next steps, segment by segment."""
        self._lights = {network.segment_id: Light() for network in self.settings.networks}
        for network in self.settings.networks:
            last = self.kept(f"light {network.segment_id}", GridStatusEvent)
            if last is not None:
                self._lights[network.segment_id] = Light(last.state)
                self._announced[network.segment_id, last.start_s] = last.state

    @when("started")
    def listen(self) -> None:
        """Be told by who measures the network when a segment has been red for long enough."""
        self.sibling(NetworkMeasuring).when_red = self.raise_red

    @every(minutes=15, offset_s=600)
    async def set_lights(self) -> None:
        """Publish the state of every segment for the coming interval, and the outlook of the day from it."""
        next_s = self.now_s() // INTERVAL_S * INTERVAL_S + INTERVAL_S
        foreseen = await self._foreseen(next_s)
        measured_w = await self._measured_w(next_s - 2 * INTERVAL_S)
        self.sibling(NetworkMeasuring).foresight.note(next_s, foreseen.next_interval(), foreseen.is_known)
        near, soon_w = self.settings.outlook_steps, foreseen.power_w[: self.settings.outlook_steps]
        net_w = np.concatenate([np.nan_to_num(measured_w)[None, :], soon_w])
        flows, relief_va = self._relieved(net_w)
        far = self._far(foreseen.power_w, next_s)
        for index, (network, flow) in enumerate(zip(self.networks, flows, strict=True)):
            own = self._own_sites(network)
            self.sibling(ActiveNetworkManagement).import_w[network.segment_id] = (
                float(np.nansum(measured_w[own])),
                float(foreseen.power_w[0, own].sum()),
            )
            strains = strains_of(flow) if flow else [UNSOLVABLE] * (1 + near)
            strains[0] = self._measured_strain(network, next_s - 2 * INTERVAL_S, measured_w[own], strains[0])
            prospects = self.sibling(ReliefPlanning).foresee(
                network, self._segment_outlook(network, net_w, relief_va), strains, next_s
            )
            strains[1:] = [each.strain for each in prospects]
            self._set_light(network, strains[0], strains[1:], next_s, flow)
            self.sibling(FlexibilityProcurement).consider(
                network, strains[1:], [each.needed_w for each in prospects], next_s
            )
            segment_w = soon_w[:, own].sum(axis=1).tolist()
            self.sibling(ActivationLimiting).note_outlook(network, strains[1:], segment_w, next_s)
            self._publish_outlook(network, [*strains[1:], *far[index]], next_s)

    def change(self, network: Network) -> None:
        """Go on with a network that an event has changed."""
        self.networks = tuple(
            network if each.segment_id == network.segment_id else each for each in self.networks
        )
        self._flow = PowerFlow(self.networks)
        self._alone.pop(network.segment_id, None)
        self._ahead = (0, [])
        self.sibling(NetworkMeasuring).change(network)

    async def running_outlook(self, network: Network) -> SegmentOutlook:
        """Return what the sites of a segment are expected to draw in the running interval, one instant."""
        foreseen = await self._foreseen(self.now_s() // INTERVAL_S * INTERVAL_S)
        drew_va = [self.sibling(DstatcomCoordination).reported(each.segment_id) for each in self.networks]
        relief_va = np.array([each for segment in drew_va for each in segment]).reshape(1, -1, 3)
        return self._segment_outlook(network, foreseen.power_w[:1], relief_va)

    def _segment_outlook(self, network: Network, net_w: Array, relief_va: Phasors) -> SegmentOutlook:
        """Return one segment's part of what all sites draw (T, sites) and all D-STATCOMs (T, units, 3)."""
        units = 0
        for each in self.networks:
            if each is network:
                break
            units += len(each.compensator_nodes)
        own = self._own_sites(network)
        power_w = over_phases(net_w[:, own], self._phases[own], self._three_phase_w[own])
        return SegmentOutlook(
            power_w,
            np.maximum(power_w, 0.0) * self.settings.reactive_share,
            relief_va[:, units : units + len(network.compensator_nodes)],
        )

    def _own_sites(self, network: Network) -> slice:
        """Return where a segment's sites are among all."""
        first = self._sites.index(network.sites[0])
        return slice(first, first + len(network.sites))

    def _relieved(self, net_w: Array) -> tuple[Sequence[FlowResult | None], Phasors]:
        """Return each segment's flow at each instant, and the D-STATCOMs, set by what they can relieve."""
        flows = self.flows(net_w)
        relief_va = self._relief_va(flows)
        return (self.flows(net_w, relief_va) if relief_va.any() else flows), relief_va

    def _far(self, foreseen_w: Array, start_s: int) -> list[list[Strain]]:
        """Return the strains of each segment beyond the next steps, D-STATCOMs off; solved once an hour.

        Args:
            foreseen_w: (steps, sites) from `start_s` on, some more than are looked at.
            start_s: of the first interval that is foreseen.
        """
        near, reach = self.settings.outlook_steps, self._reach
        first_s = start_s + near * INTERVAL_S
        since_s, known = self._ahead
        if not known or not since_s <= first_s < since_s + AFRESH * INTERVAL_S:
            since_s, known = self._ahead = (first_s, self._solved_far(foreseen_w[near:]))
        skip = (first_s - since_s) // INTERVAL_S
        return [strains[skip : skip + reach] for strains in known]

    @property
    def _reach(self) -> int:
        """How many intervals are looked at beyond the next steps."""
        return max(0, self.settings.outlook_intervals - self.settings.outlook_steps)

    def _solved_far(self, net_w: Array) -> list[list[Strain]]:
        """Return the strains of each segment; where one has no solution, each segment by itself."""
        found = [strains_of(flow) if flow else None for flow in self.flows(net_w)]
        if not len(net_w) or None not in found:
            return [strains or [] for strains in found]
        return [self._far_alone(network, net_w) for network in self.networks]

    def _far_alone(self, network: Network, net_w: Array) -> list[Strain]:
        """Return the strains of a segment instant by instant: one without solution shall spoil no other."""
        flow = self._alone.setdefault(network.segment_id, PowerFlow([network]))
        own = [self._sites.index(site) for site in network.sites]
        power_w = over_phases(net_w[:, own], self._phases[own], self._three_phase_w[own])
        strains = []
        for each in power_w:
            try:
                (result,) = flow.solve(each[None], np.maximum(each, 0.0)[None] * self.settings.reactive_share)
            except Failed:
                strains.append(UNSOLVABLE)
            else:
                strains += strains_of(result)
        return strains

    def _measured_strain(self, network: Network, start_s: int, read_w: Array, by_readings: Strain) -> Strain:
        """Return how hard a segment was used: estimated where the network is metered, else by readings."""
        estimate = self.sibling(NetworkMeasuring).estimate_interval(network.segment_id, start_s, read_w)
        return strains_of(estimate.flow)[0] if estimate else by_readings

    def _publish_outlook(self, network: Network, strains: Sequence[Strain], start_s: int) -> None:
        wanted = strains[: self.settings.outlook_intervals]
        outlook = outlook_of(network.segment_id, wanted, self.settings.thresholds, start_s, self.now_s())
        self.publish(outlook, network.segment_id)
        self.tell(self.settings.repository, outlook)

    def raise_red(
        self, network: Network, strain: Strain, flow: FlowResult | None = None, instant: int = 0
    ) -> None:
        """Let the running interval be RED at once, and the coming one too where its light is out already."""
        network = next(each for each in self.networks if each.segment_id == network.segment_id)
        segment_id, running_s = network.segment_id, self.now_s() // INTERVAL_S * INTERVAL_S
        if flow is not None:
            self.sibling(ReliefPlanning).relieve_measured(
                network, flow, instant, self.now_s(), running_s + INTERVAL_S
            )
        for start_s in (running_s, running_s + INTERVAL_S):
            said = self._announced.get((segment_id, start_s))
            if said is GridState.RED or (said is None and start_s > running_s):
                continue
            self.agent.counts["intervals red by measurement"] += 1
            named = causes(strain, self.settings.thresholds)
            places = places_of(network, flow, instant, named) if flow else ()
            self._announce(network, Light(GridState.RED), strain, start_s, named, places)
            self.sibling(ActiveNetworkManagement).relieve(network, start_s)
        self._lights[segment_id] = Light(GridState.RED)

    @every(minutes=15)
    def escalate(self) -> None:
        """Let the next interval be RED already where too little flexibility was bought for it (SPEC 2.1)."""
        start_s = self.now_s() // INTERVAL_S * INTERVAL_S + INTERVAL_S
        for network in self.networks:
            strain = self.sibling(FlexibilityProcurement).unresolved(network.segment_id, start_s)
            if strain is not None:
                self._escalated.add((network.segment_id, start_s))
                named = causes(strain, self.settings.thresholds)
                self._announce(network, Light(GridState.RED), strain, start_s, named)
                self.sibling(ActiveNetworkManagement).relieve(network, start_s)

    def flows(
        self, net_w: Array, relief_va: npt.NDArray[np.complex128] | None = None
    ) -> Sequence[FlowResult | None]:
        """Return each segment's flow at each instant, from the sites' net power (T, sites) in W.

        What D-STATCOMs draw, (T, units, 3) in VA, counts if it is given. None where the load is more
        than the network can carry.
        """
        power_w = over_phases(net_w, self._phases, self._three_phase_w)
        reactive_var = np.maximum(power_w, 0.0) * self.settings.reactive_share
        try:
            if relief_va is None:
                return self._flow.solve(power_w, reactive_var)
            return self._flow.solve(power_w, reactive_var, relief_va.real, relief_va.imag)
        except Failed:
            self.agent.counts["power flows unsolved"] += 1
            return [None] * len(self.networks)

    def _relief_va(self, flows: Sequence[FlowResult | None]) -> npt.NDArray[np.complex128]:
        """Set all D-STATCOMs; return what they drew as was measured and are to draw, (T, units, 3) in VA."""
        coordination, parts = self.sibling(DstatcomCoordination), []
        for network, flow in zip(self.networks, flows, strict=True):
            drew_va = np.array(coordination.reported(network.segment_id)).reshape(-1, 3)
            relief_va = np.zeros((1 + self.settings.outlook_steps, *drew_va.shape), dtype=np.complex128)
            relief_va[0] = drew_va
            ahead_va = coordination.foresee(network, flow, self.settings.thresholds.unbalance_yellow)
            if ahead_va is not None:
                relief_va[1:] = ahead_va
            parts.append(relief_va)
        return np.concatenate(parts, axis=1)

    def _set_light(
        self,
        network: Network,
        measured: Strain,
        foreseen: Sequence[Strain],
        start_s: int,
        flow: FlowResult | None,
    ) -> None:
        settings, segment_id = self.settings, network.segment_id
        before = self._lights[segment_id]
        ahead = foreseen[0]
        asked = before.state is not GridState.GREEN or self.sibling(FlexibilityProcurement).was_asked(
            segment_id, start_s
        )
        light = next_light(before, ahead, measured=measured, unresolved=asked, thresholds=settings.thresholds)
        escalated = (segment_id, start_s) in self._escalated
        if escalated:
            light = Light(GridState.RED)
        self._escalated = {key for key in self._escalated if key[1] >= start_s}
        self._lights[segment_id] = light
        self._announce(network, light, ahead, start_s, *self._reasons(network, measured, ahead, light, flow))
        if light.state is not GridState.RED:
            self.sibling(ActiveNetworkManagement).stand_down(network)
        elif not escalated:
            self.sibling(ActiveNetworkManagement).relieve(network, start_s)

    def _reasons(
        self, network: Network, measured: Strain, ahead: Strain, light: Light, flow: FlowResult | None
    ) -> tuple[Sequence[str], Sequence[str]]:
        """Return why a light is not green, by what is foreseen or else was measured, and where."""
        for instant, strain in ((1, ahead), (0, measured)):
            named = causes(strain, self.settings.thresholds)
            if named:
                return named, places_of(network, flow, instant, named) if flow else ()
        return ([] if light.state is GridState.GREEN else [HELD]), ()

    def _announce(
        self,
        network: Network,
        light: Light,
        strain: Strain,
        start_s: int,
        named: Sequence[str],
        places: Sequence[str] = (),
    ) -> None:
        """Tell everybody the light of an interval, why, where, and what the segment may take and give."""
        segment_id = network.segment_id
        constraint = self._constraint(network, light.state, start_s)
        self._announced = {
            key: state for key, state in self._announced.items() if key[1] >= start_s - INTERVAL_S
        }
        self._announced[segment_id, start_s] = light.state
        event = GridStatusEvent(
            segment_id=segment_id,
            start_s=start_s,
            end_s=start_s + INTERVAL_S,
            published_at_s=self.now_s(),
            state=light.state,
            causes=list(named),
            loading=round(float(strain.loading), 4),
            voltage_min_pu=round(float(strain.voltage_min_pu), 4),
            voltage_max_pu=round(float(strain.voltage_max_pu), 4),
            places=list(places),
            constraints=[constraint],
        )
        self.keep(f"light {segment_id}", event)
        self.publish(event, segment_id)
        self.sibling(FactReporting).report(event)
        self._constrain(constraint)

    def _constraint(self, network: Network, state: GridState, start_s: int) -> GridConstraint:
        """Return what a segment may take and give from an interval on."""
        most_w = limit_w(network.transformer.rated_va, state, self.settings.thresholds)
        return GridConstraint(
            segment_id=network.segment_id, start_s=start_s, import_max_w=[most_w], export_max_w=[most_w]
        )

    def _constrain(self, constraint: GridConstraint) -> None:
        """Tell everybody what a segment may take and give, where that changes."""
        name = f"constraint {constraint.segment_id}"
        held = self.kept(name, GridConstraint)
        if held is not None and held.import_max_w == constraint.import_max_w:
            return
        self.keep(name, constraint)
        self.publish(constraint, constraint.segment_id)
        self.sibling(FactReporting).report(constraint)

    async def _foreseen(self, start_s: int) -> Foreseen:
        """Return what the sites expect to draw in the steps from a time; who says nothing draws nothing."""
        steps = self.settings.outlook_steps + (self._reach and self._reach + AFRESH - 1)
        power_w, low_w, high_w = np.zeros((3, steps, len(self._sites)))
        is_known = np.zeros(len(self._sites), dtype=np.bool_)
        column = {site: i for i, site in enumerate(self._sites)}
        for group in grouped(self._sites, SITES_A_QUERY):
            query = Query(entity=_FORECAST, subjects=list(group), latest=True)
            for forecast in await self._ask(query):
                if isinstance(forecast, Forecast):
                    at = column[forecast.subject]
                    is_known[at] = True
                    power_w[:, at] = window(forecast, start_s, steps)
                    low_w[:, at] = window(forecast, start_s, steps, forecast.low_w)
                    high_w[:, at] = window(forecast, start_s, steps, forecast.high_w)
        return Foreseen(power_w, low_w, high_w, is_known)

    async def _measured_w(self, start_s: int) -> Array:
        """Return what the sites drew in an interval, in W; not a number where a reading is missing."""
        power_w = np.full(len(self._sites), np.nan)
        column = {site: i for i, site in enumerate(self._sites)}
        for group in grouped(self._sites):
            query = Query(entity=_READING, subjects=list(group), start_s=start_s, end_s=start_s + INTERVAL_S)
            for reading in await self._ask(query):
                if isinstance(reading, IntervalReading):
                    power_w[column[reading.subject]] = reading.consumed_w - reading.produced_w
        return power_w

    async def _ask(self, query: Query) -> Sequence[object]:
        try:
            result = await self.ask(self.settings.repository, query, QueryResult, act=Performative.QUERY_REF)
        except ParityError:
            self.agent.counts["repository unavailable"] += 1
            return ()
        return result.items


def window(
    forecast: Forecast, start_s: int, steps: int, values_w: Sequence[int] | None = None
) -> Sequence[int]:
    """Return the powers of a forecast in W from a time on; its last value holds on.

    Args:
        forecast: in equal steps.
        start_s: of the first value wanted.
        steps: how many are wanted.
        values_w: its quantiles, instead of what is expected; where it has none, that is taken.
    """
    known = values_w or forecast.power_w
    first = max(0, (start_s - forecast.start_s) // forecast.step_s)
    values = list(known[first : first + steps] or known[-1:])
    return values + values[-1:] * (steps - len(values))
