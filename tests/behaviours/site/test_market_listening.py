"""The prices that a site plans with: in an emergency those of the YELLOW that follows it."""

from types import SimpleNamespace

import msgspec
import pytest

from behaviours.decisions.pricing import price_profile
from behaviours.site.market_listening import MarketListening
from ontology.grid import GridState
from ontology.market import GREEN_PARAMETERS, YELLOW_PARAMETERS, Lem, LemState
from ontology.roles import Role

START_S = 1_750_036_500
SETTINGS = SimpleNamespace(
    contacts=SimpleNamespace(aggregator="aggregator@town"), segment_id="f1", planning_intervals=4
)


def market(state):
    tariff = YELLOW_PARAMETERS if state is GridState.YELLOW else GREEN_PARAMETERS
    return Lem(
        start_s=START_S,
        end_s=START_S + 900,
        aggregator="aggregator",
        segment_id="f1",
        state=LemState.VOID if state is GridState.RED else LemState.ACTIVE,
        grid_state=state,
        parameters=msgspec.structs.replace(tariff, case=state),
        players=[],
    )


@pytest.fixture
def listening(town):
    town.clock.advance_to(START_S)
    return town.agent("h001-prosumer", Role.PROSUMER, MarketListening, settings=SETTINGS).behaviour(
        MarketListening
    )


def hear(listening, state):
    lem = market(state)
    listening.note_market(lem, None)
    profile = price_profile(START_S, [4_000] * 96, [0] * 96, lem.parameters, players=10)
    listening.note_prices(profile, None)


@pytest.mark.parametrize(
    ("states", "buy_ticks"),
    [
        pytest.param([GridState.GREEN], 2_000, id="GREEN"),
        pytest.param([GridState.YELLOW], 2_400, id="YELLOW"),
        pytest.param(
            [GridState.YELLOW, GridState.RED], 2_400, id="RED after YELLOW is planned for as YELLOW"
        ),
        pytest.param(
            [GridState.YELLOW, GridState.RED, GridState.GREEN], 2_000, id="and over when it is over"
        ),
        pytest.param([GridState.RED], 2_000, id="RED without a YELLOW before it"),
    ],
)
def test_prices_ahead_by_what_the_light_was(listening, states, buy_ticks):
    for state in states:
        hear(listening, state)
    buy, _ = listening.ahead(START_S)
    assert set(buy) == {buy_ticks}


def test_in_red_the_charge_of_the_flow_is_still_planned_with(listening):
    hear(listening, GridState.YELLOW)
    hear(listening, GridState.RED)
    assert listening.flow_ahead(START_S, [0] * 96) is not None
