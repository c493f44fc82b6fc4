"""Weather, sun and households against the data that they are made of."""

import numpy as np
import pytest
from world_helpers import SUMMER, WINTER, epoch

from environments.simulation.world import Weather
from environments.simulation.world.households import Household, Households, profile_day
from environments.simulation.world.photovoltaics import Plants
from environments.simulation.world.weather import reference_year
from ontology.errors import InvalidInput


@pytest.fixture(scope="module")
def weather() -> Weather:
    return Weather(4, 1)


def test_a_reference_year_knows_where_it_was_measured() -> None:
    year = reference_year(13)
    assert year.place == "Muehldorf"
    assert (year.latitude, year.longitude) == (pytest.approx(48.28, abs=0.01), 12.5)
    assert 7 < year.outdoor_degc.mean() < 11


@pytest.mark.parametrize("number", [0, 16])
def test_there_are_fifteen_reference_years(number: int) -> None:
    with pytest.raises(InvalidInput, match="1 to 15"):
        Weather(number, 1)


def test_the_sun_of_a_month_is_that_of_the_reference_year(weather: Weather) -> None:
    june = epoch("2023-06-01")
    days = [june + day * 86_400 for day in range(30)]
    sun = sum(weather.sky(day).mean("ghi_w_per_m2", day, 900, 96).sum() / 4 for day in days)
    first = (31 + 28 + 31 + 30 + 31) * 24
    assert sun == pytest.approx(weather.reference.ghi_w_per_m2[first : first + 720].sum(), rel=0.03)


def test_nights_are_dark_and_beam_and_diffuse_make_up_the_whole(weather: Weather) -> None:
    for day in (SUMMER, WINTER):
        sky = weather.sky(day)
        height = np.cos(np.radians(sky.zenith_deg))
        assert (sky.ghi_w_per_m2[height < 0] == 0).all()
        whole = sky.dhi_w_per_m2 + sky.dni_w_per_m2 * np.maximum(height, 0)
        assert whole == pytest.approx(sky.ghi_w_per_m2, abs=1e-6)
        assert sky.dhi_w_per_m2.min() >= 0
        assert sky.dni_w_per_m2.max() <= 1_000


def test_the_leap_day_has_the_weather_of_the_day_before(weather: Weather) -> None:
    leap = weather.sky(epoch("2024-02-29")).outdoor_degc
    before = weather.sky(epoch("2024-02-28")).outdoor_degc
    assert leap[24:-24] == pytest.approx(before[24:-24])


def test_a_forecast_is_the_truth_with_an_error_that_grows() -> None:
    near, far = [], []
    for seed in range(20):
        weather = Weather(4, seed)
        foreseen = np.array(weather.forecast(SUMMER).outdoor_degc)
        truth = weather.sky(SUMMER).mean("outdoor_degc", SUMMER, 900, 96)
        error = foreseen - truth
        near.append(error[:4])
        far.append(error[-16:])
    assert np.std(near) < 0.75 * np.std(far)
    assert 0.5 < np.std(far) < 3.0
    assert abs(np.mean(far)) < 0.6


def test_a_forecast_is_reproducible_has_96_steps_and_dark_nights(weather: Weather) -> None:
    forecast = weather.forecast(SUMMER + 7 * 3_600 + 120)
    assert forecast == Weather(4, 1).forecast(SUMMER + 7 * 3_600 + 120)
    assert forecast.start_s == SUMMER + 7 * 3_600
    assert len(forecast.ghi_w_per_m2) == len(forecast.dni_w_per_m2) == 96
    assert max(forecast.ghi_w_per_m2[68:76]) == 0
    assert forecast.ghi_w_per_m2 != Weather(4, 2).forecast(SUMMER + 7 * 3_600).ghi_w_per_m2


def test_an_observation_is_the_weather_of_an_instant(weather: Weather) -> None:
    seen = weather.observation(SUMMER + 12 * 3_600)
    assert seen.ghi_w_per_m2 > 50
    assert -20 < seen.outdoor_degc < 40


def test_a_plant_makes_what_plants_in_germany_make(weather: Weather) -> None:
    plants = Plants(weather, [1.0, 1.0, 0.0], [35.0, 35.0, 0.0], [180.0, 0.0, 0.0])
    begin = epoch("2023-01-01")
    days = [plants.power_w(begin + day * 86_400, 900, 96).sum(axis=1) / 4_000 for day in range(0, 365, 5)]
    south, north, none = np.sum(days, axis=0) * 5
    assert 900 < south < 1_150
    assert north < 0.75 * south
    assert none == 0


def test_many_homes_together_are_the_standard_profile() -> None:
    homes = [Household(f"h{number:04d}", 3_500, "Europe/Berlin") for number in range(600)]
    demand = Households(3, homes)
    power = np.concatenate([demand.power_w(WINTER + hour * 3_600, 900, 4) for hour in range(48)], axis=1)
    mean = power.mean(axis=0)
    profile = np.concatenate([profile_day("Europe/Berlin", WINTER + day * 86_400) for day in (0, 1)])
    expected = profile * 3_500e3 / 8_760
    assert mean.mean() == pytest.approx(expected.mean(), rel=0.03)
    assert np.corrcoef(mean, expected)[0, 1] > 0.95


def test_one_home_has_peaks_of_kilowatts_and_a_base_load() -> None:
    demand = Households(3, [Household(f"h{number}", 3_500, "Europe/Berlin") for number in range(50)])
    power = np.concatenate([demand.power_w(SUMMER + hour * 3_600, 900, 4) for hour in range(24)], axis=1)
    assert 1_500 < np.median(power.max(axis=1)) < 4_500
    assert power.min() >= 0.3 * 3_500e3 / 8_760 - 1


def test_clocks_that_change_shift_the_profile_by_an_hour() -> None:
    winter = profile_day("Europe/Berlin", epoch("2024-03-28"))
    summer = profile_day("Europe/Berlin", epoch("2024-04-02"))
    morning = slice(12, 36)
    assert abs(int(winter[morning].argmax()) - int(summer[morning].argmax()) - 4) <= 1
