"""The exact optimum of active network management: the full power flow as a non-linear programme, many starts.

SciPy's SLSQP on the exact flow with its exact gradients; every node, line and phase that comes near a limit
is a constraint. It is a reference to measure against, not something to run a network with.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from behaviours.decisions.active_network.controls import Controls
from behaviours.decisions.active_network.means import Limits
from behaviours.decisions.active_network.optimal_flow import excess_of
from behaviours.decisions.active_network.phasors import NEGATIVE, POSITIVE, FeederPhasors, FeederState
from ontology.errors import Failed

__all__ = ["Exact", "exact_optimum"]

Array = NDArray[np.float64]

TOLERANCE = 2e-6
NEAR = 24
"""Limits of each kind that are constraints from the start; what the result breaks joins in."""
REPAIRS = 4
UNSOLVABLE = -10.0


@dataclass(frozen=True)
class Exact:
    """The best set-points found, and what they cost at the prices given; None where no start led to any."""

    setpoints: Array | None
    cost: float


def exact_optimum(
    model: FeederPhasors,
    start: FeederState,
    controls: Controls,
    limits: Limits,
    price: Array,
    starts: Sequence[Array],
) -> Exact:
    """Return the best of several local optima of the exact flow.

    Args: those of `least_cost`, and the set-points to start from.
    """
    best = Exact(None, np.inf)
    for each in starts:
        found = _Exact(model, start, controls, limits, price).from_start(each)
        if found is not None and found.cost < best.cost:
            best = found
    return best


class _Exact:
    def __init__(
        self,
        model: FeederPhasors,
        start: FeederState,
        controls: Controls,
        limits: Limits,
        price: Array,
    ) -> None:
        self._model, self._start, self._controls, self._limits = model, start, controls, limits
        self._price, self._m = price, len(controls)
        self._at: tuple[bytes, FeederState | None, NDArray[np.complex128] | None] = (b"", None, None)
        self._low: list[int] = []
        self._high: list[int] = []
        self._line: list[int] = []
        self._unbalance: list[int] = []

    def from_start(self, x: Array) -> Exact | None:
        z = np.concatenate([np.maximum(x, 0), np.maximum(-x, 0)])
        upper = np.concatenate([np.maximum(self._controls.high, 0), np.maximum(-self._controls.low, 0)])
        scale = float(np.max(self._price)) if self._m else 1.0
        cost = np.tile(self._price, 2) / scale
        if not self._watch(x):
            return None
        for _ in range(REPAIRS):
            found = minimize(
                lambda z: float(cost @ z),
                z,
                jac=lambda _: cost,
                method="SLSQP",
                bounds=[(0.0, float(u)) for u in upper],
                constraints=self._constraints(),
                options={"maxiter": 100, "ftol": 1e-9},
            )
            z = np.clip(found.x, 0, upper)
            x = z[: self._m] - z[self._m :]
            if not self._watch(x):
                return None
            if self._is_kept(x):
                return Exact(x, float(self._price @ np.abs(x)))
        return None

    def _constraints(self) -> list[dict[str, object]]:
        kinds = [{"type": "ineq", "fun": self._room, "jac": self._room_slope}]
        if self._controls.balanced:
            kinds.append({"type": "eq", "fun": self._sums, "jac": self._sums_slope})
        return kinds  # type: ignore[return-value]

    def _state(self, z: Array) -> tuple[FeederState | None, NDArray[np.complex128] | None]:
        key = z.tobytes()
        if self._at[0] != key:
            x = z[: self._m] - z[self._m :]
            try:
                state = self._model.solve(self._start.drawn_va + self._controls.direction_va @ x)
            except Failed:
                self._at = (key, None, None)
            else:
                self._at = (key, state, self._model.port_slopes(state, self._controls.direction_va))
        return self._at[1], self._at[2]

    def _watch(self, x: Array) -> bool:
        """Add what is near or beyond its limit; tell whether there is a flow at all."""
        state, _ = self._state(np.concatenate([np.maximum(x, 0), np.maximum(-x, 0)]))
        if state is None:
            return False
        found = excess_of(self._model, state, self._limits)
        for kept, values in (
            (self._low, found.low),
            (self._high, found.high),
            (self._line, found.line),
            (self._unbalance, found.unbalance),
        ):
            flat = values.reshape(-1)
            nearest = np.argsort(-flat, kind="stable")[:NEAR]
            kept.extend(int(i) for i in nearest if i not in kept)
        return True

    def _is_kept(self, x: Array) -> bool:
        state, _ = self._state(np.concatenate([np.maximum(x, 0), np.maximum(-x, 0)]))
        assert state is not None
        worst = excess_of(self._model, state, self._limits).worst
        ratings = min((value for value, _ in self._ratings(x, state)), default=1.0)
        sums = [abs(x[k : k + 3].sum()) for k in self._controls.balanced]
        return worst <= TOLERANCE and ratings > -1e-5 and max(sums, default=0.0) < 1e-5

    def _room(self, z: Array) -> Array:
        state, _ = self._state(z)
        x = z[: self._m] - z[self._m :]
        if state is None:
            return np.full(self._rows(), UNSOLVABLE)
        found = excess_of(self._model, state, self._limits)
        kept = [
            -found.low.reshape(-1)[self._low],
            -found.high.reshape(-1)[self._high],
            -found.line.reshape(-1)[self._line],
            -found.unbalance.reshape(-1)[self._unbalance] * 10,
            np.array([-found.transformer]),
            np.array([value for value, _ in self._ratings(x, state)]),
        ]
        return np.concatenate(kept)

    def _rows(self) -> int:
        legs = len(self._controls.discs) + len(self._controls.neutral_legs)
        return len(self._low) + len(self._high) + len(self._line) + len(self._unbalance) + 1 + legs

    def _room_slope(self, z: Array) -> Array:
        state, slopes = self._state(z)
        if state is None or slopes is None:
            return np.zeros((self._rows(), 2 * self._m))
        x = z[: self._m] - z[self._m :]
        base = self._model.network.low_voltage_v / 3**0.5
        parts = [
            self._voltage_slopes(state, slopes, self._low, base),
            -self._voltage_slopes(state, slopes, self._high, base),
            -self._line_slopes(state, slopes),
            -10 * self._unbalance_slopes(state, slopes),
            -self._transformer_slope(state, slopes)[None],
            np.array([slope for _, slope in self._ratings(x, state)]).reshape(-1, self._m),
        ]
        rows = np.vstack(parts)
        return np.hstack([rows, -rows])

    def _voltage_slopes(
        self, state: FeederState, slopes: NDArray[np.complex128], places: list[int], base: float
    ) -> Array:
        at = np.array(places, dtype=np.int64)
        v = state.node_v[at // 3, at % 3]
        change = self._model.node_slopes(slopes, at // 3)[np.arange(len(at)), at % 3]
        return np.real(np.conj(v / np.abs(v))[:, None] * change) / base

    def _line_slopes(self, state: FeederState, slopes: NDArray[np.complex128]) -> Array:
        at = np.array(self._line, dtype=np.int64)
        i = state.line_a[at // 3, at % 3]
        change = self._model.line_slopes(slopes, at // 3)[np.arange(len(at)), at % 3]
        along = np.conj(i / np.maximum(np.abs(i), 1e-9))[:, None] * change
        return np.real(along) / self._model.network.line_rated_a[at // 3][:, None]

    def _unbalance_slopes(self, state: FeederState, slopes: NDArray[np.complex128]) -> Array:
        at = np.array(self._unbalance, dtype=np.int64)
        change = self._model.node_slopes(slopes, at)
        v = state.node_v[at]
        negative, positive = v @ NEGATIVE, v @ POSITIVE
        dn, dp = np.einsum("k,nkm->nm", NEGATIVE, change), np.einsum("k,nkm->nm", POSITIVE, change)
        size = np.maximum(np.abs(negative), 1e-9)
        up = np.real(np.conj(negative / size)[:, None] * dn)
        down = np.real(np.conj(positive / np.abs(positive))[:, None] * dp)
        return up / np.abs(positive)[:, None] - (np.abs(negative) / np.abs(positive) ** 2)[:, None] * down

    def _transformer_slope(self, state: FeederState, slopes: NDArray[np.complex128]) -> Array:
        change = self._model.terminal_slopes(state, slopes)
        s = self._model.terminal_va(state)
        terminal = int(np.abs(s).sum(axis=1).argmax())
        unit = np.conj(s[terminal] / np.maximum(np.abs(s[terminal]), 1e-9))
        along = np.real(unit[:, None] * change[terminal]).sum(axis=0)
        return np.asarray(along / self._model.network.transformer.rated_va)

    def _ratings(self, x: Array, state: FeederState) -> list[tuple[float, Array]]:
        """Return the room of each rating and its slope (m,); squares over the rating's square."""
        found = []
        for disc in self._controls.discs:
            s = disc.given_kva + x[disc.p] + 1j * x[disc.q]
            slope = np.zeros(self._m)
            slope[disc.p], slope[disc.q] = -2 * s.real, -2 * s.imag
            found.append((1 - abs(s) ** 2 / disc.rated_kva**2, slope / disc.rated_kva**2))
        for leg in self._controls.neutral_legs:
            v = state.port_v[leg.port : leg.port + 3]
            given = self._start.drawn_va[leg.port : leg.port + 3]
            own = x[leg.first : leg.first + 3] + 1j * x[leg.first + 3 : leg.first + 6]
            current = complex(np.conj((given + 1000 * own) / v).sum())
            per_va = np.conj(1 / v) * 1000
            slope = np.zeros(self._m)
            slope[leg.first : leg.first + 3] = -2 * np.real(np.conj(current) * per_va)
            slope[leg.first + 3 : leg.first + 6] = -2 * np.real(np.conj(current) * -1j * per_va)
            found.append((1 - abs(current) ** 2 / leg.rated_a**2, slope / leg.rated_a**2))
        return found

    def _sums(self, z: Array) -> Array:
        x = z[: self._m] - z[self._m :]
        return np.array([x[k : k + 3].sum() for k in self._controls.balanced])

    def _sums_slope(self, z: Array) -> Array:
        rows = np.zeros((len(self._controls.balanced), 2 * self._m))
        for row, first in zip(rows, self._controls.balanced, strict=True):
            row[first : first + 3], row[self._m + first : self._m + first + 3] = 1.0, -1.0
        return rows
