"""Plants deliver what was ordered although members fail: the aggregator corrects them by the minute."""

import pytest

from benchmarks.dispatch import STREETS, delivery, within


@pytest.mark.slow
def test_what_was_ordered_is_delivered_with_a_tenth_of_the_members_failing():
    outcomes = [delivery(seed, failing=0.1, **STREETS["30 batteries"]) for seed in (1, 2, 3)]
    assert sum(each.failed for each in outcomes) >= 0.1 * sum(each.members for each in outcomes)
    assert within(outcomes, 0.10) >= 0.95


@pytest.mark.slow
def test_without_correction_it_is_not():
    assert within([delivery(3, failing=0.1, corrected=False, **STREETS["30 batteries"])]) < 0.95


def test_a_plant_of_few_makes_up_for_those_that_die():
    street = {"population": None, "sites": STREETS["30 batteries"]["sites"][:8], "products[0].power_kw": -12}
    street |= {"products[0].hours": 0.75, "start": "2024-01-10T16:30"}
    outcome = delivery(1, failing=0.25, **street)
    assert 0 < outcome.failed < outcome.members
    assert outcome.corrections > 0
    assert outcome.delivered_w == pytest.approx([-12_000] * 3, rel=0.1)
