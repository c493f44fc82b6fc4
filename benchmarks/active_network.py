"""Active network management: random violations removed, and the cost beside the exact optimum."""

import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from behaviours.decisions.active_network import ActiveNetwork, NetworkRelief, Stage
from behaviours.decisions.active_network.controls import Controls, controls_of
from behaviours.decisions.active_network.optimal_flow import weighted_price
from behaviours.decisions.active_network.phasors import FeederPhasors, FeederState
from benchmarks.active_network_cases import Case, random_case
from benchmarks.exact_flow import Exact, exact_optimum
from ontology.errors import Failed

__all__ = ["Outcome", "compared", "rows"]

CASES = int(os.environ.get("ACTIVE_NETWORK_CASES", "1000"))
FEW = 50
"""Set-points up to which a third start is affordable."""
NEGLIGIBLE_EUR_PER_H = 1e-4


@dataclass(frozen=True)
class Outcome:
    """One case: what we found, and what the exact optimum is."""

    network: str
    relief: NetworkRelief
    seconds: float
    is_solvable: bool
    """Whether some exact flow keeps all limits, by whichever way it was found"""
    gap: float | None
    """Our cost over that of the exact optimum, less 1; None where one of them is missing"""


def rows() -> list[dict[str, object]]:
    """Solve random cases, and compare each with the exact optimum."""
    with ProcessPoolExecutor(1) as pool:
        outcomes = list(pool.map(compared, range(CASES), chunksize=20))
    kinds = sorted({each.network.partition("-street")[0] for each in outcomes})
    groups = [(kind, [each for each in outcomes if each.network == kind]) for kind in kinds]
    return [_row(name, group) for name, group in [*groups, ("all", outcomes)]]


def _row(name: str, outcomes: Sequence[Outcome]) -> dict[str, object]:
    solvable = [each for each in outcomes if each.is_solvable]
    removed = [each for each in solvable if each.relief.is_clear]
    gaps = [100 * each.gap for each in removed if each.gap is not None]
    times = [1000 * each.seconds for each in outcomes]
    return {
        "network": name,
        "cases": len(outcomes),
        "solvable": len(solvable),
        "removed": len(removed),
        "removed, %": 100 * len(removed) / max(1, len(solvable)),
        "dearer, median %": float(np.median(gaps)) if gaps else None,
        "95 %": float(np.percentile(gaps, 95)) if gaps else None,
        "most": max(gaps) if gaps else None,
        "above 5 %": sum(each > 5 for each in gaps),
        "ms, median": float(np.median(times)),
        "95 % ms": float(np.percentile(times, 95)),
    }


def compared(seed: int) -> Outcome:
    """Solve one random case, and look for its exact optimum from several starts."""
    case = random_case(seed)
    network = ActiveNetwork(case.network)
    began_s = time.perf_counter()
    relief = network.relieve(case.point, case.limits, case.compensation, case.levers)
    seconds = time.perf_counter() - began_s
    stage = max(relief.stages, default=Stage.DSTATCOM) if relief.is_clear else Stage.DIRECT_CONTROL
    controls, exact = _exact(case, relief, stage, seed)
    if not relief.is_clear:
        return Outcome(case.name, relief, seconds, exact.setpoints is not None, None)
    cost = float(weighted_price(controls, stage) @ np.abs(_setpoints(case, controls, relief)))
    if exact.setpoints is None:
        return Outcome(case.name, relief, seconds, True, None)
    gap = max(0.0, cost - exact.cost) / max(exact.cost, NEGLIGIBLE_EUR_PER_H)
    return Outcome(case.name, relief, seconds, True, gap)


def _exact(case: Case, relief: NetworkRelief, stage: Stage, seed: int) -> tuple[Controls, Exact]:
    """Return the set-points of all means up to a stage, and their exact optimum."""
    levers = [each for each in case.levers if each.stage <= stage]
    controls = controls_of(case.point, case.compensation, levers)
    model = FeederPhasors(case.network)
    drawn_va = model.drawn_va(case.point)
    try:
        start = model.solve(drawn_va)
    except Failed:
        start = FeederState(drawn_va, drawn_va, drawn_va, np.zeros((1, 3)) + 0j, np.zeros((1, 3)) + 0j)
    ours = _setpoints(case, controls, relief)
    rng = np.random.default_rng([7, seed])
    active = np.where(controls.stage > Stage.DSTATCOM, 1.0, 0.0)
    toward = np.where(case.point.power_w.sum() > 0, controls.low, controls.high) * active
    starts = [np.zeros(len(controls)), toward, toward * rng.random(len(controls))]
    if relief.is_clear:
        starts = [ours, *starts[:2]] if len(controls) <= FEW else [ours, toward]
    price = weighted_price(controls, stage)
    return controls, exact_optimum(model, start, controls, case.limits, price, starts)


def _setpoints(case: Case, controls: Controls, relief: NetworkRelief) -> NDArray[np.float64]:
    """Return what was found as a vector of set-points in kW and kvar."""
    values = np.zeros(len(controls))
    for each in case.compensation:
        at = controls.names.index(f"D{each.unit}p0")
        change = (relief.compensation_va[each.unit] - case.point.compensation_va[each.unit]) / 1000
        values[at : at + 3], values[at + 3 : at + 6] = change.real, change.imag
    for name, watts in relief.changes_w.items():
        values[controls.names.index(name)] = watts / 1000
    for name, var in relief.reactive_var.items():
        values[controls.names.index(f"{name} Q")] = var / 1000
    return values
