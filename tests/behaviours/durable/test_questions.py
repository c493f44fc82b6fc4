"""Questions, answers and work that takes a while, over deaths and a foul network."""

import pytest
from post_office import Town, found, question
from relay import DSO, MARKET, ORACLE, Relay

from behaviours.behaviour import Behaviour, on
from environments.repository import SqliteAgentStore
from environments.simulation.transport import Faults
from ontology.discourse import Query, QueryResult
from ontology.roles import Role


class Quick(Behaviour):
    """Answers at once, and counts how often it was asked."""

    @on(Query)
    def answer(self, query, letter):
        self.agent.counts["asked"] += 1
        return found(1)


class Slow(Behaviour):
    """Takes half a minute to answer."""

    @on(Query)
    async def answer(self, query, letter):
        self.agent.counts["asked"] += 1
        await self.clock.sleep_until(self.clock.now_s() + 30)
        return found(2)


@pytest.fixture
def durable_town(town):
    town.durable = True
    return town


def ask(town, asker, within_s):
    work = asker.ask("repository@town", question(), QueryResult, within_s=within_s)
    return town.outcome(work, within_s=within_s)


def test_a_question_is_answered_and_worked_on_once_over_a_foul_network():
    with Town(faults=Faults(delay_max_s=1, loss=0.4, duplication=0.3), seed=1) as town:
        town.durable = True
        asker, asked = town.agent("dso", Role.DSO), town.agent("repository", Role.REPOSITORY, Quick)
        for _ in range(10):
            assert ask(town, asker, 120) == found(1)
        assert asked.counts["asked"] == 10
        town.run(120)
        assert asker.unconfirmed == asked.unconfirmed == 0


def test_an_agent_that_died_over_a_question_answers_it_when_it_is_back(durable_town):
    town = durable_town
    asker, asked = town.agent("dso", Role.DSO), town.agent("repository", Role.REPOSITORY, Slow)
    answers = []

    async def asking():
        answers.append(await asker.ask("repository@town", question(), QueryResult, within_s=300))

    town.soon(asker.spawn, asking())
    town.run(10)
    asked.kill()
    town.run(10)
    again = town.agent("repository", Role.REPOSITORY, Slow)
    town.run(60)
    assert answers == [found(2)]
    assert again.counts["taken up again"] == 1


def test_what_is_finished_is_not_taken_up_again(durable_town):
    town = durable_town
    asker, asked = town.agent("dso", Role.DSO), town.agent("repository", Role.REPOSITORY, Slow)
    assert ask(town, asker, 60) == found(2)
    asked.kill()
    again = town.agent("repository", Role.REPOSITORY, Slow)
    town.run(60)
    assert again.counts["taken up again"] == again.counts["asked"] == 0


def test_a_filled_disk_stops_letters_and_receipts_and_loses_nothing(town, tmp_path):
    store = SqliteAgentStore(tmp_path / "agents.sqlite")
    relay = Relay(town, store)
    relay.say(1)
    town.run(10)
    fill(store)
    for number in range(2, 200):
        relay.say(number)
    town.run(100)
    assert relay.agents[DSO].counts["store unavailable"] > 0
    assert len(relay.read(MARKET)) < 199
    make_room(store)
    town.run(300)
    assert relay.read(ORACLE) == relay.read(MARKET) == list(range(1, 200))


def fill(store):
    """Let the file grow no further."""
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count={pages + 2}")


def make_room(store):
    store._connection.execute("PRAGMA max_page_count=1000000")


def test_a_new_store_begins_conversations_that_nobody_has_heard_of(town, tmp_path):
    relay = Relay(town, SqliteAgentStore(tmp_path / "first.sqlite"))
    relay.say(1, 2, 3)
    town.run(10)
    market = town.store.load(MARKET)
    relay.kill(DSO)
    blank = SqliteAgentStore(tmp_path / "blank.sqlite")
    assert blank.incarnation != town.store.incarnation
    kept, town.store = town.store, blank
    relay.start(DSO)
    town.store = kept
    relay.say(4, 5)
    town.run(10)
    assert market
    assert relay.read(MARKET) == [1, 2, 3, 4, 5]


def test_a_store_restored_from_a_copy_says_nothing_under_an_old_number(town, tmp_path):
    path = tmp_path / "agents.sqlite"
    store = SqliteAgentStore(path)
    relay = Relay(town, store)
    relay.say(1)
    town.run(10)
    before = store.load(DSO)
    relay.say(2, 3)
    town.run(10)
    relay.kill(DSO)
    gone = dict.fromkeys(store.load(DSO))
    store.commit(DSO, {**gone, **before})
    store.renew()
    relay.start(DSO)
    relay.say(4)
    town.run(10)
    assert relay.read(MARKET) == [1, 2, 3, 4]


def test_a_store_that_is_an_old_copy_is_noticed(town):
    relay = Relay(town)
    relay.say(1)
    town.run(10)
    before = town.store.load(DSO)
    relay.say(2, 3, 4)
    town.run(10)
    relay.kill(DSO)
    town.store.commit(DSO, dict.fromkeys(town.store.load(DSO)) | before)
    relay.start(DSO)
    relay.say(5)
    town.run(10)
    assert relay.agents[DSO].counts["numbers used before"] > 0


def test_a_receiver_with_a_blank_store_goes_on_where_the_sender_is(town):
    relay = Relay(town)
    relay.say(1, 2, 3)
    town.run(10)
    relay.kill(ORACLE)
    town.store.commit(ORACLE, dict.fromkeys(town.store.load(ORACLE)))
    relay.start(ORACLE)
    relay.say(4, 5)
    town.run(60)
    assert relay.read(ORACLE) == [4, 5]
