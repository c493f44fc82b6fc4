"""The plot of a backtest: the last week foreseen and metered, and the error by the time of day."""

from typing import TYPE_CHECKING, Any

import numpy as np

from launch.canvas import INK, canvas, standalone_svg

if TYPE_CHECKING:
    from launch.forecast import Backtest

__all__ = ["backtest_chart"]

COLOURS = ("#8593a8", "#c9a227", "#2f7fd0", "#e4572e", "#3f9e5a")
DAYS_SHOWN = 7


def backtest_chart(test: "Backtest") -> str:
    """Return the plot as an SVG document: local time to the right, kW and nMAE upwards."""
    with canvas(2, 1, 5.6, share_x=False) as (plot, grid):
        _last_days(test, grid[0, 0])
        _by_time_of_day(test, grid[1, 0])
        for axes in plot.axes:
            axes.legend(ncols=6, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)
        return standalone_svg(plot)


def _last_days(test: "Backtest", axes: Any) -> None:
    """Draw what was metered, and the best method's forecast with its quantiles."""
    steps = min(DAYS_SHOWN, test.series.days - test.first_day) * test.series.steps
    times = test.series.local_s[: test.series.days * test.series.steps][-steps:].astype("datetime64[s]")
    best = min(test.scores, key=lambda method: test.scores[method].pinball)
    forecast = test.forecasts[best]
    low, high, expected = (
        values.ravel()[-steps:] / 1000 for values in (forecast.low_w, forecast.high_w, forecast.expected_w)
    )
    actual = test.series.of_days(test.first_day).ravel()[-steps:] / 1000
    colour = COLOURS[list(test.forecasts).index(best) % len(COLOURS)]
    axes.fill_between(times, low, high, color=colour, alpha=0.25, linewidth=0, label=f"{best}, 10–90 %")
    axes.plot(times, expected, color=colour, label=best)
    axes.plot(times, actual, color=INK, linewidth=0.8, label=f"metered, {test.name}")
    axes.set_ylabel("kW (mean)")
    axes.set_xlim(times[0], times[-1])


def _by_time_of_day(test: "Backtest", axes: Any) -> None:
    """Draw each method's mean absolute error by the step of the day."""
    actual = test.series.of_days(test.first_day)
    hours = np.arange(test.series.steps) * test.series.step_s / 3600
    level_w = float(np.abs(actual).mean()) or 1.0
    for (method, forecast), colour in zip(test.forecasts.items(), COLOURS, strict=False):
        error = np.abs(forecast.expected_w - actual).mean(axis=0) / level_w * 100
        axes.plot(hours, error, color=colour, label=method, linewidth=1.2)
    axes.set_ylim(0, None)
    axes.set_xlim(0, 24)
    axes.set_ylabel("mean absolute error, % of the mean")
    axes.set_xlabel("hours after the forecast's origin (local midnight)")
