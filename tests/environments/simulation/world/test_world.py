"""The world as a whole: energy is conserved, a seed reproduces it, its tables tell it."""

import numpy as np
import pytest
from street import population
from world_helpers import DEVICES, SUMMER, WINTER, bare_site, full_site, run, tell, world

from environments.simulation.world import FeederSettings, PvSettings, WorldSettings, problems
from environments.simulation.world.world import Site, World
from ontology.errors import InvalidInput

EVERYTHING = {"pv": 0.7, "battery": 0.5, "ev": 0.5, "heat_pump": 0.5, "hot_water": 0.5}


def village(start_s: int = SUMMER, sites: int = 70, **changes: object) -> World:
    return World(WorldSettings(start_s=start_s, sites=tuple(population(EVERYTHING, sites, 5)), **changes))  # type: ignore[arg-type]


def test_every_meter_is_the_sum_of_its_devices_in_every_interval() -> None:
    table = run(village())
    devices = sum(table[f"{name}_wh"] for name in DEVICES)
    assert np.array_equal(table["consumed_wh"] - table["produced_wh"], devices)
    assert (table["consumed_wh"] * table["produced_wh"] == 0).all()
    assert table["consumed_wh"].sum() > 0 < table["produced_wh"].sum()


def test_the_flow_into_a_feeder_is_its_meters_and_its_losses() -> None:
    model = village(WINTER)
    sites, grid = run(model, 24), model.grid_table()
    net_w = (sites["consumed_wh"] - sites["produced_wh"]).reshape(24, 70) * 4
    for number, feeder in enumerate(model.feeders):
        members = [model.site_index(name) for name in feeder.segment.players]
        of_feeder = grid["segment"] == feeder.segment_id
        meters_w = net_w[:, members].sum(axis=1)
        assert len(members) == (60, 10)[number]
        assert grid["import_w"][of_feeder] == pytest.approx(meters_w + grid["losses_w"][of_feeder], abs=1e-3)
    assert (grid["losses_w"] > 0).all()


def test_no_watt_hour_is_lost_below_one() -> None:
    model = world(bare_site(annual_kwh=10.0), full_site("h002"))
    drawn_wh = np.zeros((len(DEVICES), 2))
    for _ in range(96):
        model.step()
        drawn_wh += model.power_w / 4
    table = model.site_table()
    counted = np.array([[table[f"{name}_wh"][site::2].sum() for site in (0, 1)] for name in DEVICES])
    assert np.abs(counted - drawn_wh).max() <= 0.5 + 1e-6


@pytest.mark.parametrize("step_s", [20, 300])
def test_meters_of_a_fast_world_count_imports_and_exports_apart(step_s: int) -> None:
    model = world(full_site(), step_s=step_s)
    for _ in range(32):
        model.step_interval()
    table = model.site_table()
    devices = sum(table[f"{name}_wh"] for name in DEVICES)
    assert np.array_equal(table["consumed_wh"] - table["produced_wh"], devices)
    assert ((table["consumed_wh"] > 0) & (table["produced_wh"] > 0)).any()
    assert table["consumed_wh"].min() >= 0 <= table["produced_wh"].min()


def test_a_finer_step_tells_the_same_day() -> None:
    coarse = run(world(bare_site(pv=PvSettings(kwp=6.0))), 40)
    fine = run(world(bare_site(pv=PvSettings(kwp=6.0)), step_s=180), 40)
    assert np.abs(coarse["base_wh"] - fine["base_wh"]).max() <= 1
    assert np.abs(coarse["pv_wh"] - fine["pv_wh"]).max() <= 1


def tables(model: World) -> list[np.ndarray]:
    return [*model.site_table().values(), *model.grid_table().values()]


def test_a_seed_and_the_same_instructions_give_the_same_world_bit_by_bit() -> None:
    first, second = world(), world()
    for model in (first, second):
        for _ in range(96):
            tell(model, "bess", setpoint_w=1_500)
            model.step()
    for one, other in zip(tables(first), tables(second), strict=True):
        assert one.tobytes() == other.tobytes()


def test_another_seed_gives_another_day() -> None:
    one, other = run(world(seed=1), 8), run(world(seed=2), 8)
    assert not np.array_equal(one["base_wh"], other["base_wh"])


def test_more_neighbours_do_not_change_a_home() -> None:
    alone = run(world(full_site()))
    among = run(world(full_site(), full_site("h002"), bare_site("h003")))
    for name in (*(f"{each}_wh" for each in DEVICES), "state_of_charge", "indoor_degc", "tank_degc"):
        assert np.array_equal(alone[name], among[name][::3], equal_nan=True), name


def test_summer_and_winter_differ_as_they_do() -> None:
    summer, winter = run(village(SUMMER)), run(village(WINTER))
    assert -summer["pv_wh"].sum() > 1.5 * -winter["pv_wh"].sum()
    assert winter["heat_pump_wh"].sum() > 5 * summer["heat_pump_wh"].sum()


def test_a_small_transformer_is_loaded_more() -> None:
    weak = village(sites=20, feeder=FeederSettings(transformer_va=50_000))
    strong = village(sites=20)
    run(weak, 4)
    run(strong, 4)
    assert weak.feeders[0].rated_va == 50_000
    assert (weak.grid_table()["transformer_loading"] > strong.grid_table()["transformer_loading"]).all()


def test_tables_can_be_read_from_an_interval_on() -> None:
    model = world()
    run(model, 4)
    later = model.site_table(from_s=model.now_s - 900)
    assert later["start_s"].tolist() == [model.now_s - 900]
    assert len(model.grid_table(from_s=model.now_s - 1_800)["segment"]) == 2


def test_tables_before_the_first_interval_are_empty() -> None:
    model = world()
    assert len(model.site_table()["start_s"]) == len(model.grid_table()["loading"]) == 0


def test_mesa_sees_sites_and_collects_when_asked() -> None:
    model = world(full_site(), bare_site("h002"), collect=True)
    model.step()
    assert model.steps == 1
    assert len(model.agents_by_type[Site]) == 2
    assert model.datacollector is not None
    collected = model.datacollector.get_model_vars_dataframe()
    assert collected["power_w"].iloc[0] == pytest.approx(sum(site.power_w for site in model.sites))


def test_sites_know_their_feeder() -> None:
    model = village()
    assert model.feeder_of("h061").segment_id == "segment-002"
    with pytest.raises(InvalidInput):
        model.feeder_of("nobody")


def test_everything_wrong_with_a_world_is_told_at_once() -> None:
    sites = (full_site("a", pv=PvSettings(kwp=-5)), bare_site("a", zone="Mars/Olympus"))
    settings = WorldSettings(start_s=17, step_s=7, weather_year=16, sites=sites)
    assert {each.path for each in problems(settings)} == {
        "start_s",
        "step_s",
        "weather_year",
        "sites[0].pv.kwp",
        "sites[1].id",
        "sites[1].zone",
    }
    with pytest.raises(InvalidInput) as caught:
        World(settings)
    assert len(caught.value.problems) == 6


def test_where_units_trip_the_frequency_drops_or_jumps_and_comes_back() -> None:
    model = world(bare_site(), step_s=10, frequency_events_a_day=48)
    trace = []
    for _ in range(2_000):
        model.step()
        trace.append(model.frequency_hz)
    off = np.abs(np.array(trace) - 50)
    assert off.max() > 0.1
    assert np.median(off) < 0.05
    assert off.max() <= 0.5


def test_the_frequency_wanders_around_fifty_hertz() -> None:
    model = world(bare_site(), step_s=10)
    trace = []
    for _ in range(720):
        model.step()
        trace.append(model.frequency_hz)
    assert abs(np.mean(trace) - 50) < 0.03
    assert 0.005 < np.std(trace) < 0.05
    assert np.abs(np.diff(trace)).max() < 0.03
