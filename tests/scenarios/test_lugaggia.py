"""YEAR-LIC (SPEC 6, 8): the Lugaggia community, with its agents in control and left to itself."""

from calendar import monthrange
from functools import cache

import numpy as np
import pytest
from scenario_helpers import SCENARIOS

from launch.run_folder import RunResult
from launch.runs import run_offline
from launch.scenario import load_scenario
from launch.summary import summarise

LUGAGGIA = SCENARIOS / "lugaggia.yaml"
COMFORT_K = 1.5


def test_the_community_is_the_one_that_is_reported():
    """18 houses and a kindergarten, 60 kWh, 70 kWp in six plants, ten heat pumps, six boilers."""
    sites = load_scenario(LUGAGGIA).sites
    assert len(sites) == 19
    assert [site.battery.capacity_kwh for site in sites if site.battery] == [60]
    assert [site.pv.kwp for site in sites if site.pv] == [30, 8, 8, 8, 8, 8]
    assert sum(site.heat_pump is not None for site in sites) == 10
    assert sum(site.hot_water is not None for site in sites) == 6


@cache
def lived(start: str, intervals: int, control: bool) -> RunResult:
    settings = {"start": start, "intervals": intervals, "control": control}
    return run_offline(load_scenario(LUGAGGIA, settings))


def self_consumption(start: str, intervals: int, control: bool) -> float:
    return summarise(lived(start, intervals, control)).self_consumption


SPRING_DAY = ("2023-05-16T02:00", 96)


@pytest.mark.slow
@pytest.mark.parametrize(
    "start", ["2023-03-28T02:00", "2023-05-16T02:00", "2023-07-04T02:00", "2023-09-05T02:00"]
)
def test_on_a_day_with_sun_control_keeps_more_of_it_in_the_community(start):
    alone, steered = (self_consumption(start, 96, control) for control in (False, True))
    assert steered >= alone + 0.05


@pytest.mark.slow
def test_left_to_itself_nobody_steers_and_everything_is_metered_and_settled_all_the_same():
    alone = lived(*SPRING_DAY, False)
    assert np.isnan(alone.tables.sites["bess_soc"]).sum() == 18 * 96
    assert np.nanmax(np.abs(alone.tables.sites["bess_w"])) == 0
    assert sum(alone.tables.market["estimated"]) == 0
    assert alone.notes == ()
    rooms = alone.tables.sites["indoor_degc"]
    assert np.nanmin(rooms) > 21.0 - COMFORT_K


@pytest.mark.slow
def test_control_costs_no_comfort():
    rooms = lived(*SPRING_DAY, True).tables.sites["indoor_degc"]
    heated = rooms[~np.isnan(rooms)]
    assert np.mean(heated < 21.0 - COMFORT_K - 0.5) <= 0.01


def month(number: int, control: bool) -> RunResult:
    """Let a month of 2023 pass, from midnight to midnight UTC."""
    days = monthrange(2023, number)[1]
    settings = {"start": f"2023-{number:02d}-01T00:00Z", "intervals": days * 96, "control": control}
    return run_offline(load_scenario(LUGAGGIA, settings))


def kept_of_the_sun(control: bool) -> float:
    """Return the share of a year's photovoltaic energy that did not leave the community, month by month."""
    pv_kwh = exported_kwh = 0.0
    for number in range(1, 13):
        summary = summarise(month(number, control))
        assert summary.estimated == 0
        pv_kwh += summary.pv_kwh
        exported_kwh += summary.exported_kwh
    return 1 - exported_kwh / pv_kwh


@pytest.mark.soak
def test_over_a_year_nine_tenths_of_the_sun_stay_in_the_community_and_a_sixth_more_than_without_control():
    steered, alone = (kept_of_the_sun(control) for control in (True, False))
    assert steered >= 0.90
    assert steered >= alone + 0.1
