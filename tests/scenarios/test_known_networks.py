"""A community on a network that engineers know, end to end."""

import asyncio

import pytest


@pytest.mark.parametrize(
    ("network", "rated_v", "low_pu", "high_pu"),
    [("ieee-european-lv", 416, 1.0, 1.06), ("cigre-lv-residential", 400, 0.95, 1.01)],
)
def test_a_community_lives_on_a_known_network(community, network, rated_v, low_pu, high_pu):
    model = community(sites=8, intervals=4, grid__network=network, grid__sites_per_feeder=5)
    tables = model.run().tables()
    feeders = [each.network for each in model.world.feeders]
    assert [len(each.sites) for each in feeders] == [5, 3]
    assert {each.low_voltage_v for each in feeders} == {rated_v}
    assert list(tables.market["lem_state"]) == ["SOLVED"] * 8
    assert low_pu < min(tables.grid["voltage_min_pu"]) < max(tables.grid["voltage_max_pu"]) < high_pu


def test_a_compensator_measures_volts_of_the_networks_own_rating(community):
    model = community(sites=3, intervals=2, grid__network="ieee-european-lv")
    model.run()
    (unit,) = model.world.compensators("segment-001")
    status, *_ = asyncio.run(unit.percepts())
    assert all(240 < volts < 256 for volts in status.voltage_v)
