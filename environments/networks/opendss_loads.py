"""Loads of a circuit that OpenDSS has compiled, and the shapes that they follow over time."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from behaviours.decisions.grid.network import THREE_PHASE
from behaviours.decisions.grid.power_flow import own_phase

__all__ = ["Load", "Shape", "loads_of"]

Array = NDArray[np.float64]
Complain = Callable[[str, object, str], None]
"""Notes a problem: where, the value, what was expected."""

CONSTANT_POWER = 1
VARIABLE, FIXED = 0, 1
"""OpenDSS's `status`: what is fixed follows neither shapes nor `loadmult`, what is exempt shapes only."""


class Shape(NamedTuple):
    """What a load is multiplied by from step to step, or itself in kW and kvar (`is_actual`)."""

    step_s: float
    active: Array
    reactive: Array | None
    """Without it reactive power goes with the active"""
    is_actual: bool


class Load(NamedTuple):
    """A load in kW and kvar as it is written; `phase` is 0, 1, 2 or 3 for all three."""

    name: str
    bus: str
    phase: int
    active_kw: float
    reactive_kvar: float
    multiplier: float
    """Of all loads of the circuit that are not exempt"""
    shape: Shape | None

    def powers_va(self, steps: int | None = None) -> NDArray[np.complex128]:
        """Return W + j var of the phases, (3,), or (steps, 3) over the first steps of its shape."""
        written = self.multiplier * complex(self.active_kw, self.reactive_kvar)
        total = np.array(written) if steps is None else np.full(steps, written)
        if steps is not None and self.shape is not None:
            total = self._followed(self.shape)[:steps]
        spread: NDArray[np.complex128] = 1000 * total[..., None] * own_phase(np.array([self.phase]))[0]
        return spread

    def _followed(self, shape: Shape) -> NDArray[np.complex128]:
        """Return kW + j kvar at all steps; of a load that follows real kW alone OpenDSS has made 0 kvar."""
        active, reactive = shape.active, shape.active if shape.reactive is None else shape.reactive
        written = (self.multiplier * self.active_kw, self.multiplier * self.reactive_kvar)
        if shape.is_actual:
            written = (1.0, 0.0 if shape.reactive is None else 1.0)
        followed: NDArray[np.complex128] = written[0] * active + 1j * written[1] * reactive
        return followed


def loads_of(engine: Any, complain: Complain) -> Iterator[Load]:
    """Yield all loads that are enabled, and complain of those that are no constant power to neutral."""
    found, shapes = engine.Loads.First(), dict[str, Shape]()
    while found:
        load = _load(engine, complain, shapes)
        if load is not None:
            yield load
        found = engine.Loads.Next()


def _load(engine: Any, complain: Complain, shapes: dict[str, Shape]) -> Load | None:
    name, phases = f"load.{engine.Loads.Name()}", engine.CktElement.NumPhases()
    order = [int(each) for each in engine.CktElement.NodeOrder()]
    if engine.Loads.IsDelta():
        complain(f"{name}.conn", "delta", "wye: loads between phase and neutral")
    elif phases == 1 and len(order) > 1 and order[1] in (1, 2, 3):
        complain(f"{name}.bus1", engine.CktElement.BusNames()[0], "one phase and the neutral")
    if engine.Loads.Model() != CONSTANT_POWER:
        complain(f"{name}.model", engine.Loads.Model(), "1: constant power")
    if phases not in (1, 3) or order[0] not in (1, 2, 3):
        complain(f"{name}.phases", phases, "1 or 3, of the phases 1, 2 and 3")
        return None
    return Load(
        engine.Loads.Name(),
        engine.CktElement.BusNames()[0],
        order[0] - 1 if phases == 1 else THREE_PHASE,
        engine.Loads.kW(),
        engine.Loads.kvar(),
        engine.Solution.LoadMult() if engine.Loads.Status() == VARIABLE else 1.0,
        _shape(engine, shapes) if engine.Loads.Status() != FIXED else None,
    )


def _shape(engine: Any, shapes: dict[str, Shape]) -> Shape | None:
    name = engine.Loads.Daily() or engine.Loads.Yearly() or engine.Loads.Duty()
    if not name:
        return None
    if name not in shapes:
        engine.LoadShape.Name(name)
        active, reactive = np.array(engine.LoadShape.PMult()), np.array(engine.LoadShape.QMult())
        shapes[name] = Shape(
            engine.LoadShape.SInterval(),
            active,
            reactive if len(reactive) == len(active) > 1 else None,
            engine.LoadShape.UseActual(),
        )
    return shapes[name]
