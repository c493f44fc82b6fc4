"""Letters within one process: faithful by default, and as bad as a network when asked, reproducibly."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from post_office import START_S, Town, found, letter_no, measured, question, some

from behaviours.behaviour import Behaviour, on, when
from behaviours.post import GAP_S
from environments.simulation.transport import Faults
from ontology.discourse import Query, QueryResult
from ontology.measurements import Measurement
from ontology.roles import Role


class Arrivals:
    """Notes the numbers of the letters that come to an address, and when."""

    def __init__(self, town, address="bess@town"):
        self.noted = []
        self.clock = town.clock
        town.transport.deliver_to(address, self.note)

    def note(self, envelope):
        self.noted.append((envelope.sequence, round(self.clock.now_s() - START_S, 3)))

    @property
    def numbers(self):
        return [number for number, _ in self.noted]


def sent(town, number=100, to="bess@town", sender="gateway@town", within_s=60):
    """Let letters be sent at once, and return what arrives."""
    arrivals = Arrivals(town, to)

    def send():
        for sequence in range(1, number + 1):
            town.transport.send(letter_no(sequence, to=to, sender=sender))

    town.soon(send)
    town.run(within_s)
    return arrivals


# -- faithful --------------------------------------------------------------------------------------


def test_letters_arrive_at_once_and_in_the_order_sent(town):
    assert sent(town).noted == [(number, 0.0) for number in range(1, 101)]


def test_a_letter_arrives_as_it_was_sent(town):
    arrived = []
    town.transport.deliver_to("bess@town", arrived.append)
    town.soon(town.transport.send, letter_no(7))
    assert arrived == [letter_no(7)]


def test_sending_returns_before_the_letter_arrives(town):
    arrivals = Arrivals(town)

    def send_and_look():
        town.transport.send(letter_no(1))
        return list(arrivals.noted)

    assert town.soon(send_and_look) == []
    assert arrivals.numbers == [1]


def test_what_is_sent_in_answer_comes_after_all_that_was_sent_before(town):
    order = []

    def echo(envelope):
        order.append(("bess", envelope.sequence))
        if envelope.sequence == 1:
            town.transport.send(msgspec.structs.replace(envelope, to="gateway@town"))

    town.transport.deliver_to("bess@town", echo)
    town.transport.deliver_to("gateway@town", lambda envelope: order.append(("gateway", envelope.sequence)))
    town.soon(lambda: [town.transport.send(letter_no(number)) for number in (1, 2)])
    assert order == [("bess", 1), ("bess", 2), ("gateway", 1)]


def test_a_letter_to_nobody_is_counted(town):
    town.soon(town.transport.send, letter_no(1, to="nobody@town"))
    assert town.transport.counts["undelivered"] == 1


def test_who_was_forgotten_gets_nothing(town):
    arrivals = Arrivals(town)
    town.transport.forget("bess@town")
    town.soon(town.transport.send, letter_no(1))
    assert arrivals.numbers == []
    assert town.transport.counts["undelivered"] == 1


def test_a_receiver_that_fails_does_not_keep_letters_from_others(town):
    arrivals = Arrivals(town)
    town.transport.deliver_to("broken@town", lambda envelope: 1 / 0)

    def send():
        for sequence, to in ((1, "bess@town"), (1, "broken@town"), (2, "bess@town"), (3, "bess@town")):
            town.transport.send(letter_no(sequence, to=to))

    town.soon(send)
    assert arrivals.numbers == [1, 2, 3]


# -- faulty ----------------------------------------------------------------------------------------

EVIL = Faults(delay_min_s=0.1, delay_max_s=5, loss=0.3, duplication=0.3)


def arrivals_with(faults, seed=1, **letters):
    with Town(faults=faults, seed=seed) as town:
        return sent(town, **letters)


def test_the_same_seed_makes_the_same_faults():
    assert arrivals_with(EVIL, seed=1).noted == arrivals_with(EVIL, seed=1).noted


def test_another_seed_makes_other_faults():
    assert arrivals_with(EVIL, seed=1).noted != arrivals_with(EVIL, seed=2).noted


def test_delays_are_between_their_limits_and_change_the_order():
    arrivals = arrivals_with(Faults(delay_min_s=1, delay_max_s=5))
    assert sorted(arrivals.numbers) == list(range(1, 101))
    assert arrivals.numbers != list(range(1, 101))
    assert all(1 <= at_s <= 5.001 for _, at_s in arrivals.noted)


def test_a_constant_delay_keeps_the_order():
    assert arrivals_with(Faults(delay_min_s=1, delay_max_s=1)).numbers == list(range(1, 101))


@pytest.mark.parametrize(("loss", "least", "most"), [(0, 100, 100), (0.5, 30, 70), (1, 0, 0)])
def test_as_many_letters_are_lost_as_the_probability_says(loss, least, most):
    with Town(faults=Faults(loss=loss)) as town:
        arrived = len(sent(town).numbers)
        assert least <= arrived <= most
        assert town.transport.counts["lost"] == 100 - arrived


def test_duplicates_arrive_twice():
    assert arrivals_with(Faults(duplication=1)).numbers.count(7) == 2


APART = Faults(partition=(frozenset({"gateway@town"}), frozenset({"bess@town", "pv@town"})))


@pytest.mark.parametrize(
    ("sender", "to", "reaches"),
    [
        ("gateway@town", "bess@town", False),
        ("bess@town", "gateway@town", False),
        ("pv@town", "bess@town", True),
        ("gateway@town", "dso@town", True),
        ("dso@town", "bess@town", True),
    ],
)
def test_a_partition_separates_its_groups_only(sender, to, reaches):
    arrivals = arrivals_with(APART, number=1, sender=sender, to=to)
    assert arrivals.numbers == ([1] if reaches else [])


def test_a_partition_can_be_made_and_healed_during_a_run(town):
    arrivals = Arrivals(town)
    for sequence, faults in ((1, None), (2, APART), (3, None)):
        town.transport.faults = faults
        town.soon(town.transport.send, letter_no(sequence))
    assert arrivals.numbers == [1, 3]


# -- agents over a bad network ---------------------------------------------------------------------

LETTERS = 12


class Chattering(Behaviour):
    """Tells each neighbour a row of numbers, one every 0.7 s, and notes what it is told by whom."""

    def setup(self):
        self.told = {}

    @when("started")
    async def chatter(self):
        for number in range(LETTERS):
            await self.clock.sleep_until(self.clock.now_s() + 0.7)
            for neighbour in self.settings:
                self.tell(neighbour, measured(number))

    @on(Measurement)
    def note(self, measurement, letter):
        self.told.setdefault(letter.sender, []).append(measurement.value)


NAMES = ("one", "two", "three", "four")


def chatter(faults, seed):
    """Let four agents chatter over a bad network; return what each was told by each."""
    with Town(faults=faults, seed=seed) as town:
        agents = []
        for name in NAMES:
            town.register(name, Role.BESS)
        for name in NAMES:
            neighbours = [f"{other}@town" for other in NAMES if other != name]
            agents.append(town.agent(name, Role.BESS, Chattering, settings=neighbours))
        town.run(60 * LETTERS)
        return {agent.address: agent.behaviour(Chattering).told for agent in agents}


@some
@given(delay_s=st.floats(0, GAP_S - 0.1), duplication=st.floats(0, 1), seed=st.integers(0, 2**32))
def test_agents_handle_each_letter_once_and_in_order_over_a_slow_network(delay_s, duplication, seed):
    told = chatter(Faults(delay_max_s=delay_s, duplication=duplication), seed)
    everything = list(range(LETTERS))
    for address, by_whom in told.items():
        assert by_whom == {other: everything for other in told if other != address}


@some
@given(delay_s=st.floats(0, 30), loss=st.floats(0, 1), seed=st.integers(0, 2**32))
def test_agents_handle_no_letter_twice_or_out_of_order_over_a_lossy_network(delay_s, loss, seed):
    told = chatter(Faults(delay_max_s=delay_s, loss=loss, duplication=0.5), seed)
    for by_whom in told.values():
        for values in by_whom.values():
            assert values == sorted(set(values))


class Answering(Behaviour):
    @on(Query)
    def answer(self, query, letter):
        self.agent.counts["answered"] += 1
        return found(float(query.subject))


@some
@given(seed=st.integers(0, 2**32), duplication=st.floats(0, 1))
def test_every_question_gets_its_own_answer_and_is_handled_once(seed, duplication):
    with Town(faults=Faults(delay_max_s=2, duplication=duplication), seed=seed) as town:
        repository = town.agent("repository", Role.REPOSITORY, Answering)
        asker = town.agent("asker", Role.DSO)

        async def ask(number):
            answer = await asker.ask("repository@town", question(str(number)), QueryResult)
            return answer.items[0].value

        tasks = []
        town.soon(lambda: tasks.extend(town.loop.create_task(ask(number)) for number in range(10)))
        town.run(30)
        assert [task.result() for task in tasks] == list(range(10))
        assert repository.counts["answered"] == 10
