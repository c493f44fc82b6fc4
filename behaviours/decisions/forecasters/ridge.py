"""Ridge regression of a load on its own past and the calendar; a few milliseconds a series."""

from dataclasses import dataclass

import numpy as np

from behaviours.decisions.forecasters.features import day_features, features
from behaviours.decisions.forecasters.past_days import LAG_DAYS, DayForecast, PastDays
from behaviours.decisions.forecasters.residuals import ResidualQuantiles, residual_quantiles
from behaviours.decisions.series import FloatArray
from ontology.base import require

__all__ = ["MINIMUM_DAYS", "TRAINING_DAYS", "RidgeModel", "fit_ridge"]

MINIMUM_DAYS = 2 * LAG_DAYS
"""A week to look back on, and another to learn from."""
TRAINING_DAYS = 56
"""How many days a model learns from at most."""
PENALTIES = (1e-3, 1e-2, 1e-1, 1.0)
"""Strengths of the penalty that are tried, as shares of the number of values."""


@dataclass(frozen=True, slots=True, eq=False)
class RidgeModel:
    """A fitted model: weights of features that are centred and scaled, and the errors it is known for."""

    weights: FloatArray
    centre: FloatArray
    scale: FloatArray
    level_w: float
    errors: ResidualQuantiles
    error_w: float
    """Root mean square error of each day as foreseen without it (leave one day out)."""
    median_error_w: float
    """The same of the median of the seven days before, on the same days."""

    def forecast(self, past: PastDays) -> DayForecast:
        """Forecast the day after the origin.

        Args:
            past: at least the last seven days; with temperatures if the model was fitted with them.
        """
        seen = (day_features(past.last(LAG_DAYS)) - self.centre) / self.scale
        return self.errors.around(self.level_w + seen @ self.weights, past.slot[-1])


def fit_ridge(past: PastDays) -> RidgeModel:
    """Fit a model to the last eight weeks; the penalty is that with the least leave-one-day-out error.

    It foresees the expectation, so that forecasts of many sites add up; a median would miss the peaks.

    Raises: InvalidInput when there are less than 14 days.
    Source: Hoerl & Kennard 1970; residuals left out as Allen 1974 (PRESS), by blocks of a day.
    """
    require(past.days >= MINIMUM_DAYS, "past", past.days, f"at least {MINIMUM_DAYS} days")
    past = past.last(TRAINING_DAYS)
    seen = features(past)
    actual = past.power_w[LAG_DAYS:]
    centre, scale = seen.mean(axis=(0, 1)), seen.std(axis=(0, 1))
    scale = np.where(scale > 1e-9 * (1 + np.abs(centre)), scale, np.inf)
    level_w = float(actual.mean())
    weights, residuals = _solved((seen - centre) / scale, actual - level_w)
    week = np.lib.stride_tricks.sliding_window_view(past.power_w, LAG_DAYS, axis=0)[:-1]
    return RidgeModel(
        weights,
        centre,
        scale,
        level_w,
        residual_quantiles(residuals, past.slot[LAG_DAYS:-1], float(past.power_w.min())),
        root_mean_square(residuals),
        root_mean_square(actual - np.median(week, axis=-1)),
    )


def root_mean_square(values: FloatArray) -> float:
    """Return the root of the mean square of all values."""
    return float(np.sqrt(np.mean(values * values)))


def _solved(seen: FloatArray, target: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the weights under the best penalty, and the residuals of each day as foreseen without it.

    Args:
        seen: (days, steps, features) centred and scaled.
        target: (days, steps) centred.
    """
    flat = seen.reshape(-1, seen.shape[2])
    values, vectors = np.linalg.eigh(flat.T @ flat)
    turned = seen @ vectors
    projected = turned.reshape(flat.shape).T @ target.ravel()
    of_days = turned.transpose(0, 2, 1) @ turned
    best: tuple[float, FloatArray, FloatArray] | None = None
    for penalty in PENALTIES:
        stiffness = np.maximum(values, 0.0) + penalty * len(flat)
        weights = projected / stiffness
        residuals = target - turned @ weights
        left_out = _leave_one_day_out(turned, of_days, stiffness, residuals)
        loss = float((left_out * left_out).sum())
        if best is None or loss < best[0]:
            best = loss, vectors @ weights, left_out
    assert best is not None
    return best[1], best[2]


def _leave_one_day_out(
    turned: FloatArray, of_days: FloatArray, stiffness: FloatArray, residuals: FloatArray
) -> FloatArray:
    """Return (I - H)⁻¹ e for the block H of each day, in the space of the features (Woodbury)."""
    inner = (turned.transpose(0, 2, 1) @ residuals[..., None])[..., 0]
    moved = np.linalg.solve(np.diag(stiffness) - of_days, inner[..., None])
    found: FloatArray = residuals + (turned @ moved)[..., 0]
    return found
