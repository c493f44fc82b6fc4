"""What a building is like, learnt from its own temperatures: resistance, capacity, sun and people.

The building is one resistance and one capacity (1R1C):

    C dT/dt = (T_out - T) / R + COP * P + A * GHI + Q

For a given time constant the temperature of a whole record is linear in what is unknown, so that one
bounded search for the time constant and a linear least squares inside it find all (variable projection).
Whole days are simulated and compared, not single steps: of a thermometer's noise nothing adds up then.
SciPy is imported on use, since most runs end before there is a week to learn from.
"""

from dataclasses import dataclass
from functools import partial

import msgspec
import numpy as np

from behaviours.decisions.heat_pump import cop_at
from behaviours.decisions.series import FloatArray
from ontology.base import INTERVAL_S, INTERVALS_A_DAY
from ontology.storage import ThermalModel

__all__ = ["HeatRecord", "identified", "predicted", "prediction_error_k"]

SEGMENT_STEPS = 2 * INTERVALS_A_DAY
"""Steps that are simulated in one go, from a start temperature of their own."""
SHORTEST_STEPS = INTERVALS_A_DAY // 2
LEAST_SEGMENTS = 2
TIME_CONSTANT_S = (5 * 3_600.0, 1_000 * 3_600.0)
"""Between a tent and a cave."""
TRIMMED = 3.0
"""A segment whose error is so many times the usual one is left out: somebody had the windows open."""
PRIOR_SHARE = 0.6
"""Standard deviation of what is known of a building beforehand, as a share of it."""
PRIOR_NOISE_K = 0.05
"""Error of a temperature that the prior is weighed against."""
LEAST_SPREAD_K = 1.0
"""Least spread of the prior: a kelvin by a kW of heat, by a kW/m² of sun, by people."""
AIRED_K = 0.4
"""How far above the comfort band people surely draw blinds and open windows: a building of its own."""
KILO = 1_000.0
"""Heat counts in kW here, so that all unknowns are near one."""


@dataclass(frozen=True)
class HeatRecord:
    """What was measured step by step, in equal steps; not a number where something is missing.

    `temperature_degc` is at the end of each step, electrical power in W, outdoor temperature and
    irradiance are means over it.
    """

    temperature_degc: FloatArray
    power_w: FloatArray
    outdoor_degc: FloatArray
    ghi_w_per_m2: FloatArray
    step_s: int = INTERVAL_S

    def part(self, start: int, end: int) -> "HeatRecord":
        """Return some steps of it."""
        return HeatRecord(
            self.temperature_degc[start:end],
            self.power_w[start:end],
            self.outdoor_degc[start:end],
            self.ghi_w_per_m2[start:end],
            self.step_s,
        )

    def complete(self) -> np.ndarray:
        """Tell of each step whether all of it was measured."""
        known = np.isfinite(self.temperature_degc) & np.isfinite(self.power_w)
        return known & np.isfinite(self.outdoor_degc) & np.isfinite(self.ghi_w_per_m2)


def identified(record: HeatRecord, before: ThermalModel) -> ThermalModel | None:
    """Return the model that explains a record best, or None when there is too little of it.

    Args:
        record: some weeks of measurements, the oldest first.
        before: what is known so far; its COP and comfort band are kept, its parameters are a weak prior.

    Source: SPEC 4.8; output-error least squares by variable projection (Golub & Pereyra, 1973).
    """
    segments = segments_of(record, before.temperature_max_degc + AIRED_K)
    if len(segments) < LEAST_SEGMENTS:
        return None
    heats = [cop_at(before, each.outdoor_degc) * each.power_w for each in segments]
    fit = fitted(segments, heats, before)
    errors = fit.errors_k
    kept = [i for i, error in enumerate(errors) if error <= TRIMMED * float(np.median(errors)) + 0.02]
    if LEAST_SEGMENTS <= len(kept) < len(segments):
        fit = fitted([segments[i] for i in kept], [heats[i] for i in kept], before)
    return msgspec.structs.replace(
        before,
        resistance_k_per_w=fit.resistance_k_per_w,
        capacity_j_per_k=fit.time_constant_s / fit.resistance_k_per_w,
        solar_aperture_m2=fit.aperture_m2,
        internal_gain_w=fit.gain_w,
    )


@dataclass(frozen=True)
class Fit:
    """Parameters, and the root-mean-square error of each segment in K."""

    time_constant_s: float
    resistance_k_per_w: float
    aperture_m2: float
    gain_w: float
    errors_k: list[float]
    loss: float


def segments_of(record: HeatRecord, warmest_degc: float) -> list[HeatRecord]:
    """Return the runs of complete steps that are not too warm, of half a day to two days each."""
    usable = record.complete() & ~(record.temperature_degc > warmest_degc)
    complete = np.concatenate([[False], usable, [False]])
    edges = np.flatnonzero(np.diff(complete.astype(np.int8)))
    found = []
    for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        for first in range(start, end, SEGMENT_STEPS):
            if min(end, first + SEGMENT_STEPS) - first >= SHORTEST_STEPS:
                found.append(record.part(first, min(end, first + SEGMENT_STEPS)))
    return found


def fitted(segments: list[HeatRecord], heats_w: list[FloatArray], prior: ThermalModel) -> Fit:
    """Return the best fit over all time constants."""
    from scipy.optimize import minimize_scalar

    solve = partial(solved, segments, heats_w, prior)
    best = minimize_scalar(
        lambda log_s: solve(float(np.exp(log_s))).loss,
        bounds=tuple(np.log(TIME_CONSTANT_S)),
        method="bounded",
        options={"xatol": 0.01},
    )
    return solve(float(np.exp(best.x)))


def solved(
    segments: list[HeatRecord], heats_w: list[FloatArray], prior: ThermalModel, time_constant_s: float
) -> Fit:
    """Return the best fit for one time constant: linear in R, R A and R Q."""
    parts = [equations(*each, time_constant_s) for each in zip(segments, heats_w, strict=True)]
    expected = prior_of(prior)
    weights = PRIOR_NOISE_K / (PRIOR_SHARE * np.maximum(expected, LEAST_SPREAD_K))
    rows = np.vstack([*(columns for columns, _ in parts), np.diag(weights)])
    wanted = np.concatenate([*(known for _, known in parts), weights * expected])
    found, *_ = np.linalg.lstsq(rows, wanted, rcond=None)
    squares = (rows @ found - wanted) ** 2
    ends = np.cumsum([len(known) for _, known in parts])
    resistance, sun, people = np.maximum(found, [1e-9, 0.0, 0.0])
    return Fit(
        time_constant_s,
        float(resistance) / KILO,
        float(sun / resistance),
        float(people / resistance) * KILO,
        [float(np.sqrt(part.mean())) for part in np.split(squares, ends)[:-1]],
        float(squares.sum()),
    )


def prior_of(model: ThermalModel) -> FloatArray:
    """Return R, R A and R Q of a model: kelvin by a kW of heat, by a kW/m² of sun, and by people."""
    resistance = model.resistance_k_per_w * KILO
    return np.array(
        [resistance, resistance * model.solar_aperture_m2, resistance * model.internal_gain_w / KILO]
    )


def equations(
    record: HeatRecord, heat_w: FloatArray, time_constant_s: float
) -> tuple[FloatArray, FloatArray]:
    """Return what a unit of heat, sun and people adds to the temperatures, and what they must explain.

    The unknown temperature at the start is projected out of both.
    """
    kept = float(np.exp(-record.step_s / time_constant_s))
    columns = np.column_stack(
        [
            smoothed(heat_w / KILO, kept),
            smoothed(record.ghi_w_per_m2 / KILO, kept),
            smoothed(np.ones(len(heat_w)), kept),
        ]
    )
    wanted = record.temperature_degc - smoothed(record.outdoor_degc, kept)
    start = kept ** np.arange(1, len(heat_w) + 1)
    start /= np.sqrt(start @ start)
    return columns - np.outer(start, start @ columns), wanted - start * (start @ wanted)


def smoothed(values: FloatArray, kept: float) -> FloatArray:
    """Return how a first-order system at rest follows a series."""
    from scipy.signal import lfilter

    followed: FloatArray = lfilter([1.0 - kept], [1.0, -kept], values)
    return followed


def predicted(model: ThermalModel, start_degc: float, record: HeatRecord) -> FloatArray:
    """Return the temperatures in degC that a model foresees at the end of each step.

    Args:
        model: the building.
        start_degc: temperature at the beginning.
        record: power, outdoor temperature and irradiance ahead; its temperatures are not looked at.
    """
    heat_w = cop_at(model, record.outdoor_degc) * record.power_w
    heat_w += model.solar_aperture_m2 * record.ghi_w_per_m2 + model.internal_gain_w
    kept = float(np.exp(-record.step_s / (model.resistance_k_per_w * model.capacity_j_per_k)))
    settled = record.outdoor_degc + model.resistance_k_per_w * heat_w
    faded: FloatArray = kept ** np.arange(1.0, len(settled) + 1)
    return start_degc * faded + smoothed(settled, kept)


def prediction_error_k(model: ThermalModel, record: HeatRecord, ahead_steps: int) -> float | None:
    """Return the root-mean-square error of temperatures foreseen some steps ahead; None without any.

    Each stretch of complete steps is predicted from its first temperature, again and again.
    """
    complete = record.complete()
    errors = []
    for start in range(0, len(complete) - ahead_steps, ahead_steps):
        if complete[start : start + ahead_steps + 1].all():
            ahead = record.part(start + 1, start + ahead_steps + 1)
            foreseen = predicted(model, float(record.temperature_degc[start]), ahead)
            errors.append(float(foreseen[-1] - ahead.temperature_degc[-1]))
    return float(np.sqrt(np.mean(np.square(errors)))) if errors else None
