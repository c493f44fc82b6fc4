"""Interval readings from counters: nothing lost, nothing twice, and VALID only what is exact."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from behaviours.decisions.register_intervals import Counters, advance_wh, at_quarter, intervals_between
from ontology.base import INTERVAL_S
from ontology.measurements import Quality

T = 1_718_964_000


def counters(after_s, imported, exported=0):
    return Counters(time_s=T + after_s, imported_wh=imported, exported_wh=exported)


def read_on(samples):
    """Read a meter at times, as an adapter does, and return all intervals."""
    since, made = samples[0], []
    for now in samples[1:]:
        made += intervals_between("h001", since, now)
        since = at_quarter(since, now)
    return made, since


def test_a_meter_read_at_each_quarter_gives_exact_intervals():
    made, _ = read_on([counters(0, 100, 7), counters(900, 350, 7), counters(1800, 400, 107)])
    assert [(r.start_s, r.consumed_wh, r.produced_wh, r.consumed_w) for r in made] == [
        (T, 250, 0, 1_000),
        (T + 900, 50, 100, 200),
    ]
    assert {r.quality for r in made} == {Quality.VALID}


def test_a_few_seconds_late_is_still_the_quarter():
    made, _ = read_on([counters(2, 100), counters(911, 350)])
    assert [(r.start_s, r.consumed_wh, r.quality) for r in made] == [(T, 250, Quality.VALID)]


def test_the_interval_in_which_metering_begins_has_no_reading():
    made, _ = read_on([counters(300, 100), counters(900, 350), counters(1800, 360)])
    assert [(r.start_s, r.consumed_wh, r.quality) for r in made] == [(T + 900, 10, Quality.VALID)]


def test_after_an_outage_the_energy_is_spread_and_marked():
    made, _ = read_on([counters(0, 0), counters(900, 100), counters(4 * 900, 400), counters(5 * 900, 410)])
    assert [r.consumed_wh for r in made] == [100, 100, 100, 100, 10]
    assert [r.quality for r in made] == [
        Quality.VALID,
        *[Quality.ESTIMATED] * 3,
        Quality.VALID,
    ]


@pytest.mark.parametrize(
    ("earlier", "later", "advance"),
    [
        (100, 130, 30),
        (9_999_990, 15, 25),
        (2**32 - 10, 90, 100),
        (5_000_000, 20, None),
        (100, 99, None),
    ],
    ids=["on", "over 10 MWh", "over 32 bits", "another meter", "a step back"],
)
def test_a_counter_goes_on_begins_anew_or_is_another_one(earlier, later, advance):
    assert advance_wh(earlier, later) == advance


def test_a_new_meter_begins_where_it_stands():
    made, since = read_on([counters(0, 500_000), counters(400, 3), counters(900, 5), counters(1800, 9)])
    assert [(r.start_s, r.consumed_wh) for r in made] == [(T + 900, 4)]
    assert since == counters(1800, 9)


def test_at_most_a_day_is_caught_up():
    made, _ = read_on([counters(0, 0), counters(200 * 900, 20_000)])
    assert len(made) == 96
    assert made[-1].start_s == T + 199 * 900


steps = st.lists(st.tuples(st.integers(1, 4_000), st.integers(0, 9_000), st.integers(0, 9_000)), max_size=30)


@given(steps)
def test_energy_is_neither_lost_nor_counted_twice_however_the_meter_is_read(moves):
    samples = [counters(0, 0)]
    for seconds, imported, exported in moves:
        last = samples[-1]
        samples.append(
            Counters(
                time_s=last.time_s + seconds,
                imported_wh=last.imported_wh + imported,
                exported_wh=last.exported_wh + exported,
            )
        )
    made, since = read_on(samples)
    starts = [r.start_s for r in made]
    assert starts == list(range(T, T + len(made) * INTERVAL_S, INTERVAL_S))
    rest = samples[-1].imported_wh - since.imported_wh
    assert sum(r.consumed_wh for r in made) + rest == pytest.approx(samples[-1].imported_wh, abs=1e-3)
    rest = samples[-1].exported_wh - since.exported_wh
    assert sum(r.produced_wh for r in made) + rest == pytest.approx(samples[-1].exported_wh, abs=1e-3)
