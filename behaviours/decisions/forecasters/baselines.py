"""Forecasts that need no model: as yesterday, as a week ago, the median of a week."""

import numpy as np

from behaviours.decisions.forecasters.past_days import LAG_DAYS, DayForecast, PastDays
from behaviours.decisions.forecasters.residuals import residual_quantiles

__all__ = ["as_last_week", "as_yesterday", "week_median"]

ERROR_DAYS = 28
"""Over how many days the errors of a seasonal naive forecast are looked at."""


def as_yesterday(past: PastDays) -> DayForecast:
    """Forecast that the day ahead is like the day before (seasonal naive, 24 h persistence)."""
    return _as_before(past, 1)


def as_last_week(past: PastDays) -> DayForecast:
    """Forecast that the day ahead is like the same day of the week before (seasonal naive)."""
    return _as_before(past, LAG_DAYS)


def week_median(past: PastDays) -> DayForecast:
    """Forecast the median of the last seven days, with the lowest and highest as quantiles.

    Of seven like days one in eight is expected below all and one in eight above all.

    Source: SPEC 2.5 (SAME_SLOT_7D).
    """
    week = past.power_w[-LAG_DAYS:]
    return DayForecast(np.median(week, axis=0), week.min(axis=0), week.max(axis=0))


def _as_before(past: PastDays, days: int) -> DayForecast:
    power = past.power_w[-ERROR_DAYS - days :]
    errors = power[days:] - power[:-days]
    slot = past.slot
    if not len(errors):
        return DayForecast(*(power[-days],) * 3)
    quantiles = residual_quantiles(errors, slot[-len(errors) - 1 : -1], float(power.min()))
    return quantiles.around(power[-days], slot[-1])
