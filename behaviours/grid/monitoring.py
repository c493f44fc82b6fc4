"""The DSO watches its network: measured and foreseen flows become the traffic light (D8.1 3.9, SPEC 2.1)."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from behaviours.behaviour import Behaviour, every
from behaviours.decisions.grid.network import Network
from behaviours.decisions.grid.power_flow import FlowResult, PowerFlow, over_phases
from behaviours.decisions.grid.traffic_light import (
    Light,
    Strain,
    causes,
    limit_w,
    next_light,
    severity,
)
from behaviours.grid.active_network_management import ActiveNetworkManagement
from behaviours.grid.dso_settings import DsoSettings
from behaviours.grid.dstatcom_coordination import DstatcomCoordination
from behaviours.grid.flexibility_procurement import FlexibilityProcurement
from behaviours.information.delivery import grouped
from behaviours.site.fact_reporting import FactReporting
from ontology.base import INTERVAL_S
from ontology.codec import message_type_of
from ontology.discourse import Query, QueryResult
from ontology.errors import Failed, ParityError
from ontology.forecasts import Forecast
from ontology.grid import (
    GridConstraint,
    GridState,
    GridStatusEvent,
)
from ontology.measurements import IntervalReading
from ontology.performatives import Performative

__all__ = ["NetworkMonitoring"]

_FORECAST = message_type_of(Forecast)
_READING = message_type_of(IntervalReading)

UNSOLVABLE = Strain(loading=9.99, voltage_min_pu=0.5, voltage_max_pu=1.5, unbalance=1.0)
"""What a load that the feeder cannot carry counts as: the power flow has no solution."""

SITES_A_QUERY = 24
"""Forecasts of a day that fit one letter."""


class NetworkMonitoring(Behaviour):
    """Solves the power flow of what was measured and what is foreseen, and sets the light 5 minutes ahead."""

    settings: DsoSettings
    publishes = (GridStatusEvent, GridConstraint)

    def setup(self) -> None:
        """Recall the lights of the last interval; without any they are green."""
        self._flow = PowerFlow(self.settings.networks)
        self._sites = [site for network in self.settings.networks for site in network.sites]
        self._phases = np.concatenate([network.site_phase for network in self.settings.networks])
        self._escalated: set[tuple[str, int]] = set()
        self._lights = {network.segment_id: Light() for network in self.settings.networks}
        for network in self.settings.networks:
            last = self.kept(f"light {network.segment_id}", GridStatusEvent)
            if last is not None:
                self._lights[network.segment_id] = Light(last.state)

    @every(minutes=15, offset_s=600)
    async def set_lights(self) -> None:
        """Publish the state of every segment for the coming interval."""
        next_s = self.now_s() // INTERVAL_S * INTERVAL_S + INTERVAL_S
        foreseen_w = await self._foreseen_w(next_s)
        measured_w = await self._measured_w(next_s - 2 * INTERVAL_S)
        net_w = np.concatenate([measured_w[None, :], foreseen_w])
        flows = self.flows(net_w)
        relief_va = self._relief_va(flows)
        if relief_va.any():
            flows = self.flows(net_w, relief_va)
        first = 0
        for network, flow in zip(self.settings.networks, flows, strict=True):
            own = slice(first, first := first + len(network.sites))
            self.sibling(ActiveNetworkManagement).import_w[network.segment_id] = (
                float(measured_w[own].sum()),
                float(foreseen_w[0, own].sum()),
            )
            strains = strains_of(flow) if flow else [UNSOLVABLE] * (1 + len(foreseen_w))
            self._set_light(network, strains[0], strains[1:], next_s)
            segment_w = foreseen_w[:, own].sum(axis=1).tolist()
            self.sibling(FlexibilityProcurement).consider(network, strains[1:], segment_w, next_s)

    @every(minutes=15)
    def escalate(self) -> None:
        """Let the next interval be RED already where too little flexibility was bought for it (SPEC 2.1)."""
        start_s = self.now_s() // INTERVAL_S * INTERVAL_S + INTERVAL_S
        for network in self.settings.networks:
            strain = self.sibling(FlexibilityProcurement).unresolved(network.segment_id, start_s)
            if strain is not None:
                self._escalated.add((network.segment_id, start_s))
                self._announce(network, Light(GridState.RED), strain, start_s)
                self.sibling(ActiveNetworkManagement).relieve(network, start_s)

    def flows(
        self, net_w: npt.NDArray[np.float64], relief_va: npt.NDArray[np.complex128] | None = None
    ) -> Sequence[FlowResult | None]:
        """Return each segment's flow at each instant, from the sites' net power (T, sites) in W.

        What D-STATCOMs draw, (T, units, 3) in VA, counts if it is given. None where the load is more
        than the network can carry.
        """
        power_w = over_phases(net_w, self._phases)
        reactive_var = np.maximum(power_w, 0.0) * self.settings.reactive_share
        try:
            if relief_va is None:
                return self._flow.solve(power_w, reactive_var)
            return self._flow.solve(power_w, reactive_var, relief_va.real, relief_va.imag)
        except Failed:
            self.agent.counts["power flows unsolved"] += 1
            return [None] * len(self.settings.networks)

    def _relief_va(self, flows: Sequence[FlowResult | None]) -> npt.NDArray[np.complex128]:
        """Set all D-STATCOMs; return what they drew as was measured and are to draw, (T, units, 3) in VA."""
        coordination, parts = self.sibling(DstatcomCoordination), []
        for network, flow in zip(self.settings.networks, flows, strict=True):
            drew_va = np.array(coordination.reported(network.segment_id)).reshape(-1, 3)
            relief_va = np.zeros((1 + self.settings.outlook_steps, *drew_va.shape), dtype=np.complex128)
            relief_va[0] = drew_va
            ahead_va = coordination.foresee(network, flow, self.settings.thresholds.unbalance_yellow)
            if ahead_va is not None:
                relief_va[1:] = ahead_va
            parts.append(relief_va)
        return np.concatenate(parts, axis=1)

    def _set_light(
        self, network: Network, measured: Strain, foreseen: Sequence[Strain], start_s: int
    ) -> None:
        settings, segment_id = self.settings, network.segment_id
        before = self._lights[segment_id]
        ahead = foreseen[0]
        asked = before.state is not GridState.GREEN or self.sibling(FlexibilityProcurement).was_asked(
            segment_id, start_s
        )
        unresolved = asked and severity(ahead, settings.thresholds) is GridState.RED
        light = next_light(
            before, ahead, measured=measured, unresolved=unresolved, thresholds=settings.thresholds
        )
        escalated = (segment_id, start_s) in self._escalated
        if escalated:
            light = Light(GridState.RED)
        self._escalated = {key for key in self._escalated if key[1] >= start_s}
        self._lights[segment_id] = light
        self._announce(network, light, ahead, start_s)
        if light.state is not GridState.RED:
            self.sibling(ActiveNetworkManagement).stand_down(network)
        elif not escalated:
            self.sibling(ActiveNetworkManagement).relieve(network, start_s)

    def _announce(self, network: Network, light: Light, ahead: Strain, start_s: int) -> None:
        """Tell everybody the light of an interval."""
        settings, segment_id = self.settings, network.segment_id
        event = GridStatusEvent(
            segment_id=segment_id,
            start_s=start_s,
            end_s=start_s + INTERVAL_S,
            published_at_s=self.now_s(),
            state=light.state,
            causes=causes(ahead, settings.thresholds),
            loading=round(float(ahead.loading), 4),
            voltage_min_pu=round(float(ahead.voltage_min_pu), 4),
            voltage_max_pu=round(float(ahead.voltage_max_pu), 4),
        )
        self.keep(f"light {segment_id}", event)
        self.publish(event, segment_id)
        self.sibling(FactReporting).report(event)
        self._constrain(network, light.state, start_s)

    def _constrain(self, network: Network, state: GridState, start_s: int) -> None:
        """Tell everybody what a segment may take and give from an interval on, where that changes."""
        most_w = limit_w(network.transformer.rated_va, state, self.settings.thresholds)
        name = f"constraint {network.segment_id}"
        held = self.kept(name, GridConstraint)
        if held is not None and held.import_max_w == [most_w]:
            return
        constraint = GridConstraint(
            segment_id=network.segment_id, start_s=start_s, import_max_w=[most_w], export_max_w=[most_w]
        )
        self.keep(name, constraint)
        self.publish(constraint, network.segment_id)
        self.sibling(FactReporting).report(constraint)

    async def _foreseen_w(self, start_s: int) -> npt.NDArray[np.float64]:
        """Return what the sites expect to draw in the steps from a time, (steps, sites) in W."""
        steps = self.settings.outlook_steps
        power_w = np.zeros((steps, len(self._sites)))
        column = {site: i for i, site in enumerate(self._sites)}
        for group in grouped(self._sites, SITES_A_QUERY):
            query = Query(entity=_FORECAST, subjects=list(group), latest=True)
            for forecast in await self._ask(query):
                if isinstance(forecast, Forecast):
                    power_w[:, column[forecast.subject]] = window(forecast, start_s, steps)
        return power_w

    async def _measured_w(self, start_s: int) -> npt.NDArray[np.float64]:
        """Return what the sites drew in an interval, in W; a missing reading counts as nothing."""
        power_w = np.zeros(len(self._sites))
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


def strains_of(result: FlowResult) -> list[Strain]:
    """Return how hard a feeder is used at each instant of a power flow."""
    rows = zip(
        result.loading.tolist(),
        result.voltage_min_pu.tolist(),
        result.voltage_max_pu.tolist(),
        result.unbalance_max.tolist(),
        strict=True,
    )
    return [Strain(*row) for row in rows]


def window(forecast: Forecast, start_s: int, steps: int) -> list[int]:
    """Return the powers of a forecast in W from a time on; its last value holds on."""
    first = max(0, (start_s - forecast.start_s) // forecast.step_s)
    values = forecast.power_w[first : first + steps] or forecast.power_w[-1:]
    return values + values[-1:] * (steps - len(values))
