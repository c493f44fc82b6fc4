"""What a contract for emergencies allows and pays (SPEC 2.7)."""

from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from behaviours.decisions.bilateral_contract import (
    BilateralContract,
    Window,
    activation_ticks,
    availability_ticks,
    is_kept,
    member_ticks,
    ramped,
    reason_to_refuse_signal,
    relief_w,
)
from ontology.flexibility_trading import DemandResponseReport, DRSignal
from tests.behaviours.decisions.quick import quick

ZURICH = ZoneInfo("Europe/Zurich")
SUMMER_WORKDAYS = tuple(
    Window(months=(7, 8), weekdays=(0, 1, 2, 3, 4), from_minute=60 * start, to_minute=60 * end)
    for start, end in ((9, 12), (13, 17))
)
CONTRACT = BilateralContract(
    contract_id="summer",
    segment_id="f1",
    reserved_w=10_000,
    availability_ticks_per_kw_hour=500,
    activation_ticks_per_kwh=10_000,
    activations_a_day=2,
    windows=SUMMER_WORKDAYS,
    zone="Europe/Zurich",
    payee="p_aggregator",
)


def at(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=ZURICH).timestamp())


TEN = at("2024-07-02T10:00")
"""A Tuesday."""


def signal(**changes):
    told = {"signal_id": "s1", "segment_id": "f1", "start_s": TEN, "duration_s": 900, "delta_w": -8_000}
    return DRSignal(**(told | {"contract_id": "summer", "deadline_s": TEN} | changes))


def report(delivered_w, ordered_w=-6_000):
    return DemandResponseReport(
        signal_id="s1",
        contract_id="summer",
        subject="f1",
        start_s=TEN,
        step_s=60,
        ordered_w=ordered_w,
        delivered_w=delivered_w,
    )


@pytest.mark.parametrize(
    ("time", "valid"),
    [
        ("2024-07-02T08:59", False),
        ("2024-07-02T09:00", True),
        ("2024-07-02T11:59", True),
        ("2024-07-02T12:00", False),
        ("2024-07-02T13:00", True),
        ("2024-07-02T17:00", False),
        ("2024-07-06T10:00", False),
        ("2024-08-30T10:00", True),
        ("2024-09-02T10:00", False),
    ],
)
def test_a_contract_for_summer_workdays_holds_in_its_hours_of_local_time(time, valid):
    assert CONTRACT.is_valid_at(at(time)) is valid


def test_without_windows_a_contract_always_holds():
    assert msgspec.structs.replace(CONTRACT, windows=()).is_valid_at(at("2024-12-24T23:00"))


@pytest.mark.parametrize(
    ("changes", "now_s", "sent_s", "activated", "said"),
    [
        pytest.param({}, TEN - 300, TEN - 300, (), "", id="in-time"),
        pytest.param({}, TEN, TEN - 30, (), "", id="just-in-time"),
        pytest.param({}, TEN - 100, TEN - 131, (), "too late", id="stale"),
        pytest.param({}, TEN + 1, TEN, (), "too late", id="after-its-deadline"),
        pytest.param({"contract_id": "other"}, TEN, TEN, (), "another contract", id="another-contract"),
        pytest.param({"segment_id": "f2"}, TEN, TEN, (), "segment", id="another-segment"),
        pytest.param({"delta_w": -10_001}, TEN, TEN, (), "reserved", id="more-than-is-reserved"),
        pytest.param({"delta_w": None, "limit_w": 5}, TEN, TEN, (), "", id="a-limit"),
        pytest.param(
            {"start_s": at("2024-07-02T12:30"), "deadline_s": at("2024-07-02T12:30")},
            TEN,
            TEN,
            (),
            "does not hold",
            id="outside-the-windows",
        ),
        pytest.param({}, TEN, TEN, (TEN - 1800, TEN - 900), "2 times", id="used-up"),
        pytest.param({}, TEN, TEN, (TEN - 900, TEN), "", id="the-same-signal-again"),
        pytest.param({}, TEN, TEN, (TEN - 86_400, TEN - 87_300), "", id="used-up-yesterday"),
    ],
)
def test_a_contract_allows_a_signal(changes, now_s, sent_s, activated, said):
    reason = reason_to_refuse_signal(CONTRACT, signal(**changes), now_s, sent_s, activated)
    assert said in reason
    assert bool(reason) is bool(said)


def test_availability_is_paid_for_the_hours_in_the_windows():
    """10 kW at 0.05 EUR for 7 of the day's hours: 3.50 EUR."""
    midnight = at("2024-07-02T00:00")
    assert availability_ticks(CONTRACT, midnight, midnight + 86_400) == 35_000
    assert availability_ticks(CONTRACT, TEN, TEN + 3600) == 5_000
    assert availability_ticks(CONTRACT, at("2024-07-06T00:00"), at("2024-07-07T00:00")) == 0


def test_energy_is_paid_as_far_as_it_was_ordered_and_goes_the_right_way():
    assert activation_ticks(CONTRACT, report([-6_000] * 15)) == 15_000
    assert activation_ticks(CONTRACT, report([-9_000] * 15)) == 15_000
    assert activation_ticks(CONTRACT, report([6_000] * 15)) == 0
    assert activation_ticks(CONTRACT, report([-3_000] * 15)) == 7_500
    assert activation_ticks(CONTRACT, report([6_000] * 15, ordered_w=6_000)) == 15_000


def test_a_contract_is_kept_when_nine_tenths_are_there_after_the_response_time():
    assert is_kept(CONTRACT, report([-1_000] + [-5_400] * 14))
    assert not is_kept(CONTRACT, report([-6_000] + [-5_399] * 14))
    assert not is_kept(CONTRACT, report([-6_000, -1_000] + [-6_000] * 13))


@quick
@given(st.integers(-50_000, 50_000), st.lists(st.integers(-50_000, 50_000), max_size=30))
def test_never_more_is_paid_than_the_order_is_worth(ordered_w, delivered_w):
    paid = activation_ticks(CONTRACT, report(delivered_w, ordered_w))
    whole = activation_ticks(CONTRACT, report([ordered_w] * len(delivered_w), ordered_w))
    assert 0 <= paid <= whole


@pytest.mark.parametrize(
    ("flows_w", "wanted_w"),
    [((90_000, 80_000), -26_000), ((50_000, 64_000), 0), ((-70_000, 10_000), 6_000), ((0, 64_001), -1)],
)
def test_what_is_called_for_is_what_is_too_much(flows_w, wanted_w):
    assert relief_w(64_000, flows_w) == wanted_w


@quick
@given(st.integers(-20_000, 20_000), st.integers(-20_000, 20_000))
def test_after_an_emergency_devices_come_back_by_a_fifth_a_minute(before_w, after_w):
    path = [ramped(before_w, after_w, second) for second in range(0, 400, 20)]
    assert path[0] == before_w
    assert path[-1] == after_w
    steps = [abs(later - earlier) for earlier, later in zip(path[:-3], path[3:], strict=True)]
    assert max(steps) <= abs(after_w - before_w) / 5 + 1


@quick
@given(
    st.lists(st.tuples(st.integers(-5_000, 0), st.integers(-8_000, 1_000)), min_size=1, max_size=5),
    st.integers(0, 100),
    st.integers(0, 10**6),
)
def test_members_share_their_part_by_what_they_delivered_and_no_more(asked, percent, income_ticks):
    contract = msgspec.structs.replace(CONTRACT, members_percent=percent)
    reports = [
        msgspec.structs.replace(report([delivered_w], ordered_w), subject=f"h{i}")
        for i, (ordered_w, delivered_w) in enumerate(asked)
    ]
    ticks = member_ticks(contract, income_ticks, reports)
    assert sum(ticks.values()) <= income_ticks * percent // 100
    assert sum(ticks.values()) > income_ticks * percent // 100 - len(reports) or not ticks
    useful = {f"h{i}": max(0, min(-ordered, -delivered)) for i, (ordered, delivered) in enumerate(asked)}
    assert ticks.keys() == {site for site, power_w in useful.items() if power_w}
    by_energy = sorted(ticks, key=useful.__getitem__)
    assert [ticks[site] for site in by_energy] == sorted(ticks.values())
