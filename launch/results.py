"""What came out of a run, as tables: from the world, the repository and the ledger."""

from collections import Counter
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from behaviours.decisions.correction import correction_key
from behaviours.market.engine import settlement_key
from behaviours.ports import RegisteredInterval
from environments.simulation.world import World
from launch.cast import SETTLEMENT_INTERVALS
from launch.dispatch import dispatch_columns
from launch.flexibility import acquired_columns, emergency_columns, flexibility_columns
from launch.tables import RunTables, column_names
from ontology.base import INTERVAL_S
from ontology.grid import GridState
from ontology.ledger import LedgerEntry
from ontology.market import LemResult
from ontology.vpp import Vpp

if TYPE_CHECKING:
    from launch.community import Community

__all__ = ["completed", "run_tables"]

T = TypeVar("T")

DEVICES = {
    "base": "base_w",
    "pv": "pv_w",
    "battery": "bess_w",
    "ev": "ev_w",
    "heat_pump": "heat_pump_w",
    "dhw": "dhw_w",
    "lighting": "lighting_w",
}
TARIFF = (
    "buy_usual_ticks_per_kwh",
    "sell_usual_ticks_per_kwh",
    "buy_peer_ticks_per_kwh",
    "sell_peer_ticks_per_kwh",
    "beta_ticks_per_kwh2",
)
HASHES = ("players", "datasets", "result")
W_PER_WH = 4
"""Mean power in W of an energy in Wh over 15 minutes."""


def completed(work: Coroutine[Any, Any, T]) -> T:
    """Return the result of work that never waits, as all offline ports do.

    Raises: RuntimeError when it waits after all.
    """
    try:
        work.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    work.close()
    raise RuntimeError("this work waits for something: await it instead")


async def run_tables(community: "Community") -> RunTables:
    """Return the tables of what has happened in a community so far."""
    stated: list[LemResult] = await _facts(community, "parity:LemResult")
    results = [result for result in stated if not result.correction]
    events = await _facts(community, "parity:GridStatusEvent")
    sites, feeders = own_places(community)
    return RunTables(
        sites=_only(_sites(community, results), "site", sites),
        market=_market(results),
        grid=_only(_grid(community.world, events), "segment", feeders),
        register=await _register(community),
        settlement=await _settlement(community),
        corrections=await _corrections(community, {result.start_s for result in stated if result.correction}),
        payments=_payments(await _facts(community, "parity:LedgerEntry")),
        plants=_plants(await _facts(community, "parity:Vpp")),
        **await _trade(community),
        emergencies=emergency_columns(await _facts(community, "parity:EmergencyCall")),
        dispatch=dispatch_columns(community.agents.values()),
    )


async def _trade(community: "Community") -> dict[str, dict[str, Any]]:
    """Return the tables of the flexibility market."""
    orders = await _facts(community, "uftp:FlexOrder")
    settlements = await _facts(community, "uftp:FlexSettlement")
    requests = await _facts(community, "uftp:FlexRequest")
    acquired = await _facts(community, "parity:AcquiredFlexibility")
    return {
        "flexibility": flexibility_columns(requests, orders, settlements, acquired),
        "acquired": acquired_columns(orders, settlements),
    }


def own_places(community: "Community") -> tuple[set[str], set[str]]:
    """Return the sites and the segments that are simulated here: all, but where others run shards."""
    sites = {part.site for part in community.cast.parts if part.site and community.shard.has(part.address)}
    return sites, {community.world.feeder_of(site).segment_id for site in sites}


def _only(columns: dict[str, Any], key: str, names: set[str]) -> dict[str, Any]:
    """Return the rows of a table that are about some places."""
    mine = np.array([name in names for name in columns[key]], dtype=bool)
    return columns if mine.all() else {name: np.asarray(column)[mine] for name, column in columns.items()}


async def _facts(community: "Community", entity: str) -> list[Any]:
    return list(await community.ground.repository.query(entity, "", 0, 2**40))


def _sites(community: "Community", results: Iterable[LemResult]) -> dict[str, Any]:
    """Return what each site drew, device by device, and whether its reading was estimated."""
    world = community.world
    table = world.site_table()
    names = table["site"].tolist()
    site_of = community.cast.accounts
    estimated = {
        (result.start_s, site_of.get(row.player, ""))
        for result in results
        for row in result.rows
        if row.estimated
    }
    segment_of = {site.id: world.feeder_of(site.id).segment_id for site in world.settings.sites}
    return {
        "start_s": table["start_s"],
        "site": names,
        "segment": [segment_of[name] for name in names],
        "consumed_wh": table["consumed_wh"],
        "produced_wh": table["produced_wh"],
        **{column: _device_w(world, device, table) for device, column in DEVICES.items()},
        "bess_soc": table["state_of_charge"].astype(float),
        "ev_soc": table["ev_state_of_charge"].astype(float),
        "indoor_degc": table["indoor_degc"].astype(float),
        "tank_degc": table["tank_degc"].astype(float),
        "estimated": [key in estimated for key in zip(table["start_s"].tolist(), names, strict=True)],
    }


def _device_w(world: World, device: str, table: Mapping[str, Any]) -> Any:
    """Return a device's mean power in W, not a number where a site has none."""
    power_w = table[f"{device}_wh"].astype(float) * W_PER_WH
    if device != "base":
        owned = "hot_water" if device == "dhw" else device
        has = np.array([getattr(site, owned) is not None for site in world.settings.sites])
        power_w[~np.tile(has, len(power_w) // len(has))] = np.nan
    return power_w


def _market(results: Iterable[LemResult]) -> dict[str, Any]:
    """Return how each market was cleared."""
    rows = list(results)
    return {
        "start_s": [r.start_s for r in rows],
        "segment": [r.segment_id for r in rows],
        "consumed_wh": [r.consumed_wh for r in rows],
        "produced_wh": [r.produced_wh for r in rows],
        "traded_wh": [traded_wh(r) for r in rows],
        "buy_ticks_per_kwh": [r.buy_price_ticks_per_kwh for r in rows],
        "sell_ticks_per_kwh": [r.sell_price_ticks_per_kwh for r in rows],
        "grid_state": [r.grid_state.value for r in rows],
        "lem_state": ["SOLVED" for _ in rows],
        "players": [len(r.rows) for r in rows],
        "estimated": [sum(row.estimated for row in r.rows) for r in rows],
    }


def traded_wh(result: LemResult) -> int:
    """Return the energy in Wh that stayed inside the community; none while red."""
    if result.traded_wh is not None:
        return result.traded_wh
    return 0 if result.grid_state is GridState.RED else min(result.consumed_wh, result.produced_wh)


def _grid(world: World, events: Iterable[Any]) -> dict[str, Any]:
    """Return how hard each feeder was used, and which light the DSO had set."""
    table = world.grid_table()
    keys = list(zip(table["start_s"].tolist(), table["segment"].tolist(), strict=True))
    event_of = {(event.start_s, event.segment_id): event for event in events}
    published = [event_of.get(key) for key in keys]
    starts = table["start_s"].tolist()
    return {
        "start_s": table["start_s"],
        "segment": [segment for _, segment in keys],
        "grid_state": [event.state.value if event else GridState.GREEN.value for event in published],
        "loading": table["loading"],
        "transformer_w": table["import_w"],
        "losses_w": table["losses_w"],
        "loading_foreseen": [float(event.loading) if event else np.nan for event in published],
        "voltage_min_pu": table["voltage_min_pu"],
        "voltage_max_pu": table["voltage_max_pu"],
        "unbalance": table["unbalance"],
        "neutral_a": table["neutral_a"],
        "neutral_v": table["neutral_v"],
        "dstatcom_neutral_a": table["dstatcom_neutral_a"],
        "outdoor_degc": [_weather(world, "outdoor_degc", start_s) for start_s in starts],
        "ghi_w_per_m2": [_weather(world, "ghi_w_per_m2", start_s) for start_s in starts],
        "flagged": [event.flagged if event else "no state was published" for event in published],
    }


async def _register(community: "Community") -> dict[str, Any]:
    """Return what stands in the community's register, read from where it is kept."""
    rows: Sequence[RegisteredInterval] = ()
    if community.ground.registers is not None:
        segments = [feeder.segment_id for feeder in community.world.feeders]
        span_s = community.world.settings.start_s, community.world.now_s
        rows = await community.ground.registers.reader.history(segments, *span_s)
    return register_columns(rows)


def register_columns(rows: Sequence[RegisteredInterval]) -> dict[str, Any]:
    """Return a register's rows as columns; what was not written is empty or 0."""
    markets, limits = [row.market for row in rows], [row.constraint for row in rows]
    tariffs = [row.parameters for row in rows]
    return {
        "start_s": [row.start_s for row in rows],
        "segment": [row.segment_id for row in rows],
        "grid_state": [row.grid_state.value if row.grid_state else "" for row in rows],
        "import_max_w": [limit.import_max_w[0] if limit else 0 for limit in limits],
        "export_max_w": [limit.export_max_w[0] if limit else 0 for limit in limits],
        "lem_state": [market.state.value if market else "" for market in markets],
        "mechanism": [tariff.mechanism.value if tariff else "" for tariff in tariffs],
        **{name: [getattr(tariff, name, 0) for tariff in tariffs] for name in TARIFF},
        **{name: [getattr(market, name, "") for market in markets] for name in HASHES},
    }


def _weather(world: World, quantity: str, start_s: int) -> float:
    return float(world.weather.sky(start_s).mean(quantity, start_s, 900, 1)[0])


def _payments(entries: Iterable[LedgerEntry]) -> dict[str, Any]:
    """Return who paid whom beside the markets: payoffs, flexibility orders, demand response, penalties."""
    rows = list(entries)
    return {
        "start_s": [entry.time_s for entry in rows],
        "settlement": [entry.settlement_key for entry in rows],
        "payer": [entry.debit for entry in rows],
        "payee": [entry.credit for entry in rows],
        "tokens": [entry.amount_tokens for entry in rows],
    }


def _plants(plants: Iterable[Vpp]) -> dict[str, Any]:
    """Return what virtual power plants were formed, what they promised and what they delivered."""
    rows = [(plant, {metric.name: metric.value for metric in plant.metrics}) for plant in plants]
    return {
        "start_s": [plant.valid_from_s for plant, _ in rows],
        "end_s": [plant.valid_to_s for plant, _ in rows],
        "plant": [plant.vpp_id for plant, _ in rows],
        "product": [plant.product for plant, _ in rows],
        "state": [plant.state.value for plant, _ in rows],
        "members": [len(plant.members) for plant, _ in rows],
        "lost": [int(figures["members_lost"]) for _, figures in rows],
        "negotiations": [int(figures["negotiations"]) for _, figures in rows],
        "target_wh": [sum(plant.target_w) * plant.step_s // 3600 for plant, _ in rows],
        "committed_wh": [figures["committed"] for _, figures in rows],
        "delivered_wh": [figures["delivered"] for _, figures in rows],
        "residual": [figures["residual"] for _, figures in rows],
        "paid_ticks": [int(figures["paid"]) for _, figures in rows],
    }


async def _settlement(community: "Community") -> dict[str, Any]:
    """Return what the ledger holds: who got and gave how many tokens in each settlement."""
    columns: dict[str, list[Any]] = {"start_s": [], "account": [], "tokens": []}
    period_s = SETTLEMENT_INTERVALS[community.scenario.settlement] * INTERVAL_S
    first_s = community.world.settings.start_s // period_s * period_s
    for start_s in range(first_s, community.world.now_s, period_s):
        for account, tokens in (await _settled(community, start_s)).items():
            columns["start_s"].append(start_s)
            columns["account"].append(account)
            columns["tokens"].append(tokens)
    return columns


async def _corrections(community: "Community", starts: Iterable[int]) -> dict[str, Any]:
    """Return what the corrections of some intervals moved on the ledger."""
    columns: dict[str, list[Any]] = {name: [] for name in column_names("corrections")}
    for start_s in sorted(starts):
        for number in count(1):
            receipt = await community.ground.ledger.settlement(correction_key(start_s, number))
            if receipt is None:
                break
            for account, tokens in receipt.entries.items():
                if tokens:
                    for name, value in zip(columns, (start_s, number, account, tokens), strict=True):
                        columns[name].append(value)
    return columns


async def _settled(community: "Community", period_s: int) -> Mapping[str, int]:
    """Return the token changes of a settlement period, those of late markets added."""
    total: Counter[str] = Counter()
    for number in count():
        receipt = await community.ground.ledger.settlement(settlement_key(period_s, number))
        if receipt is None:
            return total
        for account, tokens in receipt.entries.items():
            total[account] += tokens
    return total
