"""Signed letters are read while they are of use: no replay of the past, no letter from a wrong clock."""

from collections.abc import Callable

import msgspec
import pytest
from post_office import START_S, Mailbox, Town

from behaviours.signing import Signer
from ontology.codec import encode_body, message_type_of
from ontology.flexibility_trading import DRSignal
from ontology.letter import Envelope
from ontology.market import LemDataset
from ontology.measurements import Measurement
from ontology.policy import age_limit_s
from ontology.roles import Role

DSO = Signer(b"d" * 32)
SIGNAL = DRSignal(
    signal_id="s1",
    segment_id="segment",
    start_s=START_S,
    duration_s=900,
    limit_w=1_000,
    contract_id="c1",
    deadline_s=START_S + 60,
)


def signal(said_at_s: float, **changes: object) -> Envelope:
    """Return a signal that the DSO said and signed at a time; altered after it was signed, if at all."""
    plain = Envelope(
        performative="request",
        sender="dso@town",
        to="aggregator@town",
        message_type=message_type_of(DRSignal),
        conversation="run/dso@town?1",
        sequence=1,
        message_id="run/dso@town?1#1",
        sent_at_s=said_at_s,
        key_id="dso@town",
        body=encode_body(SIGNAL),
    )
    signed = msgspec.structs.replace(plain, signature=DSO.sign(plain))
    return msgspec.structs.replace(signed, **changes)


@pytest.fixture
def aggregator(town: Town) -> Mailbox:
    town.register("dso", Role.DSO, signer=DSO)
    return town.mailbox("aggregator", Role.AGGREGATOR)


Arrive = Callable[[Envelope], None]


@pytest.fixture
def arrive(town: Town, aggregator: Mailbox) -> Arrive:
    def deliver(envelope: Envelope) -> None:
        town.loop.call_soon(aggregator.receive, envelope)
        town.clock.advance_to(town.clock.now_s() + 1)

    return deliver


@pytest.mark.parametrize("age_s", [0, 29, -29])
def test_a_fresh_signal_is_read(aggregator, arrive, age_s):
    arrive(signal(START_S - age_s))
    assert [letter.content for letter in aggregator.read] == [SIGNAL]


@pytest.mark.parametrize(("age_s", "counted"), [(31, "expired"), (86_400, "expired"), (-31, "ahead of time")])
def test_a_signal_out_of_its_time_is_refused_and_counted(aggregator, arrive, age_s, counted):
    arrive(signal(START_S - age_s))
    assert aggregator.read == []
    assert aggregator.counts["refused"] == 1
    assert aggregator.counts[counted] == 1


def test_a_replayed_signal_is_not_read_twice(aggregator, arrive):
    said = signal(START_S)
    arrive(said)
    arrive(said)
    assert len(aggregator.read) == 1
    assert aggregator.counts["duplicate"] == 1


def test_a_signal_that_is_made_fresh_is_not_signed_any_more(aggregator, arrive):
    arrive(signal(START_S - 3_600, sent_at_s=float(START_S)))
    assert aggregator.read == []
    assert aggregator.counts["refused"] == 1


def test_a_signal_from_a_role_that_may_not_send_it_is_refused(town, aggregator, arrive):
    town.register("dso", Role.PROSUMER, signer=DSO)
    arrive(signal(START_S))
    assert aggregator.read == []
    assert aggregator.counts["refused"] == 1


def test_commands_are_out_of_date_in_seconds_and_what_may_wait_for_a_link_in_days():
    assert age_limit_s(message_type_of(DRSignal)) == 30
    assert age_limit_s(message_type_of(LemDataset)) == 7 * 86_400
    assert age_limit_s(message_type_of(Measurement)) is None
