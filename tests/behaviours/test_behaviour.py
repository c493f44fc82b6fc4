"""What a behaviour declares, and how it is collected."""

from post_office import START_S, measured

from behaviours.agent import Agent
from behaviours.behaviour import Behaviour, Occasion, Rhythm, every, on, when
from ontology.discourse import Query
from ontology.measurements import Measurement
from ontology.performatives import Performative
from ontology.roles import Role


class Metering(Behaviour):
    @on(Measurement)
    def note(self, measurement, letter):
        self.agent.counts["noted"] += 1

    @every(minutes=15, offset_s=20)
    def report(self):
        self.agent.counts["reported"] += 1

    @when("started")
    def introduce(self):
        self.agent.counts["introduced"] += 1


def test_handlers_are_declared_by_message_type():
    assert Metering.handlers() == ((Occasion("parity:Measurement", None), "note"),)


def test_a_handler_can_be_for_one_performative_only():
    class Answering(Behaviour):
        @on(Query, Performative.QUERY_REF)
        def answer(self, query, letter): ...

    assert Answering.handlers() == ((Occasion("parity:Query", Performative.QUERY_REF), "answer"),)


def test_one_method_can_answer_several_types():
    class Listening(Behaviour):
        @on(Measurement)
        @on(Query)
        def listen(self, content, letter): ...

    assert {occasion.message_type for occasion, _ in Listening.handlers()} == {
        "parity:Measurement",
        "parity:Query",
    }


def test_rhythms_and_events_are_declared_alike():
    assert Metering.rhythms() == ((Rhythm(900.0, 20), "report"),)
    assert Metering.events() == (("started", "introduce"),)


def test_declarations_are_inherited():
    class DoubleMetering(Metering):
        @on(Query)
        def answer(self, query, letter): ...

    assert [name for _, name in DoubleMetering.handlers()] == ["note", "answer"]
    assert DoubleMetering.rhythms() == Metering.rhythms()


def test_an_overriding_method_stands_for_the_overridden_one():
    class SlowMetering(Metering):
        @every(minutes=60)
        def report(self): ...

        def note(self, measurement, letter): ...

    assert SlowMetering.rhythms() == ((Rhythm(3600.0, 0), "report"),)
    assert SlowMetering.handlers() == ()


def test_a_behaviour_acts_on_letters_rhythms_and_events(town):
    bess = town.agent("bess", Role.BESS, Metering)
    gateway = town.mailbox("gateway", Role.GATEWAY)
    town.soon(gateway.send, "bess@town", measured(1))
    town.run(3600)
    assert bess.counts == {"introduced": 1, "noted": 1, "reported": 4}


def test_a_rhythm_is_aligned_to_the_epoch_whenever_the_agent_started(town):
    class Punctual(Behaviour):
        def setup(self):
            self.turns = []

        @every(minutes=15, offset_s=20)
        def turn(self):
            self.turns.append(self.now_s())

    town.run(100)
    bess = town.agent("bess", Role.BESS, Punctual)
    town.run(1800)
    assert bess.behaviour(Punctual).turns == [START_S + 920, START_S + 1820]


class Configurable(Behaviour):
    @every(seconds=lambda settings: settings["period_s"])
    def turn(self):
        self.agent.counts["turns"] += 1


def test_a_period_can_come_from_the_settings(town):
    bess = town.agent("bess", Role.BESS, Configurable, settings={"period_s": 60})
    town.run(299)
    assert bess.counts["turns"] == 5  # at 0, 60, 120, 180 and 240 s


def test_a_period_of_zero_is_never(town):
    bess = town.agent("bess", Role.BESS, Configurable, settings={"period_s": 0})
    town.run(86_400)
    assert bess.counts["turns"] == 0


def test_behaviours_of_an_agent_find_each_other(town):
    bess = town.agent("bess", Role.BESS, Metering, Configurable, settings={"period_s": 0})
    assert bess.behaviour(Configurable).sibling(Metering) is bess.behaviour(Metering)


def test_what_a_role_answers_can_be_listed_without_an_agent():
    class Battery(Agent):
        role = Role.BESS
        behaviours = (Metering, Configurable)

    assert Battery.handlers() == {"Metering": [Occasion("parity:Measurement", None)], "Configurable": []}
