import numpy as np
import pytest

from behaviours.decisions.charging.flexibility import pinned_limits, site_flexibility
from behaviours.decisions.charging.plan import charging_plan
from behaviours.decisions.charging.requests import kept_whole
from tests.behaviours.decisions.charging.charging_samples import NOW_S, QUARTER_S, car, cars, quarters, site

STEPS = 24
ROUND_TRIP = 0.9


def flexibility_of(demands, limit_w, **other):
    plan = charging_plan(demands, site(limit_w, quarters(STEPS), **other))
    limits = np.full(STEPS, float(limit_w))
    return plan, site_flexibility(
        demands, plan.power_w, NOW_S, QUARTER_S, limits, round_trip=other.get("round_trip", 1.0)
    )


def test_a_session_with_time_enough_can_pause():
    _, flexibility = flexibility_of([car("a", 8_000, 5)], 20_000)
    assert flexibility.down_w[0] == pytest.approx(0.98 * 8_000)
    assert flexibility.duration_max_s[0] == 3_600


def test_a_session_without_laxity_takes_no_part():
    _, flexibility = flexibility_of([car("a", 40_000, 5)], 20_000)
    assert flexibility.down_w.max() < 1
    assert flexibility.up_w.max() < 1


def test_a_session_that_cannot_be_served_anyway_takes_no_part():
    _, flexibility = flexibility_of([car("a", 60_000, 2)], 20_000)
    assert flexibility.down_w.max() == 0


def test_what_is_planned_for_later_can_be_taken_now():
    prices = [0.3] * 8 + [0.1] * 16
    _, flexibility = flexibility_of([car("a", 8_000, 5)], 20_000, prices=prices)
    assert flexibility.up_w[0] == pytest.approx(0.98 * 8_000)


def test_a_vehicle_that_may_give_back_offers_more_than_its_plan():
    demand = car("a", 4_000, 5, discharge_max_w=8_000.0, spare_wh=20_000.0)
    _, flexibility = flexibility_of([demand], 20_000, round_trip=ROUND_TRIP, power_min_w=-20_000.0)
    assert flexibility.down_w[4] > 4_000


def broken_preferences(seed, activations):
    """Call that many offers at random; return how often somebody missed what the plan had served, or the site
    did not deliver."""
    rng, done, broken = np.random.default_rng(seed), 0, 0
    while done < activations:
        demands = cars(rng, int(rng.integers(1, 30)), v2g=0.3)
        limit_w, prices = float(rng.uniform(10_000, 120_000)), rng.uniform(0.1, 0.4, STEPS)
        terms = {"prices": prices, "round_trip": ROUND_TRIP, "power_min_w": -1e6}
        plan, flexibility = flexibility_of(demands, limit_w, **terms)
        total_w = plan.total_w()
        for _ in range(5):
            sign = 1.0 if rng.random() < 0.4 else -1.0
            offered_w = flexibility.up_w if sign > 0 else flexibility.down_w
            starts = np.flatnonzero(offered_w >= 1)
            if not len(starts):
                break
            step = int(rng.choice(starts))
            steps = int(rng.integers(1, flexibility.duration_max_s[step] // QUARTER_S + 1))
            delta_w = sign * float(offered_w[step]) * float(rng.uniform(0.2, 1.0))
            least, most = pinned_limits(np.full(STEPS, limit_w), total_w, step, steps, delta_w)
            wanted = np.maximum(least, 0.0) if sign > 0 else None
            called = charging_plan(
                kept_whole(demands, plan), site(most, quarters(STEPS), at_least_w=wanted, **terms)
            )
            missed = (
                max(
                    called.shortfall_wh[name] - short
                    for name, short in plan.shortfall_wh.items()
                    if short < 1
                )
                if min(plan.shortfall_wh.values()) < 1
                else 0.0
            )
            moved = (called.total_w() - total_w)[step : step + steps] * sign
            broken += missed > 5 or moved.min() < abs(delta_w) - 5
            done += 1
    return broken


def test_no_activation_breaks_a_preference():
    assert broken_preferences(seed=1, activations=120) == 0


@pytest.mark.slow
def test_a_thousand_activations_break_no_preference():
    assert broken_preferences(seed=2, activations=1_000) == 0
