"""Every indicator of SPEC 2.9 once more, by hand, from the same facts."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from behaviours.decisions.evidence import Facts, SameSlot, day_ahead_w, evidence_of
from behaviours.decisions.kpi import CATALOGUE
from ontology.charging import EvSession, EvSessionState
from ontology.coalition import MemberPayoff, VppPayoff
from ontology.forecasts import Forecast, ForecastKind
from ontology.measurements import IntervalReading, Measurement, Quality, Quantity
from tests.behaviours.decisions.quick import quick

START_S = 1_714_636_800
DAY_S = 86_400
MEMBER = "h001-prosumer@localhost"


def reading(start_s: int, net_wh: int, quality: Quality = Quality.VALID) -> IntervalReading:
    consumed, produced = max(net_wh, 0), max(-net_wh, 0)
    return IntervalReading(
        subject="h001",
        start_s=start_s,
        consumed_wh=consumed,
        produced_wh=produced,
        consumed_w=4 * consumed,
        produced_w=4 * produced,
        quality=quality,
    )


def measured(time_s: int, value: float, quantity: Quantity = Quantity.ACTIVE_POWER_W) -> Measurement:
    return Measurement(subject="h001-x", quantity=quantity, time_s=time_s, value=value)


def starts(count: int) -> list[int]:
    return [START_S + 900 * step for step in range(count)]


def value(function: str, facts: Facts, count: int) -> tuple[float | None, float]:
    evidence = evidence_of(facts, START_S, START_S + 900 * count, MEMBER)
    return CATALOGUE[function].of(evidence), CATALOGUE[function].completeness(evidence)


NETS = st.lists(st.integers(-4_000, 4_000), min_size=1, max_size=24)


@quick
@given(NETS, st.data())
def test_indicators_of_the_meter_are_what_their_definitions_say(nets, data):
    suns = data.draw(st.lists(st.integers(0, 16_000), min_size=len(nets), max_size=len(nets)))
    at = starts(len(nets))
    facts = Facts(
        readings=[reading(s, net) for s, net in zip(at, nets, strict=True)],
        production=[measured(s, -sun) for s, sun in zip(at, suns, strict=True)],
    )
    loads = [max(0.0, net + sun / 4) for net, sun in zip(nets, suns, strict=True)]
    shared = math.fsum(min(load, sun / 4) for load, sun in zip(loads, suns, strict=True))
    expected = {
        "K_PMAX": max(0, 4 * max(nets)),
        "K_ENERGY": sum(max(0, net) for net in nets),
        "K_AVAIL": 1.0,
        "K_SCR": shared / (sum(suns) / 4) if sum(suns) else None,
        "K_SSR": shared / math.fsum(loads) if math.fsum(loads) else None,
    }
    for function, wanted in expected.items():
        found, completeness = value(function, facts, len(nets))
        assert completeness == 1.0
        assert found == (wanted if wanted is None else pytest.approx(wanted, abs=1e-9))


@quick
@given(NETS, st.data())
def test_a_forecast_is_judged_by_the_earliest_word_on_each_interval(nets, data):
    first, second = (data.draw(st.lists(st.integers(-9_000, 9_000), min_size=30, max_size=30)) for _ in "ab")
    forecasts = [
        Forecast(subject="h001", kind=ForecastKind.NET, issued_at_s=START_S + late, start_s=START_S + late,
                 power_w=powers)
        for late, powers in ((0, first), (900, second))
    ]  # fmt: skip
    facts = Facts(
        readings=[reading(s, net) for s, net in zip(starts(len(nets)), nets, strict=True)],
        forecasts=forecasts,
    )
    error = sum(abs(4 * net - w) for net, w in zip(nets, first, strict=False))
    whole = sum(abs(4 * net) for net in nets)
    found, completeness = value("K_FCE", facts, len(nets))
    assert completeness == 1.0
    assert found == (pytest.approx(error / whole, abs=1e-9) if whole else None)


def test_a_forecast_of_something_else_than_the_net_power_does_not_count():
    sun = Forecast(subject="h001", kind=ForecastKind.PV, issued_at_s=START_S, start_s=START_S, power_w=[1])
    assert day_ahead_w([sun]) == {}


@quick
@given(st.lists(st.integers(-2_000, 2_000), min_size=8, max_size=8), st.integers(-2_000, 2_000))
def test_a_baseline_is_the_mean_of_the_same_quarter_hour_on_seven_days(before, now):
    days_ago = [reading(START_S - day * DAY_S, net) for day, net in enumerate(before, start=1)]
    facts = Facts(readings=[reading(START_S, now)], past=days_ago)
    baseline = 4 * math.fsum(before[:7]) / 7
    wanted = abs(4 * now - baseline) / abs(baseline) if baseline else None
    found, _ = value("K_BLE", facts, 1)
    assert found == (wanted if wanted is None else pytest.approx(wanted, abs=1e-9))


def test_intervals_in_which_flexibility_was_ordered_do_not_count_against_the_baseline():
    past = [reading(s - DAY_S, 100) for s in starts(2)]
    now = [reading(START_S, 100), reading(START_S + 900, 900)]
    assert value("K_BLE", Facts(readings=now, past=past), 2) == (1.0 * 800 / 200, 1.0)
    assert value("K_BLE", Facts(readings=now, past=past, ordered_s={START_S + 900}), 2) == (0.0, 1.0)


def test_a_quarter_hour_that_no_day_has_seen_has_no_baseline():
    assert SameSlot([reading(START_S - DAY_S, 100)])(START_S + 900) is None
    assert SameSlot([reading(START_S - 8 * DAY_S, 100)])(START_S) is None
    assert value("K_BLE", Facts(readings=[reading(START_S, 100)]), 1) == (None, 0.0)


def payoff(*deliveries: tuple[str, int, int]) -> VppPayoff:
    members = [
        MemberPayoff(member=who, committed_wh=c, delivered_wh=d, accuracy=1, cost_ticks=0, surplus_ticks=0)
        for who, c, d in deliveries
    ]
    return VppPayoff(vpp_id="v", product_id="p", paid_ticks=0, members=members)


def test_a_delivery_ratio_is_the_players_own_over_all_its_plants():
    facts = Facts(
        payoffs=[payoff((MEMBER, 100, 90), ("h002-prosumer@localhost", 100, 0)), payoff((MEMBER, 300, 300))]
    )
    assert value("K_FDR", facts, 8) == (pytest.approx(390 / 400, abs=1e-9), 1.0)


def test_the_response_time_is_the_longest_of_all_signals():
    facts = Facts(responses=[measured(START_S, 2.0, Quantity.DURATION_S), measured(START_S + 9, 7.5)])
    assert value("K_RESP", facts, 8) == (7.5, 1.0)


def session(departure_s: int, requested_wh: int, delivered_wh: int) -> EvSession:
    return EvSession(
        session_id=f"h001-ev-{departure_s}",
        asset_id="h001-ev",
        arrival_s=START_S - DAY_S,
        departure_s=departure_s,
        initial_state_of_charge=0.2,
        requested_energy_wh=requested_wh,
        capacity_wh=50_000,
        delivered_energy_wh=delivered_wh,
        state=EvSessionState.COMPLETED,
    )


def test_charging_counts_where_the_vehicle_leaves_in_the_period_and_nobody_gets_more_than_was_asked_for():
    sessions = [session(START_S + 60, 10_000, 9_000), session(START_S + 70, 5_000, 6_000)]
    later = session(START_S + 900 * 8, 10_000, 0)
    facts = Facts(sessions=[*sessions, later])
    assert value("K_EVS", facts, 8) == (pytest.approx(14_000 / 15_000, abs=1e-9), 1.0)


@pytest.mark.parametrize("function", ["K_FDR", "K_RESP", "K_EVS", "K_SCR", "K_FCE", "K_TMAX", "K_PMAX"])
def test_of_nothing_nothing_can_be_said(function):
    assert value(function, Facts(), 8)[0] is None


@quick
@given(st.lists(st.floats(10, 35, width=32), min_size=1, max_size=8))
def test_temperatures_are_the_warmest_and_the_coldest_of_the_period(temperatures):
    facts = Facts(indoor=[measured(START_S + n, t) for n, t in enumerate(temperatures)])
    assert value("K_TMAX", facts, 8) == (max(temperatures), len(temperatures) / 8)
    assert value("K_TMIN", facts, 8) == (min(temperatures), len(temperatures) / 8)


@pytest.mark.parametrize("quality", [Quality.ESTIMATED, Quality.MISSING, Quality.SUBSTITUTED])
def test_what_is_not_a_valid_reading_is_missing(quality):
    facts = Facts(readings=[reading(START_S, 100), reading(START_S + 900, 900, quality)])
    assert value("K_ENERGY", facts, 2) == (100, 0.5)
    assert value("K_AVAIL", facts, 2) == (0.5, 1.0)
