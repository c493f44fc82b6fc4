"""How far a battery cuts the monthly peaks of a seeded year, beside perfect foresight (SPEC 4.7).

The load is that of the simulated world's households by the minute, alone or pooled; the battery is the
simulated world's too. Forecasting engine and real-time engine are those of the agents: threshold and corridor
every 15 minutes, a set-point every minute. Perfect foresight is a linear program a month.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.optimize import linprog

from behaviours.decisions.battery_control import peak_shaving_power_w, rule_for, threshold_of_rest_w
from behaviours.decisions.degradation import equivalent_cycles, life_used
from behaviours.decisions.peak_shaving import LoadRecord, planned_shaving
from environments.simulation.world.battery import Batteries
from environments.simulation.world.households import Household, Households
from environments.simulation.world.settings import BatterySettings
from ontology.storage import StorageModel

__all__ = ["Course", "foresight_w", "households_w", "model_of", "rows", "shaved"]

FloatArray = npt.NDArray[np.float64]
ZONE = "Europe/Berlin"
START_S = int(datetime(2023, 12, 4, tzinfo=UTC).timestamp())
"""Four weeks before the year, in which the battery learns and does nothing."""
LEARNT_DAYS = 28
STEP_S = 60
STEPS = 15
"""Steps of the real-time engine in an interval."""
INTERVAL_S = 900
INTERVALS_A_DAY = 96
CASES: tuple[tuple[int, float, float, int], ...] = (
    (30, 40, 10, 1),
    (30, 40, 10, 2),
    (30, 30, 10, 1),
    (30, 30, 10, 2),
    (30, 40, 15, 1),
    (1, 5, 2.5, 1),
)
"""Homes, kWh, kW, seed."""


class Course(NamedTuple):
    """What became of a load under a peak-shaving battery, a value an interval."""

    load_w: FloatArray
    import_w: FloatArray
    threshold_w: FloatArray
    state_of_charge: FloatArray
    feasible: npt.NDArray[np.bool_]
    """Whether the battery was never empty nor at the end of its power."""


def households_w(homes: int, seed: int, days: int = LEARNT_DAYS + 366) -> FloatArray:
    """Return the load of some homes together by the minute, in W; 2,000 to 5,500 kWh a year each."""
    drawn = np.random.default_rng(seed).uniform(2_000, 5_500, homes)
    each = [Household(f"h{i:03d}", float(kwh), ZONE) for i, kwh in enumerate(drawn)]
    demand = Households(seed, each)
    hours = range(START_S, START_S + days * 86_400, 3_600)
    return np.concatenate([demand.power_w(hour, STEP_S, 60).sum(axis=0) for hour in hours])


def model_of(capacity_kwh: float, power_kw: float) -> tuple[Batteries, StorageModel]:
    """Return a battery of the simulated world, and what its manager knows of it."""
    settings = BatterySettings(capacity_wh=round(capacity_kwh * 1000), power_w=round(power_kw * 1000))
    battery = Batteries([settings])
    efficiency = float(battery.one_way[0])
    model = StorageModel(
        asset_id="bess",
        capacity_wh=settings.capacity_wh,
        fill_min_wh=int(np.ceil(battery.floor_wh[0])),
        fill_max_wh=settings.capacity_wh,
        charge_max_w=settings.power_w,
        discharge_max_w=settings.power_w,
        charge_efficiency=efficiency,
        discharge_efficiency=efficiency,
        leakage_w=0,
    )
    return battery, model


def shaved(load_w: FloatArray, capacity_kwh: float, power_kw: float) -> Course:
    """Return what a battery makes of a load by the minute, after the weeks of learning."""
    battery, model = model_of(capacity_kwh, power_kw)
    of_intervals = load_w.reshape(-1, STEPS)
    record = LoadRecord.empty()
    rows: list[tuple[float, ...]] = []
    peak_w, month, power_w = 0.0, "", 0
    for number, minutes in enumerate(of_intervals):
        start_s = START_S + number * INTERVAL_S
        if number >= LEARNT_DAYS * INTERVALS_A_DAY:
            if month != (month := month_of(start_s)):
                peak_w = 0.0
            stored_wh = float(battery.stored_wh[0])
            plan = planned_shaving(record.days_w(start_s), model, stored_wh, start_s, least_w=peak_w)
            import_wm, able = 0.0, True
            seen_w = of_intervals[number - 1][-1]
            for minute, now_w in enumerate(minutes.tolist()):
                stored_wh = float(battery.stored_wh[0])
                end_s = start_s + (minute + 1) * STEP_S
                elapsed_s = minute * STEP_S
                rest_w = threshold_of_rest_w(
                    plan.threshold_w, import_wm / max(1, minute), elapsed_s, INTERVAL_S
                )
                rule = rule_for(rest_w, plan.floor_wh(end_s))
                asked_w = peak_shaving_power_w(rule, model, round(seen_w), stored_wh, power_w, STEP_S)
                battery.controls.setpoint_w[0] = asked_w
                power_w = round(float(battery.step(STEP_S)[0]))
                able = able and abs(power_w) < model.discharge_max_w and stored_wh > model.fill_min_wh + 50
                import_wm += now_w + power_w
                seen_w = now_w
            import_w = import_wm / STEPS
            rows.append(
                (
                    float(minutes.mean()),
                    import_w,
                    float(plan.threshold_w),
                    float(battery.state_of_charge[0]),
                    float(able),
                )
            )
            peak_w = max(peak_w, import_w)
        record = record.after(start_s, float(minutes.mean()))
    load, imported, threshold, state, feasible = np.array(rows).T
    return Course(load, imported, threshold, state, feasible.astype(bool))


def month_of(start_s: int) -> str:
    return datetime.fromtimestamp(start_s, UTC).strftime("%Y-%m")


def months_of(intervals: int) -> npt.NDArray[np.str_]:
    """Return the month of each interval after the weeks of learning."""
    first_s = START_S + LEARNT_DAYS * 86_400
    return np.array([month_of(first_s + number * INTERVAL_S) for number in range(intervals)])


def foresight_w(load_w: FloatArray, capacity_kwh: float, power_kw: float) -> float:
    """Return the lowest peak that a battery could have kept over a load in intervals, half full at first."""
    _, model = model_of(capacity_kwh, power_kw)
    steps, hours = load_w.size, INTERVAL_S / 3600
    one, none = sparse.identity(steps, format="csr"), sparse.csr_matrix((steps, steps))
    change = sparse.diags([np.ones(steps), -np.ones(steps - 1)], [0, -1], format="csr")
    column = sparse.csr_matrix((steps, 1))
    content = sparse.hstack(
        [-hours * model.charge_efficiency * one, hours / model.discharge_efficiency * one, change, column]
    )
    first = np.zeros(steps)
    first[0] = model.capacity_wh / 2
    within = sparse.hstack([one, -one, none, -np.ones((steps, 1))])
    cost = np.r_[np.full(2 * steps, 1e-6), np.zeros(steps), 1.0]
    bounds = [(0, model.charge_max_w)] * (2 * steps)
    bounds += [(model.fill_min_wh, model.fill_max_wh)] * steps
    found = linprog(
        cost,
        A_ub=within.tocsr(),
        b_ub=-load_w,
        A_eq=content.tocsr(),
        b_eq=first,
        bounds=[*bounds, (None, None)],
        method="highs",
    )
    return float(found.x[-1])


def peaks_w(course: Course, capacity_kwh: float, power_kw: float) -> FloatArray:
    """Return a row a month: the highest mean of an interval without, with, and with perfect foresight."""
    months = months_of(course.load_w.size)
    return np.array(
        [
            (
                course.load_w[months == month].max(),
                course.import_w[months == month].max(),
                foresight_w(course.load_w[months == month], capacity_kwh, power_kw),
            )
            for month in sorted(set(months.tolist()))
        ]
    )


def row_of(homes: int, capacity_kwh: float, power_kw: float, seed: int) -> Mapping[str, Any]:
    """Return what a battery of a size does for the load of some homes."""
    course = shaved(households_w(homes, seed), capacity_kwh, power_kw)
    without, achieved, best = peaks_w(course, capacity_kwh, power_kw).mean(axis=0).tolist()
    broken = (course.import_w > course.threshold_w) & course.feasible
    states = course.state_of_charge.tolist()
    return {
        "homes": homes,
        "battery": f"{capacity_kwh:g} kWh, {power_kw:g} kW",
        "seed": seed,
        "peak kW": without / 1000,
        "shaved kW": achieved / 1000,
        "foresight kW": best / 1000,
        "of foresight %": 100 * (without - achieved) / (without - best),
        "over threshold %": 100 * float(broken.sum() / course.feasible.sum()),
        "charge %": f"{100 * min(states):.0f}–{100 * max(states):.0f}",
        "cycles": equivalent_cycles(states),
        "life %": 100 * life_used(states),
    }


def rows() -> list[Mapping[str, Any]]:
    """Return a row for each load and battery."""
    return [row_of(*case) for case in CASES]
