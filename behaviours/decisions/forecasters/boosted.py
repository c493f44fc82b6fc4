"""Gradient-boosted trees (LightGBM) on the same features; an extra that is imported when it is asked for."""

from collections.abc import Callable
from typing import Any

import numpy as np

from behaviours.decisions.forecasters.features import day_features, features
from behaviours.decisions.forecasters.past_days import LAG_DAYS, DayForecast, PastDays
from behaviours.decisions.forecasters.residuals import HIGH, LOW
from behaviours.decisions.forecasters.ridge import MINIMUM_DAYS
from behaviours.decisions.series import FloatArray
from ontology.base import require
from ontology.errors import Unavailable

__all__ = ["fit_boosted", "has_lightgbm"]

TRAINING_DAYS = 182
TREES = 120
CALIBRATION_SHARE = 4
"""One in so many days is kept from the quantiles' training, to see how far they must be widened."""
PARAMETERS = {
    "learning_rate": 0.06,
    "num_leaves": 15,
    "min_data_in_leaf": 60,
    "lambda_l2": 1.0,
    "verbosity": -1,
    "deterministic": True,
    "num_threads": 1,
    "seed": 1,
}


def has_lightgbm() -> bool:
    """Tell whether LightGBM can be used here."""
    try:
        _lightgbm()
    except Unavailable:
        return False
    return True


def fit_boosted(past: PastDays) -> Callable[[PastDays], DayForecast]:
    """Fit models of the expectation and both quantiles to the last half year; return the forecaster.

    The quantiles are widened by what they missed on days that they were not fitted to.

    Raises: Unavailable without LightGBM; InvalidInput when there are less than 14 days.
    Source: Ke et al. 2017 (LightGBM); Romano, Patterson & Candes 2019 (conformalised quantiles).
    """
    require(past.days >= MINIMUM_DAYS, "past", past.days, f"at least {MINIMUM_DAYS} days")
    past = past.last(TRAINING_DAYS)
    seen, actual = features(past), past.power_w[LAG_DAYS:]
    aside = np.arange(len(seen)) % CALIBRATION_SHARE == CALIBRATION_SHARE - 1
    mean = _fitted(seen, actual, objective="regression")
    bounds = [
        _fitted(seen[~aside], actual[~aside], objective="quantile", alpha=alpha) for alpha in (LOW, HIGH)
    ]
    wider = _widening(actual[aside], *(_predicted(each, seen[aside]) for each in bounds))
    floor_w = float(past.power_w.min())

    def forecast(present: PastDays) -> DayForecast:
        ahead = day_features(present.last(LAG_DAYS))
        expected = np.maximum(_predicted(mean, ahead), floor_w)
        low, high = (_predicted(each, ahead) for each in bounds)
        low = np.maximum(np.minimum(low - wider, expected), floor_w)
        return DayForecast(expected, low, np.maximum(high + wider, expected))

    return forecast


def _fitted(seen: FloatArray, actual: FloatArray, **objective: Any) -> Any:
    lightgbm = _lightgbm()
    data = lightgbm.Dataset(seen.reshape(actual.size, -1), actual.ravel())
    return lightgbm.train(PARAMETERS | objective, data, num_boost_round=TREES)


def _predicted(model: Any, seen: FloatArray) -> FloatArray:
    return np.asarray(model.predict(seen.reshape(-1, seen.shape[-1]))).reshape(seen.shape[:-1])


def _widening(actual: FloatArray, low: FloatArray, high: FloatArray) -> float:
    """Return by how many W bounds must be moved apart (or together) to hold eight values in ten."""
    return float(np.quantile(np.maximum(low - actual, actual - high), HIGH - LOW))


def _lightgbm() -> Any:
    try:
        import lightgbm
    except (ImportError, OSError) as error:  # OSError: its OpenMP library is missing
        raise Unavailable(f"no LightGBM ({error}): pip install 'parity-mas[lightgbm]'") from error
    return lightgbm
