"""Heat in a community: people who interfere, lights under a limit, and what a building teaches."""

import numpy as np
import pytest

from behaviours.site.building_learning import BuildingLearning
from behaviours.site.comfort_keeping import ComfortKeeping
from behaviours.vpp.membership import VppMembership
from launch.model import CommunityModel
from launch.scenario import parse_scenario

HOME = """
start: 2024-01-10T07:00
zone: Europe/Berlin
intervals: {intervals}
step_s: {step_s}
record: false
sites:
  - id: home
    pv: {{kwp: 6}}
    heat_pump: {{overrides_a_week: {overrides}, minimum_share: 0.3, sensor_noise_k: 0.1}}
    hot_water: {{}}
    lighting: {{power_kw: 1, from_hour: 0, to_hour: 24}}
"""


def home(intervals, overrides=0, step_s=900):
    text = HOME.format(intervals=intervals, overrides=overrides, step_s=step_s)
    return CommunityModel(parse_scenario(text, {}))


def behaviour(model, name, kind):
    return model.community.agents[f"home-{name}@localhost"].behaviour(kind)


@pytest.fixture(scope="module")
def restless():
    return home(48, overrides=100).run()


def test_people_who_interfere_are_obeyed_learnt_from_and_make_the_site_less_reliable(restless):
    wishes = behaviour(restless, "p2h", ComfortKeeping)._wishes_degc
    assert len(wishes) >= 3
    model = behaviour(restless, "p2h", ComfortKeeping).building()
    assert (model.temperature_min_degc, model.temperature_max_degc) == (
        np.median(wishes) - 1,
        np.median(wishes) + 1,
    )
    assert behaviour(restless, "prosumer", VppMembership).reliability < 0.9


def test_a_site_without_interference_stays_reliable_and_warm():
    model = home(24).run()
    assert behaviour(model, "prosumer", VppMembership).reliability == 1.0
    sites = model.tables().sites
    assert sites["indoor_degc"].min() >= 19.5
    assert (sites["lighting_w"] == 1_000).all()


def test_by_the_minute_the_manager_steers_a_compressor_that_never_cycles_fast():
    model = home(20, step_s=60)
    world, running = model.community.world, []
    step = world.step

    def noted():
        step()
        running.append(bool(world.power_w[4, 0] > 0))

    world.step = noted
    model.run()
    changes = np.flatnonzero(np.diff(np.array(running, dtype=int)))
    assert len(changes) > 2
    assert np.diff(changes).min() >= 10


@pytest.mark.slow
def test_two_weeks_teach_a_manager_the_house_that_its_installer_mistook():
    model = home(14 * 96)
    model.step()
    learning = behaviour(model, "p2h", BuildingLearning)
    truth = learning.settings.building
    learning.model = type(truth)(
        **{name: getattr(truth, name) for name in truth.__struct_fields__}
        | {"resistance_k_per_w": 0.6 * truth.resistance_k_per_w, "capacity_j_per_k": 6e7}
    )
    model.run()
    assert learning.relearnt >= 1
    assert learning.model.resistance_k_per_w == pytest.approx(truth.resistance_k_per_w, rel=0.15)
    assert learning.model.capacity_j_per_k == pytest.approx(truth.capacity_j_per_k, rel=0.15)
