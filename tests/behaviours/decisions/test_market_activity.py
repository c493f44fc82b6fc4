import pytest

from behaviours.decisions.market_activity import Market, active_markets, is_active
from ontology.grid import GridState

TABLE = [
    # state, local energy, implicit, explicit, emergency, external      (SPEC 2.1, D8.1 3.8.1)
    (GridState.GREEN, True, False, False, False, True),
    (GridState.YELLOW, True, True, True, False, False),
    (GridState.RED, False, False, False, True, False),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row[0].value)
def test_a_state_activates_the_markets_of_the_specification(row):
    state, *expected = row
    assert [is_active(market, state) for market in Market] == expected


@pytest.mark.parametrize("before", TABLE, ids=lambda row: f"from-{row[0].value}")
@pytest.mark.parametrize("after", TABLE, ids=lambda row: f"to-{row[0].value}")
def test_a_change_of_state_switches_exactly_what_differs(before, after):
    started = active_markets(after[0]) - active_markets(before[0])
    stopped = active_markets(before[0]) - active_markets(after[0])
    rows = list(zip(Market, before[1:], after[1:], strict=True))
    assert started == {market for market, was, is_ in rows if is_ and not was}
    assert stopped == {market for market, was, is_ in rows if was and not is_}


def test_a_missing_state_counts_as_green():
    assert active_markets(None) == active_markets(GridState.GREEN)
