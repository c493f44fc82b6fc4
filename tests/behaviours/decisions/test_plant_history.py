import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from behaviours.decisions.plant_history import LeadErrors, PlantHistory, YieldTable, lead_bins
from tests.behaviours.decisions.quick import quick

PEAK_W = 5_000
DAY_S, INTERVAL_S, A_DAY = 86_400, 900, 96
CLEAR = 3
NOON = 48
MODELLED = PEAK_W * np.maximum(np.sin((np.arange(A_DAY) - 24) / 48 * np.pi), 0.0)
SKY = np.where(MODELLED > 0.03 * PEAK_W, CLEAR, 0)


def after_days(history, days, share, first=0):
    """Return the history after clear days of a plant that gave a share (one, or by step) of its model."""
    shares = np.broadcast_to(share, A_DAY)
    for day in range(first, first + days):
        for step in range(A_DAY):
            start_s = day * DAY_S + step * INTERVAL_S
            if step % 12 == 0:
                ahead = np.roll(MODELLED, -step), np.roll(SKY, -step)
                history = history.issuing(start_s, *ahead)
            history = history.after(
                start_s, float(shares[step] * MODELLED[step]), float(MODELLED[step]), int(SKY[step])
            )
    return history


def test_a_new_plant_is_believed_to_be_as_described():
    assert PlantHistory.empty(PEAK_W).factors(0, SKY).expected.tolist() == [1.0] * A_DAY


def test_a_soiled_plant_is_foreseen_lower():
    history = after_days(PlantHistory.empty(PEAK_W), 10, 0.85)
    assert history.factors(10 * DAY_S, SKY).expected[NOON] == pytest.approx(0.85, abs=0.03)


def test_a_morning_in_the_shade_is_learnt_as_such():
    shaded = np.where(np.arange(A_DAY) < 40, 0.5, 1.0)
    expected = after_days(PlantHistory.empty(PEAK_W), 12, shaded).factors(12 * DAY_S, SKY).expected
    assert expected[36] == pytest.approx(0.5, abs=0.12)
    assert expected[56] == pytest.approx(1.0, abs=0.06)


def test_a_fault_is_not_taken_for_the_plants_nature():
    healthy = after_days(PlantHistory.empty(PEAK_W), 8, 1.0)
    ill = after_days(healthy, 5, 0.5, first=8)
    assert ill.ratio_of(NOON * INTERVAL_S, CLEAR) == pytest.approx(1.0, abs=0.02)


def test_what_is_not_known_teaches_nothing():
    blind = PlantHistory.empty(PEAK_W)
    for step in range(2 * A_DAY):
        blind = blind.after(step * INTERVAL_S, float("nan"), 1_000.0, CLEAR)
    assert (blind.table.ratios() == 1.0).all()


def test_forecasts_that_came_true_narrow_the_quantiles_and_curtailed_hours_do_not_widen_them():
    history = after_days(PlantHistory.empty(PEAK_W), 20, 1.0)
    held = np.where(np.arange(A_DAY) < NOON, np.nan, 1.0)
    factors = after_days(history, 10, held, first=20).factors(30 * DAY_S, SKY)
    assumed = PlantHistory.empty(PEAK_W).factors(30 * DAY_S, SKY)
    assert assumed.low[NOON] < factors.low[NOON] <= 1.0 <= factors.high[NOON] < assumed.high[NOON]


def test_an_interval_that_is_not_newer_changes_nothing():
    history = PlantHistory.empty(PEAK_W).after(900, 100.0, 100.0, CLEAR)
    assert history.after(900, 50.0, 100.0, CLEAR) is history
    assert history.after(0, 50.0, 100.0, CLEAR) is history


def test_quantiles_come_to_hold_eight_values_in_ten():
    rng = np.random.default_rng(1)
    errors = LeadErrors.assumed()
    steps = np.full(40, 2), np.full(40, CLEAR)
    for _ in range(400):
        errors = errors.after(*steps, 1000 * rng.lognormal(0, 0.5, 40), np.full(40, 1000.0))
    drawn = rng.lognormal(0, 0.5, 20_000)
    held = (drawn >= errors.low[2, CLEAR]) & (drawn <= errors.high[2, CLEAR])
    assert 0.77 <= held.mean() <= 0.83


def test_what_was_learnt_is_recalled_after_a_restart():
    history = after_days(PlantHistory.empty(PEAK_W), 6, 0.9)
    recalled = PlantHistory.recalled(PEAK_W, history.kept())
    np.testing.assert_allclose(recalled.factors(0, SKY), history.factors(0, SKY), atol=1e-4)
    assert PlantHistory.recalled(PEAK_W, None).table.modelled.sum() == 0


def test_leads_fall_into_bins():
    assert lead_bins(96, 900)[[0, 7, 8, 23, 24, 55, 56, 95]].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


@quick
@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 8), st.floats(0.01, 5)), min_size=1, max_size=40))
def test_ratios_and_factors_keep_their_order_and_bounds(intervals):
    sky, measured, modelled = (np.array(each) for each in zip(*intervals, strict=True))
    ratios = YieldTable.empty().after(np.full(sky.size, 12), sky, measured, modelled).ratios()
    assert ((ratios >= 0.1) & (ratios <= 1.6)).all()
    lead = np.zeros(sky.size, dtype=np.int64)
    expected, low, high = LeadErrors.assumed().after(lead, sky, measured, modelled).factors(lead, sky)
    assert ((low >= 0) & (low <= expected) & (expected <= high)).all()
