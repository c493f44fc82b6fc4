"""Removing violations with the cheapest means, in order, and checking the result by a full power flow.

D-STATCOMs come first, then the operator's own assets, flexibility that is bought, and direct load control;
each next only for what those before cannot remove (SPEC 4.10).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from behaviours.decisions.active_network.controls import Controls, controls_of
from behaviours.decisions.active_network.means import Compensation, Lever, Limits, OperatingPoint, Stage
from behaviours.decisions.active_network.optimal_flow import (
    TOLERANCE,
    Solution,
    better,
    least_cost,
    weighted_price,
)
from behaviours.decisions.active_network.phasors import FeederPhasors, FeederState
from behaviours.decisions.grid.network import Network
from behaviours.decisions.grid.power_flow import FlowResult, PowerFlow
from behaviours.decisions.grid.traffic_light import Strain
from ontology.errors import Failed

__all__ = ["ActiveNetwork", "NetworkRelief", "strain_at"]

Phasors = NDArray[np.complex128]

FEWEST_W = 1e-3
"""Below this a set-point is nothing."""


@dataclass(frozen=True)
class NetworkRelief:
    """What to set, in order to keep a feeder within limits, and what is left of the violation."""

    changes_w: Mapping[str, float]
    """By lever: what it draws more than before, W"""
    reactive_var: Mapping[str, float]
    compensation_va: Phasors
    """(D-STATCOMs, 3): what each is to draw"""
    stages: tuple[Stage, ...]
    """The means that are used"""
    remaining: float
    """The greatest violation that is left, in p.u. or as a ratio; 0 where none is"""
    flow: FlowResult | None
    """The feeder with all of this, by a full power flow; None where it cannot carry the load"""
    cost_eur_per_h: float
    rounds: int

    @property
    def is_clear(self) -> bool:
        """Whether nothing is violated any more."""
        return self.flow is not None and self.remaining <= 0


def strain_at(flow: FlowResult, instant: int = 0) -> Strain:
    """Return how hard a feeder is used at an instant of a flow."""
    return Strain(
        float(flow.loading[instant]),
        float(flow.voltage_min_pu[instant]),
        float(flow.voltage_max_pu[instant]),
        float(flow.unbalance_max[instant]),
    )


class ActiveNetwork:
    """A feeder of which the operator may set something."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._phasors = FeederPhasors(network)
        self._flow = PowerFlow([network])

    def relieve(
        self,
        point: OperatingPoint,
        limits: Limits,
        compensation: Sequence[Compensation] = (),
        levers: Sequence[Lever] = (),
    ) -> NetworkRelief:
        """Return the least-cost set-points that remove all violations, with the fewest kinds of means.

        Where all means together are too little, what removes most of it.

        Args:
            point: what is drawn without any change.
            limits: what the feeder must keep.
            compensation: D-STATCOMs that may be set anew.
            levers: power that can be changed, own, bought or by direct control.
        """
        controls = controls_of(point, compensation, levers)
        try:
            start = self._phasors.solve(self._phasors.drawn_va(point))
        except Failed:
            return self._from_overload(point, limits, controls)
        if not limits.excess(self._checked(start)) > 0:
            return self._relief(controls, Solution(np.zeros(len(controls)), start, 0.0, 0.0, 0), limits)
        return self._cascade(start, controls, limits, None)

    def flow_with(
        self,
        point: OperatingPoint,
        levers: Sequence[Lever] = (),
        changes_w: Mapping[str, float] = MappingProxyType({}),
    ) -> FlowResult | None:
        """Return the full power flow with some levers changed; None where the feeder cannot carry it."""
        power_w, reactive_var = point.power_w.copy(), point.reactive_var.copy()
        for lever in levers:
            change = changes_w.get(lever.name, 0.0) * lever.pattern
            power_w += change
            reactive_var += lever.reactive_share * change
        drawn_va = self._phasors.drawn_va(OperatingPoint(power_w, reactive_var, point.compensation_va))
        return self._solve(drawn_va)

    def _from_overload(self, point: OperatingPoint, limits: Limits, controls: Controls) -> NetworkRelief:
        """Relieve a feeder that cannot carry its load, from where all levers take most of it off."""
        drawn_va = self._phasors.drawn_va(point)
        less = np.where(controls.stage > Stage.DSTATCOM, controls.low, 0.0)
        try:
            self._phasors.solve(drawn_va + controls.direction_va @ less)
        except Failed:
            nothing = np.zeros(len(controls))
            return self._unsolved(controls, nothing, point)
        no_a = np.zeros_like(drawn_va)
        nodes, lines = len(self.network.nodes) - 1, len(self.network.line_to)
        unsolved = FeederState(
            drawn_va, no_a, no_a, np.zeros((nodes, 3), complex), np.zeros((lines, 3), complex)
        )
        return self._cascade(unsolved, controls, limits, less)

    def _cascade(
        self, start: FeederState, controls: Controls, limits: Limits, first: NDArray[np.float64] | None
    ) -> NetworkRelief:
        last = max((Stage(int(each)) for each in controls.stage), default=Stage.DSTATCOM)
        best: Solution | None = None
        for stage in Stage:
            if not (controls.stage == stage).any() or (first is not None and stage < last):
                continue
            if best is not None:
                first = best.setpoints
            starts = [first] if best is None else [first, None]
            found = self._cheapest(start, controls.up_to(stage), limits, stage, starts)
            if best is None or found.excess < best.excess:
                best = found
            if found.is_clear:
                best = self._without_unused(start, controls, limits, stage, found)
                break
        if best is None:
            best = Solution(np.zeros(len(controls)), start, limits.excess(self._checked(start)), 0.0, 0)
        return self._relief(controls, best, limits)

    def _without_unused(
        self, start: FeederState, controls: Controls, limits: Limits, stage: Stage, found: Solution
    ) -> Solution:
        """Solve once more with the means that a solution uses, where those of the last stage proved unneeded.

        It may show what the stage before, which ended in a local optimum of the violation, has missed.
        """
        used = controls.stage[np.abs(found.setpoints) * 1000 > FEWEST_W]
        last = Stage(int(used.max())) if len(used) else Stage.DSTATCOM
        if last == stage:
            return found
        again = self._verified(start, controls.up_to(last), limits, last, found.setpoints)
        return again if again.is_clear else found

    def _cheapest(
        self,
        start: FeederState,
        controls: Controls,
        limits: Limits,
        stage: Stage,
        starts: Sequence[NDArray[np.float64] | None],
    ) -> Solution:
        """Solve a stage from where the one before ended and from nothing: each may end in a local optimum."""
        best: Solution | None = None
        for first in starts:
            found = self._verified(start, controls, limits, stage, first)
            best = found if best is None or better(found, best) else best
        assert best is not None
        return best

    def _verified(
        self,
        start: FeederState,
        controls: Controls,
        limits: Limits,
        stage: Stage,
        first: NDArray[np.float64] | None,
    ) -> Solution:
        """Solve a stage, and take for its violation what the full power flow says."""
        price = weighted_price(controls, stage)
        found = least_cost(self._phasors, start, controls, limits, price, first=first)
        flow = self._solve(found.state.drawn_va)
        return replace(found, excess=limits.excess(strain_at(flow)) if flow else 1.0)

    def _solve(self, drawn_va: Phasors) -> FlowResult | None:
        drawn = drawn_va.reshape(-1, 3)
        sites, units = drawn[: len(self.network.sites)], drawn[len(self.network.sites) :]
        try:
            (flow,) = self._flow.solve(sites.real[None], sites.imag[None], units.real[None], units.imag[None])
        except Failed:
            return None
        return flow

    def _checked(self, state: FeederState) -> Strain:
        flow = self._solve(state.drawn_va)
        return strain_at(flow) if flow else Strain(9.99, 0.5, 1.5, 1.0)

    def _relief(self, controls: Controls, found: Solution, limits: Limits) -> NetworkRelief:
        sites, x = len(self.network.sites), found.setpoints
        flow = self._solve(found.state.drawn_va)
        excess = limits.excess(strain_at(flow)) if flow else 1.0
        units = found.state.drawn_va[3 * sites :].reshape(-1, 3)
        values = [
            (name, float(value) * 1000)
            for name, value, stage in zip(controls.names, x, controls.stage, strict=True)
            if stage > Stage.DSTATCOM and abs(value) * 1000 > FEWEST_W
        ]
        return NetworkRelief(
            changes_w={name: value for name, value in values if not name.endswith(" Q")},
            reactive_var={name.removesuffix(" Q"): value for name, value in values if name.endswith(" Q")},
            compensation_va=units,
            stages=tuple(s for s in Stage if (np.abs(x[controls.stage == s]) * 1000 > FEWEST_W).any()),
            remaining=excess if excess > TOLERANCE else 0.0,
            flow=flow,
            cost_eur_per_h=float(controls.price @ np.abs(x)),
            rounds=found.rounds,
        )

    def _unsolved(
        self, controls: Controls, nothing: NDArray[np.float64], point: OperatingPoint
    ) -> NetworkRelief:
        return NetworkRelief({}, {}, point.compensation_va, (), 1.0, None, float(controls.price @ nothing), 0)
