"""How much a segment needs, and what an aggregator offers for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trade_samples import REQUEST, START_S, changed, wanted

from behaviours.decisions.flexibility_market.need import needed_w
from behaviours.decisions.flexibility_market.offering import (
    OfferTerms,
    members_by_forecast,
    offer_options,
    wanted_powers,
)
from behaviours.decisions.grid.traffic_light import Strain
from ontology.flexibility import FlexibilityForecast


@pytest.mark.parametrize(
    ("strain", "net_w", "needed"),
    [
        (Strain(0.9, 0.97, 1.0), 80_000, 0),
        (Strain(1.25, 0.97, 1.0), 100_000, -20_000),
        (Strain(1.25, 1.0, 1.03), -100_000, 20_000),
        (Strain(0.5, 0.875, 1.0), 50_000, -10_000),
        (Strain(0.5, 1.0, 1.125), -50_000, 10_000),
        (Strain(1.25, 0.8, 1.0), 100_000, -50_000),
        (Strain(1.25, 1.0, 1.0), 0, 0),
    ],
    ids=["none", "import", "export", "low voltage", "high voltage", "the worse of both", "nobody"],
)
def test_the_need_is_the_share_of_the_net_power_above_the_limit(strain, net_w, needed):
    assert needed_w(strain, net_w) == needed


def test_a_lower_loading_may_be_aimed_at():
    assert needed_w(Strain(1.0, 1.0, 1.0), 100_000, loading_max=0.9) == -10_000


@given(st.floats(0.1, 3), st.floats(0.7, 1.0), st.integers(1, 10**6))
def test_what_is_needed_brings_loading_and_voltage_back(loading, voltage, net_w):
    left = 1 + needed_w(Strain(loading, voltage, 1.0), net_w) / net_w
    assert loading * left <= 1 + 1e-6
    assert (1 - voltage) * left <= 0.1 + 1e-6


def could(member, up_w, cost=300):
    return FlexibilityForecast(
        subject=member,
        start_s=START_S,
        up_w=up_w,
        down_w=[0] * len(up_w),
        duration_max_s=[900] * len(up_w),
        cost_ticks_per_kwh=[cost] * len(up_w),
    )


def test_only_what_is_requested_counts_as_wanted():
    assert wanted_powers(REQUEST) == {START_S: -9000}
    two = changed(REQUEST, intervals=[wanted(-9000, duration_s=1800)])
    assert wanted_powers(two) == {START_S: -9000, START_S + 900: -9000}


def test_over_several_intervals_the_same_energy_is_shared_out():
    members = members_by_forecast([could("h1", [4000, 4000])], {START_S: -9000, START_S + 900: -9000})
    assert members[0].power_w == (2000, 2000)


def test_who_can_do_nothing_then_is_no_member():
    assert members_by_forecast([could("h1", [0]), could("h2", [50])], {START_S: 100}) == []
    assert members_by_forecast([could("h1", [50])], {START_S + 900: -100}) == []


def test_options_go_from_all_that_is_wanted_to_a_cheaper_part():
    wanted_w = {START_S: -9000}
    members = members_by_forecast([could(f"h{i}", [3000], cost=100 * i) for i in range(6)], wanted_w)
    options = offer_options(wanted_w, members, terms=OfferTerms(shares=(1.0, 0.5)))
    assert [each.intervals[0].power_w for each in options] == [-9000, -4500]
    assert [each.activation_min for each in options] == [0.2, 1.0]
    per_kwh = [each.price_ticks / abs(each.intervals[0].power_w) for each in options]
    assert per_kwh[0] > per_kwh[1]


def test_what_is_sold_elsewhere_or_uncertain_is_not_offered():
    wanted_w = {START_S: -9000}
    members = members_by_forecast([could("h1", [10_000])], wanted_w)
    (option, *_) = offer_options(wanted_w, members, {START_S: 2000})
    assert option.intervals[0].power_w == -6500
    assert offer_options(wanted_w, members, {START_S: 8450}) == []


def test_the_price_covers_what_is_expected_to_be_missing():
    wanted_w = {START_S: -4000}
    members = members_by_forecast([could("h1", [10_000], cost=300)], wanted_w)
    (usual, *_), (careful, *_) = (
        offer_options(wanted_w, members, terms=OfferTerms(penalty_ticks_per_kwh=penalty))
        for penalty in (0, 2000)
    )
    assert careful.price_ticks - usual.price_ticks == pytest.approx(0.15 * 2000 * 1, abs=1), "of one kWh"
