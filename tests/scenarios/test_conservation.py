"""What must add up: energy at every meter and on the feeder, tokens in every settlement."""

from fractions import Fraction

import numpy as np
import pytest
from scenario_helpers import LABORATORY, MORNING, balances, entries_by_start

from launch.model import CommunityModel
from launch.results import completed
from launch.scenario import lem_parameters
from ontology.grid import GridState


def changes(model: CommunityModel) -> dict[str, int]:
    """Return the sum of each account's token changes, by the name that a reader knows."""
    total = dict.fromkeys(model.community.cast.accounts.values(), 0)
    for entries in entries_by_start(model.tables()).values():
        for account, tokens in entries.items():
            total[model.community.cast.accounts[account]] += tokens
    return total


DEVICES = ("base_w", "pv_w", "bess_w", "ev_w", "heat_pump_w", "dhw_w", "lighting_w")


@pytest.fixture(scope="module")
def street():
    """Five households on two feeders that are too small for them: all three lights come up."""
    return CommunityModel(
        population__sites=5,
        population__shares={"pv": 0.6, "battery": 0.6, "ev": 1.0, "heat_pump": 1.0, "hot_water": 0.6},
        grid__sites_per_feeder=3,
        grid__transformer_kva=9,
        start="2024-01-11T17:00",
        intervals=12,
        seed=3,
        tariffs__flow="community",
    ).run()


def test_every_meter_is_the_sum_of_its_devices(street):
    sites = street.tables().sites
    devices_wh = sum(np.nan_to_num(sites[device]) for device in DEVICES) / 4
    np.testing.assert_array_equal(devices_wh, sites["consumed_wh"] - sites["produced_wh"])


def test_a_feeder_carries_what_its_meters_count_and_its_losses(street):
    tables = street.tables()
    for feeder in street.world.feeders:
        on_it = tables.sites["segment"] == feeder.segment_id
        sites = len(feeder.segment.players)
        net_wh = (tables.sites["consumed_wh"] - tables.sites["produced_wh"])[on_it]
        meters_w = net_wh.reshape(-1, sites).sum(axis=1) * 4
        rows = tables.grid["segment"] == feeder.segment_id
        flow_w, losses_w = tables.grid["transformer_w"][rows], tables.grid["losses_w"][rows]
        np.testing.assert_allclose(flow_w, meters_w + losses_w, rtol=1e-6, atol=1.0)
        assert (losses_w >= 0).all()


def test_each_settlement_moves_tokens_and_makes_none(street):
    entries = entries_by_start(street.tables())
    assert len(entries) == 12
    assert {start_s: sum(changes.values()) for start_s, changes in entries.items()} == dict.fromkeys(
        entries, 0
    )


def test_the_ledger_holds_what_was_there_at_first_and_all_changes(street):
    tokens, count = street.scenario.initial_tokens, len(street.world.sites)
    initial = dict.fromkeys(street.community.cast.accounts.values(), tokens)
    initial |= {"aggregator": 10 * count * tokens, "grid": 10 * count * tokens}
    held = balances(street)
    assert held == {name: initial[name] + change for name, change in changes(street).items()}
    assert min(held.values()) >= 0


def test_every_player_pays_and_earns_what_the_specification_says(street):
    """SPEC 2.2 once more, from the tables alone: exact rationals, each net change rounded once."""
    tables, scenario = street.tables(), street.scenario
    paid = {
        (start_s, street.community.cast.accounts[account]): tokens
        for start_s, changes in entries_by_start(tables).items()
        for account, tokens in changes.items()
    }
    expected, states, sites = {}, set(), tables.sites
    market = tables.market
    for start_s, segment, state in zip(
        market["start_s"], market["segment"], market["grid_state"], strict=True
    ):
        states.add(state)
        tariff = lem_parameters(scenario, GridState(state))
        rows = np.flatnonzero((sites["start_s"] == start_s) & (sites["segment"] == segment))
        energy = {
            sites["site"][i]: (int(sites["consumed_wh"][i]), int(sites["produced_wh"][i])) for i in rows
        }
        ec, ep = (sum(column) for column in zip(*energy.values(), strict=True))
        shared = 0 if state == "RED" else min(ec, ep)
        buy, sell = tariff.buy_usual_ticks_per_kwh, tariff.sell_usual_ticks_per_kwh
        p_buy = buy - Fraction(shared, ec or 1) * (buy - tariff.buy_peer_ticks_per_kwh)
        p_sell = sell + Fraction(shared, ep or 1) * (tariff.sell_peer_ticks_per_kwh - sell)
        for site, (c, p) in energy.items():
            t_cons, t_prod = c * p_buy / 1000, p * p_sell / 1000  # a tick is a token here
            t_flow = Fraction(tariff.beta_ticks_per_kwh2 * (c - p) * (ec - ep), 10**6)
            t_flow = max(-t_cons - t_prod, min(t_cons + t_prod, t_flow))
            expected[int(start_s), site] = round(t_prod - t_cons - t_flow)
    assert scenario.tokens_per_currency == 10_000
    assert states == {"GREEN", "YELLOW", "RED"}
    assert {key: tokens for key, tokens in paid.items() if key[1] not in ("aggregator", "grid")} == expected


def test_who_cannot_pay_owes_it_and_no_balance_is_negative(community):
    model = community(
        scenario=LABORATORY, start=MORNING, intervals=4, initial_tokens=200, minimum_tokens=0, record=False
    ).run()
    accounts = model.community.cast.accounts
    debts = completed(model.community.ground.ledger.receivables(list(accounts)))
    owed = {accounts[account]: tokens for account, tokens in debts.items()}
    held = balances(model)
    assert min(held.values()) == 0
    assert max(owed.values()) > 0
    assert all(held[site] == 200 + changes(model)[site] + owed[site] for site in ("h001", "h002"))


def test_a_site_below_the_minimum_balance_does_not_trade(community):
    model = community(
        scenario=LABORATORY, start=MORNING, intervals=4, initial_tokens=900, minimum_tokens=1000, record=False
    ).run()
    tables = model.tables()
    assert tables.market["players"].tolist() == [0, 0, 0, 0]
    assert balances(model)["h001"] == 900


def test_hourly_settlement_moves_the_sum_of_four_intervals(community):
    each, hourly = (
        entries_by_start(
            community(scenario=LABORATORY, start=MORNING, intervals=8, settlement=settlement, record=False)
            .run()
            .tables()
        )
        for settlement in ("interval", "hourly")
    )
    sums: dict[int, dict[str, int]] = {}
    for start_s, changes in each.items():
        hour = sums.setdefault(start_s // 3600 * 3600, {})
        for account, tokens in changes.items():
            hour[account] = hour.get(account, 0) + tokens
    assert hourly == sums
    assert len(hourly) == 2
