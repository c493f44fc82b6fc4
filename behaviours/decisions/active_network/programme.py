"""One convex step of the optimal flow: the cheapest set-points that a linear model of the feeder allows.

A second-order cone programme, solved by Clarabel. Unknowns are each set-point's part above and below where it
starts, and, where asked for, one slack for each kind of limit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from behaviours.decisions.active_network.controls import Controls

__all__ = ["SLACK_PRICE", "Cone", "Plane", "Programme", "cheapest"]

Array = NDArray[np.float64]
Phasors = NDArray[np.complex128]

SLACK_PRICE = 1e4
"""EUR an hour for a whole p.u. of violation: no means is so dear, so slack is left only where all fail."""
SOLVED = ("Solved", "AlmostSolved")


@dataclass(frozen=True)
class Plane:
    """gradient · x ≤ most + slack."""

    gradient: Array
    most: float
    kind: int


@dataclass(frozen=True)
class Cone:
    """|centre + gradient · x| ≤ most + along · x + slack, for a complex centre and gradient."""

    centre: complex
    gradient: Phasors
    most: float
    kind: int
    along: Array | None = None


@dataclass
class Programme:
    """The limits of one step; x are set-points in kW and kvar, kinds name the slack of each limit."""

    controls: Controls
    price: Array
    planes: list[Plane] = field(default_factory=list)
    cones: list[Cone] = field(default_factory=list)
    sums: list[tuple[Sequence[Cone], float, int]] = field(default_factory=list)
    """The magnitudes of several cones' insides together are at most so much"""
    hard: list[Cone] = field(default_factory=list)
    """Without slack"""
    kinds: int = 0
    around: tuple[Array, Array] | None = None
    """Lowest and highest set-points that the linear model is trusted for; anywhere by default"""


def cheapest(programme: Programme, *, with_slack: bool) -> tuple[Array, float] | None:
    """Return the cheapest set-points (m,) and the greatest slack left, or None where there are none.

    Args:
        programme: the limits.
        with_slack: make violations least first, instead of forbidding them.
    """
    import clarabel
    from scipy import sparse

    matrix = _Matrix(programme, with_slack)
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.max_threads = 1
    unknowns = matrix.width
    problem = clarabel.DefaultSolver(
        sparse.csc_matrix((unknowns, unknowns)),
        matrix.cost,
        sparse.csc_matrix(np.vstack(matrix.rows)),
        np.concatenate(matrix.right),
        matrix.cones,
        settings,
    )
    found = problem.solve()
    if str(found.status) not in SOLVED:
        return None
    z, m = np.array(found.x), len(programme.controls)
    x: Array = np.clip(z[:m] - z[m : 2 * m], programme.controls.low, programme.controls.high)
    return x, float(z[2 * m : matrix.first_magnitude].max(initial=0.0))


class _Matrix:
    """Rows A and right sides b of A z + s = b with s in cones, for z = (above, below, slacks, magnitudes)."""

    def __init__(self, programme: Programme, with_slack: bool) -> None:
        import clarabel

        self._kinds = programme.kinds if with_slack else 0
        self._m = len(programme.controls)
        self.first_magnitude = 2 * self._m + self._kinds
        self.width = self.first_magnitude + sum(len(cones) for cones, _, _ in programme.sums)
        self.rows: list[Array] = []
        self.right: list[Array] = []
        self.cones: list[object] = []
        self._clarabel = clarabel
        self.cost = np.zeros(self.width)
        self.cost[: 2 * self._m] = np.tile(programme.price, 2)
        self.cost[2 * self._m : self.first_magnitude] = SLACK_PRICE
        self._add_balanced(programme.controls)
        self._add_ranges(programme.controls)
        self._add_trust(programme.around)
        self._add_planes(programme.planes)
        for cone in programme.cones:
            self._add_cone(cone, self._slack(cone.kind), np.zeros(0, dtype=np.int64))
        for cone in programme.hard:
            self._add_cone(cone, None, np.zeros(0, dtype=np.int64))
        self._add_sums(programme.sums)

    def _add_balanced(self, controls: Controls) -> None:
        rows = np.zeros((len(controls.balanced), self.width))
        for row, first in enumerate(controls.balanced):
            rows[row, first : first + 3] = 1.0
            rows[row, self._m + first : self._m + first + 3] = -1.0
        if len(rows):
            self._add(rows, np.zeros(len(rows)), self._clarabel.ZeroConeT(len(rows)))

    def _add_ranges(self, controls: Controls) -> None:
        """Keep each part at 0 or more and within its range."""
        upper = np.concatenate([np.maximum(controls.high, 0), np.maximum(-controls.low, 0)])
        some = np.eye(self.width)
        bounded = some[: 2 * self._m]
        rows = np.vstack([bounded, -some[: self.first_magnitude]])
        right = np.concatenate([upper, np.zeros(self.first_magnitude)])
        self._add(rows, right, self._clarabel.NonnegativeConeT(len(rows)))

    def _add_trust(self, around: tuple[Array, Array] | None) -> None:
        if around is None:
            return
        rows = np.zeros((2 * self._m, self.width))
        for k in range(self._m):
            rows[k, k], rows[k, self._m + k] = 1.0, -1.0
        rows[self._m :] = -rows[: self._m]
        right = np.concatenate([around[1], -around[0]])
        self._add(rows, right, self._clarabel.NonnegativeConeT(len(rows)))

    def _add_planes(self, planes: Sequence[Plane]) -> None:
        if not planes:
            return
        rows = np.zeros((len(planes), self.width))
        for row, plane in zip(rows, planes, strict=True):
            self._put(row, plane.gradient)
            if self._kinds:
                row[2 * self._m + plane.kind] = -1.0
        self._add(
            rows, np.array([each.most for each in planes]), self._clarabel.NonnegativeConeT(len(planes))
        )

    def _add_sums(self, sums: Sequence[tuple[Sequence[Cone], float, int]]) -> None:
        at = self.first_magnitude
        for cones, most, kind in sums:
            places = np.arange(at, at + len(cones))
            for cone, place in zip(cones, places, strict=True):
                self._add_cone(cone, None, np.array([place]))
            total = np.zeros((1, self.width))
            total[0, places] = 1.0
            slack = self._slack(kind)
            if slack is not None:
                total[0, slack] = -1.0
            self._add(total, np.array([most]), self._clarabel.NonnegativeConeT(1))
            at += len(cones)

    def _add_cone(self, cone: Cone, slack: int | None, magnitude: NDArray[np.int64]) -> None:
        """Add |centre + gradient x| ≤ most + along x + slack; or ≤ an unknown magnitude."""
        rows = np.zeros((3, self.width))
        if cone.along is not None:
            self._put(rows[0], -cone.along)
        if slack is not None:
            rows[0, slack] = -1.0
        rows[0, magnitude] = -1.0
        self._put(rows[1], -cone.gradient.real)
        self._put(rows[2], -cone.gradient.imag)
        right = np.array([cone.most, cone.centre.real, cone.centre.imag])
        self._add(rows, right, self._clarabel.SecondOrderConeT(3))

    def _slack(self, kind: int) -> int | None:
        return 2 * self._m + kind if self._kinds else None

    def _put(self, row: Array, gradient: Array) -> None:
        row[: self._m], row[self._m : 2 * self._m] = gradient, -gradient

    def _add(self, rows: Array, right: Array, cone: object) -> None:
        self.rows.append(rows)
        self.right.append(right)
        self.cones.append(cone)
