import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from behaviours.decisions.photovoltaics import (
    ClearRatio,
    PvArray,
    generation_w,
    modelled_generation,
    photovoltaic_outlook,
    sun_direction,
)
from ontology.weather import WeatherForecast
from tests.behaviours.decisions.quick import quick

SOUTH_ROOF = PvArray(5_000, tilt_deg=30, azimuth_deg=180, latitude_deg=47.0, longitude_deg=8.5)
MIDSUMMER = 1_718_928_000  # 2024-06-21T00:00Z


def clear_day(start_s=MIDSUMMER, array=SOUTH_ROOF, cloud=1.0, degc=20.0):
    up = np.maximum(sun_direction(array.latitude_deg, array.longitude_deg, start_s, 96, 900)[2], 0)
    ghi = cloud * 1000 * up
    dni = cloud * 850 * (up > 0.05)
    return WeatherForecast(
        zone="z",
        issued_at_s=start_s,
        start_s=start_s,
        outdoor_degc=[degc] * 96,
        ghi_w_per_m2=ghi.tolist(),
        dni_w_per_m2=dni.tolist(),
        dhi_w_per_m2=np.maximum(ghi - dni * up, 0).tolist(),
    )


@pytest.mark.parametrize("latitude", [-34.0, 0.0, 47.0, 65.0])
@pytest.mark.parametrize("day", ["2024-03-20", "2024-06-21", "2025-12-21"])
def test_the_sun_stands_where_pvlib_says(latitude, day):
    pandas = pytest.importorskip("pandas")
    solarposition = pytest.importorskip("pvlib.solarposition")
    start_s = int(pandas.Timestamp(day, tz="UTC").timestamp())
    times = pandas.date_range(day, periods=96, freq="15min", tz="UTC") + pandas.Timedelta("450s")
    reference = solarposition.get_solarposition(times, latitude, 8.5, method="nrel_numpy")
    zenith, azimuth = np.radians(reference["zenith"]), np.radians(reference["azimuth"])
    expected = np.stack((np.sin(zenith) * np.sin(azimuth), np.sin(zenith) * np.cos(azimuth), np.cos(zenith)))
    angle = np.degrees(
        np.arccos(np.clip((sun_direction(latitude, 8.5, start_s, 96, 900) * expected).sum(0), -1, 1))
    )
    assert angle.max() < 0.05


def test_a_day_of_generation_agrees_with_pvlib():
    pandas = pytest.importorskip("pandas")
    pvlib = pytest.importorskip("pvlib")
    weather = clear_day()
    times = pandas.date_range("2024-06-21", periods=96, freq="15min", tz="UTC") + pandas.Timedelta("450s")
    sun = pvlib.solarposition.get_solarposition(times, 47.0, 8.5)
    plane = pvlib.irradiance.get_total_irradiance(
        30,
        180,
        sun["zenith"],
        sun["azimuth"],
        np.array(weather.dni_w_per_m2),
        np.array(weather.ghi_w_per_m2),
        np.array(weather.dhi_w_per_m2),
        albedo=0.2,
    )["poa_global"].fillna(0)
    cell = pvlib.temperature.faiman(plane, 20.0, 1.0)
    expected_wh = 0.86 * pvlib.pvsystem.pvwatts_dc(plane, cell, 5_000, -0.0037).sum() / 4
    assert generation_w(SOUTH_ROOF, weather, MIDSUMMER).sum() / 4 == pytest.approx(expected_wh, rel=0.03)


def test_a_clear_summer_day_yields_what_one_expects_of_a_roof():
    generated_kwh = generation_w(SOUTH_ROOF, clear_day(), MIDSUMMER).sum() / 4000
    assert 27 < generated_kwh < 40


def test_the_night_is_exactly_dark():
    outlook = photovoltaic_outlook(SOUTH_ROOF, clear_day(), MIDSUMMER, ratio=ClearRatio(2.0, 1.0))
    night = sun_direction(47.0, 8.5, MIDSUMMER, 96, 900)[2] <= 0
    assert night.sum() > 25
    for series in outlook:
        assert not series[night].any()


def test_a_west_roof_produces_later_than_an_east_roof():
    def centre(azimuth):
        power = generation_w(PvArray(5_000, 30, azimuth, 47.0, 8.5), clear_day(), MIDSUMMER)
        return (power * np.arange(96)).sum() / power.sum()

    assert centre(270) > centre(90) + 8


def test_heat_costs_power_and_the_inverter_caps_it():
    assert (
        generation_w(SOUTH_ROOF, clear_day(degc=35), MIDSUMMER).sum()
        < generation_w(SOUTH_ROOF, clear_day(degc=5), MIDSUMMER).sum()
    )
    small = PvArray(5_000, 30, 180, 47.0, 8.5, inverter_w=3_000)
    assert generation_w(small, clear_day(), MIDSUMMER).max() == 3_000


def test_a_shaded_morning_lowers_the_next_hours_and_not_the_evening():
    ratio = ClearRatio()
    for _ in range(8):
        ratio = ratio.after(500.0, 1000.0)
    noon = MIDSUMMER + 10 * 3600
    plain = photovoltaic_outlook(SOUTH_ROOF, clear_day(), noon)
    shaded = photovoltaic_outlook(SOUTH_ROOF, clear_day(), noon, ratio=ratio)
    assert shaded.power_w[0] == pytest.approx(plain.power_w[0] * 0.5, rel=0.02)
    assert shaded.power_w[6] == pytest.approx(plain.power_w[6] * (1 - 0.5 * np.exp(-1)), rel=0.02)
    assert shaded.power_w[32] == pytest.approx(plain.power_w[32], rel=0.02)


def test_a_plant_at_fault_is_expected_to_give_its_share_all_day():
    healthy = photovoltaic_outlook(SOUTH_ROOF, clear_day(), MIDSUMMER)
    ill = photovoltaic_outlook(SOUTH_ROOF, clear_day(), MIDSUMMER, performance=0.5)
    assert ill.power_w.sum() == pytest.approx(0.5 * healthy.power_w.sum(), rel=0.01)


def test_the_sky_is_told_by_its_clearness_and_hardly_any_power_is_dim():
    clear = modelled_generation(SOUTH_ROOF, clear_day(), MIDSUMMER)
    overcast = modelled_generation(SOUTH_ROOF, clear_day(cloud=0.2), MIDSUMMER)
    assert (clear.sky[48], overcast.sky[48], clear.sky[0]) == (3, 1, 0)


def test_a_weather_forecast_may_come_by_the_hour():
    quarters = clear_day()
    hourly = {
        name: np.reshape(getattr(quarters, name), (24, 4)).mean(axis=1).tolist()
        for name in ("outdoor_degc", "ghi_w_per_m2", "dni_w_per_m2", "dhi_w_per_m2")
    }
    by_the_hour = msgspec.structs.replace(quarters, step_s=3600, **hourly)
    one, other = (generation_w(SOUTH_ROOF, each, MIDSUMMER) for each in (quarters, by_the_hour))
    assert other.sum() == pytest.approx(one.sum(), rel=0.01)
    np.testing.assert_allclose(other[24:80], one[24:80], atol=0.08 * 5_000)


def test_wind_cools_modules():
    calm = clear_day(degc=30)
    windy = msgspec.structs.replace(calm, wind_m_per_s=[8.0] * 96)
    assert generation_w(SOUTH_ROOF, windy, MIDSUMMER).sum() > generation_w(SOUTH_ROOF, calm, MIDSUMMER).sum()


def test_the_ratio_learns_by_day_and_stays_within_bounds():
    assert ClearRatio().value == 1.0
    assert ClearRatio().after(0.0, 0.0) == ClearRatio()
    assert ClearRatio().after(0.0, 100.0).value == 0.2
    assert ClearRatio().after(900.0, 100.0).value == 2.0


@quick
@given(
    st.floats(0, 60),
    st.floats(0, 359),
    st.floats(-60, 60),
    st.integers(0, 365),
    st.floats(0, 1.2),
    st.floats(0, 3),
)
def test_generation_is_never_negative_and_quantiles_enclose_it(tilt, azimuth, latitude, day, cloud, measured):
    array = PvArray(5_000, tilt, azimuth, latitude, 8.5)
    start_s = MIDSUMMER + day * 86_400
    ratio = ClearRatio().after(measured, 1.0)
    outlook = photovoltaic_outlook(array, clear_day(start_s, array, cloud), start_s, ratio=ratio)
    assert (outlook.low_w >= -5_000).all()
    assert (outlook.low_w <= outlook.power_w).all()
    assert (outlook.power_w <= outlook.high_w).all()
    assert (outlook.high_w <= 0).all()
