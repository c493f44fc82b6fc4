"""How good day-ahead forecasts would have been: every day foreseen from what was known before it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from behaviours.decisions.forecasters.baselines import as_last_week, as_yesterday, week_median
from behaviours.decisions.forecasters.boosted import fit_boosted
from behaviours.decisions.forecasters.past_days import DAY_S, DayForecast, PastDays, past_days
from behaviours.decisions.forecasters.residuals import HIGH, LOW
from behaviours.decisions.forecasters.ridge import MINIMUM_DAYS, fit_ridge
from behaviours.decisions.series import FloatArray, IntArray, coverage, nmae, nrmse, pinball
from ontology.base import require

__all__ = ["METHODS", "BacktestSeries", "Method", "Score", "backtest", "score"]

Forecaster = Callable[[PastDays], DayForecast]


class Method(NamedTuple):
    """A way to forecast: how a forecaster is fitted, and after how many days it is fitted again."""

    fit: Callable[[PastDays], Forecaster]
    refit_days: int = 1


METHODS: Mapping[str, Method] = {
    "yesterday": Method(lambda past: as_yesterday),
    "last week": Method(lambda past: as_last_week),
    "7-day median": Method(lambda past: week_median),
    "ridge": Method(lambda past: fit_ridge(past).forecast),
    "LightGBM": Method(fit_boosted, refit_days=14),
}
"""All methods by name, the naive ones first."""


@dataclass(frozen=True, slots=True, eq=False)
class BacktestSeries:
    """A load in equal steps that divide a day, its local clock, and the outdoor temperature if known."""

    power_w: FloatArray
    local_s: IntArray
    step_s: int
    outdoor_degc: FloatArray | None = None

    @property
    def steps(self) -> int:
        """How many steps a day has."""
        return DAY_S // self.step_s

    @property
    def days(self) -> int:
        """How many whole days there are."""
        return len(self.power_w) // self.steps

    def before(self, day: int) -> PastDays:
        """Return what is known at the start of a day."""
        known = slice(0, (day + 1) * self.steps)
        degc = None if self.outdoor_degc is None else self.outdoor_degc[known]
        return past_days(
            self.power_w[known], self.local_s[known], degc, origin=day * self.steps, steps=self.steps
        )

    def of_days(self, first: int) -> FloatArray:
        """Return (days, steps) powers from a day on."""
        return self.power_w[first * self.steps : self.days * self.steps].reshape(-1, self.steps)


class Score(NamedTuple):
    """How good a method was; energies and powers as shares of the mean absolute load."""

    nmae: float
    nrmse: float
    pinball: float
    """Mean of the losses of the 10 % and the 90 % quantile."""
    coverage: float
    """Share of values between both quantiles; 0.8 is right."""
    mase: float
    """Mean absolute error against that of `yesterday` over the days before the first forecast."""
    bias: float
    """Mean of forecast minus actual: a method that misses peaks is below zero."""


def backtest(series: BacktestSeries, method: Method, first_day: int) -> DayForecast:
    """Return the day-ahead forecasts of all days from one on, each (days, steps), from earlier days only.

    Raises: InvalidInput when less than 14 days are before the first, or none is after.
    """
    require(first_day >= MINIMUM_DAYS, "first_day", first_day, f"at least {MINIMUM_DAYS}")
    require(first_day < series.days, "first_day", first_day, f"before the end of {series.days} days")
    forecasts: list[DayForecast] = []
    for day in range(first_day, series.days):
        past = series.before(day)
        if (day - first_day) % method.refit_days == 0:
            forecaster = method.fit(past)
        forecasts.append(forecaster(past))
    return DayForecast(*(np.stack(each) for each in zip(*forecasts, strict=True)))


def score(series: BacktestSeries, forecast: DayForecast, first_day: int) -> Score:
    """Return how good forecasts of all days from one on were.

    Source: Hyndman & Koehler 2006 (MASE); Gneiting & Raftery 2007 (quantile loss).
    """
    actual = series.of_days(first_day)
    level_w = float(np.abs(actual).mean()) or 1.0
    before = series.power_w[: first_day * series.steps]
    naive_w = float(np.abs(before[series.steps :] - before[: -series.steps]).mean()) or 1.0
    losses = pinball(actual, forecast.low_w, LOW) + pinball(actual, forecast.high_w, HIGH)
    return Score(
        nmae(actual, forecast.expected_w),
        nrmse(actual, forecast.expected_w),
        losses / 2 / level_w,
        coverage(actual, forecast.low_w, forecast.high_w),
        nmae(actual, forecast.expected_w, scale=naive_w),
        float((forecast.expected_w - actual).mean()) / level_w,
    )
