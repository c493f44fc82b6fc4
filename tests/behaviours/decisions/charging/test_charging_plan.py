import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import LinearConstraint, milp

from behaviours.decisions.charging.foresight import (
    KnownStay,
    best_with_foresight,
    least_peak_with_foresight,
)
from behaviours.decisions.charging.limits import SiteRequest, bounds_w
from behaviours.decisions.charging.plan import charging_plan
from behaviours.decisions.charging.requests import within_reserve
from behaviours.decisions.charging.terms import Objective, averaged, plan_steps
from ontology.control import Priority
from tests.behaviours.decisions.charging.charging_samples import NOW_S, QUARTER_S, car, cars, quarters, site
from tests.behaviours.decisions.quick import quick

SEEDS = st.integers(0, 10_000)


def energy_wh(plan, session, below=np.inf):
    return float(np.minimum(plan.power_w[session], below) @ np.diff(plan.starts_s)) / 3600


def test_a_request_is_served_in_the_cheap_hours():
    plan = charging_plan([car("a", 8_000, 4)], site(20_000, quarters(16), [0.3] * 4 + [0.1] * 8 + [0.3] * 4))
    assert energy_wh(plan, "a") == pytest.approx(8_000, abs=1)
    assert plan.power_w["a"][:4].max() == plan.power_w["a"][12:].max() == 0


def test_requests_come_before_costs():
    dear = charging_plan([car("a", 8_000, 1)], site(20_000, quarters(8), [9.0] * 4 + [0.0] * 4))
    assert dear.shortfall_wh["a"] == pytest.approx(0, abs=1)


def test_the_more_urgent_are_not_left_behind():
    plan = charging_plan([car("patient", 8_000, 4), car("urgent", 8_000, 1)], site(8_000, quarters(16)))
    assert plan.power_w["urgent"][0] == pytest.approx(8_000)
    assert max(plan.shortfall_wh.values()) < 1


def test_a_peak_is_shaved_over_the_whole_stay():
    demands = [car("a", 8_000, 4), car("b", 8_000, 4)]
    plan = charging_plan(demands, site(50_000, quarters(16)), Objective.PEAK)
    assert plan.total_w().max() == pytest.approx(4_000, rel=0.01)
    assert np.abs(np.diff(plan.total_w())).max() < 50


def test_a_peak_that_was_reached_already_costs_nothing_more():
    terms = site(50_000, quarters(16), [0.1] * 4 + [0.3] * 12, peak_price_per_kw=50.0)
    careful = charging_plan([car("a", 8_000, 4)], terms)
    reached = charging_plan(
        [car("a", 8_000, 4)],
        site(50_000, quarters(16), [0.1] * 4 + [0.3] * 12, peak_price_per_kw=50.0, observed_peak_w=8_000.0),
    )
    assert careful.total_w().max() == pytest.approx(2_000, rel=0.01)
    assert reached.total_w()[:4] == pytest.approx([8_000] * 4)


def test_power_is_left_to_those_still_to_come():
    coming = np.array([0.0] * 8 + [20_000.0] * 8)
    plan = charging_plan(
        [car("a", 8_000, 4)], site(20_000, quarters(16), [0.3] * 8 + [0.1] * 8, reserved_w=coming)
    )
    assert plan.power_w["a"][8:].max() == 0
    assert plan.shortfall_wh["a"] < 1


def test_each_phase_keeps_its_limit():
    demands = [
        car("a", 8_000, 2, phases="A"),
        car("b", 8_000, 2, phases="A"),
        car("c", 8_000, 2, phases="BC"),
    ]
    plan = charging_plan(demands, site(50_000, quarters(8), phase_max_w={"A": 6_000.0, "B": 3_000.0}))
    on_a = plan.power_w["a"] + plan.power_w["b"]
    assert on_a.max() <= 6_000.1
    assert plan.power_w["c"].max() <= 6_000.1
    assert sum(plan.shortfall_wh.values()) == pytest.approx(4_000, abs=5)


def test_a_vehicle_that_may_give_back_earns_and_leaves_with_what_it_needs():
    demand = car("a", 4_000, 4, discharge_max_w=8_000.0, spare_wh=10_000.0)
    earning = np.array([0.0] * 4 + [0.5] * 4 + [0.0] * 8)
    terms = site(
        20_000,
        quarters(16),
        0.1,
        discharge_price_per_kwh=earning,
        round_trip=0.81,
        power_min_w=-20_000.0,
    )
    plan = charging_plan([demand], terms)
    assert plan.power_w["a"][4:8].max() < -7_000
    assert plan.shortfall_wh["a"] < 1


def test_nothing_is_given_back_that_could_not_be_regained_by_a_share_of_the_site():
    demand = car("a", 4_000, 4, discharge_max_w=8_000.0, spare_wh=10_000.0)
    terms = site(
        20_000,
        quarters(16),
        [0.5] * 4 + [0.1] * 12,
        discharge_price_per_kwh=np.array([0.5] * 4 + [0.0] * 12),
        round_trip=0.81,
        power_min_w=-20_000.0,
    )
    poor, rich = (charging_plan(within_reserve([demand], share_w), terms) for share_w in (900.0, 2_000.0))
    assert poor.power_w["a"].min() == 0
    given_wh = -energy_wh(rich, "a", below=0.0)
    left_h = 3 - 300 / 3_600
    assert 1_000 < given_wh / 0.81 <= 2_000 * left_h - 4_000 + 1
    assert rich.shortfall_wh["a"] < 1


@given(SEEDS)
@quick
def test_a_plan_keeps_every_limit_and_says_what_is_missing(seed):
    rng = np.random.default_rng(seed)
    demands = cars(rng, int(rng.integers(1, 12)), v2g=0.3)
    limit_w = float(rng.uniform(1_000, 60_000))
    terms = site(limit_w, quarters(24), rng.uniform(0.0, 0.5, 24), round_trip=0.9, power_min_w=-5_000.0)
    plan = charging_plan(demands, terms, Objective.COST if seed % 2 else Objective.PEAK)
    assert plan.total_w().max() <= limit_w + 1
    assert plan.total_w().min() >= -5_001
    for each in demands:
        power_w, there = (
            plan.power_w[each.session_id],
            np.clip((each.departure_s - plan.starts_s[:-1]) / 900, 0, 1),
        )
        assert power_w.max() <= each.power_max_w + 1
        content = (np.where(power_w < 0, power_w / 0.9, power_w) * there).cumsum() / 4
        assert content.min() >= -each.spare_wh - 2
        assert content[-1] + plan.shortfall_wh[each.session_id] == pytest.approx(each.remaining_wh, abs=5)
        assert not power_w[there == 0].any()


@given(SEEDS)
@quick
def test_no_other_plan_serves_more_or_costs_less(seed):
    """Beside one that forbids charging and discharging at once by integers (SPEC 4.5.4: within 1 %)."""
    rng = np.random.default_rng(seed)
    demands = [each._replace(departure_s=NOW_S + 900 * 8) for each in cars(rng, 3, v2g=0.6)]
    buy = rng.uniform(0.1, 0.5, 8)
    sell = buy * rng.uniform(0.0, 1.1, 8)  # up to 1.11 giving back and charging at once cannot pay
    terms = site(
        12_000.0, quarters(8), buy, discharge_price_per_kwh=sell, round_trip=0.9, power_min_w=-12_000.0
    )
    plan = charging_plan(demands, terms)
    short_wh, cost = integer_optimum(demands, buy, sell, 12.0, 0.9)
    power_kw = np.array([plan.power_w[each.session_id] for each in demands]) / 1000
    paid = float((np.maximum(power_kw, 0) * buy + np.minimum(power_kw, 0) * sell).sum()) / 4
    assert sum(plan.shortfall_wh.values()) == pytest.approx(short_wh, abs=10)
    assert paid <= cost + 0.01 * abs(cost) + 0.01


def integer_optimum(demands, buy, sell, limit_kw, round_trip):
    """Return shortfall in Wh and cost of the best plan in which a vehicle charges or discharges, not both."""
    n, t, q = len(demands), len(buy), 0.25
    size = n * t
    charge, give, busy, short = np.split(np.eye(3 * size + n), [size, 2 * size, 3 * size])
    rows, low, high = [], [], []

    def add(row, least, most):
        rows.append(row), low.append(least), high.append(most)

    for i, each in enumerate(demands):
        content = np.zeros(3 * size + n)
        for k in range(t):
            j = i * t + k
            add(charge[j] - 8.0 * busy[j], -np.inf, 0)
            add(give[j] + each.discharge_max_w / 1000 * busy[j], -np.inf, each.discharge_max_w / 1000)
            content = content + q * (charge[j] - give[j] / round_trip)
            add(content, -each.spare_wh / 1000, each.remaining_wh / 1000)
        add(content + short[i], each.remaining_wh / 1000, each.remaining_wh / 1000)
    for k in range(t):
        add(sum(charge[i * t + k] - give[i * t + k] for i in range(n)), -limit_kw, limit_kw)
    cost = q * np.concatenate([np.tile(buy, n), -np.tile(sell, n)])
    weights = np.concatenate([cost, np.zeros(size), np.full(n, 1_000.0)])
    integral = np.concatenate([np.zeros(2 * size), np.ones(size), np.zeros(n)])
    upper = np.concatenate([np.full(2 * size, 8.0), np.ones(size), np.full(n, np.inf)])
    found = milp(
        weights,
        constraints=LinearConstraint(np.array(rows), low, high),
        integrality=integral,
        bounds=(0, upper),
    )
    return float(found.x[3 * size :].sum()) * 1000, float(cost @ found.x[: 2 * size])


def test_steps_are_fine_at_first_and_end_at_departures():
    steps = plan_steps(NOW_S, [NOW_S + 4_000, NOW_S + 30_000], extra_s=[NOW_S + 100])
    assert steps[:3].tolist() == [NOW_S, NOW_S + 100, NOW_S + 300]
    assert (NOW_S + 4_000) // 300 * 300 in steps
    assert steps[-1] >= NOW_S + 30_000
    assert np.diff(steps).max() <= 3_600


def test_means_over_other_steps_keep_the_energy():
    steps = np.array([0, 300, 900, 1_800, 4_500])
    means = averaged([1.0, 3.0], 0, 900, steps)
    assert means.tolist() == [1.0, 1.0, 3.0, 3.0]
    assert averaged([2.0], 900, 900, np.array([0, 900]))[0] == 2.0


def test_limits_of_a_site_are_the_least_of_all_that_hold():
    steps = quarters(4)
    red = SiteRequest("red", NOW_S + 900, NOW_S + 1_800, None, 5_000, Priority.DSO_RED)
    more = SiteRequest("more", NOW_S + 900, NOW_S + 2_700, 8_000, None, Priority.MARKET)
    most, least = bounds_w(steps, 20_000, [red, more])
    assert most.tolist() == [20_000, 5_000, 20_000, 20_000]
    assert least is not None
    assert least.tolist() == [0, 5_000, 8_000, 0]


def test_foresight_serves_the_most_and_then_pays_the_least():
    stays = [
        KnownStay(NOW_S, NOW_S + 3_600, 8_000, 8_000),
        KnownStay(NOW_S + 1_800, NOW_S + 7_200, 8_000, 8_000),
        KnownStay(NOW_S + 90_000, NOW_S + 93_600, 4_000, 8_000),
    ]
    prices = np.full(104, 0.3)
    prices[4:8] = 0.1
    best = best_with_foresight(stays, prices, NOW_S, QUARTER_S, 8_000)
    assert best.served_wh == pytest.approx(20_000, rel=1e-6)
    assert best.energy_cost == pytest.approx(8 * 0.3 + 8 * 0.1 + 4 * 0.3, rel=1e-6)
    calm = least_peak_with_foresight(stays[2:], prices, NOW_S, QUARTER_S, 50_000)
    assert calm.power_w.max() == pytest.approx(4_000, rel=0.02)
