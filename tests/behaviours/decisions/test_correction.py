"""A correction moves the difference to what would have been settled, no more and no less."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quick import quick

from behaviours.decisions.correction import (
    CORRECTION_S,
    correction_entries,
    correction_hash,
    correction_key,
    is_too_old,
    with_readings,
)
from behaviours.decisions.settlement import MeteredEnergy, settle_interval
from ontology.grid import GridState
from ontology.market import YELLOW_PARAMETERS

START_S = 1_750_000_500
ENERGY = st.integers(0, 5_000)
PLAYERS = st.dictionaries(
    st.sampled_from("abcdefgh"), st.tuples(ENERGY, ENERGY, ENERGY, ENERGY, st.booleans()), min_size=1
)


def settled(rows):
    accounts = {"aggregator": "A", "grid": "G"}
    return settle_interval(
        rows, YELLOW_PARAMETERS, GridState.YELLOW, 10_000, start_s=START_S, segment_id="f", **accounts
    )


@quick
@given(PLAYERS)
def test_what_was_settled_and_its_corrections_add_up_to_what_all_readings_come_to(players):
    """In whatever order they come: one after the other, as here, or all at once."""
    rows = [MeteredEnergy(name, c, p, estimated=late) for name, (c, p, _, _, late) in players.items()]
    total = dict(settled(rows).entries)
    for name, (_, _, consumed_wh, produced_wh, late) in players.items():
        if late:
            before = settled(rows).entries
            rows = with_readings(rows, {name: MeteredEnergy(name, consumed_wh, produced_wh)})
            moved = correction_entries(before, settled(rows).entries)
            assert sum(moved.values()) == 0
            total = {account: tokens + moved[account] for account, tokens in total.items()}
    assert not any(row.estimated for row in rows)
    assert total == settled(rows).entries


def test_a_reading_that_was_settled_stands_whatever_comes_later():
    rows = [MeteredEnergy("a", 100, 0), MeteredEnergy("b", 50, 0, estimated=True)]
    late = {"a": MeteredEnergy("a", 999, 0), "b": MeteredEnergy("b", 70, 0)}
    assert with_readings(rows, late) == [MeteredEnergy("a", 100, 0), MeteredEnergy("b", 70, 0)]


@pytest.mark.parametrize(("age_s", "too_old"), [(0, False), (CORRECTION_S, False), (CORRECTION_S + 1, True)])
def test_an_interval_is_corrected_for_seven_days_after_its_end(age_s, too_old):
    assert is_too_old(START_S, START_S + 900 + age_s) is too_old


def test_a_correction_has_a_key_and_a_hash_of_its_own():
    one, other = settled([MeteredEnergy("a", 100, 0)]), settled([MeteredEnergy("a", 200, 0)])
    first, second = correction_key(START_S, 1), correction_key(START_S, 2)
    assert first != second
    hashes = {correction_hash(first, [(one, other)]), correction_hash(second, [(one, other)])}
    assert len(hashes | {correction_hash(first, [(other, one)])}) == 3
