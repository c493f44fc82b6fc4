"""The charts of a run: what is drawn, and what is said about it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from launch.canvas import INK, MUTED, STATES, band, canvas, finish, light, percentiles, stack, steps, svg_text
from launch.congestion_chart import draw_congestion
from launch.run_folder import RunResult
from launch.scenario import Scenario
from launch.series import Series
from ontology.base import INTERVAL_S, TICKS_PER_CURRENCY

__all__ = ["Figure", "draw_all"]

DEVICES: Mapping[str, tuple[str, str]] = {
    "base_w": ("household", "#8593a8"),
    "heat_pump_w": ("heat pump", "#e4572e"),
    "dhw_w": ("hot water", "#29a3b5"),
    "lighting_w": ("lighting", "#d4a72c"),
    "ev_w": ("vehicle", "#9b5de5"),
    "bess_w": ("battery", "#3f9e5a"),
    "pv_w": ("PV", "#f2a900"),
}
LINES = ("#2f7fd0", "#e4572e", "#3f9e5a", "#9b5de5", "#f2a900", "#29a3b5")
FEW = 12
"""Up to so many sites (and accounts) have lines of their own; more are shown as percentiles."""


@dataclass(frozen=True)
class Figure:
    """A chart with what it says: title, sentence below, SVG."""

    name: str
    title: str
    caption: str
    svg: str


def draw_all(result: RunResult) -> list[Figure]:
    """Draw every chart that a result has data for, in reading order."""
    series = Series(result)
    if not len(series.starts):
        return []
    figures: list[Figure] = []
    for draw in (_prices, _exchange, _devices, _sites, _storage, _temperatures, _congestion, _grid, _tokens):
        figure = draw(series)
        if figure is not None:
            figures.append(figure)
    return figures


def _mean_price(series: Series, column: str, weight: str) -> np.ndarray:
    """The price over all segments, weighted by energy, EUR/kWh."""
    price = series.matrix("market", "segment", column) / TICKS_PER_CURRENCY
    weights = np.nan_to_num(series.matrix("market", "segment", weight)) + 1e-9
    weights = np.where(np.isnan(price), 0, weights)
    total = weights.sum(axis=0)
    return np.where(total > 0, np.nansum(price * weights, axis=0) / np.where(total > 0, total, 1), np.nan)


def _prices(series: Series) -> Figure:
    with canvas(1, 1, 2.9) as (plot, grid):
        axes = grid[0, 0]
        light(series, axes)
        usual = series.result.scenario.tariffs
        yellow = np.asarray(series.states) == "YELLOW"
        for key, style in (("buy_usual", "#2f7fd0"), ("sell_usual", "#f2a900")):
            limit = np.where(yellow, getattr(usual.yellow, key), getattr(usual.green, key))
            steps(series, axes, limit, color=style, linewidth=0.9, linestyle=":")
        buying = _mean_price(series, "buy_ticks_per_kwh", "consumed_wh")
        selling = _mean_price(series, "sell_ticks_per_kwh", "produced_wh")
        steps(series, axes, buying, color="#2f7fd0", label="buying")
        steps(series, axes, selling, color="#f2a900", label="selling")
        axes.set_ylim(0, None)
        axes.margins(y=0.12)
        axes.set_ylabel("EUR/kWh")
        finish(series, plot, grid)
        svg = svg_text(plot, "prices")
    caption = (
        "One price for everyone who buys and one for everyone who sells, each interval. Dotted: the usual "
        "prices with the supplier. Background: the traffic light."
    )
    return Figure("prices", "Prices and traffic light", caption, svg)


def _exchange(series: Series) -> Figure:
    kilowatts = 3600 / INTERVAL_S / 1000
    consumed = series.total("sites", "site", "consumed_wh") * kilowatts
    produced = series.total("sites", "site", "produced_wh") * kilowatts
    traded = series.total("market", "segment", "traded_wh") * kilowatts
    with canvas(1, 1, 3.0) as (plot, grid):
        axes = grid[0, 0]
        layers = (
            ("bought locally", "#3f9e5a", traded),
            ("imported", "#2f7fd0", consumed - traded),
            ("sold locally", "#8fcf9f", -traded),
            ("exported", "#f2a900", traded - produced),
        )
        stack(series, axes, layers)
        axes.set_ylabel("kW (mean)")
        finish(series, plot, grid)
        svg = svg_text(plot, "exchange")
    caption = (
        "At the meters: above zero what sites took, below zero what they fed in; green is what met inside."
    )
    return Figure("exchange", "What the community buys and sells", caption, svg)


def _device_layers(
    series: Series, rows: Callable[[np.ndarray], np.ndarray]
) -> list[tuple[str, str, np.ndarray]]:
    layers = []
    for column, (label, colour) in DEVICES.items():
        values = rows(series.matrix("sites", "site", column)) / 1000
        if np.nan_to_num(values).any():
            layers.append((label, colour, values))
    return layers


def _devices(series: Series) -> Figure:
    with canvas(1, 1, 3.2) as (plot, grid):
        axes = grid[0, 0]
        stack(series, axes, _device_layers(series, lambda matrix: np.nansum(matrix, axis=0)))
        net = series.total("sites", "site", "consumed_wh") - series.total("sites", "site", "produced_wh")
        steps(
            series, axes, net * 3600 / INTERVAL_S / 1000, color=INK, linewidth=1.1, label="net at the meters"
        )
        axes.set_ylabel("kW (mean)")
        finish(series, plot, grid)
        svg = svg_text(plot, "devices")
    return Figure("devices", "Power by device, all sites", "Consumption positive, generation negative.", svg)


def _sites(series: Series) -> Figure | None:
    names = series.names("sites", "site")
    if len(names) > FEW:
        return _site_percentiles(series)
    columns = 1 if len(names) <= 3 else 2
    rows = -(-len(names) // columns)
    with canvas(rows, columns, 0.5 + 2.3 * rows) as (plot, grid):
        meter = series.matrix("sites", "site", "consumed_wh") - series.matrix("sites", "site", "produced_wh")
        for i, name in enumerate(names):
            axes = grid[i // columns, i % columns]
            stack(series, axes, _device_layers(series, lambda matrix, i=i: matrix[i]))  # type: ignore[misc]
            steps(
                series,
                axes,
                meter[i] * 3600 / INTERVAL_S / 1000,
                color=INK,
                linewidth=1,
                label="net at the meter",
            )
            axes.set_ylabel(f"{name}\nkW (mean)")
        for spare in range(len(names), rows * columns):
            grid[spare // columns, spare % columns].set_visible(False)
        finish(series, plot, grid)
        for i, axes in enumerate(plot.axes):
            if i and axes.get_legend() and len(names) > 1:
                axes.get_legend().remove()
        svg = svg_text(plot, "sites")
    return Figure("sites", "Power by device, each site", "Consumption positive, generation negative.", svg)


def _site_percentiles(series: Series) -> Figure:
    meter = series.matrix("sites", "site", "consumed_wh") - series.matrix("sites", "site", "produced_wh")
    with canvas(1, 1, 2.8) as (plot, grid):
        axes = grid[0, 0]
        band(series, axes, meter * 3600 / INTERVAL_S / 1000, "#2f7fd0", "net at the meter")
        axes.axhline(0, color=MUTED, linewidth=0.8)
        axes.set_ylabel("kW (mean)")
        finish(series, plot, grid)
        svg = svg_text(plot, "sites")
    return Figure("sites", "Net power of the sites", "Spread over all sites; consumption positive.", svg)


def _lines(
    series: Series, axes: Any, matrix: np.ndarray, names: Sequence[str], label: str, colour: str
) -> None:
    """Draw each row that has values, or their spread when there are many."""
    having = [i for i in range(len(matrix)) if not np.isnan(matrix[i]).all()]
    if len(having) > FEW:
        band(series, axes, matrix[having], colour, label)
        return
    for number, i in enumerate(having):
        axes.plot(series.times, matrix[i], color=LINES[number % len(LINES)], label=names[i])


def _panels(
    series: Series,
    name: str,
    panels: Sequence[tuple[str, np.ndarray, str]],
    limits: tuple[float, float] | None,
) -> str:
    """Draw one panel below the other, each a matrix of sites."""
    names = series.names("sites", "site")
    with canvas(len(panels), 1, 0.5 + 1.9 * len(panels)) as (plot, grid):
        for row, (label, matrix, colour) in enumerate(panels):
            axes = grid[row, 0]
            if len(matrix) == len(names):
                _lines(series, axes, matrix, names, label.split("\n")[0], colour)
            else:
                axes.plot(series.times, matrix[0], color=colour)
            axes.set_ylabel(label)
            if limits:
                axes.set_ylim(*limits)
        finish(series, plot, grid)
        return svg_text(plot, name)


def _storage(series: Series) -> Figure | None:
    panels = [
        (label, matrix * 100, colour)
        for label, column, colour in (
            ("battery\nSoC, %", "bess_soc", "#3f9e5a"),
            ("vehicle\nSoC, %", "ev_soc", "#9b5de5"),
        )
        if not np.isnan(matrix := series.matrix("sites", "site", column)).all()
    ]
    if not panels:
        return None
    caption = "At the end of each interval. Vehicles only while they are plugged in."
    return Figure("storage", "State of charge", caption, _panels(series, "storage", panels, (0, 102)))


def _temperatures(series: Series) -> Figure | None:
    panels = [
        (label, matrix, colour)
        for label, column, colour in (
            ("indoor\n°C", "indoor_degc", "#e4572e"),
            ("hot water\n°C", "tank_degc", "#29a3b5"),
        )
        if not np.isnan(matrix := series.matrix("sites", "site", column)).all()
    ]
    outdoor = series.matrix("grid", "segment", "outdoor_degc")
    if not np.isnan(outdoor).all():
        panels.append(("outdoor\n°C", np.nanmean(outdoor, axis=0, keepdims=True), "#8593a8"))
    if not panels:
        return None
    svg = _panels(series, "temperatures", panels, None)
    return Figure(
        "temperatures", "Temperatures", "Rooms and tanks at the end of each interval; weather.", svg
    )


def _congestion(series: Series) -> Figure | None:
    svg = draw_congestion(series)
    caption = (
        "Above: the highest loading as the DSO foresaw it five minutes before, and as it was; background: "
        "the traffic light. Below: flexibility ordered and delivered, and what direct control brought about."
    )
    return Figure("congestion", "Congestion, and what relieved it", caption, svg) if svg else None


def _grid(series: Series) -> Figure | None:
    loading = series.matrix("grid", "segment", "loading") * 100
    low, high = (series.matrix("grid", "segment", f"voltage_{end}_pu") for end in ("min", "max"))
    if not loading.size or np.isnan(loading).all():
        return None
    thresholds = series.result.scenario.grid.thresholds
    with canvas(2, 1, 4.6) as (plot, grid):
        top, bottom = grid[0, 0], grid[1, 0]
        for axes in (top, bottom):
            light(series, axes)
        if len(loading) > FEW:
            band(series, top, loading, "#2f7fd0", "feeders")
        else:
            for i, name in enumerate(series.names("grid", "segment")):
                steps(series, top, loading[i], color=LINES[i % len(LINES)], label=name)
        _limits(top, (100 * thresholds.loading_yellow, 100 * thresholds.loading_red))
        top.set_ylabel("loading, %")
        top.set_ylim(0, None)
        span = (np.nanmin(low, axis=0), np.nanmax(high, axis=0))
        bottom.fill_between(
            series.times, *span, color="#2f7fd0", alpha=0.35, linewidth=0.8, label="all nodes, phases"
        )
        _voltage_axis(bottom, span, (thresholds.voltage_yellow_pu, thresholds.voltage_red_pu))
        finish(series, plot, grid)
        svg = svg_text(plot, "grid")
    caption = (
        "Highest loading of transformer and lines, of the rated; lowest to highest voltage. "
        "Dashed: thresholds."
    )
    return Figure("grid", "Grid", caption, svg)


def _limits(axes: Any, limits: tuple[float, float]) -> None:
    """Draw thresholds that are near what is shown."""
    for limit, state in zip(limits, ("YELLOW", "RED"), strict=True):
        if limit < 1.6 * axes.get_ylim()[1]:
            axes.axhline(limit, color=STATES[state], linewidth=1, linestyle="--")


def _voltage_axis(axes: Any, span: tuple[np.ndarray, np.ndarray], limits: tuple[float, float]) -> None:
    yellow, red = limits
    reach = max(yellow * 1.2, float(np.nanmax(np.abs(np.concatenate(span) - 1))) * 1.15)
    axes.set_ylim(1 - reach, 1 + reach)
    for sign in (-1, 1):
        axes.axhline(1 + sign * yellow, color=STATES["YELLOW"], linewidth=1, linestyle="--")
        if red < reach:
            axes.axhline(1 + sign * red, color=STATES["RED"], linewidth=1, linestyle="--")
    axes.set_ylabel("voltage, p.u.")


def _tokens(series: Series) -> Figure | None:
    accounts = series.names("settlement", "account")
    if not accounts:
        return None
    whole = np.nancumsum(_every_interval(series, accounts), axis=1)[:, series.every - 1 :: series.every]
    labels = [series.result.accounts.get(account, account) for account in accounts]
    site = {name: i for i, name in enumerate(series.names("sites", "site"))}
    times = series.times[: whole.shape[1]]
    with canvas(1, 1, 2.9) as (plot, grid):
        axes = grid[0, 0]
        mine = [i for i, label in enumerate(labels) if label in site]
        if len(accounts) > FEW and mine:
            low, lower, middle, upper, high = percentiles(whole[mine])
            axes.fill_between(
                times, low, high, color="#2f7fd0", alpha=0.18, linewidth=0, label="sites, 5–95 %"
            )
            axes.fill_between(times, lower, upper, color="#2f7fd0", alpha=0.3, linewidth=0, label="25–75 %")
            axes.plot(times, middle, color="#2f7fd0", label="median")
        else:
            order = sorted(range(len(accounts)), key=lambda i: (labels[i] not in site, labels[i]))
            for number, i in enumerate(order[:FEW]):
                style = "-" if labels[i] in site else "--"
                axes.plot(times, whole[i], color=LINES[number % len(LINES)], linestyle=style, label=labels[i])
        axes.axhline(0, color=MUTED, linewidth=0.8)
        axes.set_ylabel("tokens, cumulative")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}".replace(",", " "))
        finish(series, plot, grid)
        svg = svg_text(plot, "tokens")
    scenario: Scenario = series.result.scenario
    caption = (
        f"Changes of the accounts; {scenario.tokens_per_currency:,} tokens are one EUR. They sum to zero."
    )
    return Figure("tokens", "Tokens", caption.replace(",", " ", 1), svg)


def _every_interval(series: Series, accounts: Sequence[str]) -> np.ndarray:
    rows = {name: i for i, name in enumerate(accounts)}
    settlement = series.result.tables.settlement
    whole = np.zeros((len(accounts), len(series.starts)))
    at = np.searchsorted(series.starts, settlement["start_s"]).clip(max=len(series.starts) - 1)
    which = np.fromiter((rows[name] for name in settlement["account"]), int, len(settlement["account"]))
    np.add.at(whole, (which, at), np.asarray(settlement["tokens"], dtype=float))
    return whole
