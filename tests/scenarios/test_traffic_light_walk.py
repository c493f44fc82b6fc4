"""A day that walks from GREEN over YELLOW and RED back to GREEN, and what each state switches (SPEC 2.1)."""

import asyncio
import json
import sqlite3
from collections import Counter
from itertools import pairwise

import pytest
from scenario_helpers import assert_same_tables

from behaviours.grid.active_network_management import ActiveNetworkManagement
from launch.offline import OfflineCommunity
from launch.results import completed, run_tables
from launch.runs import run_live, run_offline
from launch.scenario import lem_parameters, parse_scenario
from ontology.grid import GridState

START_S = 1_714_636_800
GREEN_AGAIN = 17
"""Interval from which the light stays GREEN."""
MACHINES_KW = [1] * 6 + [36] * 4 + [42.8] * 4 + [1] * 10
"""What each of two workshops draws, by the quarter of an hour: nothing, much, more than the street bears."""

WALK = """
name: walk
start: 2024-05-02T10:00
zone: Europe/Berlin
intervals: 21
step_s: 60
grid: {transformer_kva: 80}
plants_for: [external]
contracts:
  - {id: day, power_kw: 5, availability: 0.02, activation: 0.5, activations_a_day: 9,
     windows: [{weekdays: [mon, tue, wed, thu, fri], from_hour: 9, to_hour: 20}]}
sites:
  - {id: w1, load_csv: machines.csv, phase: 3P}
  - {id: w2, load_csv: machines.csv, phase: 3P}
  - {id: h001, battery: {capacity_kwh: 15, power_kw: 3, initial_state_of_charge: 0.8}, phase: 3P}
  - {id: h002, battery: {capacity_kwh: 15, power_kw: 3, initial_state_of_charge: 0.8}, phase: 3P}
"""


def scenario_in(folder, **overrides):
    """Return the day, with the workshops' readings in a folder."""
    rows = [
        f"2024-05-02T{8 + quarter // 4:02d}:{quarter % 4 * 15:02d}:00Z,{kw}"
        for quarter, kw in enumerate(MACHINES_KW)
    ]
    (folder / "machines.csv").write_text("\n".join(["time,power_kw", *rows, ""]))
    return parse_scenario(WALK, overrides, folder=folder)


class Walk:
    """The day as it went: states by interval, tables, and letters by type."""

    def __init__(self, run):
        self.run = run
        self.market = run.tables.market
        self.states = self.market["grid_state"].tolist()
        self.connection = sqlite3.connect(run.folder / "messages.sqlite")

    def letters(self, message_type, act="%"):
        """Return when (in s since the start), from whom, to whom and what, of letters that were read."""
        rows = self.connection.execute(
            "SELECT time_s, sender, recipient, body FROM messages "
            "WHERE message_type = ? AND performative LIKE ? AND outcome = 'handled' ORDER BY id",
            (message_type, act),
        ).fetchall()
        return [
            (time_s - START_S, sender.split("@")[0], to.split("@")[0], json.loads(body))
            for time_s, sender, to, body in rows
        ]

    def told_at(self, state):
        """Return when the aggregator was told that the next interval has a state."""
        events = self.letters("parity:GridStatusEvent", "inform")
        return [time_s for time_s, _, to, event in events if to == "aggregator" and event["state"] == state]

    def rows(self, state, column):
        """Return the values of a column of the market in the intervals of a state."""
        return self.market[column][self.market["grid_state"] == state].tolist()


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("walk")
    return Walk(run_offline(scenario_in(folder), folder / "run"))


def test_the_day_walks_through_all_states_and_back(walk):
    order = [state for state, before in zip(walk.states, ["", *walk.states], strict=False) if state != before]
    assert order == ["GREEN", "YELLOW", "RED", "GREEN"]
    assert walk.states == walk.run.tables.grid["grid_state"].tolist()
    assert walk.states[GREEN_AGAIN:] == ["GREEN"] * len(walk.states[GREEN_AGAIN:])


@pytest.mark.parametrize("state", ["GREEN", "YELLOW"])
def test_the_local_market_trades_in_green_and_yellow_at_the_tariff_of_the_state(walk, state):
    tariff = lem_parameters(walk.run.scenario, GridState(state))
    assert sum(walk.rows(state, "traded_wh")) > 0
    assert set(walk.rows(state, "lem_state")) == {"SOLVED"}
    prices = walk.rows(state, "buy_ticks_per_kwh")
    assert all(tariff.buy_peer_ticks_per_kwh <= price <= tariff.buy_usual_ticks_per_kwh for price in prices)
    traded = [price for price, wh in zip(prices, walk.rows(state, "traded_wh"), strict=True) if wh]
    assert all(price < tariff.buy_usual_ticks_per_kwh for price in traded)


def test_in_red_the_local_market_is_paused_and_energy_has_its_usual_price(walk):
    usual = lem_parameters(walk.run.scenario, GridState.GREEN)
    assert sum(walk.rows("RED", "traded_wh")) == 0
    assert set(walk.rows("RED", "buy_ticks_per_kwh")) == {usual.buy_usual_ticks_per_kwh}
    assert set(walk.rows("RED", "sell_ticks_per_kwh")) == {usual.sell_usual_ticks_per_kwh}
    voided = {lem["start_s"] for *_, lem in walk.letters("parity:Lem") if lem["state"] == "VOID"}
    starts = walk.market["start_s"][walk.market["grid_state"] == "RED"].tolist()
    assert voided == set(starts)


def test_flow_is_charged_in_yellow_only(walk):
    charged = {"GREEN": 0, "YELLOW": 0, "RED": 0}
    for *_, to, result in walk.letters("parity:LemResult"):
        if to == "market":
            charged[result["grid_state"]] += abs(result["rows"][0].get("tokens_flow", 0))
    assert charged["YELLOW"] > 0
    assert charged["GREEN"] == charged["RED"] == 0


def test_the_market_operator_confirms_every_market(walk):
    run = OfflineCommunity(walk.run.scenario)
    for _ in range(len(walk.states)):
        run.step()
    run.settle()
    counts = run.community.counts()
    run.close()
    assert counts["markets confirmed"] == len(walk.states)
    assert counts.get("markets disputed", 0) == 0


def test_bids_go_outside_in_green_only(walk):
    for time_s, *_ in walk.letters("parity:ExternalBid"):
        coming = int(time_s) // 900 + 1
        assert walk.states[coming : coming + 1] in (["GREEN"], [])
    assert walk.letters("parity:ExternalBid")[-1][0] > 900 * GREEN_AGAIN


def test_open_bids_are_withdrawn_within_five_seconds_of_yellow_and_acknowledged(walk):
    told_s = min(walk.told_at("YELLOW"))
    withdrawn = walk.letters("parity:ExternalBidWithdrawal", "request")
    assert withdrawn
    assert all(told_s <= time_s <= told_s + 5 for time_s, *_ in withdrawn)
    acknowledged = [
        time_s
        for time_s, sender, to, _ in walk.letters("parity:Acknowledgement", "inform")
        if (sender, to) == ("external-markets", "aggregator") and told_s <= time_s <= told_s + 5
    ]
    assert len(acknowledged) >= len(withdrawn)
    sold = {result["bid_id"] for *_, result in walk.letters("parity:ExternalBidResult") if result["accepted"]}
    assert not sold & {bid["bid_id"] for *_, bid in withdrawn}


def test_what_was_sold_before_is_delivered_in_yellow_and_settled_once(walk):
    settled = [content for *_, content in walk.letters("parity:ExternalSettlement")]
    in_yellow = [each for each in settled if walk.states[(each["start_s"] - START_S) // 900] == "YELLOW"]
    assert in_yellow
    for each in in_yellow:
        assert each["delivered_wh"] == pytest.approx(each["ordered_wh"], rel=0.1)
        assert each["imbalance_ticks"] < 0.1 * each["energy_ticks"]
    ids = [each["bid_id"] for each in settled]
    assert len(ids) == len(set(ids))
    sold = {r["bid_id"] for *_, r in walk.letters("parity:ExternalBidResult") if r["accepted"]}
    ended = {bid_id for bid_id in sold if int(bid_id.rpartition("-")[2]) + 900 < START_S + 900 * 20}
    assert ended <= set(ids)


def test_the_dso_calls_on_its_contract_in_red_and_in_no_other_state(walk):
    called = {
        signal["start_s"]
        for _, sender, to, signal in walk.letters("oadr:DRSignal", "request")
        if (sender, to) == ("dso", "aggregator")
    }
    assert called == set(walk.market["start_s"][walk.market["grid_state"] == "RED"].tolist())


def test_the_aggregator_agrees_at_once_and_reports_delivery_by_the_minute(walk):
    signals = [s for s in walk.letters("oadr:DRSignal", "request") if s[1] == "dso"]
    agreed = [a for a in walk.letters("parity:Acknowledgement", "agree") if a[1:3] == ("aggregator", "dso")]
    assert len(agreed) == len(signals)
    for (asked_s, *_), (agreed_s, *_) in zip(signals, agreed, strict=True):
        assert agreed_s - asked_s <= 2
    informed = walk.letters("oadr:DemandResponseReport", "inform")
    reports = [r for _, sender, _, r in informed if sender == "aggregator"]
    assert len(reports) == len(signals)
    for report in reports:
        assert (report["step_s"], report["ordered_w"], len(report["delivered_w"])) == (60, -5_000, 15)
        for delivered_w in report["delivered_w"][1:]:
            assert delivered_w == pytest.approx(-5_000, rel=0.1)


def test_the_transformer_carries_less_while_the_contract_is_called_upon(walk):
    red = walk.states.index("RED")
    loading = walk.run.tables.grid["loading"].tolist()
    machines_on = [i for i, state in enumerate(walk.states) if state == "RED" and MACHINES_KW[i] > 40]
    assert machines_on[0] == red
    assert all(loading[i] < max(loading[:red]) for i in machines_on)


def test_after_red_batteries_come_back_by_a_fifth_a_minute(walk):
    """By the minute after the last emergency: not more than a fifth of the way at a time."""
    last_red = max(i for i, state in enumerate(walk.states) if state == "RED")
    end_s = START_S + 900 * (last_red + 1)
    setpoints = [
        instruction["setpoint_w"]
        for time_s, _, to, batch in walk.letters("s2:InstructionBatch")
        if to == "h001-gateway" and end_s <= time_s + START_S < end_s + 400
        for instruction in batch["instructions"]
    ]
    assert len(setpoints) >= 6
    whole_w = abs(setpoints[-1] - setpoints[0])
    assert whole_w > 1_000
    steps = [abs(after - before) for before, after in pairwise(setpoints)]
    assert max(steps) <= whole_w / 5 + 2


def test_the_dso_pays_for_availability_and_for_what_was_delivered(walk):
    payments = walk.run.tables.payments
    called = [str(key) for key in payments["settlement"] if "DEMAND_RESPONSE" in str(key)]
    hours = [key for key in called if "day-available" in key]
    energy = [key for key in called if "dr-segment" in key and not key.endswith("-members")]
    assert len(hours) == 5
    assert len(energy) >= walk.states.count("RED") - 1
    tokens = dict(zip(map(str, payments["settlement"]), payments["tokens"].tolist(), strict=True))
    assert {tokens[key] for key in hours} == {1_000}  # 5 kW for an hour at 0.02 EUR
    assert all(5_600 <= tokens[key] <= 6_250 for key in energy)  # 1.25 kWh at 0.50 EUR


def test_the_aggregator_hands_four_fifths_of_it_on_to_the_members_that_delivered(walk):
    payments = walk.run.tables.payments
    income, shares = Counter(), Counter()
    names = walk.run.accounts
    for key, payee, tokens in zip(
        *(payments[column] for column in ("settlement", "payee", "tokens")), strict=True
    ):
        if "dr-segment" in key:
            signal = key.split()[-1]
            (shares if signal.endswith("-members") else income)[signal.removesuffix("-members")] += tokens
            assert names[payee] in ({"h001", "h002"} if signal.endswith("-members") else {"aggregator"})
    assert shares.keys() == income.keys()
    assert all(0.79 * income[each] <= shares[each] <= 0.8 * income[each] + 1 for each in income)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["aggregator", "dso", "h001-prosumer"])
def test_whoever_dies_in_an_activation_its_energy_is_paid_all_the_same(walk, name, tmp_path):
    run = OfflineCommunity(scenario_in(tmp_path, record=False))
    red = walk.states.index("RED")
    for interval in range(len(walk.states)):
        if interval == red:
            at_s = run.clock.now_s() + 840
            run.loop.call_at(at_s, run.community.kill, f"{name}@localhost")
            run.loop.call_at(at_s + 70, run.community.restart, f"{name}@localhost")
        run.step()
    run.settle()
    payments = completed(run_tables(run.community)).checked().payments
    run.close()
    signal = f"dr-segment-001-{START_S + 900 * red}"
    usual, paid = paid_for(walk.run.tables.payments, signal), paid_for(payments, signal)
    assert len(usual) == 3
    if name == "h001-prosumer":
        assert paid.keys() == usual.keys()
    else:
        assert paid == usual


def paid_for(payments, signal):
    """Return what was paid for a signal, by settlement and payee."""
    columns = (payments[name].tolist() for name in ("settlement", "payee", "tokens"))
    return {(key, payee): tokens for key, payee, tokens in zip(*columns, strict=True) if signal in key}


def test_without_a_contract_for_the_hour_nobody_is_called(tmp_path):
    text = WALK.replace("from_hour: 9, to_hour: 20", "from_hour: 1, to_hour: 2")
    scenario_in(tmp_path)
    run = OfflineCommunity(parse_scenario(text, {"record": False, "intervals": 15}, folder=tmp_path))
    for _ in range(15):
        run.step()
    dso = run.community.agents["dso@localhost"]
    assert dso.behaviour(ActiveNetworkManagement).calls == 0
    assert dso.counts["emergencies without a contract"] >= 1
    run.close()


@pytest.mark.slow
def test_live_on_the_embedded_server_the_walk_is_the_same(walk, tmp_path):
    scenario = scenario_in(tmp_path, record=False)
    live = asyncio.run(run_live(scenario))
    assert live.deadlines_missed == 0
    assert_same_tables(live.tables, walk.run.tables)
