"""What a model of a load sees of a day: the same time before, the level, the calendar, the weather."""

import numpy as np

from behaviours.decisions.forecasters.past_days import DAY_S, LAG_DAYS, PastDays
from behaviours.decisions.series import FloatArray

__all__ = ["day_features", "features"]

HARMONICS, WEEKEND_HARMONICS = 5, 3
SATURDAY = 5
HEATING_DEGC, COOLING_DEGC = 15.0, 22.0
"""Outdoor temperatures below and above which a load depends on them."""
RECENT_HOURS = 2.0
"""How fast what the last hour told fades with the lead."""


def features(past: PastDays) -> FloatArray:
    """Return (days - 7, steps, features) of all past days that have a week before them."""
    return _features(past, np.arange(LAG_DAYS, past.days))


def day_features(past: PastDays) -> FloatArray:
    """Return (steps, features) of the day ahead."""
    found: FloatArray = _features(past, np.array([past.days]))[0]
    return found


def _features(past: PastDays, rows: np.ndarray) -> FloatArray:
    """Return the features of some days (row `past.days` is the day ahead); all known at their origins."""
    lagged = past.power_w[rows[:, None] - np.arange(1, LAG_DAYS + 1)]
    columns = [
        *_same_time(lagged),
        *_levels(lagged),
        *_calendar(past, rows),
        *(_weather(past, rows) if past.outdoor_degc is not None else ()),
    ]
    shape = (len(rows), past.power_w.shape[1])
    return np.stack([np.broadcast_to(column, shape) for column in columns], axis=-1)


def _same_time(lagged: FloatArray) -> list[FloatArray]:
    """The power at the same time of the last days: lagged is (rows, lag days, steps)."""
    smooth = _smoothed(lagged)
    days = lagged[:, 0], smooth[:, 0], smooth[:, 1], lagged[:, -1], smooth[:, -1]
    return [*days, smooth.mean(axis=1), np.median(lagged, axis=1)]


def _levels(lagged: FloatArray) -> list[FloatArray]:
    """How high yesterday and the last hour were against the week, and that fading with the lead."""
    steps = lagged.shape[2]
    hour = max(1, steps // 24)
    day_level = lagged.mean(axis=2)
    week_level = day_level.mean(axis=1)
    surprise = (lagged[:, 0, -hour:] - lagged[:, :, -hour:].mean(axis=1)).mean(axis=1)
    fading = np.exp(-np.arange(steps) / (RECENT_HOURS * hour))
    return [day_level[:, :1] - week_level[:, None], week_level[:, None], surprise[:, None] * fading]


def _calendar(past: PastDays, rows: np.ndarray) -> list[FloatArray]:
    """The time of day as harmonics, days of the week, and another day at weekends."""
    local_s, weekday = past.local_s[rows], past.weekday[rows]
    angle = local_s % DAY_S * (2 * np.pi / DAY_S)
    waves = [wave(k * angle) for k in range(1, HARMONICS + 1) for wave in (np.sin, np.cos)]
    weekend = (weekday >= SATURDAY).astype(np.float64)
    days = [(weekday == day).astype(np.float64) for day in (0, 4, 5, 6)]
    return [*waves, *days, *(weekend * wave for wave in waves[: 2 * WEEKEND_HARMONICS])]


def _weather(past: PastDays, rows: np.ndarray) -> list[FloatArray]:
    """How far it is below and above the temperatures at which heating and cooling begin."""
    assert past.outdoor_degc is not None
    degc = past.outdoor_degc[rows]
    heating, cooling = np.maximum(HEATING_DEGC - degc, 0.0), np.maximum(degc - COOLING_DEGC, 0.0)
    warmer = degc.mean(axis=1) - past.outdoor_degc[rows - 1].mean(axis=1)
    return [heating, cooling, warmer[:, None]]


def _smoothed(values: FloatArray) -> FloatArray:
    """Return means over five neighbouring steps, the day taken as a circle."""
    shifted = [np.roll(values, shift, axis=-1) for shift in range(-2, 3)]
    mean: FloatArray = np.mean(shifted, axis=0)
    return mean
