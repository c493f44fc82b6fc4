"""An agent's life: it answers, survives its own bugs, remembers over a restart and acts in time."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from post_office import START_S, Town, found, measured, question, some

from behaviours.agent import next_turn_s
from behaviours.behaviour import Behaviour, every, on, when
from environments.repository import MemoryAgentStore, SqliteAgentStore
from environments.simulation.transport import Faults
from ontology.discourse import FailureReport, Query, QueryResult, Refusal, Rejection
from ontology.errors import Conflict, Failed, InvalidInput, NotUnderstood, Refused, Unavailable
from ontology.measurements import Measurement
from ontology.performatives import Performative
from ontology.roles import Role


@pytest.fixture
def dso(town):
    """Somebody who asks: the post of a network operator."""
    return town.mailbox("dso", Role.DSO)


def ask(town, asker, to="repository@town", act=Performative.REQUEST):
    """Let a post ask an agent for what the meter measured; return the answering letter."""
    return town.outcome(asker.ask(to, question(), town.clock.now_s() + 5, act))


def answering_with(outcome):
    """Return a behaviour that answers questions with a value, or raises it."""

    class Answering(Behaviour):
        @on(Query)
        def answer(self, query, letter):
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

    return Answering


# -- answering -------------------------------------------------------------------------------------


def test_what_a_handler_returns_is_the_reply(town, dso):
    town.agent("repository", Role.REPOSITORY, answering_with(found(7)))
    answer = ask(town, dso)
    assert answer.content == found(7)
    assert answer.performative is Performative.INFORM


def test_an_agent_asks_another_for_a_type_and_gets_its_content(town):
    town.agent("repository", Role.REPOSITORY, answering_with(found(7)))
    bess = town.agent("bess", Role.BESS)
    assert town.outcome(bess.ask("repository@town", question(), QueryResult)) == found(7)


def test_an_answer_of_another_type_is_a_failure(town):
    town.agent("repository", Role.REPOSITORY, answering_with(found(7)))
    bess = town.agent("bess", Role.BESS)
    with pytest.raises(Failed, match="answered parity:QueryResult, not parity:Measurement"):
        town.outcome(bess.ask("repository@town", question(), Measurement))


@pytest.mark.parametrize(
    ("raised", "act", "body"),
    [
        (Refused("not for you"), "refuse", Refusal(reason="not for you")),
        (Conflict("it is settled"), "refuse", Refusal(reason="it is settled")),
        (Failed("the disk is full"), "failure", FailureReport(reason="the disk is full")),
        (Unavailable("no chain"), "failure", FailureReport(reason="no chain")),
        (NotUnderstood("what?"), "not-understood", Rejection(problems=list(NotUnderstood("what?").problems))),
        (InvalidInput("no!"), "not-understood", Rejection(problems=list(InvalidInput("no!").problems))),
        (ZeroDivisionError("secret"), "failure", FailureReport(reason="internal error")),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_a_handler_raises_becomes_a_speech_act(town, dso, raised, act, body):
    town.agent("repository", Role.REPOSITORY, answering_with(raised))
    town.soon(dso.send, "repository@town", question(), Performative.REQUEST)
    [answer] = dso.read
    assert answer.performative == act
    assert answer.content == body


def test_a_returned_refusal_is_sent_as_one(town, dso):
    town.agent("repository", Role.REPOSITORY, answering_with(Refusal(reason="no")))
    with pytest.raises(Refused, match="repository@town: no"):
        ask(town, dso)


def test_an_error_in_telling_is_not_answered(town, dso):
    town.agent("repository", Role.REPOSITORY, answering_with(Refused("no")))
    town.soon(dso.send, "repository@town", found(), Performative.INFORM)
    assert dso.read == []


def test_what_nobody_handles_is_not_understood(town, dso):
    town.agent("repository", Role.REPOSITORY)
    with pytest.raises(NotUnderstood, match="a message type that is handled here"):
        ask(town, dso)


def test_what_is_told_and_nobody_handles_is_not_answered(town, dso):
    town.agent("repository", Role.REPOSITORY)
    town.soon(dso.send, "repository@town", found(1))
    assert dso.read == []


def test_two_agents_that_understand_nothing_fall_silent(town):
    one, _ = town.agent("one", Role.DSO), town.agent("other", Role.DSO)
    town.soon(one.tell, "other@town", question(), Performative.REQUEST)
    town.run(3600)
    assert town.notebook.noted == [("parity:Query", "handled"), ("parity:Rejection", "handled")]


def test_a_handler_for_one_speech_act_is_not_called_for_another(town, dso):
    class Answering(Behaviour):
        @on(Query, Performative.QUERY_REF)
        def answer(self, query, letter):
            return found(7)

    town.agent("repository", Role.REPOSITORY, Answering)
    assert ask(town, dso, act=Performative.QUERY_REF).content == found(7)
    with pytest.raises(NotUnderstood):
        ask(town, dso, act=Performative.REQUEST)


def test_every_behaviour_that_handles_a_type_is_told(town):
    class Counting(Behaviour):
        @on(Measurement)
        def count(self, measurement, letter):
            self.agent.counts["heard"] += 1

    class CountingToo(Counting): ...

    gateway = town.mailbox("gateway", Role.GATEWAY)
    bess = town.agent("bess", Role.BESS, Counting, CountingToo)
    town.soon(gateway.send, "bess@town", measured(1))
    assert bess.counts["heard"] == 2


# -- taking a while --------------------------------------------------------------------------------


class SlowAnswering(Behaviour):
    @on(Query)
    async def answer(self, query, letter):
        await self.clock.sleep_until(self.clock.now_s() + 3)
        if query.subject == "nothing":
            raise Refused("nothing is known of nothing")
        return found(self.clock.now_s() - START_S)


def test_a_handler_may_take_a_while(town, dso):
    town.agent("repository", Role.REPOSITORY, SlowAnswering)
    [item] = ask(town, dso).content.items
    assert item.value == pytest.approx(3, abs=0.02)


def test_what_a_slow_handler_raises_is_sent_too(town, dso):
    town.agent("repository", Role.REPOSITORY, SlowAnswering)
    with pytest.raises(Refused, match="nothing is known of nothing"):
        town.outcome(dso.ask("repository@town", question("nothing"), START_S + 5))


def test_slow_handlers_run_side_by_side(town, dso):
    town.agent("repository", Role.REPOSITORY, SlowAnswering)

    async def ask_ten():
        questions = (dso.ask("repository@town", question(), START_S + 5) for _ in range(10))
        await asyncio.gather(*questions)
        return town.clock.now_s() - START_S

    assert town.outcome(ask_ten()) == pytest.approx(3, abs=0.02)


def test_a_handler_can_ask_others_before_it_answers(town, dso):
    class Forwarding(Behaviour):
        @on(Query)
        async def answer(self, query, letter):
            return await self.ask("archive@town", query, QueryResult)

    town.agent("repository", Role.REPOSITORY, Forwarding)
    town.agent("archive", Role.REPOSITORY, answering_with(found(1888)))
    assert ask(town, dso).content == found(1888)


# -- bugs kill nobody ------------------------------------------------------------------------------


class Buggy(Behaviour):
    """Fails in every way that a behaviour can, and counts that it still lives."""

    @on(Measurement)
    def divide(self, measurement, letter):
        self.agent.counts["divided"] += 1
        1 / measurement.value

    @on(Query)
    async def think(self, query, letter):
        await self.clock.sleep_until(self.clock.now_s() + 1)
        raise KeyError("thought")

    @every(minutes=15)
    def tick(self):
        self.agent.counts["ticked"] += 1
        raise IndexError("tick")

    @when("started")
    def wake_up(self):
        raise TypeError("too early")


def test_a_bug_kills_neither_behaviour_nor_agent(town):
    gateway = town.mailbox("gateway", Role.GATEWAY)
    bess = town.agent("bess", Role.BESS, Buggy)
    for value in (0, 1, 0):
        town.soon(gateway.send, "bess@town", measured(value))
    town.run(3599)
    assert bess.counts["divided"] == 3
    assert bess.counts["ticked"] == 4
    assert bess.counts["errors"] == 1 + 2 + 4


def test_a_bug_is_answered_with_failure_without_its_details(town, dso):
    town.agent("bess", Role.BESS, Buggy)
    with pytest.raises(Failed, match=r"^bess@town: internal error$"):
        ask(town, dso, to="bess@town")


def test_a_reply_that_its_role_may_not_give_becomes_a_refusal(town, dso):
    town.agent("market", Role.MARKET_OPERATOR, answering_with(measured(1)))
    with pytest.raises(Refused, match="a market-operator may not inform parity:Measurement"):
        ask(town, dso, to="market@town")


def test_a_reply_too_long_for_a_letter_is_answered_with_what_is_wrong(town, dso):
    town.agent("repository", Role.REPOSITORY, answering_with(found(*range(1000))))
    with pytest.raises(NotUnderstood, match="at most 48000 bytes"):
        ask(town, dso)


def test_a_slow_reply_too_long_for_a_letter_is_answered_alike(town, dso):
    class Verbose(Behaviour):
        @on(Query)
        async def answer(self, query, letter):
            await self.clock.sleep_until(self.clock.now_s() + 1)
            return found(*range(1000))

    town.agent("repository", Role.REPOSITORY, Verbose)
    with pytest.raises(NotUnderstood, match="at most 48000 bytes"):
        ask(town, dso)


def test_a_spawned_task_may_fail(town):
    class Working(Behaviour):
        @when("started")
        def begin(self):
            self.agent.spawn(self.work())

        async def work(self):
            await self.clock.sleep_until(self.clock.now_s() + 1)
            raise RuntimeError("tired")

    bess = town.agent("bess", Role.BESS, Working)
    town.run(10)
    assert bess.counts["errors"] == 1


class FullDisk(MemoryAgentStore):
    """A store that for a while takes nothing."""

    full = False

    def commit(self, agent, changes):
        if self.full:
            raise Unavailable("the disk is full")
        super().commit(agent, changes)


class Counting(Behaviour):
    """Counts measurements and remembers them."""

    @on(Measurement)
    def count(self, measurement, letter):
        self.keep("seen", measurement)

    @every(minutes=15)
    def tick(self):
        self.agent.counts["ticks"] += 1
        self.keep("tick", measured(self.now_s() - START_S))


def test_what_a_full_disk_does_not_take_is_written_later():
    store = FullDisk()
    with Town(store=store) as town:
        bess = town.agent("bess", Role.BESS, Counting)
        store.full = True
        town.run(3599)
        assert bess.counts["ticks"] == 4
        store.full = False
        town.run(900)
        assert bess.counts["ticks"] == 5
        assert bess.kept("tick", Measurement) == measured(3600)
        assert b"3600" in store.load("bess@town")["tick"]


def test_what_a_full_disk_does_not_take_is_not_acknowledged():
    class Acknowledging(Behaviour):
        @on(Query)
        def keep_and_answer(self, query, letter):
            self.keep("asked", query)
            return found()

    store = FullDisk()
    with Town(store=store) as town:
        dso = town.mailbox("dso", Role.DSO)
        town.agent("repository", Role.REPOSITORY, Acknowledging)
        store.full = True
        with pytest.raises(Failed, match="the disk is full"):
            ask(town, dso)


# -- remembering -----------------------------------------------------------------------------------


@pytest.fixture(params=["memory", "sqlite"])
def lasting(request, tmp_path):
    """A town whose agents' state is kept, in memory or in a file."""
    store = MemoryAgentStore() if request.param == "memory" else SqliteAgentStore(tmp_path / "state.sqlite")
    with Town(store=store) as town:
        yield town


def test_what_is_kept_is_recalled_after_a_restart(lasting):
    first = lasting.agent("bess", Role.BESS, Counting)
    gateway = lasting.mailbox("gateway", Role.GATEWAY)
    lasting.soon(gateway.send, "bess@town", measured(7))
    first.kill()
    second = lasting.agent("bess", Role.BESS, Counting)
    assert second.kept("seen", Measurement) == measured(7)


def test_what_is_kept_can_be_recalled_in_setup(lasting):
    class Recalling(Counting):
        def setup(self):
            self.last = self.kept("seen", Measurement)

    first = lasting.agent("bess", Role.BESS, Recalling)
    assert first.behaviour(Recalling).last is None
    lasting.soon(first.keep, "seen", measured(7))
    lasting.soon(first.commit)
    first.kill()
    assert lasting.agent("bess", Role.BESS, Recalling).behaviour(Recalling).last == measured(7)


def test_none_is_forgotten_over_a_restart(lasting):
    first = lasting.agent("bess", Role.BESS)
    first.keep("seen", measured(7))
    first.commit()
    first.keep("seen", None)
    first.commit()
    assert first.kept("seen", Measurement) is None
    assert lasting.agent("bess", Role.BESS).kept("seen", Measurement) is None


def test_names_of_what_is_kept_are_listed_in_order(town):
    bess = town.agent("bess", Role.BESS)
    for name in ("session b", "session a", "other"):
        bess.keep(name, measured(1))
    assert bess.kept_names("session ") == ["session a", "session b"]


def test_an_agent_counts_its_lives(lasting):
    assert [lasting.agent("bess", Role.BESS).boots for _ in range(3)] == [1, 2, 3]


def test_ids_of_a_new_life_are_new(lasting):
    ids = set()
    for _ in range(3):
        gateway = lasting.agent("gateway", Role.GATEWAY)
        ids.add(lasting.soon(gateway.tell, "bess@town", measured(1)))
        gateway.kill()
    assert len(ids) == 3


def test_what_was_kept_is_committed_before_a_letter_leaves(town):
    class Announcing(Behaviour):
        @when("started")
        def announce(self):
            self.keep("last", measured(1))
            self.tell("bess@town", measured(1))
            raise RuntimeError("crashed after the letter left")

    town.agent("gateway", Role.GATEWAY, Announcing)
    assert "last" in town.store.load("gateway@town")


def test_a_letter_that_changed_state_is_not_read_again_after_a_restart(town):
    gateway = town.mailbox("gateway", Role.GATEWAY)
    first = town.agent("bess", Role.BESS, Counting)
    town.soon(gateway.send, "bess@town", measured(7))
    [(sender, conversation)] = first.post.marks()
    first.kill()
    second = town.agent("bess", Role.BESS, Counting)
    assert second.post.marks() == {(sender, conversation): 1}


class SlowCounting(Behaviour):
    @on(Measurement)
    async def count(self, measurement, letter):
        await self.clock.sleep_until(self.clock.now_s() + 1)
        self.keep("seen", measurement)


def test_a_slow_handler_remembers_like_a_quick_one(town):
    gateway = town.mailbox("gateway", Role.GATEWAY)
    first = town.agent("bess", Role.BESS, SlowCounting)
    town.soon(gateway.send, "bess@town", measured(7))
    town.run(5)
    first.kill()
    second = town.agent("bess", Role.BESS, SlowCounting)
    assert second.kept("seen", Measurement) == measured(7)


# -- life and death --------------------------------------------------------------------------------


class Living(Behaviour):
    @when("started")
    def greet(self):
        self.agent.counts["greetings"] += 1

    @when("stopping")
    def say_farewell(self):
        self.tell("bess@town", measured(0))

    @every(minutes=1)
    def tick(self):
        self.agent.counts["ticks"] += 1

    @on(Query)
    async def answer(self, query, letter):
        await self.clock.sleep_until(self.clock.now_s() + 3)
        self.agent.counts["answers"] += 1
        return found()


def test_who_is_stopped_says_farewell_first(town):
    bess = town.mailbox("bess", Role.BESS)
    gateway = town.agent("gateway", Role.GATEWAY, Living)
    town.soon(gateway.stop)
    town.run(3600)
    assert bess.values == [0]
    assert gateway.counts == {"greetings": 1, "ticks": 1}


def test_who_is_killed_says_nothing_and_does_nothing_more(town, dso):
    bess = town.agent("bess", Role.BESS, Living)
    town.soon(dso.send, "bess@town", question(), Performative.REQUEST)
    town.soon(bess.kill)
    town.run(3600)
    assert bess.counts == {"greetings": 1, "ticks": 1}
    assert dso.read == []


def test_letters_to_the_dead_are_lost_and_to_the_risen_arrive(town, dso):
    bess = town.agent("bess", Role.BESS, Living)
    town.soon(bess.kill)
    with pytest.raises(Unavailable):
        ask(town, dso, to="bess@town")
    town.agent("bess", Role.BESS, Living)
    assert ask(town, dso, to="bess@town").content == found()


def test_an_event_reaches_the_behaviours_that_wait_for_it(town):
    class Reconnecting(Behaviour):
        @when("connected")
        async def greet(self):
            self.agent.counts["connected"] += 1

    bess = town.agent("bess", Role.BESS, Reconnecting)
    town.soon(bess.emit, "connected")
    assert bess.counts == {"connected": 1}


# -- time and chance -------------------------------------------------------------------------------


@given(
    now_s=st.integers(0, 4_000_000_000),
    period_s=st.integers(1, 100_000),
    offset_s=st.integers(0, 100_000),
)
@some
def test_the_next_turn_is_aligned_and_at_most_a_period_away(now_s, period_s, offset_s):
    due_s = next_turn_s(now_s, period_s, offset_s)
    assert now_s <= due_s < now_s + period_s
    assert (due_s - offset_s) % period_s == 0


@given(now_s=st.floats(1, 4e9), period_s=st.sampled_from([0.5, 2.0, 60.0, 900.0]))
@some
def test_the_next_turn_is_never_in_the_past(now_s, period_s):
    assert next_turn_s(now_s, period_s, 0) > now_s - 1e-6


class Dicing(Behaviour):
    def throw(self):
        return self.rng.integers(1, 7, 20).tolist()


def thrown(seed, name="bess"):
    with Town(seed=seed) as town:
        return town.agent(name, Role.BESS, Dicing).behaviour(Dicing).throw()


def test_chance_is_the_same_for_the_same_seed_and_agent():
    assert thrown(seed=1) == thrown(seed=1)


def test_chance_differs_between_seeds_and_between_agents():
    assert thrown(seed=1) != thrown(seed=2)
    assert thrown(seed=1) != thrown(seed=1, name="other")


def test_a_community_runs_the_same_twice_over_a_bad_network():
    def run():
        with Town(faults=Faults(delay_max_s=3, loss=0.2, duplication=0.2), seed=5) as town:
            dso = town.mailbox("dso", Role.DSO)
            town.agent("repository", Role.REPOSITORY, SlowAnswering)
            for _ in range(10):
                town.soon(dso.send, "repository@town", question(), Performative.REQUEST)
            town.run(60)
            return town.notebook.noted, [letter.content for letter in dso.read]

    assert run() == run()
