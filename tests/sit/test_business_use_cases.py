"""PARITY's business use cases (SPEC 2.8), each from end to end: what its run's letters and tables say.

A home day with its uncontrolled twin serves the devices, a winter street the grid, the laboratory the market.
"""

import re
from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from recorded_run import RecordedRun

from launch.results import completed
from launch.scenario import lem_parameters, load_scenario, parse_scenario
from ontology.base import Concept
from ontology.control import InstructionBatch, InstructionBatchStatus, Priority
from ontology.directory import DirectoryEntry
from ontology.discourse import Acknowledgement
from ontology.flexibility_trading import DRSignal
from ontology.forecasts import Forecast
from ontology.grid import DstatcomCommand, DstatcomMode, DstatcomStatus, GridState, GridStatusEvent
from ontology.market import (
    ExternalActivation,
    ExternalBid,
    ExternalBidResult,
    ExternalBidWithdrawal,
    ExternalProduct,
    ExternalSettlement,
    Lem,
    LemDataset,
    LemResult,
    PriceProfile,
)
from ontology.measurements import IntervalReading
from ontology.service_level import SlaState
from ontology.users import Player
from ontology.vpp import Vpp, VppState

SITES = ("h001", "h002")
SCENARIOS = Path(__file__).parents[2] / "launch" / "scenarios"

HOME_DAY = """
start: 2024-05-02T14:00
zone: Europe/Berlin
intervals: 96
seed: 3
record: false
sites:
  - {id: roof, annual_kwh: 4000, pv: {kwp: 12}, battery: {capacity_kwh: 8, power_kw: 4}, phase: 3P}
  - id: garage
    annual_kwh: 2500
    ev: {capacity_kwh: 55, charger_kw: 3.7, trip_kwh: 12, target_state_of_charge: 1.0,
         departure_hour: 13, arrival_hour: 16}
    phase: 3P
  - id: house
    annual_kwh: 2500
    heat_pump: {power_kw: 2.5, heat_loss_w_per_k: 220}
    hot_water: {}
    phase: 3P
products:
  - {id: evening, initiator: aggregator, hour: 20, hours: 1, power_kw: -1, price: 0.5, lead_hours: 0.5}
"""
STREET = """
start: 2024-01-11T15:00
zone: Europe/Berlin
intervals: 16
seed: 3
record: false
grid: {sites_per_feeder: 3, transformer_kva: 9}
population: {sites: 6, shares: {pv: 0.6, battery: 0.6, ev: 1.0, heat_pump: 1.0, hot_water: 0.6}}
"""


@pytest.fixture(scope="module")
def laboratory() -> RecordedRun:
    """D8.1's laboratory at noon, under GREEN."""
    settings = {"start": "2024-05-02T10:00", "intervals": 8, "record": False}
    return RecordedRun(load_scenario(SCENARIOS / "laboratory.yaml", settings)).run()


@pytest.fixture(scope="module")
def street() -> RecordedRun:
    """A winter evening on two feeders that are too small: GREEN, YELLOW and RED."""
    return RecordedRun(parse_scenario(STREET)).run()


OUTSIDE = """
start: "2024-02-13"
zone: Europe/Berlin
seed: 5
intervals: 14
population: {sites: 16}
plants_for: [external]
record: false
"""


@pytest.fixture(scope="module")
def intraday() -> RecordedRun:
    """A winter night whose spare flexibility is sold on the intraday market."""
    return RecordedRun(parse_scenario(OUTSIDE, {"external_markets.products": ["intraday"]})).run()


@pytest.fixture(scope="module")
def reserve() -> RecordedRun:
    """The same night sold as reserve (mFRR); in its eleventh interval the DSO foresees YELLOW."""
    run = RecordedRun(parse_scenario(OUTSIDE, {"external_markets.products": ["mfrr"]})).step(10)
    start_s = run.world.now_s + 900
    warning = GridStatusEvent(
        segment_id=run.world.feeders[0].segment_id,
        start_s=start_s,
        end_s=start_s + 900,
        published_at_s=run.world.now_s,
        state=GridState.YELLOW,
        causes=[],
        loading=0.9,
        voltage_min_pu=1.0,
        voltage_max_pu=1.0,
    )
    dso = run.community.agents["dso@localhost"]
    run.offline.loop.call_soon(dso.publish, warning, warning.segment_id)
    return run.run()


@pytest.fixture(scope="module")
def home_day() -> RecordedRun:
    """A day of a roof, a garage and a house whose agents steer them."""
    return RecordedRun(parse_scenario(HOME_DAY)).run()


@pytest.fixture(scope="module")
def left_alone() -> RecordedRun:
    """The same day when nobody steers."""
    return RecordedRun(parse_scenario(HOME_DAY, {"control": False, "products": []})).run()


def column(run: RecordedRun, site: str, name: str) -> np.ndarray:
    """Return what the table of sites says of a site, interval by interval."""
    sites = run.tables().sites
    return np.asarray(sites[name], dtype=float)[np.asarray(sites["site"]) == site]


def net_w(run: RecordedRun) -> np.ndarray:
    """Return the power of all sites together in each interval, import positive."""
    return 4 * sum(
        column(run, site.id, "consumed_wh") - column(run, site.id, "produced_wh")
        for site in run.world.settings.sites
    )


def states(run: RecordedRun) -> dict[tuple[str, int], str]:
    """Return the light of each segment and interval under which its market was cleared."""
    market = run.tables().market
    keys = zip(market["segment"], map(int, market["start_s"]), strict=True)
    return dict(zip(keys, market["grid_state"], strict=True))


def letters_ok(run: RecordedRun) -> bool:
    counts = run.community.counts()
    return not counts.get("errors") and not counts.get("markets disputed")


# -- BUC1: local energy market ------------------------------------------------------------------------


def test_buc1_in_green_neighbours_trade_at_one_price_and_are_paid_on_the_ledger(laboratory):
    market, tariff = laboratory.tables().market, lem_parameters(laboratory.scenario, GridState.GREEN)
    assert list(market["grid_state"]) == ["GREEN"] * 8
    assert sum(market["traded_wh"]) > 0
    for consumed, produced, buy, sell in zip(
        *(market[name] for name in ("consumed_wh", "produced_wh", "buy_ticks_per_kwh", "sell_ticks_per_kwh")),
        strict=True,
    ):
        shared = min(int(consumed), int(produced))
        saving = tariff.buy_usual_ticks_per_kwh - tariff.buy_peer_ticks_per_kwh
        gain = tariff.sell_peer_ticks_per_kwh - tariff.sell_usual_ticks_per_kwh
        expected_buy = tariff.buy_usual_ticks_per_kwh - Fraction(shared, int(consumed) or 1) * saving
        expected_sell = tariff.sell_usual_ticks_per_kwh + Fraction(shared, int(produced) or 1) * gain
        assert (float(buy), float(sell)) == pytest.approx((float(expected_buy), float(expected_sell)))


def test_buc1_what_is_settled_is_what_each_player_was_told(laboratory):
    first_tokens = laboratory.scenario.initial_tokens
    for site in ("h001", "h002"):
        results = laboratory.contents(LemResult, to=f"{site}-prosumer")
        assert len(results) == 8
        assert laboratory.balances()[site] == first_tokens + sum(
            row.tokens_net for r in results for row in r.rows
        )
    assert letters_ok(laboratory)


def test_buc1_every_market_was_announced_before_it_began_and_closed_after_it_ended(laboratory):
    opened = {each.content.start_s: each.time_s for each in laboratory.noted(Lem, to="aggregator-blockchain")}
    cleared = {each.content.start_s: each.time_s for each in laboratory.noted(LemResult, to="repository")}
    later = sorted(opened)[1:]
    assert len(later) == 8
    assert all(opened[start_s] < start_s for start_s in later)
    assert all(start_s + 900 < time_s < start_s + 1_020 for start_s, time_s in cleared.items())


def test_buc1_the_aggregator_sends_the_sum_of_its_portfolio_and_what_it_expects_every_interval(laboratory):
    tables = laboratory.tables().sites
    readings = laboratory.contents(IntervalReading, sender="aggregator-oracle", to="aggregator-blockchain")
    forecasts = laboratory.contents(Forecast, sender="aggregator-oracle", to="aggregator-blockchain")
    assert [each.start_s for each in readings] == sorted(set(tables["start_s"].tolist()))
    begin_s = laboratory.world.settings.start_s
    assert [each.start_s for each in forecasts] == [begin_s, *(each.start_s + 900 for each in readings)]
    for reading in readings:
        own = tables["start_s"] == reading.start_s
        assert reading.consumed_wh == tables["consumed_wh"][own].sum()
        assert reading.produced_wh == tables["produced_wh"][own].sum()
    newest = [laboratory.contents(Forecast, sender=f"{site}-prosumer", to="repository") for site in SITES]
    last = forecasts[-1]
    ahead = [next(f for f in reversed(found) if f.start_s <= last.start_s) for found in newest]
    first_step = [each.power_w[(last.start_s - each.start_s) // 900] for each in ahead]
    assert last.power_w[0] == sum(first_step)
    assert len(last.power_w) == 96


# -- BUC2: implicit flexibility ------------------------------------------------------------------------


def test_buc2_in_yellow_the_flow_has_a_price_and_the_usual_spread_is_wider(street):
    yellow = lem_parameters(street.scenario, GridState.YELLOW)
    flows: Counter[str] = Counter()
    for result in street.contents(LemResult, to="market"):
        flows[result.grid_state] += sum(abs(row.tokens_flow) for row in result.rows)
        if result.grid_state is GridState.YELLOW:
            assert result.buy_price_ticks_per_kwh <= yellow.buy_usual_ticks_per_kwh == 2_400
    assert flows["YELLOW"] > 0
    assert flows["GREEN"] == flows["RED"] == 0


def test_buc2_prosumers_are_told_the_prices_of_the_day_ahead_and_plan_by_themselves(street):
    told = Counter(
        each.envelope.to for each in street.noted(PriceProfile) if "-prosumer@" in each.envelope.to
    )
    assert len(told) == 6
    assert min(told.values()) >= 14
    assert all(
        len(each.buy_ticks_per_kwh) == 96 for each in street.contents(PriceProfile, to="p001-prosumer")
    )


# -- BUC3: emergency response --------------------------------------------------------------------------


def test_buc3_in_red_the_dso_calls_and_the_aggregator_agrees_within_two_seconds(street):
    red = {key for key, state in states(street).items() if state == "RED"}
    signals = list(street.noted(DRSignal, sender="dso"))
    assert {(each.content.segment_id, each.content.start_s) for each in signals} >= red
    answers = {each.envelope.in_reply_to: each.time_s for each in street.noted(Acknowledgement, to="dso")}
    for signal in signals:
        assert 0 <= answers[signal.envelope.message_id] - signal.envelope.sent_at_s <= 2


def test_buc3_each_member_of_the_segment_gets_its_part_before_the_interval_and_steers_by_it(street):
    for signal in street.contents(DRSignal, sender="dso"):
        parts = {
            each.envelope.to: each
            for each in street.noted(DRSignal, sender="aggregator")
            if each.content.signal_id == signal.signal_id
        }
        segment = next(f.segment for f in street.world.feeders if f.segment_id == signal.segment_id)
        assert {to.removesuffix("-prosumer@localhost") for to in parts} == set(segment.players)
        assert all(each.time_s < signal.start_s for each in parts.values())
    urgent = [
        instruction.priority
        for batch in street.contents(InstructionBatch)
        for instruction in batch.instructions
        if instruction.reason == "plan"
    ]
    assert Priority.DSO_RED in urgent


def test_buc3_energy_in_red_is_settled_at_the_usual_prices(street):
    usual = lem_parameters(street.scenario, GridState.RED)
    red = [each for each in street.contents(LemResult, to="repository") if each.grid_state is GridState.RED]
    assert red
    assert {each.buy_price_ticks_per_kwh for each in red} == {usual.buy_usual_ticks_per_kwh}
    assert {each.sell_price_ticks_per_kwh for each in red} == {usual.sell_usual_ticks_per_kwh}


# -- BUC4 and BUC5: markets outside --------------------------------------------------------------------


def test_buc4_a_reserve_is_sold_paid_for_being_held_and_delivered_when_it_is_called(reserve):
    results = {each.bid_id: each for each in reserve.contents(ExternalBidResult) if each.accepted}
    asked = {each.bid_id: each for each in reserve.contents(ExternalBid) if each.bid_id in results}
    assert {each.product for each in asked.values()} == {ExternalProduct.MFRR}
    assert all(results[name].price_ticks_per_kwh >= bid.price_ticks_per_kwh for name, bid in asked.items())
    settled = {each.bid_id: each for each in reserve.contents(ExternalSettlement)}
    assert all(each.capacity_ticks > 0 for each in settled.values())
    calls = reserve.contents(ExternalActivation)
    assert calls
    for call in calls:
        assert call.bid_id in asked
        sale = settled[call.bid_id]
        assert sale.ordered_wh == call.energy_wh < 0
        assert sale.delivered_wh == pytest.approx(sale.ordered_wh, rel=0.1)
        assert sale.energy_ticks > sale.imbalance_ticks


def test_buc4_bids_are_taken_back_within_five_seconds_when_a_segment_is_about_to_leave_green(reserve):
    """What was accepted before stays sold; nothing more is offered for that interval."""
    warned_s = next(
        each.time_s
        for each in reserve.noted(GridStatusEvent, to="aggregator")
        if each.content.state is GridState.YELLOW
    )
    results = {each.content.bid_id: each.time_s for each in reserve.noted(ExternalBidResult)}
    open_then = {
        each.content.bid_id
        for each in reserve.noted(ExternalBid)
        if each.time_s < warned_s and results.get(each.content.bid_id, warned_s + 1) > warned_s
    }
    withdrawn = {each.content.bid_id: each.time_s for each in reserve.noted(ExternalBidWithdrawal)}
    assert set(withdrawn) == open_then != set()
    assert all(warned_s <= time_s <= warned_s + 5 for time_s in withdrawn.values())


def test_buc5_energy_is_sold_at_the_intraday_price_and_delivered_by_plants(intraday):
    asked = {each.bid_id: each for each in intraday.contents(ExternalBid)}
    results = {each.bid_id: each for each in intraday.contents(ExternalBidResult) if each.accepted}
    settled = intraday.contents(ExternalSettlement)
    assert len(settled) >= 3
    for sale in settled:
        bid, price = asked[sale.bid_id], results[sale.bid_id].price_ticks_per_kwh
        assert price >= bid.price_ticks_per_kwh
        assert sale.ordered_wh == bid.energy_wh < 0
        assert sale.delivered_wh == pytest.approx(sale.ordered_wh, rel=0.1)
        missed_wh = abs(sale.delivered_wh - sale.ordered_wh)
        assert sale.energy_ticks == pytest.approx(-sale.ordered_wh * price / 1_000, abs=1)
        assert sale.imbalance_ticks == pytest.approx(missed_wh * 1.5 * price / 1_000, abs=1)
    plants = intraday.tables().plants
    assert len(plants["plant"]) >= len(settled)


# -- BUC6: prepaid service levels ----------------------------------------------------------------------


def test_buc6_a_violated_service_level_is_paid_from_prepaid_tokens_and_who_has_none_left_stops_trading():
    """A household with tokens for the morning: the penalty takes them, a top-up brings it back."""
    settings = {"record": False, "intervals": 15, "initial_tokens": 2_000, "minimum_tokens": 500}
    run = RecordedRun(load_scenario(SCENARIOS / "service-levels.yaml", settings)).step(12)
    player = {name: account for account, name in run.community.cast.accounts.items()}
    ledger, levels = run.community.ground.ledger, run.community.ground.service_levels
    end_s = run.world.settings.start_s + 7_200
    assert completed(levels.state_of("KPI12", player["h002"], end_s)) == (SlaState.VIOLATED, 500)
    transfer = completed(ledger.settlement("sla SLA1"))
    assert transfer.entries[player["grid"]] == -transfer.entries[player["h002"]] == 500
    assert run.balances()["h002"] < 500
    completed(ledger.top_up(player["h002"], 5_000, receipt="bank 17"))
    run.run()
    players = run.tables().market["players"].tolist()
    assert players[0] == 2
    assert 1 in players
    assert players[-1] == 2
    assert letters_ok(run)


# -- BUC7 to BUC9: devices ----------------------------------------------------------------------------


def charging_cost(run: RecordedRun) -> float:
    """Return what the car's energy cost at the community's prices, in EUR."""
    price = np.asarray(run.tables().market["buy_ticks_per_kwh"], dtype=float) / 10_000
    return float(column(run, "garage", "ev_w") @ price) / 4_000


def test_buc7_a_car_is_charged_in_full_and_for_a_tenth_less_than_by_itself(home_day, left_alone):
    charged = [column(run, "garage", "ev_w").sum() / 4_000 for run in (home_day, left_alone)]
    assert charged[0] == pytest.approx(charged[1], rel=0.01)
    assert charged[0] > 5
    assert home_day.community.counts()["sessions satisfied"] == 1
    assert not home_day.community.counts().get("sessions short")
    assert charging_cost(home_day) <= 0.9 * charging_cost(left_alone)


def test_buc8_battery_and_shifted_loads_lower_the_communitys_peak_by_a_tenth(home_day, left_alone):
    assert net_w(home_day).max() <= 0.9 * net_w(left_alone).max()
    exported = [-net_w(run).clip(max=0).sum() for run in (home_day, left_alone)]
    assert exported[0] < exported[1]
    held = column(home_day, "roof", "bess_soc")
    assert held.min() >= 0.05 - 1e-6
    assert held.max() <= 1


def test_buc8_the_battery_gives_the_flexibility_that_was_asked_of_it(home_day):
    (plant,) = {each.vpp_id: each for each in home_day.contents(Vpp, to="repository")}.values()
    assert plant.state is VppState.DISSOLVED
    assert [member.agent for member in plant.members] == ["roof-prosumer@localhost"]
    plants = home_day.tables().plants
    assert plants["delivered_wh"][0] == pytest.approx(plants["committed_wh"][0], rel=0.1)
    assert abs(plants["delivered_wh"][0]) >= 0.9 * abs(plants["target_wh"][0])


def test_buc9_a_building_takes_its_heat_when_the_sun_shines_and_stays_comfortable(home_day, left_alone):
    share = []
    for run in (home_day, left_alone):
        heating_w = column(run, "house", "heat_pump_w") + column(run, "house", "dhw_w")
        share.append(heating_w[column(run, "roof", "pv_w") < -1_000].sum() / heating_w.sum())
    assert share[0] > share[1] + 0.1
    house = next(site for site in home_day.world.settings.sites if site.id == "house")
    room = column(home_day, "house", "indoor_degc")
    assert room.min() >= house.heat_pump.set_degc - house.heat_pump.comfort_k - 0.5
    assert room.max() <= house.heat_pump.set_degc + house.heat_pump.comfort_k + 0.5


def test_buc9_heaters_are_steered_through_the_sites_gateway_only_and_say_what_became_of_it(home_day):
    """SPEC 9.3: prosumer, information layer, device."""
    batches = list(home_day.noted(InstructionBatch))
    assert {(each.envelope.sender, each.envelope.to) for each in batches} == {
        (f"{site}-prosumer@localhost", f"{site}-gateway@localhost") for site in ("roof", "garage", "house")
    }
    told = {i.asset_id for each in batches for i in each.content.instructions}
    assert {"house-heat_pump", "house-dhw", "roof-bess", "garage-ev"} <= told
    answers = home_day.contents(InstructionBatchStatus, to="house-prosumer")
    assert len(answers) == sum(each.envelope.to == "house-gateway@localhost" for each in batches)
    assert {each.status for answer in answers for each in answer.statuses} <= {"ACCEPTED", "STARTED"}


# -- BUC10: the grid -----------------------------------------------------------------------------------


def test_buc10_the_dso_foresees_violations_and_says_so_five_minutes_ahead(street):
    events = list(street.noted(GridStatusEvent, sender="dso", to="repository"))
    assert {each.content.state for each in events} == {GridState.GREEN, GridState.YELLOW, GridState.RED}
    assert all(each.content.start_s - each.time_s == 300 for each in events)
    warned = [each.content for each in events if each.content.state is not GridState.GREEN]
    assert any(each.loading > 0.8 for each in warned)
    published = {(each.content.segment_id, each.content.start_s): each.content.state for each in events}
    for key, state in states(street).items():
        assert state == published.get(key, GridState.GREEN)


def test_buc10_a_d_statcom_evens_out_the_phases_where_they_are_uneven(street):
    commands = list(street.noted(DstatcomCommand, sender="dso"))
    assert any(each.content.mode is DstatcomMode.BALANCE for each in commands)
    assert commands[-1].content.mode is DstatcomMode.OFF
    in_force = {(each.content.asset_id, each.time_s): each for each in commands}  # the last said at a time
    balancing = [each for each in in_force.values() if each.content.mode is not DstatcomMode.OFF]
    for each in balancing:
        assert abs(sum(each.content.power_w)) <= 1
        assert max(map(abs, each.content.power_w)) <= 10_000
        later = [
            status.content
            for status in street.noted(DstatcomStatus, to="dso")
            if status.content.asset_id == each.content.asset_id
            and each.time_s < status.time_s < each.time_s + 900
        ]
        losses_w = 0.01 * 30_000 / 3
        assert [status.power_w for status in later] == [pytest.approx(each.content.power_w, abs=losses_w)]


def test_buc10_from_what_is_measured_to_relief_that_is_measured_again(street):
    """Monitoring foresees RED, units and loads are called upon, the feeder is back, all is on record."""
    tables = street.tables()
    grid, calls = tables.grid, tables.emergencies
    red = {
        (segment, start_s)
        for segment, start_s, state in zip(grid["segment"], grid["start_s"], grid["grid_state"], strict=True)
        if state == "RED"
    }
    assert red
    assert {(p, s) for p, s in zip(calls["segment"], calls["start_s"], strict=True)} >= red
    limited = calls["limit_w"]
    assert all(0 < limit_w <= 9_000 * 0.8 for limit_w in limited.tolist())
    reported = calls["reported"]
    assert reported.any()
    assert sum(calls["delivered_wh"][reported]) < 0
    foreseen = {
        (p, s): x for p, s, x in zip(grid["segment"], grid["start_s"], grid["loading_foreseen"], strict=True)
    }
    loading = {(p, s): x for p, s, x in zip(grid["segment"], grid["start_s"], grid["loading"], strict=True)}
    worst = max(red, key=lambda key: foreseen[key])
    assert foreseen[worst] > 1.0
    assert loading[worst] < foreseen[worst]
    balanced = {each.content.asset_id for each in street.noted(DstatcomCommand, sender="dso")}
    assert balanced, "units come before loads"


# -- TLC-WALK: all three states, end to end (SPEC 8); by the minute in tests/scenarios ----------------


def test_tlc_walk_each_state_switches_its_own_markets(street):
    of_state = {state: [] for state in ("GREEN", "YELLOW", "RED")}
    for result in street.contents(LemResult):
        if len(result.rows) > 1:
            of_state[result.grid_state.value].append(result)
    assert all(of_state.values()), "the street walks through all of them"
    assert any(each.flow_ticks_per_kwh for each in of_state["YELLOW"])
    assert not any(each.flow_ticks_per_kwh for each in of_state["GREEN"] + of_state["RED"])
    assert not any(each.traded_wh for each in of_state["RED"])
    red = {key for key, state in states(street).items() if state == "RED"}
    called = {
        (each.content.segment_id, each.content.start_s) for each in street.noted(DRSignal, sender="dso")
    }
    assert {key for key in called if key in states(street)} == red


# -- BUC11: on-boarding --------------------------------------------------------------------------------

PSEUDONYM = re.compile(r"p_[a-z2-7]{26}")


def test_buc11_a_newcomer_is_registered_has_a_wallet_and_trades_in_the_next_market(laboratory):
    registrations = list(laboratory.noted(Player, to="aggregator-blockchain"))
    accounts = laboratory.community.cast.accounts
    assert {each.content.player for each in registrations} == {
        account for account, name in accounts.items() if name.startswith("h0")
    }
    assert all(PSEUDONYM.fullmatch(account) for account in accounts)
    opening_s = laboratory.world.settings.start_s
    assert all(each.time_s < opening_s + 60 for each in registrations)
    assert laboratory.tables().market["players"].tolist() == [2] * 8


def test_buc11_assets_can_be_found_by_what_they_offer_and_names_stay_off_the_market(laboratory):
    offers: dict[str, Concept] = {
        each.agent: each for each in laboratory.contents(DirectoryEntry, to="market")
    }
    assert offers["h001-prosumer@localhost"].role == "prosumer"
    for dataset in laboratory.contents(LemDataset, to="aggregator-blockchain"):
        assert PSEUDONYM.fullmatch(dataset.player)
        assert dataset.reading.subject == dataset.player
