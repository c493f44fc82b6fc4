"""The tables of a run: their columns, units and order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ontology.errors import InvalidInput, Problem

__all__ = ["TABLES", "Column", "RunTables", "column_names", "concatenate"]

Columns = Mapping[str, Sequence[Any] | np.ndarray]


class Column(NamedTuple):
    """A column of a table: its type, unit and meaning; an optional one may be left out or be empty."""

    name: str
    kind: str
    unit: str
    meaning: str
    optional: bool = False


START = Column("start_s", "int64", "s", "start of the interval, epoch seconds UTC; the interval lasts 900 s")
SEGMENT = Column("segment", "string", "", "grid segment (transformer and feeder)")

TABLES: dict[str, tuple[tuple[str, ...], tuple[Column, ...]]] = {
    "sites": (
        ("start_s", "site"),
        (
            START,
            Column("site", "string", "", "id of the site"),
            SEGMENT,
            Column("consumed_wh", "int64", "Wh", "taken from the grid, at the meter"),
            Column("produced_wh", "int64", "Wh", "fed into the grid, at the meter"),
            Column("base_w", "float64", "W", "mean power of the household without the devices below"),
            Column("pv_w", "float64", "W", "mean power of photovoltaics, negative", True),
            Column("bess_w", "float64", "W", "mean power of the battery, charging positive", True),
            Column("ev_w", "float64", "W", "mean power of the charge point, charging positive", True),
            Column("heat_pump_w", "float64", "W", "mean electrical power of the heat pump", True),
            Column("dhw_w", "float64", "W", "mean power of the hot-water heater", True),
            Column("lighting_w", "float64", "W", "mean power of the lights that can be dimmed", True),
            Column("bess_soc", "float64", "0..1", "state of charge of the battery at the end", True),
            Column(
                "ev_soc", "float64", "0..1", "state of charge of the vehicle at the end, if plugged in", True
            ),
            Column("indoor_degc", "float64", "°C", "indoor temperature at the end", True),
            Column("tank_degc", "float64", "°C", "hot-water temperature at the end", True),
            Column("estimated", "bool", "", "settled with an estimated reading", True),
        ),
    ),
    "market": (
        ("start_s", "segment"),
        (
            START,
            SEGMENT,
            Column("consumed_wh", "int64", "Wh", "consumption of all players (Ec)"),
            Column("produced_wh", "int64", "Wh", "production of all players (Ep)"),
            Column("traded_wh", "int64", "Wh", "traded inside the community, min(Ec, Ep); 0 while RED"),
            Column("buy_ticks_per_kwh", "float64", "10⁻⁴ EUR/kWh", "price of a kWh bought"),
            Column("sell_ticks_per_kwh", "float64", "10⁻⁴ EUR/kWh", "price of a kWh sold"),
            Column("grid_state", "string", "", "GREEN, YELLOW or RED, as the market knew it"),
            Column("lem_state", "string", "", "SOLVED, or VOID when nothing was settled"),
            Column("players", "int64", "", "how many sites took part"),
            Column("estimated", "int64", "", "how many of them with an estimated reading"),
        ),
    ),
    "grid": (
        ("start_s", "segment"),
        (
            START,
            SEGMENT,
            Column("grid_state", "string", "", "GREEN, YELLOW or RED, as published by the DSO"),
            Column("loading", "float64", "0..1", "highest loading of transformer and lines, of the rated"),
            Column("transformer_w", "float64", "W", "mean flow through the transformer, import positive"),
            Column("losses_w", "float64", "W", "mean losses of the feeder, its D-STATCOMs included"),
            Column("loading_foreseen", "float64", "0..1", "by the DSO, five minutes before", True),
            Column("voltage_min_pu", "float64", "p.u.", "lowest voltage of any node and phase"),
            Column("voltage_max_pu", "float64", "p.u.", "highest voltage of any node and phase"),
            Column("unbalance", "float64", "0..1", "highest voltage unbalance factor", True),
            Column("neutral_a", "float64", "A", "current in the neutral at the busbar", True),
            Column(
                "neutral_v",
                "float64",
                "V",
                "highest voltage of a site's neutral against earth; with `grid.four_wires`",
                True,
            ),
            Column("dstatcom_neutral_a", "float64", "A", "highest in a D-STATCOM's neutral leg", True),
            Column("outdoor_degc", "float64", "°C", "outdoor temperature", True),
            Column("ghi_w_per_m2", "float64", "W/m²", "global horizontal irradiance", True),
            Column("flagged", "string", "", "why the state is a default, if it is", True),
        ),
    ),
    "register": (
        ("start_s", "segment"),
        (
            START,
            SEGMENT,
            Column("grid_state", "string", "", "GREEN, YELLOW or RED, as the DSO wrote it; else empty"),
            Column("import_max_w", "int64", "W", "most that it may draw, as the DSO wrote it; else 0"),
            Column("export_max_w", "int64", "W", "most that it may feed in"),
            Column("lem_state", "string", "", "ACTIVE, CLOSED or SOLVED; empty: the market was not opened"),
            Column("mechanism", "string", "", "how prices are found, by the tariff when the market opened"),
            Column("buy_usual_ticks_per_kwh", "int64", "10⁻⁴ EUR/kWh", "of that tariff (pbBAU)"),
            Column("sell_usual_ticks_per_kwh", "int64", "10⁻⁴ EUR/kWh", "of that tariff (psBAU)"),
            Column("buy_peer_ticks_per_kwh", "int64", "10⁻⁴ EUR/kWh", "of that tariff (pbP2P)"),
            Column("sell_peer_ticks_per_kwh", "int64", "10⁻⁴ EUR/kWh", "of that tariff (psP2P)"),
            Column("beta_ticks_per_kwh2", "int64", "10⁻⁴ EUR/kWh²", "of that tariff (beta)"),
            Column("players", "string", "", "SHA-256 over the pseudonyms of who could take part"),
            Column("datasets", "string", "", "root over the salted commitments to what they brought"),
            Column("result", "string", "", "SHA-256 of the market's result, as told to its players"),
        ),
    ),
    "settlement": (
        ("start_s", "account"),
        (
            START,
            Column("account", "string", "", "account that the tokens went to, or came from"),
            Column("tokens", "int64", "tokens", "change of the balance; an interval's changes sum to zero"),
        ),
    ),
    "corrections": (
        ("start_s", "number", "account"),
        (
            START,
            Column("number", "int64", "", "which correction of the interval, from 1"),
            Column("account", "string", "", "account that the tokens went to, or came from"),
            Column("tokens", "int64", "tokens", "beside the settlement; a correction's changes sum to zero"),
        ),
    ),
    "payments": (
        ("start_s", "settlement", "payer", "payee"),
        (
            Column("start_s", "int64", "s", "when it was settled, epoch seconds UTC"),
            Column("settlement", "string", "", "key of the settlement; begins with what was paid for"),
            Column("payer", "string", "", "account that the tokens came from"),
            Column("payee", "string", "", "account that they went to"),
            Column("tokens", "int64", "tokens", "beside the settlement of the markets"),
        ),
    ),
    "plants": (
        ("start_s", "plant"),
        (
            Column("start_s", "int64", "s", "start of the delivery, epoch seconds UTC"),
            Column("end_s", "int64", "s", "end of the delivery"),
            Column("plant", "string", "", "id of the virtual power plant"),
            Column("product", "string", "", "the flexibility product that it delivered"),
            Column("state", "string", "", "FORMING, ACTIVE, SETTLING or DISSOLVED, at the end of the run"),
            Column("members", "int64", "", "prosumers that committed themselves"),
            Column("lost", "int64", "", "members that failed and were replaced or missed"),
            Column("negotiations", "int64", "", "how often its members negotiated"),
            Column("target_wh", "int64", "Wh", "deviation wanted; up-regulation negative"),
            Column("committed_wh", "float64", "Wh", "deviation promised"),
            Column("delivered_wh", "float64", "Wh", "deviation metered"),
            Column("residual", "float64", "0..1", "what the promises missed, as a share of the target"),
            Column("paid_ticks", "int64", "10⁻⁴ EUR", "paid by the buyer, shared among the members"),
        ),
    ),
    "flexibility": (
        ("start_s", "segment", "order"),
        (
            Column("start_s", "int64", "s", "start of the delivery, epoch seconds UTC"),
            Column("end_s", "int64", "s", "end of the delivery"),
            SEGMENT,
            Column("order", "string", "", "the order's reference; empty where a request led to none"),
            Column("state", "string", "", "UNCOVERED, ORDERED or SETTLED, at the end of the run"),
            Column("needed_wh", "int64", "Wh", "deviation asked for; consuming less is negative"),
            Column("ordered_wh", "int64", "Wh", "deviation ordered"),
            Column("delivered_wh", "int64", "Wh", "of it delivered, against the baseline"),
            Column("deficiency_wh", "int64", "Wh", "missing, never negative"),
            Column("price_ticks", "int64", "10⁻⁴ EUR", "of the whole order"),
            Column("earned_ticks", "int64", "10⁻⁴ EUR", "for what was delivered"),
            Column("penalty_ticks", "int64", "10⁻⁴ EUR", "for what was missing"),
            Column("aggregator", "string", "", "who sold it; empty where a request led to none", True),
            Column("offered_wh", "int64", "Wh", "by the greatest option of its offer", True),
        ),
    ),
    "acquired": (
        ("start_s", "segment", "order"),
        (
            START,
            SEGMENT,
            Column("order", "string", "", "the order's reference"),
            Column("ordered_w", "int64", "W", "deviation ordered; consuming less is negative"),
            Column("settled", "bool", "", "whether it was metered and agreed: else what follows is 0"),
            Column("baseline_w", "int64", "W", "what would have been drawn"),
            Column("metered_w", "int64", "W", "what was drawn, by the meters that were agreed upon"),
            Column("delivered_w", "int64", "W", "of the deviation ordered, delivered"),
            Column("missing_w", "int64", "W", "missing, never negative"),
        ),
    ),
    "emergencies": (
        ("start_s", "segment", "signal"),
        (
            Column("start_s", "int64", "s", "when direct control began, epoch seconds UTC"),
            SEGMENT,
            Column("signal", "string", "", "id of the DSO's signal"),
            Column("contract", "string", "", "under which it was called"),
            Column(
                "limit_w", "int64", "W", "most that the segment might draw; 0 where a change was called for"
            ),
            Column("ordered_wh", "int64", "Wh", "deviation called for, or that the limit meant"),
            Column("delivered_wh", "int64", "Wh", "what devices deviated by, as reported"),
            Column("reported", "bool", "", "whether the aggregator has reported it"),
            Column("paid_ticks", "int64", "10⁻⁴ EUR", "for energy, by contract"),
        ),
    ),
    "dispatch": (
        ("time_s", "asset"),
        (
            Column("time_s", "int64", "s", "when the answer was there, epoch seconds UTC"),
            Column("asset", "string", "", "what the grid operator controls directly"),
            Column("from_s", "int64", "s", "when the instruction begins"),
            Column("to_s", "int64", "s", "when it ends"),
            Column("power_w", "int64", "W", "set-point of a battery, or limit; production is negative"),
            Column("priority", "string", "", "CONTRACT ahead, DSO_RED at once"),
            Column("outcome", "string", "", "what the gateway said became of it, or why it was not served"),
        ),
    ),
}
"""Each table's sort keys and columns."""


@dataclass
class RunTables:
    """The tables of a run as columns; see `TABLES` for names, types and units."""

    sites: Columns = field(default_factory=dict)
    market: Columns = field(default_factory=dict)
    grid: Columns = field(default_factory=dict)
    register: Columns = field(default_factory=dict)
    settlement: Columns = field(default_factory=dict)
    corrections: Columns = field(default_factory=dict)
    payments: Columns = field(default_factory=dict)
    plants: Columns = field(default_factory=dict)
    flexibility: Columns = field(default_factory=dict)
    dispatch: Columns = field(default_factory=dict)
    acquired: Columns = field(default_factory=dict)
    emergencies: Columns = field(default_factory=dict)

    def checked(self) -> "RunTables":
        """Return the same tables as sorted numpy columns, every column present, absent floats as NaN.

        Raises: InvalidInput when columns are missing, unknown or of unequal length.
        """
        problems: list[Problem] = []
        tables = {name: _checked(name, getattr(self, name), problems) for name in TABLES}
        if problems:
            raise InvalidInput(tuple(problems))
        return RunTables(**tables)


def column_names(table: str) -> tuple[str, ...]:
    """Return the names of a table's columns in order."""
    return tuple(column.name for column in TABLES[table][1])


def concatenate(parts: Sequence[Columns]) -> dict[str, np.ndarray]:
    """Join columns of the same names end to end."""
    return (
        {name: np.concatenate([np.asarray(part[name]) for part in parts]) for name in parts[0]}
        if parts
        else {}
    )


def _checked(table: str, columns: Columns, problems: list[Problem]) -> dict[str, np.ndarray]:
    keys, known = TABLES[table]
    for name in columns:
        if name not in column_names(table):
            problems.append(
                Problem(f"{table}.{name}", "", f"must be one of {', '.join(column_names(table))}")
            )
    rows = len(next(iter(columns.values()))) if columns else 0
    result: dict[str, np.ndarray] = {}
    for column in known:
        if column.name in columns:
            values = columns[column.name]
            if len(values) != rows:
                problems.append(Problem(f"{table}.{column.name}", str(len(values)), f"must have {rows} rows"))
            result[column.name] = _typed(values, column.kind)
        elif rows and not column.optional:
            problems.append(Problem(f"{table}.{column.name}", "", "is missing"))
        else:
            result[column.name] = _absent(rows, column.kind)
    if problems or not rows:
        return result
    order = np.lexsort([result[key] for key in reversed(keys)])
    return {name: values[order] for name, values in result.items()}


def _typed(values: Sequence[Any] | np.ndarray, kind: str) -> np.ndarray:
    if kind == "string":
        return np.asarray([str(value) for value in values], dtype=object)
    if kind == "float64":
        return np.asarray(
            [np.nan if v is None else v for v in values] if isinstance(values, list) else values, float
        )
    return np.asarray(values, dtype=np.int64 if kind == "int64" else np.bool_)


def _absent(rows: int, kind: str) -> np.ndarray:
    if kind == "string":
        return np.full(rows, "", dtype=object)
    return np.full(rows, {"float64": np.nan, "int64": 0, "bool": False}[kind])
