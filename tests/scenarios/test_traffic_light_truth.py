"""The traffic light that the DSO sees against the truth, by the benchmark's own month (SPEC 4.10)."""

import pytest

from benchmarks.traffic_light import KNOWN, confusion, month_of, precision_of, recall_of
from ontology.grid import GridState


@pytest.fixture(scope="module")
def fortnight():
    return month_of(14)


@pytest.mark.slow
@pytest.mark.parametrize("known", ["transformer, 80 % of readings", "and 20 % of sites by phase"])
def test_with_a_metered_transformer_red_is_seen_and_nothing_else_is_taken_for_it(fortnight, known):
    matrix = confusion(fortnight, KNOWN[known])
    assert matrix[2].sum() > 15
    assert recall_of(matrix, GridState.RED) >= 0.98
    assert precision_of(matrix, GridState.RED) >= 0.9


@pytest.mark.slow
def test_forecasts_alone_do_not_see_it(fortnight):
    matrix = confusion(fortnight, KNOWN["no reading, no transformer"])
    assert recall_of(matrix, GridState.RED) < 0.8


@pytest.mark.slow
def test_where_the_voltage_is_the_limit_meters_that_tell_phases_see_it():
    week = month_of(7, "long cables")
    by_totals, by_phase = (
        confusion(week, KNOWN[known]) for known in ("transformer, 80 % of readings", "and all sites by phase")
    )
    assert recall_of(by_phase, GridState.RED) >= 0.98
    assert precision_of(by_phase, GridState.RED) >= 0.9
    assert recall_of(by_totals, GridState.RED) < recall_of(by_phase, GridState.RED)
