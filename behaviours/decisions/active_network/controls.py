"""All that may be set at one instant, as one vector of kW and kvar around the present operating point."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from behaviours.decisions.active_network.means import Compensation, Lever, OperatingPoint, Stage

__all__ = ["Controls", "Disc", "NeutralLeg", "controls_of"]

Array = NDArray[np.float64]
Phasors = NDArray[np.complex128]

W_PER_KW = 1000.0
REACTIVE_ONLY = -1


@dataclass(frozen=True)
class Disc:
    """A rating: the change of active power `p` and of reactive power `q` (positions) on top of what is given.

    Powers are in kVA.
    """

    p: int
    q: int
    given_kva: complex
    rated_kva: float


@dataclass(frozen=True)
class NeutralLeg:
    """A D-STATCOM's neutral leg: the positions of its six powers, its first port, and what it carries."""

    first: int
    port: int
    rated_a: float


@dataclass(frozen=True)
class Controls:
    """m set-points: in which direction each draws, how far it goes, what it costs and how they hang together.

    A set-point above 0 draws more. Prices are in EUR an hour for a kW or kvar either way.
    """

    names: tuple[str, ...]
    stage: NDArray[np.int64]
    direction_va: Phasors
    """(ports, m): VA for each kW or kvar"""
    low: Array
    high: Array
    price: Array
    discs: tuple[Disc, ...]
    balanced: tuple[int, ...]
    """First positions of three active powers that sum to 0"""
    neutral_legs: tuple[NeutralLeg, ...]

    def __len__(self) -> int:
        return len(self.names)

    def up_to(self, stage: Stage) -> "Controls":
        """Return the same with what comes after a stage held where it is."""
        free = self.stage <= stage
        return self._with_range(np.where(free, self.low, 0.0), np.where(free, self.high, 0.0))

    def _with_range(self, low: Array, high: Array) -> "Controls":
        from dataclasses import replace

        return replace(self, low=low, high=high)


def controls_of(
    point: OperatingPoint, compensation: Sequence[Compensation], levers: Sequence[Lever]
) -> Controls:
    """Lay out all means: six powers of each D-STATCOM, the active and the reactive power of each lever.

    Args:
        point: where they start from.
        compensation: the D-STATCOMs that may be set anew.
        levers: power that can be changed.
    """
    sites = len(point.power_w)
    ports = 3 * (sites + len(point.compensation_va))
    rows = _Rows(ports)
    for each in compensation:
        rows.add_compensation(each, 3 * (sites + each.unit), point.compensation_va[each.unit])
    for lever in levers:
        rows.add_lever(lever, sites)
    return rows.controls()


class _Rows:
    """Collects set-points one after the other."""

    def __init__(self, ports: int) -> None:
        self._ports = ports
        self._names: list[str] = []
        self._stage: list[int] = []
        self._direction: list[Phasors] = []
        self._range: list[tuple[float, float, float]] = []
        self._discs: list[Disc] = []
        self._balanced: list[int] = []
        self._neutral: list[NeutralLeg] = []

    def add_compensation(self, each: Compensation, port: int, given_va: Phasors) -> None:
        first, leg = len(self._names), each.rating.leg_va / W_PER_KW
        for unit in (1.0, 1j):
            for phase in range(3):
                direction = np.zeros(self._ports, dtype=np.complex128)
                direction[port + phase] = W_PER_KW * unit
                kind = "p" if unit == 1.0 else "q"
                self._add(
                    f"D{each.unit}{kind}{phase}",
                    Stage.DSTATCOM,
                    direction,
                    (-2 * leg, 2 * leg, each.eur_per_kvarh),
                )
        given = given_va / W_PER_KW
        self._discs += [Disc(first + k, first + 3 + k, complex(given[k]), leg) for k in range(3)]
        self._balanced.append(first)
        self._neutral.append(NeutralLeg(first, port, each.rating.neutral_a))

    def add_lever(self, lever: Lever, sites: int) -> None:
        active, pattern = len(self._names), np.zeros(self._ports, dtype=np.complex128)
        pattern[: 3 * sites] = lever.pattern.reshape(-1) * W_PER_KW
        along = 1 + 1j * lever.reactive_share
        reach = lever.down_w / W_PER_KW, lever.up_w / W_PER_KW, lever.eur_per_kwh
        self._add(lever.name, lever.stage, pattern * along, reach)
        if lever.reactive_max_var <= 0:
            return
        most = lever.reactive_max_var / W_PER_KW
        self._add(f"{lever.name} Q", lever.stage, pattern * 1j, (-most, most, lever.eur_per_kvarh))
        if lever.rated_va is not None:
            self._discs.append(
                Disc(active, active + 1, lever.power_w / W_PER_KW + 0j, lever.rated_va / W_PER_KW)
            )

    def controls(self) -> Controls:
        low, high, price = np.array(self._range, dtype=float).reshape(-1, 3).T
        columns = self._direction or [np.zeros((self._ports, 0), dtype=np.complex128)]
        return Controls(
            tuple(self._names),
            np.array(self._stage, dtype=np.int64),
            np.column_stack(columns),
            low,
            high,
            price,
            tuple(self._discs),
            tuple(self._balanced),
            tuple(self._neutral),
        )

    def _add(self, name: str, stage: Stage, direction_va: Phasors, reach: tuple[float, float, float]) -> None:
        self._names.append(name)
        self._stage.append(stage)
        self._direction.append(direction_va)
        self._range.append(reach)
