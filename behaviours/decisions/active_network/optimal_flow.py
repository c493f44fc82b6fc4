"""The least-cost set-points that keep a feeder within its limits: linearised, solved and solved again.

Each round linearises the phasors exactly around the last set-points, takes the cheapest step of that model
and solves the flow there. Only limits that are near or were broken are watched; what the flow shows beyond is
watched from then on.

Source: SPEC 4.10 (linearised optimal power flow), with discs instead of polygons for ratings and currents.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from behaviours.decisions.active_network.controls import Controls
from behaviours.decisions.active_network.means import Limits, Stage
from behaviours.decisions.active_network.phasors import NEGATIVE, POSITIVE, FeederPhasors, FeederState
from behaviours.decisions.active_network.programme import Cone, Plane, Programme, cheapest
from ontology.errors import Failed

__all__ = ["Excess", "Solution", "better", "excess_of", "least_cost"]

Array = NDArray[np.float64]

MAX_ROUNDS = 25
SAFETY = 2e-6
"""p.u. that the programme stays within each limit."""
TOLERANCE = 1e-6
"""p.u. beyond a limit that counts as within."""
COST_TOLERANCE = 2e-4
WATCHED = 12
"""Limits of a kind that are watched from the start, and that join in a round at most."""
EARLIER = 0.01
"""Weight of the price of means that come before the last that is needed: those are used up first."""
HOPELESS = 0.01
"""Share of a violation that the linear model must promise to remove for a round to be worth while."""
POOR = 0.3
"""Share of a violation that a round may leave before the linear model is believed less far."""
SHRINKING, LEAST_TRUST = 0.3, 1e-5
"""How far it is believed, as a share of the set-points' ranges."""
LOW, HIGH, LINE, TRANSFORMER, UNBALANCE = range(5)
KINDS = 5


@dataclass(frozen=True)
class Excess:
    """By how much each limit of a feeder is exceeded, negative where it is kept; in p.u. or as a ratio."""

    low: Array
    """(nodes − 1, 3)"""
    high: Array
    line: Array
    """(lines, 3)"""
    transformer: float
    unbalance: Array
    """(nodes − 1,)"""

    @property
    def worst(self) -> float:
        """The greatest of all."""
        parts = (self.low, self.high, self.line, self.unbalance)
        return max(self.transformer, *(float(each.max(initial=-1.0)) for each in parts))


@dataclass(frozen=True)
class Solution:
    """Set-points (m,) in kW and kvar, the feeder with them, and by how much the worst limit is broken."""

    setpoints: Array
    state: FeederState
    excess: float
    cost_eur_per_h: float
    rounds: int

    @property
    def is_clear(self) -> bool:
        """Whether all limits are kept."""
        return self.excess <= TOLERANCE


def excess_of(model: FeederPhasors, state: FeederState, limits: Limits) -> Excess:
    """Compare a solved feeder with its limits.

    Args:
        model: the feeder.
        state: its phasors.
        limits: to compare with.
    """
    network = model.network
    voltage = np.abs(state.node_v) / (network.low_voltage_v / 3**0.5)
    terminal_va = np.abs(model.terminal_va(state)).sum(axis=1)
    loading = float(terminal_va.max()) / network.transformer.rated_va
    return Excess(
        limits.low_pu - voltage,
        voltage - limits.high_pu,
        np.abs(state.line_a) / network.line_rated_a[:, None] - limits.loading,
        loading - limits.loading,
        state.unbalance - limits.unbalance,
    )


def weighted_price(controls: Controls, stage: Stage) -> Array:
    """Return the prices that a stage is solved with: its own in full, those before at a hundredth."""
    return np.asarray(np.where(controls.stage < stage, EARLIER, 1.0) * controls.price)


def least_cost(
    model: FeederPhasors,
    start: FeederState,
    controls: Controls,
    limits: Limits,
    price: Array,
    *,
    first: Array | None = None,
) -> Solution:
    """Return the cheapest set-points that keep all limits, or those with the least violation.

    Args:
        model: the feeder.
        start: its phasors without any change.
        controls: what may be set.
        limits: to be kept.
        price: EUR an hour for a kW or kvar of each set-point.
        first: set-points to linearise around first.
    """
    search = _Search(model, start, controls, limits, price)
    return search.run(np.zeros(len(controls)) if first is None else first)


class _Search:
    """Rounds of linearising and solving, and the limits that are watched."""

    def __init__(
        self,
        model: FeederPhasors,
        start: FeederState,
        controls: Controls,
        limits: Limits,
        price: Array,
    ) -> None:
        self._model, self._start, self._controls = model, start, controls
        self._limits, self._price = limits, price
        self._low: set[int] = set()
        self._high: set[int] = set()
        self._line: set[int] = set()
        self._unbalance: set[int] = set()

    def run(self, first: Array) -> Solution:
        best = at = self._solution(first, 0)
        self._watch(at.state, all_near=True)
        trust = 1.0
        for number in range(1, MAX_ROUNDS + 1):
            step = self._step(at, trust)
            after = None if step is None else self._reached(at, step[0], number)
            if step is None or after is None:
                break
            is_new = self._watch(after.state)
            best = after if better(after, best) else best
            if not is_new and self._is_settled(at, after, step[1], trust):
                break
            if is_new or after.excess <= max(TOLERANCE, POOR * at.excess):
                trust = min(1.0, 2 * trust)
            else:
                # the flow does not keep what the linear model promises: believe it less far from here on
                trust = SHRINKING * min(trust, self._moved(at, step[0]))
                if trust < LEAST_TRUST:
                    break
            at = after
        return best

    def _moved(self, at: Solution, step: Array) -> float:
        """Return how far a step goes at most, as a share of the set-points' ranges."""
        reach = np.maximum(self._controls.high - self._controls.low, 1e-9)
        return min(1.0, float((np.abs(step - at.setpoints) / reach).max(initial=0.0)))

    def _is_settled(self, at: Solution, after: Solution, promised: float, trust: float) -> bool:
        """Tell whether a round has brought nothing that matters, or promises nothing any more."""
        if after.is_clear:
            gained = abs(after.cost_eur_per_h - at.cost_eur_per_h)
            return gained <= COST_TOLERANCE * max(after.cost_eur_per_h, at.cost_eur_per_h)
        return not at.is_clear and at.excess - promised < HOPELESS * trust * at.excess

    def _solution(self, setpoints: Array, number: int) -> Solution:
        drawn_va = self._start.drawn_va + self._controls.direction_va @ setpoints
        state = self._model.solve(drawn_va)
        worst = excess_of(self._model, state, self._limits).worst
        return Solution(setpoints, state, worst, float(self._price @ np.abs(setpoints)), number)

    def _reached(self, at: Solution, step: Array, number: int) -> Solution | None:
        """Return the feeder after a step, or after a part of it where the whole has no flow."""
        for share in (1.0, 0.5, 0.25):
            try:
                return self._solution(at.setpoints + share * (step - at.setpoints), number)
            except Failed:
                continue
        return None

    def _step(self, at: Solution, trust: float) -> tuple[Array, float] | None:
        """Return the next set-points and the violation that the linear model leaves with them."""
        programme = self._programme(at)
        if trust < 1:
            reach = trust * (self._controls.high - self._controls.low)
            programme.around = (at.setpoints - reach, at.setpoints + reach)
        found = cheapest(programme, with_slack=False)
        return cheapest(programme, with_slack=True) if found is None else found

    def _watch(self, state: FeederState, *, all_near: bool = False) -> bool:
        """Watch the limits that are broken, or the nearest; tell whether there are new ones."""
        found = excess_of(self._model, state, self._limits)
        before = self._count()
        for watched, values in (
            (self._low, found.low),
            (self._high, found.high),
            (self._line, found.line),
            (self._unbalance, found.unbalance),
        ):
            flat = values.reshape(-1)
            worst = np.argsort(-flat, kind="stable")[:WATCHED]
            watched.update(int(each) for each in worst if all_near or flat[each] > TOLERANCE)
        return self._count() > before

    def _count(self) -> int:
        return len(self._low) + len(self._high) + len(self._line) + len(self._unbalance)

    def _programme(self, at: Solution) -> Programme:
        model, controls, state = self._model, self._controls, at.state
        slopes_a = model.port_slopes(state, controls.direction_va)
        programme = Programme(controls, self._price, kinds=KINDS)
        self._add_voltages(programme, at, slopes_a)
        self._add_lines(programme, at, slopes_a)
        self._add_unbalance(programme, at, slopes_a)
        self._add_transformer(programme, at, slopes_a)
        self._add_ratings(programme, state)
        return programme

    def _add_voltages(self, programme: Programme, at: Solution, slopes_a: NDArray[np.complex128]) -> None:
        base = self._model.network.low_voltage_v / 3**0.5
        for watched, sign in ((self._low, -1), (self._high, 1)):
            places = np.array(sorted(watched), dtype=np.int64)
            nodes, phases = places // 3, places % 3
            voltage = at.state.node_v[nodes, phases] / base
            slopes = self._model.node_slopes(slopes_a, nodes)[np.arange(len(nodes)), phases] / base
            moved = slopes @ at.setpoints
            for v, gradient, shift in zip(voltage, slopes, moved, strict=True):
                if sign > 0:
                    most = self._limits.high_pu - SAFETY
                    programme.cones.append(Cone(complex(v - shift), gradient, most, HIGH))
                    continue
                along = np.real(np.conj(v) / abs(v) * gradient)
                room = abs(v) - (self._limits.low_pu + SAFETY) - float(along @ at.setpoints)
                programme.planes.append(Plane(-along, room, LOW))

    def _add_lines(self, programme: Programme, at: Solution, slopes_a: NDArray[np.complex128]) -> None:
        places = np.array(sorted(self._line), dtype=np.int64)
        lines, phases = places // 3, places % 3
        rated = self._model.network.line_rated_a[lines]
        current = at.state.line_a[lines, phases] / rated
        every = self._model.line_slopes(slopes_a, lines)
        slopes = every[np.arange(len(lines)), phases] / rated[:, None]
        for i, gradient in zip(current, slopes, strict=True):
            centre = complex(i - gradient @ at.setpoints)
            programme.cones.append(Cone(centre, gradient, self._limits.loading - SAFETY, LINE))

    def _add_unbalance(self, programme: Programme, at: Solution, slopes_a: NDArray[np.complex128]) -> None:
        base = self._model.network.low_voltage_v / 3**0.5
        nodes = np.array(sorted(self._unbalance), dtype=np.int64)
        slopes = self._model.node_slopes(slopes_a, nodes) / base
        for v, gradient in zip(at.state.node_v[nodes] / base, slopes, strict=True):
            negative, positive = complex(v @ NEGATIVE), complex(v @ POSITIVE)
            by_negative = np.einsum("k,km->m", NEGATIVE, gradient)
            along = np.real(np.conj(positive) / abs(positive) * np.einsum("k,km->m", POSITIVE, gradient))
            share = self._limits.unbalance - SAFETY
            most = share * (abs(positive) - float(along @ at.setpoints))
            centre = negative - complex(by_negative @ at.setpoints)
            programme.cones.append(Cone(centre, by_negative, most, UNBALANCE, share * along))

    def _add_transformer(self, programme: Programme, at: Solution, slopes_a: NDArray[np.complex128]) -> None:
        rated_va = self._model.network.transformer.rated_va
        slopes = self._model.terminal_slopes(at.state, slopes_a) / rated_va
        centres = self._model.terminal_va(at.state) / rated_va - slopes @ at.setpoints
        for centre, gradient in zip(centres, slopes, strict=True):
            cones = [Cone(complex(centre[k]), gradient[k], 0.0, TRANSFORMER) for k in range(3)]
            programme.sums.append((cones, self._limits.loading - SAFETY, TRANSFORMER))

    def _add_ratings(self, programme: Programme, state: FeederState) -> None:
        m = len(self._controls)
        for disc in self._controls.discs:
            gradient = np.zeros(m, dtype=np.complex128)
            gradient[disc.p], gradient[disc.q] = 1.0, 1j
            programme.hard.append(Cone(disc.given_kva, gradient, disc.rated_kva, -1))
        for leg in self._controls.neutral_legs:
            per_va = np.conj(1 / state.port_v[leg.port : leg.port + 3]) * 1000
            gradient = np.zeros(m, dtype=np.complex128)
            gradient[leg.first : leg.first + 3] = per_va
            gradient[leg.first + 3 : leg.first + 6] = -1j * per_va
            given_va = self._start.drawn_va[leg.port : leg.port + 3]
            given_a = complex(np.conj(given_va / state.port_v[leg.port : leg.port + 3]).sum())
            programme.hard.append(Cone(given_a, gradient, leg.rated_a, -1))


def better(one: Solution, other: Solution) -> bool:
    """Tell whether a solution keeps the limits more cheaply, or breaks them less."""
    if one.is_clear and other.is_clear:
        return one.cost_eur_per_h < other.cost_eur_per_h
    return one.excess < other.excess
