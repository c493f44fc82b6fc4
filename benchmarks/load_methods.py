"""Day-ahead forecasts of loads by each method, over half a year of the simulated world.

Five households of 3,500 kWh (their mean), a street of twenty, and the same street with heat pumps that follow
the outdoor temperature, which the models are told of or not. CPU times are of one process and one thread
(set OPENBLAS_NUM_THREADS=1).
"""

from collections.abc import Mapping
from time import process_time
from typing import Any

import numpy as np

from behaviours.decisions.forecasters.backtest import METHODS, BacktestSeries, Score, backtest, score
from behaviours.decisions.forecasters.boosted import has_lightgbm
from behaviours.decisions.series import FloatArray
from environments.simulation.world.households import Household, Households
from environments.simulation.world.weather import Weather

__all__ = ["rows", "world_loads"]

START_S = 1_704_067_200
DAYS, WARM_UP_DAYS = 182, 56
HOMES, STREET = 5, 20
HEATING_W_PER_K = 60.0


def world_loads(days: int = DAYS, homes: int = STREET, seed: int = 1) -> tuple[FloatArray, FloatArray]:
    """Return (homes, steps) loads in W and the outdoor temperature, by the quarter-hour."""
    households = Households(seed, [Household(f"h{i}", 3_500.0, "Europe/Berlin") for i in range(homes)])
    weather = Weather(4, seed)
    hours = range(START_S, START_S + days * 86_400, 3_600)
    power_w = np.concatenate([households.power_w(hour_s, 900, 4) for hour_s in hours], axis=1)
    degc = np.concatenate([weather.sky(hour_s).mean("outdoor_degc", hour_s, 900, 4) for hour_s in hours])
    return power_w, degc


def series_by_name() -> Mapping[str, list[BacktestSeries]]:
    """Return the series of each group."""
    power_w, degc = world_loads()
    local_s = START_S + 900 * np.arange(power_w.shape[1])
    heated = power_w.sum(axis=0) + STREET * HEATING_W_PER_K * np.maximum(15.0 - degc, 0.0)

    def series(load_w: FloatArray, outdoor_degc: FloatArray | None = None) -> BacktestSeries:
        return BacktestSeries(load_w, local_s, 900, outdoor_degc)

    return {
        "a household": [series(each) for each in power_w[:HOMES]],
        "street of 20": [series(power_w.sum(axis=0))],
        "heated street": [series(heated)],
        "heated street, temperature told": [series(heated, degc)],
    }


def rows() -> list[dict[str, Any]]:
    """Return a row for each group of series and each method that is installed."""
    found = []
    for name, group in series_by_name().items():
        for method in METHODS:
            if method == "LightGBM" and not has_lightgbm():
                continue
            began = process_time()
            scored = [
                score(each, backtest(each, METHODS[method], WARM_UP_DAYS), WARM_UP_DAYS) for each in group
            ]
            used_ms = 1000 * (process_time() - began) / len(group) / (DAYS - WARM_UP_DAYS)
            mean = Score(*np.mean(scored, axis=0).tolist())
            found.append(
                {
                    "series": name,
                    "method": method,
                    "nMAE %": 100 * mean.nmae,
                    "nRMSE %": 100 * mean.nrmse,
                    "pinball %": 100 * mean.pinball,
                    "P10–P90 %": 100 * mean.coverage,
                    "MASE": mean.mase,
                    "bias %": 100 * mean.bias,
                    "CPU ms a day": used_ms,
                }
            )
    return found
