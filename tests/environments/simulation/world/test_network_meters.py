"""What the DSO has measured in the simulated network: where, how exactly, how often."""

import numpy as np
import pytest

from environments.simulation.world import World
from environments.simulation.world.settings import (
    FeederSettings,
    MonitoringSettings,
    PvSettings,
    SiteSettings,
    WorldSettings,
)
from launch.results import completed
from ontology.errors import InvalidInput

START_S = 1_714_636_800

ONE_FEEDER = FeederSettings()


def street(sites: int = 8, *, step_s: int = 60, seed: int = 1, feeder=ONE_FEEDER, **monitoring) -> World:
    return World(
        WorldSettings(
            start_s=START_S,
            sites=tuple(
                SiteSettings(id=f"h{i}", pv=PvSettings(kwp=3 + i) if i % 2 else None) for i in range(sites)
            ),
            step_s=step_s,
            seed=seed,
            feeder=feeder,
            monitoring=MonitoringSettings(**monitoring),
        )
    )


def measured(world: World, since_s: int = 0):
    return completed(world.network_meters.measurements(since_s))


def test_without_a_monitoring_system_nothing_is_measured():
    world = World(WorldSettings(start_s=START_S, sites=(SiteSettings(id="h0"),)))
    world.step_interval()
    assert world.network_meters is None


def test_every_transformer_is_measured_each_minute():
    world = street(8, feeder=FeederSettings(sites_max=4))
    world.step_interval()
    found = measured(world)
    assert len(found) == 2 * 15
    assert {each.node_id for each in found} == {"segment-001-busbar", "segment-002-busbar"}
    assert sorted({each.time_s for each in found}) == list(range(START_S + 60, START_S + 960, 60))


def test_a_meter_without_error_says_what_flows():
    world = street(voltage_error=0.0, power_error=0.0)
    world.step()
    (found,), flow = measured(world), world.solve_now()[0]
    assert found.power_w == [round(each) for each in flow.busbar_w[-1].tolist()]
    assert found.voltage_v == pytest.approx(np.abs(flow.phasors_v(1)[-1]).tolist(), abs=0.01)
    assert found.current_a == pytest.approx(flow.busbar_current_a()[-1].tolist(), abs=0.02)


def test_a_smart_meter_says_what_its_site_draws():
    world = street(transformer=False, share_of_sites=1.0, voltage_error=0.0, power_error=0.0)
    world.step()
    by_node = {each.node_id: each for each in measured(world)}
    assert len(by_node) == 8
    for index in range(8):
        drawn_w = sum(by_node[f"segment-001-h{index}"].power_w)
        assert drawn_w == pytest.approx(world.power_w[:, index].sum(), abs=3)


def test_sites_that_share_a_node_are_measured_together():
    world = street(
        8,
        feeder=FeederSettings(network="cigre-lv-residential"),
        transformer=False,
        share_of_sites=1.0,
        power_error=0.0,
    )
    world.step()
    found = measured(world)
    assert len(found) == len(set(world.grid.networks[0].site_node.tolist())) < 8
    assert sum(sum(each.power_w) for each in found) == pytest.approx(world.power_w.sum(), abs=12)


def test_errors_have_the_size_of_the_meters_class():
    world = street(voltage_error=0.01, power_error=0.05)
    relative_w, relative_v = [], []
    for _ in range(200):
        world.step()
        flow = world.solve_now()[0]
        found = measured(world, world.now_s)[0]
        relative_w += (np.array(found.power_w) / flow.busbar_w[-1] - 1).tolist()
        relative_v += (np.array(found.voltage_v) / np.abs(flow.phasors_v(1)[-1]) - 1).tolist()
    assert np.std(relative_w) == pytest.approx(0.05, rel=0.15)
    assert np.std(relative_v) == pytest.approx(0.01, rel=0.15)


def test_some_readings_do_not_come():
    world = street(missing=0.5)
    for _ in range(200):
        world.step()
    assert 70 < len(measured(world)) < 130


def test_what_is_new_since_a_time_comes_in_its_order():
    world = street(share_of_sites=0.5)
    for _ in range(10):
        world.step()
    found = measured(world, START_S + 480)
    assert [each.time_s for each in found] == sorted(each.time_s for each in found)
    assert {each.time_s for each in found} == {START_S + 480, START_S + 540, START_S + 600}


def test_a_seed_measures_alike_and_another_otherwise():
    def once(seed):
        world = street(seed=seed, share_of_sites=0.5, missing=0.2)
        world.step_interval()
        return measured(world)

    assert once(1) == once(1)
    assert once(1) != once(2)


def test_steps_of_a_quarter_of_an_hour_are_measured_as_such():
    world = street(step_s=900)
    world.step()
    world.step()
    assert [each.time_s for each in measured(world)] == [START_S + 900, START_S + 1_800]


def test_all_that_is_wrong_with_the_meters_is_said_at_once():
    with pytest.raises(InvalidInput) as error:
        street(share_of_sites=1.5, missing=-1, period_s=7)
    assert {each.path for each in error.value.problems} == {
        "monitoring.share_of_sites",
        "monitoring.missing",
        "monitoring.period_s",
    }
