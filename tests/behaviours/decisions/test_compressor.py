from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from behaviours.decisions.compressor import CompressorRule, CompressorState, compressor_step, observed
from tests.behaviours.decisions.quick import quick

RULE = CompressorRule(power_min_w=900, power_max_w=3_000)
ON_OFF = CompressorRule(power_min_w=3_000, power_max_w=3_000)


def steered(rule, wanted_w, step_s=60, start=None):
    """Return the powers of a compressor that is told what is wanted, step by step."""
    state, powers = start or CompressorState(False, -3_600), []
    for step, wanted in enumerate(wanted_w):
        state, power_w = compressor_step(rule, state, wanted, step * step_s, step_s)
        powers.append(power_w)
    return powers


def spells_s(powers, step_s):
    """Return the lengths of all runs and rests but the first and the last, which go on outside."""
    spells = [step_s * len(list(each)) for _, each in groupby(powers, lambda power: power > 0)]
    return spells[1:-1]


@quick
@given(
    wanted_w=st.lists(st.integers(0, 3_500), min_size=30, max_size=200),
    held=st.integers(1, 20),
    rule=st.sampled_from([RULE, ON_OFF]),
    step_s=st.sampled_from([60, 120, 300]),
    running=st.booleans(),
)
def test_no_run_and_no_rest_is_ever_shorter_than_ten_minutes(wanted_w, held, rule, step_s, running):
    orders = [each for each in wanted_w for _ in range(held)]
    powers = steered(rule, orders, step_s, CompressorState(running, -3_600))
    assert all(spell >= 600 for spell in spells_s(powers, step_s))
    assert all(power == 0 or rule.power_min_w <= power <= rule.power_max_w for power in powers)


@quick
@given(
    wanted_w=st.lists(st.integers(0, 3_000), min_size=1, max_size=24),
    rule=st.sampled_from([RULE, ON_OFF]),
)
def test_the_energy_of_the_plan_comes_out_but_for_one_run(wanted_w, rule):
    orders = [each for each in wanted_w for _ in range(15)]
    missing_wh = (sum(orders) - sum(steered(rule, orders))) / 60
    assert abs(missing_wh) <= rule.start_wh + rule.power_max_w / 4


def test_less_than_the_least_power_comes_in_runs():
    powers = steered(RULE, [300] * 600)
    assert {0} < set(powers) <= set(range(0, 1_500))
    assert sum(powers) / 600 == pytest.approx(300, rel=0.05)


def test_what_it_can_do_all_the_time_it_does_all_the_time():
    assert steered(RULE, [1_800] * 60) == [1_800] * 60


def test_a_compressor_that_just_started_runs_on_though_nothing_is_wanted():
    powers = steered(RULE, [1_000] * 3 + [0] * 60)
    assert powers[:10] == [1_000] * 3 + [900] * 7
    assert powers[10:] == [0] * 53


def test_a_switch_by_somebody_else_starts_the_time_anew():
    state = observed(CompressorState(True, 0), running=False, now_s=5_000)
    assert not state.running
    assert state.since_s == 5_000
    assert compressor_step(RULE, state, 2_000, 5_060, 60)[1] == 0
    assert observed(None, running=True, now_s=7).since_s == 7
