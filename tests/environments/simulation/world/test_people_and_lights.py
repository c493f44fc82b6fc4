from itertools import groupby

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from world_helpers import SUMMER, WINTER, bare_site, device, percepts, run, tell, world

from environments.simulation.world import HeatPumpSettings, LightingSettings, WorldSettings, problems
from ontology.control import InstructionState, Priority, UserOverride
from ontology.storage import ThermalModel, ThermalStatus

OFFICE = LightingSettings(power_w=1_000, minimum_share=0.4, from_hour=8, to_hour=18)
RESTLESS = HeatPumpSettings(overrides_a_week=40)


# -- lights ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("start_s", "utc_hour"), [(WINTER, 7), (SUMMER, 6)], ids=["winter", "summer"])
def test_lights_are_on_while_somebody_is_there_by_the_clocks_of_the_place(start_s, utc_hour):
    lit = run(world(bare_site(lighting=OFFICE), start_s=start_s))["lighting_wh"]
    first = utc_hour * 4
    assert lit.tolist() == [0] * first + [250] * 40 + [0] * (56 - first)


def test_lights_dim_as_told_but_never_below_what_one_can_work_at():
    model = world(bare_site(lighting=OFFICE), start_s=WINTER + 8 * 3_600)
    assert tell(model, "lighting", setpoint_w=700) is InstructionState.STARTED
    model.step()
    tell(model, "lighting", setpoint_w=0)
    model.step()
    tell(model, "lighting", power_max_w=100, priority=Priority.DSO_RED)
    model.step()
    assert model.site_table()["lighting_wh"].tolist() == [175, 100, 100]


def test_lights_can_be_switched_on_when_nobody_is_expected_and_tell_what_they_draw():
    model = world(bare_site(lighting=OFFICE), start_s=WINTER)
    tell(model, "lighting", setpoint_w=900)
    model.step()
    (report,) = percepts(model, "lighting")
    assert (report.subject, report.value) == ("h001-lighting", 900)


def test_lights_count_at_the_meter():
    lit, dark = (run(world(bare_site(lighting=each), start_s=WINTER)) for each in (OFFICE, None))
    assert (lit["consumed_wh"] - dark["consumed_wh"]).sum() == 10_000


# -- people ----------------------------------------------------------------------------------------


def overrides_of(model):
    return [each for each in percepts(model, "heat_pump") if isinstance(each, UserOverride)]


def test_nobody_turns_a_thermostat_unless_the_scenario_says_so():
    model = world(bare_site(heat_pump=HeatPumpSettings()), start_s=WINTER)
    run(model)
    assert not overrides_of(model)


def test_people_turn_thermostats_when_they_are_awake_and_say_so_once():
    model = world(bare_site(heat_pump=RESTLESS), start_s=WINTER)
    seen = []
    for _ in range(96 * 3):
        model.step()
        seen += overrides_of(model)
        assert overrides_of(model) == overrides_of(model)
    assert 8 < len(seen) < 30
    assert len({each.time_s for each in seen}) == len(seen)
    hours = [(each.time_s - WINTER) / 3600 % 24 + 1 for each in seen]
    assert 7 <= min(hours) <= max(hours) <= 22


def test_what_was_turned_by_hand_holds_against_plans_for_two_hours():
    model = world(bare_site(heat_pump=RESTLESS), start_s=WINTER)
    while not overrides_of(model):
        model.step()
    assert tell(model, "heat_pump", setpoint_w=0, priority=Priority.MARKET) is InstructionState.REJECTED
    assert tell(model, "heat_pump", setpoint_w=0, priority=Priority.CONTRACT) is InstructionState.STARTED


def test_the_same_people_are_drawn_for_the_same_seed():
    one, again, other = (
        world(bare_site(heat_pump=RESTLESS), start_s=WINTER, seed=seed) for seed in (1, 1, 2)
    )
    days = [each.occupants._draw(0, WINTER // 86_400 + 1) for each in (one, again, other)]
    assert days[0] == days[1] != days[2]


# -- compressors and thermometers ------------------------------------------------------------------


@settings(deadline=None, max_examples=12)
@given(
    orders=st.lists(st.tuples(st.integers(0, 3_000), st.integers(1, 20)), min_size=5, max_size=25),
    share=st.sampled_from([0.3, 1.0]),
    seed=st.integers(0, 50),
)
def test_a_compressor_protects_itself_from_short_runs_and_rests(orders, share, seed):
    heat_pump = HeatPumpSettings(minimum_share=share, overrides_a_week=60, capacity_j_per_k=5e6)
    model = world(bare_site(heat_pump=heat_pump), start_s=WINTER + 8 * 3_600, step_s=60, seed=seed)
    powers = []
    for setpoint_w, minutes in orders:
        tell(model, "heat_pump", setpoint_w=setpoint_w, seconds=60 * minutes)
        for _ in range(minutes):
            model.step()
            powers.append(float(model.power_w[4, 0]))
    spells = [len(list(each)) for _, each in groupby(power > 0 for power in powers)][1:-1]
    assert all(minutes >= 10 for minutes in spells)
    assert all(power == 0 or power >= share * 3_000 - 1 for power in powers)


def test_a_thermometer_errs_as_much_as_the_scenario_says():
    noisy = HeatPumpSettings(sensor_noise_k=0.2)
    model = world(bare_site(heat_pump=noisy), start_s=WINTER)
    errors = []
    for _ in range(96):
        model.step()
        (status,) = percepts(model, "heat_pump")
        assert isinstance(status, ThermalStatus)
        assert percepts(model, "heat_pump") == [status]
        errors.append(status.temperature_degc - float(model.buildings.room_degc[0]))
    assert np.std(errors) == pytest.approx(0.2, rel=0.3)


def test_a_heat_pump_gives_its_cop_by_the_weather_and_the_gains_of_its_house():
    model = device(world(bare_site(heat_pump=HeatPumpSettings()), start_s=WINTER), "heat_pump").describe()
    assert isinstance(model, ThermalModel)
    assert model.cop_points[0] < model.cop < model.cop_points[-1]
    assert (model.solar_aperture_m2, model.internal_gain_w) == (2.5, 350.0)


def test_all_that_is_wrong_with_lights_is_said_at_once():
    lights = LightingSettings(power_w=0, minimum_share=1.5, from_hour=20, to_hour=8)
    found = problems(WorldSettings(start_s=WINTER, sites=(bare_site(lighting=lights),)))
    assert [each.path for each in found] == [
        "sites[0].lighting.power_w",
        "sites[0].lighting.minimum_share",
        "sites[0].lighting.to_hour",
    ]
