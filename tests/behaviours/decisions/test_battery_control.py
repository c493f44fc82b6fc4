import pytest
from hypothesis import given
from hypothesis import strategies as st

from behaviours.decisions.battery_control import (
    PeakShaving,
    fcr_d_power_w,
    fcr_d_reserve_wh,
    peak_shaving_power_w,
)
from ontology.storage import StorageModel
from tests.behaviours.decisions.quick import quick

BATTERY = StorageModel(
    asset_id="bess",
    capacity_wh=10_000,
    fill_min_wh=1_000,
    fill_max_wh=9_000,
    charge_max_w=4_000,
    discharge_max_w=5_000,
    charge_efficiency=0.95,
    discharge_efficiency=0.95,
    leakage_w=0,
)
RULE = PeakShaving(threshold_w=6_000, recharge_below_w=3_000)


def power(load_w, stored_wh=5_000.0, previous_w=0, step_s=10.0, rule=RULE):
    return peak_shaving_power_w(rule, BATTERY, load_w, stored_wh, previous_w, step_s)


@pytest.mark.parametrize(
    ("load_w", "previous_w", "expected"),
    [
        pytest.param(6_400, 0, 0, id="within-the-deadband"),
        pytest.param(7_250, 0, -1_300, id="above-it-in-whole-quanta"),
        pytest.param(6_200, -1_000, -200, id="and-until-the-threshold-once-giving"),
        pytest.param(20_000, 0, -5_000, id="never-above-its-power"),
        pytest.param(4_000, 0, 0, id="idle-in-between"),
        pytest.param(2_500, 0, 3_500, id="recharging-below-the-threshold"),
        pytest.param(-2_000, 0, 4_000, id="recharging-with-all-its-power"),
    ],
)
def test_the_battery_cuts_peaks_and_makes_none(load_w, previous_w, expected):
    assert power(load_w, previous_w=previous_w) == expected


def test_an_empty_battery_gives_nothing_and_a_full_one_takes_nothing():
    assert power(9_000, stored_wh=1_000) == 0
    assert power(0, stored_wh=9_000) == 0


def test_a_reserve_is_left_untouched():
    assert power(9_000, stored_wh=3_000, rule=PeakShaving(6_000, 3_000, reserve_wh=2_000)) == 0


def test_the_power_ramps():
    assert power(11_000, step_s=1.0, rule=PeakShaving(6_000, 3_000, ramp_w_per_s=1_000)) == -1_000


@quick
@given(
    st.integers(-10_000, 30_000),
    st.floats(0, 10_000),
    st.integers(-5_000, 4_000),
    st.sampled_from([1, 10, 900]),
)
def test_power_and_content_stay_within_limits(load_w, stored_wh, previous_w, step_s):
    decided = power(load_w, stored_wh, previous_w, step_s)
    assert -5_000 <= decided <= 4_000
    after = stored_wh + (decided * 0.95 if decided > 0 else decided / 0.95) * step_s / 3600
    assert after <= max(9_000, stored_wh) + 1e-6
    assert after >= min(1_000, stored_wh) - 1e-6


@pytest.mark.parametrize(
    ("frequency_hz", "expected"),
    [(50.0, 0), (49.9, 0), (49.7, -500), (49.5, -1_000), (49.0, -1_000), (50.1, 0), (50.3, 400), (50.6, 800)],
)
def test_frequency_reserve_follows_the_droop(frequency_hz, expected):
    assert fcr_d_power_w(frequency_hz, 1_000, 800) == pytest.approx(expected, abs=1)


def test_a_reserve_lasts_twenty_minutes():
    assert fcr_d_reserve_wh(3_000, 0.9) == 1_112
