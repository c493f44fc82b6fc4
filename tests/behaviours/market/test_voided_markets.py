"""A market that turns RED while it runs: attestors take that one change of its terms, and no other."""

from types import SimpleNamespace

import pytest
from post_office import START_S, Town

from behaviours.market.attestor_evidence import MarketWatching
from ontology.grid import GridState
from ontology.market import GREEN_PARAMETERS, YELLOW_PARAMETERS, Lem, LemState
from ontology.roles import Role

TERMS = {
    GridState.GREEN: GREEN_PARAMETERS,
    GridState.YELLOW: YELLOW_PARAMETERS,
    GridState.RED: GREEN_PARAMETERS,
}


def market(state: GridState) -> Lem:
    return Lem(
        start_s=START_S,
        end_s=START_S + 900,
        segment_id="segment-001",
        aggregator="aggregator@town",
        state=LemState.VOID if state is GridState.RED else LemState.ACTIVE,
        grid_state=state,
        parameters=TERMS[state],
        players=[],
    )


@pytest.mark.parametrize(
    ("announced", "at_s", "state", "accepted"),
    [
        pytest.param(GridState.GREEN, 600, GridState.RED, True, id="red while it runs"),
        pytest.param(GridState.YELLOW, 899, GridState.RED, True, id="red in its last second"),
        pytest.param(GridState.GREEN, 901, GridState.RED, False, id="red when it is over"),
        pytest.param(GridState.GREEN, 600, GridState.YELLOW, False, id="another tariff"),
        pytest.param(GridState.RED, 600, GridState.GREEN, False, id="green again"),
    ],
)
def test_an_attestor_accepts_red_while_a_market_runs_and_nothing_else(
    town: Town, announced: GridState, at_s: int, state: GridState, accepted: bool
) -> None:
    aggregator = town.mailbox("aggregator", Role.AGGREGATOR)
    settings = SimpleNamespace(aggregator="aggregator@town", segments=())
    attestor = town.agent("attestor", Role.BLOCKCHAIN, MarketWatching, settings=settings)
    town.soon(aggregator.send, "attestor@town", market(announced))
    town.clock.advance_to(START_S + at_s)
    town.soon(aggregator.send, "attestor@town", market(state))
    assert attestor.behaviour(MarketWatching).is_as_announced(market(state)) is accepted
