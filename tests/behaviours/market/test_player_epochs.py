"""Who plays under which pseudonym when, and with what an account opens."""

import pytest

from behaviours.decisions.pseudonyms import EPOCH_S
from behaviours.market.players import MarketEngineSettings, PlayerRegistration
from contracts.memory import MemoryLedger
from ontology.discourse import Acknowledgement
from ontology.errors import Refused
from ontology.roles import Role
from ontology.users import Player

SETTINGS = MarketEngineSettings(
    aggregator="",
    aggregator_account="A",
    grid_account="G",
    repository="",
    market_operator="",
    tokens_per_currency=10_000,
    initial_tokens=1_000,
    aggregator_tokens=5_000,
    grid_tokens=5_000,
)


class Members:
    """An engine that registers players, and two sites."""

    def __init__(self, town):
        self.town = town
        self.engine = town.agent("engine", Role.BLOCKCHAIN, PlayerRegistration, settings=SETTINGS)
        self.sites = {name: town.agent(name, Role.BLOCKCHAIN) for name in ("one", "other")}

    def register(self, site, player, epoch):
        begins_s = epoch * EPOCH_S
        content = Player(
            address=f"{site}@town",
            role=Role.PROSUMER,
            segment_id="f",
            player=player,
            valid_from_s=begins_s,
            valid_to_s=begins_s + EPOCH_S,
        )
        return self.town.outcome(self.sites[site].ask("engine@town", content, Acknowledgement))

    @property
    def known(self):
        return self.engine.behaviour(PlayerRegistration)


@pytest.fixture
def members(town):
    members = Members(town)
    members.register("one", "p7", 7)
    members.register("other", "q7", 7)
    members.register("one", "p8", 8)
    return members


def test_each_interval_has_the_players_of_its_epoch(members):
    assert members.known.of_segment("f", 8 * EPOCH_S - 900) == ["p7", "q7"]
    assert members.known.of_segment("f", 8 * EPOCH_S) == ["p8"]


def test_who_is_known_under_the_next_pseudonym_already_goes_on_under_it(members):
    assert members.known.successions(8 * EPOCH_S - 1) == {}
    assert members.known.successions(8 * EPOCH_S) == {"p7": "p8"}
    members.register("other", "q9", 9)
    assert members.known.successions(9 * EPOCH_S) == {"q7": "q9"}
    assert members.known.predecessor("p8") == "p7"
    assert members.known.predecessor("p7") is None


def test_first_tokens_are_given_once_a_member_even_after_a_restart(members):
    members.engine.kill()
    again = Members(members.town)
    ledger = MemoryLedger("A")
    members.town.outcome(again.known.open_accounts(ledger))
    held = members.town.outcome(ledger.balances(["p7", "p8", "q7"]))
    assert held == {"p7": 1_000, "p8": 0, "q7": 1_000}


def test_a_member_has_one_player_at_a_time(members):
    with pytest.raises(Refused, match="has a player already"):
        members.register("one", "another", 8)
    with pytest.raises(Refused, match="spoken for"):
        members.register("other", "p8", 8)
