"""Subscribing: agree, then inform after inform, over the restart of either side."""

import pytest
from post_office import measured, question

from behaviours.behaviour import Behaviour, on, when
from behaviours.protocols.subscription import RETRY_S
from ontology.discourse import Acknowledgement, Subscription
from ontology.errors import Refused
from ontology.measurements import Measurement
from ontology.performatives import Performative
from ontology.roles import Role


class Publishing(Behaviour):
    """What a gateway tells whoever wants to know."""

    publishes = (Measurement,)


class Listening(Behaviour):
    """Subscribes to measurements (of the subject in the settings) and notes their values."""

    def setup(self):
        self.heard = []

    @when("started")
    def begin(self):
        self.subscribe("gateway@town", Measurement, self.settings or "")

    @on(Measurement)
    def note(self, measurement, letter):
        self.heard.append(measurement.value)


@pytest.fixture
def gateway(town):
    return town.agent("gateway", Role.GATEWAY, Publishing)


def heard(agent):
    return agent.behaviour(Listening).heard


def publish(town, gateway, value, subject="meter"):
    town.soon(gateway.publish, measured(value, subject), subject)


def test_after_an_agreement_every_publication_arrives(town, gateway):
    bess = town.agent("bess", Role.BESS, Listening)
    for value in (1, 2, 3):
        publish(town, gateway, value)
    assert heard(bess) == [1, 2, 3]


def test_all_subscribers_are_informed(town, gateway):
    listeners = [town.agent(name, Role.PV, Listening) for name in ("one", "two", "three")]
    publish(town, gateway, 1)
    assert [heard(listener) for listener in listeners] == [[1]] * 3


def test_who_did_not_subscribe_hears_nothing(town, gateway):
    bess = town.mailbox("bess", Role.BESS)
    publish(town, gateway, 1)
    assert bess.read == []


def test_a_subscriber_to_a_subject_hears_of_no_other(town, gateway):
    bess = town.agent("bess", Role.BESS, Listening, settings="roof")
    publish(town, gateway, 1, subject="roof")
    publish(town, gateway, 2, subject="cellar")
    assert heard(bess) == [1]


def test_what_is_about_no_subject_is_told_to_everybody(town, gateway):
    bess = town.agent("bess", Role.BESS, Listening, settings="roof")
    town.soon(gateway.publish, measured(3))
    assert heard(bess) == [3]


def test_who_subscribes_twice_is_told_once(town, gateway):
    bess = town.agent("bess", Role.BESS, Listening)
    town.soon(bess.subscribe, "gateway@town", Measurement)
    publish(town, gateway, 1)
    assert heard(bess) == [1]


def test_who_also_subscribes_to_a_subject_is_told_once(town, gateway):
    bess = town.agent("bess", Role.BESS, Listening)
    town.soon(bess.subscribe, "gateway@town", Measurement, "meter")
    publish(town, gateway, 1)
    assert heard(bess) == [1]


@pytest.mark.parametrize(
    ("role", "publishes", "why"),
    [
        (Role.EXTERNAL_MARKETS, (Measurement,), "no parity:Measurement for a external-markets here"),
        (Role.BESS, (), "no parity:Measurement for a bess here"),
    ],
    ids=["the role may not be told", "nobody publishes it"],
)
def test_what_is_not_to_be_had_is_refused(town, role, publishes, why):
    nothing = type("Nothing", (Behaviour,), {"publishes": publishes})
    town.agent("gateway", Role.GATEWAY, nothing)
    asker = town.mailbox("asker", role)
    wish = Subscription(topic="parity:Measurement")
    with pytest.raises(Refused, match=why):
        town.outcome(asker.ask("gateway@town", wish, town.clock.now_s() + 5, Performative.SUBSCRIBE))


def test_a_refusal_is_final(town):
    town.agent("gateway", Role.GATEWAY)
    bess = town.agent("bess", Role.BESS, Listening)
    town.run(10 * RETRY_S)
    assert town.notebook.noted == [("parity:Subscription", "handled"), ("parity:Refusal", "handled")]
    assert bess.counts["refusals"] == 1


def test_while_the_publisher_is_away_the_subscriber_tries_again(town):
    bess = town.agent("bess", Role.BESS, Listening)
    town.register("gateway", Role.GATEWAY)
    town.run(2.5 * RETRY_S)
    gateway = town.agent("gateway", Role.GATEWAY, Publishing)
    publish(town, gateway, 1)
    assert heard(bess) == []
    town.run(2 * RETRY_S)
    publish(town, gateway, 2)
    assert heard(bess) == [2]


def test_after_a_failure_the_subscriber_tries_again(town):
    failing = town.agent("gateway", Role.GATEWAY, Publishing)
    failing.subscriptions.handle = lambda subscription, letter: 1 / 0
    bess = town.agent("bess", Role.BESS, Listening)
    town.run(2 * RETRY_S)
    failing.kill()
    gateway = town.agent("gateway", Role.GATEWAY, Publishing)
    town.run(2 * RETRY_S)
    publish(town, gateway, 1)
    assert heard(bess) == [1]


def test_a_subscription_survives_a_restart_of_the_publisher(town, gateway):
    bess = town.agent("bess", Role.BESS, Listening, settings="meter")
    publish(town, gateway, 1)
    gateway.kill()
    publish(town, town.agent("gateway", Role.GATEWAY, Publishing), 2)
    assert heard(bess) == [1, 2]


def test_a_subscription_survives_a_restart_of_the_subscriber(town, gateway):
    town.agent("bess", Role.BESS, Listening).kill()
    publish(town, gateway, 1)
    bess = town.agent("bess", Role.BESS, Listening)
    publish(town, gateway, 2)
    town.run(10)
    publish(town, gateway, 3)
    assert heard(bess) == [2, 3]


def test_who_cancels_is_told_nothing_more(town, gateway):
    bess = town.agent("bess", Role.BESS, Listening)
    publish(town, gateway, 1)
    wish = Subscription(topic="parity:Measurement")
    done = town.outcome(bess.ask("gateway@town", wish, Acknowledgement, act=Performative.CANCEL))
    publish(town, gateway, 2)
    assert heard(bess) == [1]
    assert done.of != ""


def test_a_cancelled_subscription_does_not_come_back_with_the_publisher(town, gateway):
    bess = town.agent("bess", Role.BESS, Listening)
    wish = Subscription(topic="parity:Measurement")
    town.soon(bess.tell, "gateway@town", wish, Performative.CANCEL)
    gateway.kill()
    publish(town, town.agent("gateway", Role.GATEWAY, Publishing), 1)
    assert heard(bess) == []


def test_cancelling_what_was_never_subscribed_to_is_fine(town, gateway):
    bess = town.agent("bess", Role.BESS)
    wish = Subscription(topic="parity:Measurement", subject="roof")
    town.outcome(bess.ask("gateway@town", wish, Acknowledgement, act=Performative.CANCEL))
    assert gateway.counts["errors"] == 0


def test_publishing_without_subscribers_sends_nothing(town, gateway):
    publish(town, gateway, 1)
    assert town.notebook.noted == []


def test_an_agent_that_publishes_still_answers_others(town):
    class Answering(Publishing):
        @on(type(question()))
        def answer(self, query, letter):
            return Acknowledgement(of=letter.message_id)

    town.agent("gateway", Role.GATEWAY, Answering)
    bess = town.agent("bess", Role.BESS, Listening)
    town.outcome(bess.ask("gateway@town", question(), Acknowledgement))
