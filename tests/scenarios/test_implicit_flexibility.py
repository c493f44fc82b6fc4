"""The implicit flexibility market's acceptance (SPEC 2.4), on a seeded pair of days."""

import pytest

from benchmarks.implicit_market import days_of, flexible_share, run_with

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def green():
    return run_with("GREEN's")


@pytest.fixture(scope="module")
def yellow():
    return run_with("YELLOW's, flow a player")


def test_yellow_parameters_lower_the_peak_by_a_tenth_and_raise_the_bill_by_two_percent_at_most(green, yellow):
    assert flexible_share(green) >= 0.3
    assert any(day.yellow for day in days_of(yellow))
    before, after = days_of(green)[1], days_of(yellow)[1]
    assert after.peak_wh <= 0.9 * before.peak_wh
    assert after.bill_tokens <= 1.02 * before.bill_tokens
    assert after.bill_tokens / after.net_wh <= 1.02 * before.bill_tokens / before.net_wh


def test_every_car_still_leaves_with_what_its_driver_asked_for(green, yellow):
    before, after = green.community.counts(), yellow.community.counts()
    assert after["sessions satisfied"] == before["sessions satisfied"] > 20
    assert "sessions short" not in after
