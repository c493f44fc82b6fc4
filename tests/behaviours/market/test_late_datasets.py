"""What becomes of a dataset by when it comes: in time, for a correction, or too late."""

import pytest

from behaviours.decisions.correction import CORRECTION_S
from behaviours.market.players import DatasetCollection, PlayerRegistration
from behaviours.market.settled_markets import SettledMarkets
from behaviours.signing import Signer
from ontology.discourse import Acknowledgement
from ontology.errors import Refused
from ontology.grid import GridState
from ontology.market import GREEN_PARAMETERS, Lem, LemDataset, LemState
from ontology.measurements import IntervalReading
from ontology.roles import Role
from ontology.users import Player

START_S = 1_750_000_500 - 900
"""Of the interval that has just ended."""


def dataset(start_s=START_S, consumed_wh=100):
    reading = IntervalReading(
        subject="p", start_s=start_s, consumed_wh=consumed_wh, produced_wh=0, consumed_w=400, produced_w=0
    )
    return LemDataset(
        player="p",
        start_s=start_s,
        reading=reading,
        forecast_start_s=start_s + 900,
        consumption_w=[],
        production_w=[],
        source_hash="ab",
    )


class Market:
    """An engine's collection of datasets, and a site that brings them."""

    def __init__(self, town):
        self.town = town
        self.engine = town.agent(
            "engine", Role.BLOCKCHAIN, PlayerRegistration, SettledMarkets, DatasetCollection
        )
        self.site = town.agent("site", Role.BLOCKCHAIN, signer=Signer(bytes(31) + b"s"))
        self.bring(Player(address="site@town", role=Role.PROSUMER, segment_id="f", player="p"))

    def bring(self, content):
        return self.town.outcome(self.site.ask("engine@town", content, Acknowledgement))

    def close(self, start_s=START_S):
        lem = Lem(
            start_s=start_s,
            end_s=start_s + 900,
            segment_id="f",
            aggregator="a",
            state=LemState.CLOSED,
            grid_state=GridState.GREEN,
            parameters=GREEN_PARAMETERS,
            players=["p"],
        )
        self.collection.close(lem)

    @property
    def collection(self):
        return self.engine.behaviour(DatasetCollection)


@pytest.fixture
def market(town):
    return Market(town)


def test_what_comes_in_time_is_for_the_market(market):
    market.bring(dataset())
    assert market.collection.of(START_S) == {"p": dataset()}
    assert market.collection.late() == {}


def test_what_comes_after_the_market_has_closed_is_for_a_correction_even_after_a_restart(market):
    market.close()
    market.bring(dataset())
    market.bring(dataset(consumed_wh=999))
    assert market.collection.of(START_S) == {}
    assert market.collection.late() == {START_S: {"p": dataset()}}
    market.engine.kill()
    again = Market(market.town)
    assert again.collection.late() == {START_S: {"p": dataset()}}


def test_what_the_market_has_already_is_not_taken_in_again(market):
    market.bring(dataset())
    market.close()
    market.bring(dataset(consumed_wh=999))
    assert not any(market.collection.late().values())


def test_what_comes_more_than_seven_days_late_is_refused_with_the_reason(market):
    oldest_s = START_S - CORRECTION_S + 900
    market.close(oldest_s)
    market.bring(dataset(oldest_s))
    with pytest.raises(Refused, match="settled for good"):
        market.bring(dataset(oldest_s - 900))
    assert list(market.collection.late()) == [oldest_s]
