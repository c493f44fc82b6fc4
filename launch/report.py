"""The report of a run: one HTML file without external assets or scripts."""

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from launch.run_folder import RunResult
from launch.scenario import intervals_of, scenario_hash, span_s
from launch.summary import Spread, Summary, site_rows, summarise
from ontology.base import TICKS_PER_CURRENCY

__all__ = ["flexibility_rows", "headlines", "plant_rows", "render_report", "site_cells"]

TEMPLATES = Path(__file__).parent / "templates"
MANY = 60
"""Up to so many sites the report has a row for each, above it percentiles."""

SITE_COLUMNS = (
    ("load_kwh", "loads, kWh", 1),
    ("pv_kwh", "PV, kWh", 1),
    ("bought_kwh", "bought, kWh", 1),
    ("sold_kwh", "sold, kWh", 1),
    ("self_consumption", "self-consumption, %", 0),
    ("tokens", "tokens", 0),
)


def render_report(result: RunResult) -> str:
    """Return the report as HTML text.

    Raises: InvalidInput when the tables are malformed.
    """
    import jinja2

    from launch.charts import draw_all

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    result = replace(result, tables=result.tables.checked())
    summary = summarise(result)
    return environment.get_template("report.html").render(
        result=result,
        scenario=result.scenario,
        when=_when(result),
        hash=scenario_hash(result.scenario),
        remarks=_remarks(result, summary),
        headlines=headlines(summary),
        figures=draw_all(result),
        columns=[title for _, title, _ in SITE_COLUMNS],
        rows=_site_table(result),
        plants=plant_rows(result),
        trades=flexibility_rows(result),
        many=summary.sites > MANY,
    )


def site_cells(rows: Sequence[dict[str, Any]]) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Return the titles of a table of sites, and each site's name and cells as text."""
    titles = [title for _, title, _ in SITE_COLUMNS]
    cells = [(row["site"], [_cell(key, row[key], digits) for key, _, digits in SITE_COLUMNS]) for row in rows]
    return titles, cells


def plant_rows(result: RunResult) -> list[dict[str, str]]:
    """Return a row of text for each virtual power plant, in order of delivery."""
    plants = result.tables.checked().plants
    zone = ZoneInfo(result.scenario.zone)
    return [
        {
            "plant": str(plants["plant"][i]),
            "delivery": f"{datetime.fromtimestamp(int(plants['start_s'][i]), zone):%a %H:%M}–"
            f"{datetime.fromtimestamp(int(plants['end_s'][i]), zone):%H:%M}",
            "members": str(plants["members"][i]),
            "lost": str(plants["lost"][i]),
            "wanted, kWh": f"{plants['target_wh'][i] / 1000:.2f}",
            "promised, kWh": f"{plants['committed_wh'][i] / 1000:.2f}",
            "delivered, kWh": f"{plants['delivered_wh'][i] / 1000:.2f}",
            "paid, EUR": f"{plants['paid_ticks'][i] / TICKS_PER_CURRENCY:.2f}",
            "state": str(plants["state"][i]).lower(),
        }
        for i in range(len(plants["plant"]))
    ]


def flexibility_rows(result: RunResult) -> list[dict[str, str]]:
    """Return a row of text for each order of flexibility, and each request without one, by delivery."""
    trades = result.tables.checked().flexibility
    net_ticks = np.asarray(trades["earned_ticks"]) - np.asarray(trades["penalty_ticks"])
    zone = ZoneInfo(result.scenario.zone)
    return [
        {
            "delivery": f"{datetime.fromtimestamp(int(trades['start_s'][i]), zone):%a %H:%M}–"
            f"{datetime.fromtimestamp(int(trades['end_s'][i]), zone):%H:%M}",
            "segment": str(trades["segment"][i]),
            "needed, kWh": f"{trades['needed_wh'][i] / 1000:.2f}",
            "ordered, kWh": f"{trades['ordered_wh'][i] / 1000:.2f}",
            "delivered, kWh": f"{trades['delivered_wh'][i] / 1000:.2f}",
            "price, EUR": f"{trades['price_ticks'][i] / TICKS_PER_CURRENCY:.2f}",
            "paid, EUR": f"{net_ticks[i] / TICKS_PER_CURRENCY:.2f}",
            "state": str(trades["state"][i]).lower(),
        }
        for i in range(len(trades["order"]))
    ]


def headlines(summary: Summary) -> list[tuple[str, str, str]]:
    """Return the headline numbers as (what, value, explanation)."""
    prices = [
        ("Buying price", _prices(summary.buy_eur_per_kwh), "EUR/kWh, least – mean – greatest"),
        ("Selling price", _prices(summary.sell_eur_per_kwh), "EUR/kWh, least – mean – greatest"),
    ]
    return [
        ("Traded locally", _kwh(summary.bought_locally_kwh), "bought and sold inside the community"),
        ("Imported", _kwh(summary.imported_kwh), "from the supplier"),
        ("Exported", _kwh(summary.exported_kwh), "to the supplier"),
        ("Loads", _kwh(summary.load_kwh), "households, heat, hot water, vehicles"),
        ("Photovoltaics", _kwh(summary.pv_kwh), "generated"),
        ("Self-consumption", _percent(summary.self_consumption), "of the PV energy stayed in the community"),
        ("Self-sufficiency", _percent(summary.self_sufficiency), "of the loads was not imported"),
        *prices,
        (
            "Community benefit",
            f"{summary.benefit_eur:.2f} EUR",
            "all bills together, against the usual prices",
        ),
        ("Tokens moved", f"{summary.tokens_moved:,}".replace(",", " "), "credited on the ledger"),
        (
            "Traffic light",
            f"{summary.green} / {summary.yellow} / {summary.red}",
            "intervals GREEN / YELLOW / RED",
        ),
        ("Highest loading", _percent(summary.loading_max), "of transformer and lines"),
        (
            "Voltage",
            f"{_number(summary.voltage_min_pu, 3)} – {_number(summary.voltage_max_pu, 3)}",
            "p.u., lowest – highest",
        ),
        (
            "Neutral",
            f"{_number(summary.neutral_a, 1)} A"
            + ("" if math.isnan(summary.neutral_v) else f", {_number(summary.neutral_v, 1)} V"),
            "highest current at a busbar"
            + ("" if math.isnan(summary.neutral_v) else ", voltage at a site against earth"),
        ),
        ("Estimated readings", str(summary.estimated), "settled without a meter reading"),
        (
            "Letters",
            f"{summary.letters:,}".replace(",", " "),
            f"sent between agents, in {summary.wall_s:.1f} s",
        ),
    ]


def register_lines(result: RunResult) -> list[str]:
    """Return what to say of the run's register, nothing where none was kept."""
    register = result.tables.checked().register
    markets, states = list(register["lem_state"]), list(register["grid_state"])
    if not markets:
        return []
    solved, written = markets.count("SOLVED"), len(states) - states.count("")
    place = "in memory" if result.register == "memory" else f"on the chain at {result.register}"
    return [f"register {place}: {solved} of {len(markets)} markets solved, {written} grid states"]


def _when(result: RunResult) -> str:
    start_s, end_s = span_s(result.scenario)
    zone = ZoneInfo(result.scenario.zone)
    begin, end = (datetime.fromtimestamp(t, UTC).astimezone(zone) for t in (start_s, end_s))
    return f"{begin:%A %d %B %Y %H:%M} to {end:%d %B %Y %H:%M} ({result.scenario.zone})"


def _remarks(result: RunResult, summary: Summary) -> list[str]:
    remarks = [*result.notes, *register_lines(result)]
    if not result.complete:
        done = f"{summary.intervals} of {intervals_of(result.scenario)} intervals"
        remarks.append(f"This run was stopped early: {done} are settled.")
    if result.deadlines_missed:
        remarks.append(
            f"{result.deadlines_missed} deadlines were missed: do not compare this run with an offline one."
        )
    return remarks


def _site_table(result: RunResult) -> list[tuple[str, list[str]]]:
    rows = site_rows(result)
    if len(rows) <= MANY:
        return site_cells(rows)[1]
    table: list[tuple[str, list[str]]] = []
    for percentile in (5, 25, 50, 75, 95):
        cells = []
        for key, _, digits in SITE_COLUMNS:
            values = np.asarray([np.nan if row[key] is None else row[key] for row in rows], dtype=float)
            known = values[~np.isnan(values)]
            cells.append(_cell(key, float(np.percentile(known, percentile)) if len(known) else None, digits))
        table.append((f"{percentile} % of the sites have at most", cells))
    return table


def _cell(key: str, value: Any, digits: int) -> str:
    if value is None or math.isnan(value):
        return "–"
    return f"{value * (100 if key == 'self_consumption' else 1):,.{digits}f}".replace(",", " ").replace(
        "-", "−"
    )


def _prices(spread: Spread) -> str:
    return " – ".join(_number(value, 3) for value in (spread.low, spread.mean, spread.high))


def _kwh(value: float) -> str:
    return (
        f"{value:,.1f} kWh".replace(",", " ")
        if abs(value) < 10_000
        else f"{value / 1000:,.1f} MWh".replace(",", " ")
    )


def _percent(value: float) -> str:
    return "–" if math.isnan(value) else f"{100 * value:.0f} %"


def _number(value: float, digits: int) -> str:
    return "–" if math.isnan(value) else f"{value:.{digits}f}"
