import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from behaviours.decisions.heat_pump import cop_at
from behaviours.decisions.virtual_battery import held_power_w, storage_of, virtual_battery
from ontology.storage import ThermalModel
from tests.behaviours.decisions.quick import quick

HOUSE = ThermalModel(
    asset_id="heat_pump",
    resistance_k_per_w=0.006,
    capacity_j_per_k=3.6e7,
    cop=3.0,
    temperature_min_degc=20,
    temperature_max_degc=22,
    cop_outdoor_degc=[-10, 10],
    cop_points=[2.0, 4.0],
    solar_aperture_m2=2.0,
    internal_gain_w=300.0,
)


def test_ten_kilowatt_hours_a_kelvin_are_as_much_electricity_as_the_heat_pump_needs_for_it():
    mild = virtual_battery(HOUSE, np.full(8, 10.0), np.zeros(8))
    frosty = virtual_battery(HOUSE, np.full(8, -10.0), np.zeros(8))
    assert (mild.half_wh, frosty.half_wh) == (pytest.approx(2_500), pytest.approx(5_000))
    assert mild.middle_degc == 21


def test_sun_and_people_take_their_part_of_what_holds_the_middle():
    holding = virtual_battery(HOUSE, np.zeros(2), np.array([0.0, 500.0])).holding_w
    assert holding.tolist() == pytest.approx([(21 / 0.006 - 300) / 3, (21 / 0.006 - 300 - 1000) / 3])


def test_its_storage_for_fill_rate_control_gives_by_drawing_less():
    battery = virtual_battery(HOUSE, np.zeros(4), np.zeros(4))
    storage = storage_of(HOUSE, battery, 3_000)
    assert storage.capacity_wh == round(2 * battery.half_wh)
    assert storage.charge_max_w + storage.discharge_max_w == 3_000
    assert storage.discharge_max_w == pytest.approx((21 / 0.006 - 300) / 3, abs=1)
    assert 0 < storage.leakage_w < 100


@quick
@given(st.floats(-10, 10), st.floats(18, 23), st.floats(18, 23))
def test_the_power_that_brings_a_house_to_a_temperature_does(outdoor_degc, start_degc, target_degc):
    powers = held_power_w(HOUSE, target_degc, start_degc, np.full(96, outdoor_degc), np.zeros(96), 9_000, 900)
    now_degc = start_degc
    for power_w in powers:
        heat_w = power_w * float(cop_at(HOUSE, outdoor_degc)) + 300 - (now_degc - outdoor_degc) / 0.006
        now_degc += heat_w * 900 / HOUSE.capacity_j_per_k
    assert now_degc == pytest.approx(target_degc, abs=0.02) or (start_degc > now_degc > target_degc)
