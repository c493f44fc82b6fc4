"""What is sold outside the community is delivered, settled once, and paid for where it is not (SPEC 2.6)."""

from itertools import pairwise

import pytest

from behaviours.market.external_bidding import ExternalDelivering
from launch.offline import OfflineCommunity
from launch.scenario import InvalidScenario, scenario_of

STREET = {
    "start": "2024-02-13",
    "zone": "Europe/Berlin",
    "seed": 5,
    "population": {"sites": 16},
    "plants_for": ["external"],
    "record": False,
}
BATTERIES = {
    "start": "2024-05-02",
    "zone": "Europe/Berlin",
    "seed": 3,
    "step_s": 10,
    "record": False,
    "external_markets": {"products": ["fcr-d-up", "fcr-d-down"]},
    "sites": [
        {"id": "h001", "battery": {"capacity_kwh": 20, "initial_state_of_charge": 0.6}},
        {"id": "h002", "battery": {"capacity_kwh": 10, "initial_state_of_charge": 0.5}},
    ],
}


def settlements(scenario, intervals, restarts=None):
    """Run some intervals; return the settled sales, of every life of the aggregator, and what was counted."""
    run = OfflineCommunity(scenario_of(scenario | {"intervals": intervals}))
    settled = []
    for interval in range(intervals):
        if name := (restarts or {}).get(interval):
            settled += sales_of(run)
            run.loop.call_soon(run.community.kill, f"{name}@localhost")
            run.loop.call_soon(run.community.restart, f"{name}@localhost")
        run.step()
    run.settle()
    counts = run.community.counts()
    found = sales_of(run)
    settled += [each for each in found if each not in settled]
    run.close()
    return settled, counts


def sales_of(run):
    return list(run.community.agents["aggregator@localhost"].behaviour(ExternalDelivering).settlements)


@pytest.mark.slow
def test_energy_that_was_sold_is_delivered_by_plants():
    sold, counts = settlements(STREET, 14)
    assert len(sold) >= 4
    assert sum(each.delivered_wh for each in sold) == pytest.approx(
        sum(each.ordered_wh for each in sold), rel=0.1
    )
    assert sum(each.energy_ticks for each in sold) > 5 * sum(each.imbalance_ticks for each in sold)
    assert counts.get("errors", 0) == 0


@pytest.mark.slow
def test_a_called_reserve_is_delivered_by_plants_too():
    sold, _ = settlements(STREET | {"external_markets": {"products": ["mfrr"]}}, 20)
    called = [each for each in sold if each.ordered_wh]
    assert called
    assert sum(each.delivered_wh for each in called) == pytest.approx(
        sum(each.ordered_wh for each in called), rel=0.1
    )
    assert all(each.capacity_ticks > 0 for each in sold)


@pytest.mark.parametrize("name", ["aggregator", "external-markets"])
def test_whoever_is_restarted_each_sale_is_settled_once(name):
    sold, counts = settlements(STREET, 14, {7: name, 10: name})
    ids = [each.bid_id for each in sold]
    assert len(ids) >= 4
    assert len(ids) == len(set(ids)) == counts["sales settled"]
    starts = sorted(each.start_s for each in sold)
    assert all(later > earlier for earlier, later in pairwise(starts))


def test_batteries_follow_the_frequency_for_a_reserve_that_was_sold():
    sold, counts = settlements(BATTERIES, 24)
    called = [each for each in sold if each.ordered_wh]
    assert len(called) >= 2
    for each in called:
        assert each.delivered_wh == pytest.approx(each.ordered_wh, abs=max(10, 0.1 * abs(each.ordered_wh)))
    assert all(each.capacity_ticks > 0 for each in sold)
    assert counts["instructions refused"] == 0


def test_without_plants_no_energy_is_sold_that_nobody_would_deliver():
    sold, counts = settlements(STREET | {"plants_for": []}, 10)
    assert sold == []
    assert counts.get("bids accepted", 0) == 0


def test_frequency_reserve_needs_a_world_that_steps_by_the_minute():
    with pytest.raises(InvalidScenario, match="step_s"):
        scenario_of(BATTERIES | {"step_s": 300, "intervals": 1})
