import pytest

from behaviours.decisions.plant_performance import PerformanceWatch, binds, cap_of, exceeds_cap
from ontology.control import Instruction

PEAK_W = 10_000


def watched(*powers):
    watch = PerformanceWatch()
    for measured_w, expected_w in powers:
        watch = watch.after(measured_w, expected_w, PEAK_W)
    return watch


def told(**limits):
    return Instruction(
        instruction_id="i", asset_id="h001-pv", execution_time_s=0, valid_until_s=900, **limits
    )


def test_four_hours_at_half_power_are_a_fault_and_not_a_quarter_less():
    ill = [(1_000.0, 2_000.0)]
    assert not watched(*ill * 15).is_faulty
    assert watched(*ill * 16).is_faulty


def test_clouds_for_an_hour_are_no_fault():
    assert not watched(*[(2_000.0, 2_000.0)] * 12, *[(200.0, 2_000.0)] * 4).is_faulty


def test_the_night_between_two_days_tells_nothing():
    watch = watched(*[(1_000.0, 2_000.0)] * 8, *[(0.0, 0.0)] * 40, *[(1_000.0, 2_000.0)] * 8)
    assert watch.is_faulty
    assert watch.ratio == 0.5


def test_a_repaired_plant_is_well_once_it_gives_what_it_should():
    ill = watched(*[(1_000.0, 2_000.0)] * 16)
    for _ in range(16):
        assert ill.is_faulty == (ill.ratio < 0.85)
        ill = ill.after(2_000.0, 2_000.0, PEAK_W)
    assert not ill.is_faulty


def test_a_fault_outlives_a_restart_and_health_needs_no_memory():
    ill = watched(*[(1_000.0, 2_000.0)] * 16)
    assert PerformanceWatch.recalled(ill.kept()) == ill
    assert watched(*[(2_000.0, 2_000.0)] * 16).kept() is None


def test_a_cap_that_was_not_reached_held_nobody_back():
    assert binds(3_000.0, 2_990.0, PEAK_W)
    assert not binds(3_000.0, 2_500.0, PEAK_W)


def test_a_plant_may_exceed_its_cap_by_two_percent_of_its_peak():
    assert not exceeds_cap(3_190.0, 3_000.0, PEAK_W)
    assert exceeds_cap(3_210.0, 3_000.0, PEAK_W)


@pytest.mark.parametrize(
    ("instruction", "cap_w"),
    [
        (told(setpoint_w=-3_000), 3_000),
        (told(setpoint_w=3_000), 3_000),
        (told(power_min_w=-2_000), 2_000),
        (told(power_max_w=2_000), 2_000),
        (told(setpoint_w=-3_000, power_min_w=-2_000), 2_000),
        (told(power_min_w=-4_000, power_max_w=0), 4_000),
        (told(mode="auto"), None),
    ],
)
def test_a_cap_is_read_as_the_device_reads_it(instruction, cap_w):
    assert cap_of(instruction) == cap_w
