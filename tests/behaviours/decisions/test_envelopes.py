import math
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from behaviours.decisions.envelopes import (
    battery_envelope,
    building_envelope,
    photovoltaic_envelope,
    pinned,
    tank_envelope,
    vehicle_envelope,
)
from ontology.charging import EvSocUpdate, EvUserInput
from ontology.storage import StorageModel, StorageStatus, ThermalModel, ThermalStatus
from ontology.weather import WeatherForecast
from tests.behaviours.decisions.quick import quick

START = 900 * 1000

BATTERY = StorageModel(
    asset_id="bess",
    capacity_wh=10_000,
    fill_min_wh=500,
    fill_max_wh=9_500,
    charge_max_w=5_000,
    discharge_max_w=4_000,
    charge_efficiency=0.95,
    discharge_efficiency=0.9,
    leakage_w=0,
)
BUILDING = ThermalModel(
    asset_id="heat_pump",
    resistance_k_per_w=0.006,
    capacity_j_per_k=3e7,
    cop=3.0,
    temperature_min_degc=20,
    temperature_max_degc=22,
)
TANK = ThermalModel(
    asset_id="dhw",
    resistance_k_per_w=0.5,
    capacity_j_per_k=200 * 4186,
    cop=2.5,
    temperature_min_degc=45,
    temperature_max_degc=58,
)


def battery_status(state_of_charge, state_of_health=1.0):
    return StorageStatus(
        asset_id="bess",
        time_s=START,
        state_of_charge=state_of_charge,
        power_w=0,
        state_of_health=state_of_health,
    )


def thermal_status(temperature_degc, outdoor_degc=5.0):
    return ThermalStatus(
        asset_id="x", time_s=START, temperature_degc=temperature_degc, power_w=0, outdoor_degc=outdoor_degc
    )


def weather(outdoor_degc, start_s=START):
    dark = [0.0] * len(outdoor_degc)
    return WeatherForecast(
        zone="z",
        issued_at_s=start_s,
        start_s=start_s,
        outdoor_degc=outdoor_degc,
        ghi_w_per_m2=dark,
        dni_w_per_m2=dark,
        dhi_w_per_m2=dark,
    )


def wish(energy_wh=20_000, departure_s=START + 40 * 900, **other):
    return EvUserInput(
        session_id="s", time_s=START, requested_energy_wh=energy_wh, departure_s=departure_s, **other
    )


def progress(delivered_wh=0, state_of_charge=0.3):
    return EvSocUpdate(
        session_id="s",
        time_s=START,
        state_of_charge=state_of_charge,
        energy_delivered_wh=delivered_wh,
        power_w=0,
    )


def test_a_battery_may_fill_up_and_empty_to_its_reserve():
    envelope = battery_envelope(BATTERY, battery_status(0.5), START, reserve_wh=1_000)
    assert envelope.power_min_w == [-4_000] * 96
    assert envelope.power_max_w == [5_000] * 96
    assert envelope.energy_max_wh[-1] == 4_500
    assert envelope.energy_min_wh[-1] == -3_500
    assert envelope.energy_max_wh[0] == math.ceil(5_000 * 0.95 / 4)
    assert envelope.stored_wh == 5_000


def test_an_aged_battery_holds_less():
    envelope = battery_envelope(BATTERY, battery_status(0.5, state_of_health=0.8), START)
    assert envelope.energy_max_wh[-1] == 4_000


def test_a_battery_below_its_reserve_must_charge_at_full_power_first():
    envelope = battery_envelope(BATTERY, battery_status(0.05), START, reserve_wh=5_000)
    assert envelope.energy_min_wh[0] == math.floor(5_000 * 0.95 / 4)
    assert envelope.energy_min_wh[-1] == 5_000


def test_a_vehicle_charges_between_as_late_and_as_soon_as_possible():
    envelope = vehicle_envelope("ev", wish(), progress(delivered_wh=8_000), 8_000, START)
    assert envelope.energy_max_wh[:7] == [2_000, 4_000, 6_000, 8_000, 10_000, 12_000, 12_000]
    assert envelope.energy_min_wh[33:41] == [0, 2_000, 4_000, 6_000, 8_000, 10_000, 12_000, 12_000]
    assert envelope.power_max_w[39:41] == [8_000, 0]


def test_a_vehicle_that_cannot_get_everything_gets_what_full_power_gives():
    envelope = vehicle_envelope("ev", wish(departure_s=START + 1800), progress(), 8_000, START)
    assert envelope.energy_min_wh == envelope.energy_max_wh == [2_000] + [4_000] * 95


def test_a_vehicle_that_leaves_within_the_interval_charges_until_then():
    envelope = vehicle_envelope("ev", wish(departure_s=START + 600), progress(), 8_000, START)
    assert envelope.power_max_w[:2] == [8_000, 0]


def test_a_vehicle_that_stays_beyond_the_horizon_may_wait():
    envelope = vehicle_envelope("ev", wish(departure_s=START + 200 * 900), progress(), 8_000, START)
    assert set(envelope.energy_min_wh) == {0}


def test_a_vehicle_gives_back_only_down_to_the_drivers_minimum():
    given_back = wish(v2g_allowed=True, minimum_state_of_charge=0.25)
    envelope = vehicle_envelope(
        "ev", given_back, progress(state_of_charge=0.5), 8_000, START, capacity_wh=40_000
    )
    assert envelope.power_min_w[0] == -8_000
    assert min(envelope.energy_min_wh) == -10_000
    assert envelope.energy_min_wh[39] == 20_000
    assert vehicle_envelope("ev", given_back, progress(), 8_000, START).power_min_w[0] == 0


def test_a_building_in_the_middle_of_its_band_may_move_half_a_band_either_way():
    envelope = building_envelope(BUILDING, thermal_status(21), weather([3.0] * 96), 4_000, START)
    holding_w = round((21 - 3) / 0.006 / 3)
    half_wh = 3e7 / 3 / 3600
    assert envelope.preferred_w == [holding_w] * 96
    assert envelope.energy_max_wh[40] == pytest.approx(41 * holding_w / 4 + half_wh, abs=1.5)
    assert envelope.energy_min_wh[40] == pytest.approx(41 * holding_w / 4 - half_wh, abs=1.5)
    assert envelope.energy_min_wh[-1] == pytest.approx(96 * holding_w / 4, abs=1.5)


def test_a_cold_building_heats_at_once_and_a_hot_one_not_at_all():
    cold = building_envelope(BUILDING, thermal_status(18), weather([3.0] * 96), 4_000, START)
    assert cold.energy_min_wh[0] == 1_000
    hot = building_envelope(BUILDING, thermal_status(25), weather([20.0] * 96), 4_000, START)
    assert hot.energy_max_wh[0] == 0


def test_nobody_heats_on_a_warm_day():
    envelope = building_envelope(BUILDING, thermal_status(21), weather([25.0] * 96), 4_000, START)
    assert set(envelope.energy_min_wh) == {0}


@quick
@given(st.lists(st.floats(0, 1), min_size=96, max_size=96), st.floats(-10, 12), st.floats(20, 22))
def test_whoever_keeps_each_new_envelope_keeps_the_building_in_its_band(choices, outdoor_degc, temperature):
    for step, choice in enumerate(choices):
        envelope = building_envelope(
            BUILDING,
            thermal_status(temperature),
            weather([outdoor_degc] * 96),
            5_000,
            START + step * 900,
            steps=8,
        )
        low, high = envelope.energy_min_wh[0], envelope.energy_max_wh[0]
        power_w = 4 * (low + choice * (high - low))
        temperature = warmed(temperature, power_w, outdoor_degc)
        assert 20 - 0.01 <= temperature <= 22 + 0.01


def warmed(temperature, power_w, outdoor_degc):
    rate = 900 / (BUILDING.resistance_k_per_w * BUILDING.capacity_j_per_k)
    target = outdoor_degc + BUILDING.resistance_k_per_w * BUILDING.cop * power_w
    return target + (temperature - target) * math.exp(-rate)


def test_a_tank_provides_what_is_drawn_and_ends_in_the_middle():
    envelope = tank_envelope(TANK, thermal_status(50, 18), 300.0, 2_000, START)
    wh_per_k = 200 * 4186 / 2.5 / 3600
    need_wh = 96 / 4 * (300 + (51.5 - 18) / 0.5) / 2.5
    assert envelope.energy_min_wh[-1] == pytest.approx(need_wh + (51.5 - 50) * wh_per_k, abs=1.5)
    assert envelope.energy_max_wh[-1] == pytest.approx(need_wh + (58 - 50) * wh_per_k, abs=1.5)


def test_a_tank_reaches_sixty_degrees_when_legionella_are_due():
    due = START + 24 * 900
    envelope = tank_envelope(TANK, thermal_status(50, 18), 0.0, 2_000, START, legionella_due_s=due)
    wh_per_k = 200 * 4186 / 2.5 / 3600
    lost_wh = 6 * (51.5 - 18) / 0.5 / 2.5
    assert envelope.energy_min_wh[23] == pytest.approx(10 * wh_per_k + lost_wh, abs=1.5)
    assert envelope.energy_max_wh[23] >= envelope.energy_min_wh[23]


def test_an_overdue_tank_heats_at_once():
    envelope = tank_envelope(TANK, thermal_status(50, 18), 0.0, 2_000, START, legionella_due_s=START - 5)
    assert envelope.energy_min_wh[0] == 500


def test_a_photovoltaic_plant_can_be_turned_down_but_not_up():
    envelope = photovoltaic_envelope("pv", [-400, -800, 0], START)
    assert envelope.power_min_w == [-400, -800, 0]
    assert envelope.power_max_w == [0, 0, 0]
    assert envelope.energy_min_wh == [-100, -300, -300]


def test_a_plant_that_cannot_be_curtailed_has_no_choice():
    envelope = photovoltaic_envelope("pv", [-400, -800, 0], START, curtailable=False)
    assert envelope.power_min_w == envelope.power_max_w
    assert envelope.energy_min_wh == envelope.energy_max_wh


@quick
@given(
    st.integers(0, 50_000),
    st.integers(0, 60_000),
    st.integers(-5, 120),
    st.integers(0, 22_000),
    st.floats(0, 1),
    st.booleans(),
)
def test_full_power_and_least_power_reach_every_bound(requested, delivered, stay, power, charge, gives_back):
    request = wish(requested, START + max(0, stay) * 900, v2g_allowed=gives_back)
    envelope = vehicle_envelope("ev", request, progress(delivered, charge), power, START, capacity_wh=60_000)
    most = [energy / 4 for energy in accumulate(envelope.power_max_w)]
    least = [energy / 4 for energy in accumulate(envelope.power_min_w)]
    assert all(low <= reach + 1 for low, reach in zip(envelope.energy_min_wh, most, strict=True))
    assert all(reach - 1 <= high for reach, high in zip(least, envelope.energy_max_wh, strict=True))


# -- promises ---------------------------------------------------------------------------------------


def test_a_pinned_step_leaves_no_choice():
    envelope = pinned(battery_envelope(BATTERY, battery_status(0.5), START), {START + 900: 2_000})
    assert envelope.power_min_w[:3] == [-4_000, 2_000, -4_000]
    assert envelope.power_max_w[:3] == [5_000, 2_000, 5_000]


def test_a_battery_keeps_room_for_what_it_has_promised():
    full = battery_envelope(BATTERY, battery_status(0.9), START)
    envelope = pinned(full, {START + 900: 2_000})
    assert envelope.energy_max_wh[0] == full.energy_max_wh[0] - 2_000 * 0.95 / 4


def test_a_promise_beyond_what_a_device_can_is_kept_as_far_as_it_can():
    envelope = pinned(battery_envelope(BATTERY, battery_status(0.5), START), {START: 9_999})
    assert envelope.power_min_w[0] == envelope.power_max_w[0] == 5_000


def test_promises_of_the_past_bind_nobody():
    envelope = battery_envelope(BATTERY, battery_status(0.5), START)
    assert pinned(envelope, {START - 900: 1_000}) is envelope


def test_what_a_vehicle_gave_back_is_regained_with_its_losses():
    first = progress(delivered_wh=0, state_of_charge=0.5)
    gave = progress(delivered_wh=0, state_of_charge=0.5 - 1_000 / 50_000)
    envelope = vehicle_envelope(
        "ev",
        wish(v2g_allowed=True),
        gave,
        8_000,
        START,
        capacity_wh=50_000,
        efficiencies=(0.92, 0.92),
        first=first,
    )
    assert max(envelope.energy_min_wh) == pytest.approx(wish().requested_energy_wh * 0.92 + 1_000, abs=1)
