"""Threshold, corridor and rest of a peak-shaving battery, and what the real-time engine makes of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from behaviours.decisions.battery_control import peak_shaving_power_w, rule_for, threshold_of_rest_w
from behaviours.decisions.peak_shaving import LoadRecord, lowest_thresholds_w, planned_shaving, rest_envelope
from ontology.storage import StorageStatus
from tests.behaviours.decisions.quick import quick
from tests.behaviours.decisions.test_battery_control import BATTERY

EVENING = [2_000] * 4 + [10_000] * 4 + [2_000] * 4
DAYS = st.lists(st.integers(0, 12_000), min_size=8, max_size=24)


def threshold(load_w, stored_wh):
    return lowest_thresholds_w(np.array([load_w], dtype=float), BATTERY, stored_wh)[0]


def status(stored_wh):
    return StorageStatus(asset_id="bess", time_s=0, state_of_charge=stored_wh / 10_000, power_w=0)


def test_the_lowest_threshold_is_what_the_content_allows():
    assert threshold(EVENING, 9_000) == pytest.approx(5_000, abs=25)
    charged_first_wh = 4_000 * 0.95
    assert threshold(EVENING, 1_000) == pytest.approx(10_000 - charged_first_wh * 0.95, abs=25)
    assert threshold([10_000] * 4, 1_000) == 10_000


def test_a_threshold_is_planned_that_most_of_the_days_before_would_have_kept():
    days = [[2_000] * 4 + [peak] * 2 + [2_000] * 4 for peak in (4_000, 5_000, 6_000, 7_000)]
    cautious = planned_shaving(days, BATTERY, 9_000, 0, confidence=1.0)
    bold = planned_shaving(days, BATTERY, 9_000, 0, confidence=0.5)
    assert bold.threshold_w < cautious.threshold_w
    assert cautious.threshold_w == pytest.approx(threshold(days[-1], 9_000), abs=1)


def test_nothing_is_gained_below_the_peak_that_there_has_been():
    assert planned_shaving([EVENING], BATTERY, 9_000, 0, least_w=8_000).threshold_w == 8_000


def test_the_corridor_holds_before_a_peak_what_the_peak_takes():
    plan = planned_shaving([EVENING], BATTERY, 9_000, 0, least_w=6_000)
    taken_wh = 4_000 / 0.95
    assert plan.corridor_wh[4] == pytest.approx(1_000 + taken_wh)
    assert plan.corridor_wh[8] == plan.corridor_wh[-1] == 1_000
    assert plan.floor_wh(4.5 * 900) == pytest.approx(1_000 + taken_wh * 7 / 8)
    assert plan.reserved_w.tolist() == [0] * 4 + [4_000] * 4 + [0] * 4


def test_the_rest_leaves_power_and_content_to_shaving():
    plan = planned_shaving([EVENING], BATTERY, 6_000, 0, least_w=6_000)
    rest = rest_envelope(plan, BATTERY, status(6_000))
    assert rest.power_max_w == [4_000] * 4 + [-4_000] * 4 + [4_000] * 4
    assert rest.energy_min_wh[3] == pytest.approx(1_000 + 4_000 / 0.95 - 6_000, abs=1)
    assert rest.preferred_w[:5] == [4_000, 4_000, 4_000, 631, -4_000]


@quick
@given(DAYS, st.floats(1_000, 9_000), st.data())
def test_neither_orders_nor_lower_loads_break_a_threshold_or_a_limit(load_w, stored_wh, data):
    """No double use: whatever is ordered, shaving has what it needs on every day that was prepared for."""
    plan = planned_shaving([load_w], BATTERY, stored_wh, 0)
    previous_w = 0
    for step, high_w in enumerate(load_w):
        present_w = data.draw(st.integers(0, high_w))
        ordered_w = data.draw(st.none() | st.integers(-6_000, 6_000))
        rule = rule_for(plan.threshold_w, plan.floor_wh((step + 1) * 900), deadband_w=0)
        power_w = peak_shaving_power_w(rule, BATTERY, present_w, stored_wh, previous_w, 900, ordered_w)
        assert present_w + power_w <= plan.threshold_w + 1
        assert -5_000 <= power_w <= 4_000
        stored_wh += (power_w * 0.95 if power_w > 0 else power_w / 0.95) / 4
        assert 1_000 - 1e-6 <= stored_wh <= 9_000 + 1e-6
        assert stored_wh >= plan.corridor_wh[step + 1] - 100  # whole quanta of power
        previous_w = power_w


@quick
@given(DAYS, st.floats(1_000, 9_000))
def test_whatever_keeps_the_rest_keeps_the_threshold(load_w, stored_wh):
    plan = planned_shaving([load_w], BATTERY, stored_wh, 0)
    rest = rest_envelope(plan, BATTERY, status(stored_wh))
    for high_w, most_w, preferred_w in zip(load_w, rest.power_max_w, rest.preferred_w, strict=True):
        assert high_w + most_w <= plan.threshold_w
        assert rest.power_min_w[0] <= preferred_w <= most_w


def test_an_order_is_followed_inside_the_corridor():
    rule = rule_for(6_000, 3_000.0, deadband_w=0)
    assert peak_shaving_power_w(rule, BATTERY, 2_000, 5_000, 0, 900, -2_345) == -2_345
    assert peak_shaving_power_w(rule, BATTERY, 2_000, 3_100, 0, 900, -2_345) == -380
    assert peak_shaving_power_w(rule, BATTERY, 4_500, 5_000, 0, 900, 3_000) == 1_500
    assert peak_shaving_power_w(rule, BATTERY, 8_000, 5_000, 0, 900, 3_000) == -2_000
    assert peak_shaving_power_w(rule, BATTERY, 2_000, 2_000, 0, 900, 0) == 4_000


def test_what_was_too_much_in_an_interval_is_made_up_for_in_its_rest():
    assert threshold_of_rest_w(6_000, 7_000, 300, 900) == 5_500
    assert threshold_of_rest_w(6_000, 5_000, 300, 900) == 6_000
    assert threshold_of_rest_w(6_000, 7_000, 900, 900) == 6_000


def test_a_record_knows_the_same_hours_of_the_days_before():
    record = LoadRecord.empty()
    for number in range(3 * 96):
        record = record.after(number * 900, float(number))
    days = record.days_w(3 * 96 * 900)
    assert days[:, 0].tolist() == [192, 96, 0]
    assert record.days_w((3 * 96 - 4) * 900)[:, 0].tolist() == [188, 92]


def test_a_gap_in_a_record_makes_its_days_unknown():
    record = LoadRecord.empty()
    for number in [*range(96), *range(100, 192)]:
        record = record.after(number * 900, 1.0)
    assert len(record.days_w(192 * 900)) == 1
    assert record.after(100 * 900, 9.0) is record
