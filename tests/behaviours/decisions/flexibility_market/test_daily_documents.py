"""Documents of local days from rolling ones, and the intervals of documents one by one."""

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from post_office import some
from trade_samples import OFFER, ORDER, REQUEST, START_S, changed, power, wanted

from behaviours.decisions.flexibility_market.daily_documents import (
    DayRecord,
    day_end_s,
    day_start_s,
    days_of,
    expanded,
    metering_of_day,
    narrowed,
    noted,
    prognosis_of_day,
)
from behaviours.decisions.flexibility_market.need import still_needed_w
from ontology.flexibility_trading import MeteredInterval

ZONES = ["Europe/Berlin", "Europe/Lisbon", "America/New_York", "Australia/Sydney"]
instants = st.integers(1_600_000_000 // 900, 1_900_000_000 // 900).map(lambda each: each * 900)
zones = st.sampled_from(ZONES)
powers = st.dictionaries(instants, st.integers(-50_000, 50_000), max_size=30)


@given(instants, zones)
@some
def test_an_instant_lies_in_its_local_day_of_23_to_25_hours(instant_s, zone):
    start_s, end_s = day_start_s(instant_s, zone), day_end_s(instant_s, zone)
    assert start_s <= instant_s < end_s
    assert (end_s - start_s) / 3600 in (23, 24, 25)
    assert datetime.fromtimestamp(start_s, UTC).astimezone(ZoneInfo(zone)).hour == 0
    assert day_start_s(end_s, zone) == end_s


@pytest.mark.parametrize(
    ("day", "hours"),
    [("2026-03-29", 23), ("2026-06-01", 24), ("2026-10-25", 25)],
    ids=["spring", "", "autumn"],
)
def test_a_day_on_which_clocks_change_has_another_length(day, hours):
    noon_s = int(datetime.fromisoformat(f"{day}T12:00+00:00").timestamp())
    assert day_end_s(noon_s, "Europe/Amsterdam") - day_start_s(noon_s, "Europe/Amsterdam") == hours * 3600


@given(powers, zones)
@some
def test_every_interval_is_in_exactly_one_day_and_that_is_its_own(power_w, zone):
    days = days_of(power_w, zone)
    assert {s: w for told in days.values() for s, w in told.items()} == power_w
    for day_s, told in days.items():
        assert {day_start_s(each, zone) for each in told} == {day_s}


@given(st.lists(powers, min_size=1, max_size=5))
@some
def test_the_newest_power_of_an_interval_stands_and_the_revision_rises(tellings):
    records = [DayRecord(0, 86_400)]
    for power_w in tellings:
        records.append(noted(records[-1], power_w))
    newest = {}
    for power_w in tellings:
        newest |= power_w
    assert records[-1].power_w == newest
    assert all(later.revision == earlier.revision + 1 for earlier, later in pairwise(records))


def test_a_days_documents_tell_all_that_is_known_in_order():
    record = noted(noted(DayRecord(0, 86_400), {1800: 5, 900: 4}), {0: 3, 900: 7})
    prognosis, metering = prognosis_of_day(record, "segment-1"), metering_of_day(record, "segment-1")
    assert prognosis.intervals == [power(3, 0), power(7, 900), power(5, 1800)]
    assert metering.intervals[1] == MeteredInterval(start_s=900, actual_w=7)
    for each in (prognosis, metering):
        assert (each.period_start_s, each.period_end_s, each.revision) == (0, 86_400, 2)


def test_an_interval_that_stands_for_several_becomes_several():
    long = [power(-4000, duration_s=2700)]
    singles = [power(-4000, START_S + step) for step in (0, 900, 1800)]
    assert expanded(changed(ORDER, intervals=long)).intervals == singles
    offer = changed(OFFER, options=[changed(OFFER.options[0], intervals=long)])
    assert expanded(offer).options[0].intervals == singles


@pytest.mark.parametrize("document", [REQUEST, OFFER, ORDER], ids=["request", "offer", "order"])
def test_single_intervals_stay_as_they_are(document):
    assert expanded(document) == document


def test_a_request_for_a_day_is_narrowed_to_what_it_asks_for():
    request = changed(REQUEST, period_start_s=0, intervals=[wanted(-1), wanted(-2, START_S + 1800)])
    assert narrowed(request).period_start_s == START_S
    assert narrowed(request).period_end_s == START_S + 2700


@pytest.mark.parametrize(
    ("needed_w", "promised_w", "left_w"),
    [(-10, -6, -4), (-10, -12, 0), (-10, 3, -13), (8, 5, 3), (8, 9, 0), (0, -5, 5), (0, 0, 0)],
)
def test_what_is_promised_is_not_needed_any_more(needed_w, promised_w, left_w):
    assert still_needed_w(needed_w, promised_w) == left_w
