"""Spikes in samples: how many are found, and how many good samples are taken for one, beside a plain filter.

1 % of the samples are spikes of 8 to 24 median absolute deviations, either way: of all the series, or (local)
of the 13 samples around each, at least 5 W, which hides some of them in the noise. 4 seeds each.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from behaviours.decisions.data_quality import outliers
from behaviours.decisions.sample_cleansing import around, spikes
from behaviours.decisions.series import FloatArray
from environments.simulation.appliance_load import appliance_load_w

SEEDS = 4
SHARE = 0.01
DAY_S = 86_400


def rows() -> list[dict[str, Any]]:
    found = [measured("stationary noise", 10, lambda rng: 500 + 20 * rng.standard_normal(40_000), False)]
    for period_s in (1, 10, 60):
        days = 7 if period_s == 60 else 1
        for local in (False, True):
            found.append(measured("appliances", period_s, home(days, period_s), local))
    return found


def home(days: int, period_s: int) -> Callable[[np.random.Generator], FloatArray]:
    return lambda rng: appliance_load_w(rng, days * DAY_S)[::period_s]


def measured(
    name: str, period_s: int, load_of: Callable[[np.random.Generator], FloatArray], local: bool
) -> dict[str, Any]:
    judged = np.array([judge(load_of, local, np.random.default_rng(seed)) for seed in range(SEEDS)])
    recall, false, plain_recall, plain_false = judged.mean(axis=0) * 100
    return {
        "data": name,
        "period, s": period_s,
        "spikes by": "local MAD" if local else "MAD",
        "recall, %": recall,
        "false positives, %": false,
        "plain: recall, %": plain_recall,
        "plain: false positives, %": plain_false,
    }


def judge(
    load_of: Callable[[np.random.Generator], FloatArray], local: bool, rng: np.random.Generator
) -> tuple[float, ...]:
    load = load_of(rng)
    at = rng.choice(load.size, round(SHARE * load.size), replace=False)
    height = 8 * spread_of(load, local)[at] * rng.uniform(1, 3, at.size) * rng.choice([-1, 1], at.size)
    spiked = load.copy()
    spiked[at] += height
    result: list[float] = []
    for method in (spikes, outliers):
        flagged = method(spiked)
        result += [float(flagged[at].mean()), float(np.delete(flagged, at).mean())]
    return tuple(result)


def spread_of(load: FloatArray, local: bool) -> FloatArray:
    if not local:
        return np.full(load.size, float(np.median(np.abs(load - np.median(load)))))
    windows = around(load, 13)
    middle = np.nanmedian(windows, axis=1, keepdims=True)
    return np.maximum(5.0, np.nanmedian(np.abs(windows - middle), axis=1))
