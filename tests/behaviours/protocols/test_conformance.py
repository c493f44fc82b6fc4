"""What FIPA's protocols allow, and what they do not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from behaviours.protocols.conformance import (
    PROTOCOLS,
    Conversation,
    Said,
    Side,
    protocol_of,
    violations,
    violations_of,
)
from ontology.performatives import Performative as Act

INI, PAR = Side.INITIATOR, Side.PARTICIPANT


@pytest.mark.parametrize(
    ("protocol", "acts"),
    [
        ("fipa-request", [(INI, Act.REQUEST), (PAR, Act.AGREE), (PAR, Act.INFORM)]),
        ("fipa-request", [(INI, Act.REQUEST), (PAR, Act.INFORM)]),
        ("fipa-request", [(INI, Act.REQUEST), (PAR, Act.REFUSE)]),
        ("fipa-request", [(INI, Act.REQUEST), (PAR, Act.NOT_UNDERSTOOD)]),
        ("fipa-cancel", [(INI, Act.CANCEL), (PAR, Act.INFORM)]),
        ("fipa-query", [(INI, Act.QUERY_REF), (PAR, Act.INFORM_REF)]),
        ("fipa-query", [(INI, Act.QUERY_IF), (PAR, Act.AGREE), (PAR, Act.FAILURE)]),
        ("fipa-contract-net", [(INI, Act.CFP), (PAR, Act.PROPOSE), (INI, Act.REJECT_PROPOSAL)]),
        (
            "fipa-contract-net",
            [(INI, Act.CFP), (PAR, Act.PROPOSE), (INI, Act.ACCEPT_PROPOSAL), (PAR, Act.FAILURE)],
        ),
        (
            "fipa-iterated-contract-net",
            [
                (INI, Act.CFP),
                (PAR, Act.PROPOSE),
                (INI, Act.CFP),
                (PAR, Act.PROPOSE),
                (INI, Act.ACCEPT_PROPOSAL),
                (PAR, Act.INFORM),
            ],
        ),
        ("fipa-propose", [(INI, Act.PROPOSE), (PAR, Act.ACCEPT_PROPOSAL)]),
        (
            "fipa-subscribe",
            [(INI, Act.SUBSCRIBE), (PAR, Act.AGREE), (PAR, Act.INFORM), (PAR, Act.FAILURE)],
        ),
    ],
)
def test_what_the_specifications_draw_is_allowed(protocol, acts):
    assert violations(protocol, acts) == []


@pytest.mark.parametrize(
    ("protocol", "acts", "wrong"),
    [
        ("fipa-request", [(PAR, Act.REQUEST)], 1),
        ("fipa-request", [(INI, Act.REQUEST), (PAR, Act.PROPOSE)], 2),
        ("fipa-request", [(INI, Act.REQUEST), (PAR, Act.INFORM), (PAR, Act.INFORM)], 3),
        ("fipa-contract-net", [(INI, Act.CFP), (INI, Act.ACCEPT_PROPOSAL)], 2),
        ("fipa-contract-net", [(INI, Act.CFP), (PAR, Act.PROPOSE), (INI, Act.CFP)], 3),
        (
            "fipa-contract-net",
            [(INI, Act.CFP), (PAR, Act.PROPOSE), (INI, Act.ACCEPT_PROPOSAL), (INI, Act.REJECT_PROPOSAL)],
            4,
        ),
        ("fipa-contract-net", [(INI, Act.CFP), (PAR, Act.REFUSE), (INI, Act.REJECT_PROPOSAL)], 3),
        ("fipa-propose", [(INI, Act.PROPOSE), (PAR, Act.ACCEPT_PROPOSAL), (PAR, Act.REJECT_PROPOSAL)], 3),
        ("fipa-subscribe", [(INI, Act.SUBSCRIBE), (PAR, Act.REFUSE), (PAR, Act.INFORM)], 3),
    ],
)
def test_what_they_do_not_draw_is_named(protocol, acts, wrong):
    (violation,) = violations(protocol, acts)
    assert violation.place == wrong
    assert violation.act is acts[wrong - 1][1]


@given(st.sampled_from(sorted(PROTOCOLS)), st.lists(st.integers(0, 100), max_size=30))
def test_whoever_says_only_what_is_allowed_violates_nothing_and_can_always_end(protocol, choices):
    conversation = Conversation(protocol)
    for choice in choices:
        open_to = [(side, act) for side in Side for act in conversation.allowed(side)]
        if not open_to:
            break
        assert conversation.say(*open_to[choice % len(open_to)]) is None
    for _ in range(4):
        if conversation.ended:
            return
        ways = [(side, act) for side in Side for act in conversation.allowed(side)]
        last = [way for way in ways if way[1] in (Act.REFUSE, Act.FAILURE, Act.NOT_UNDERSTOOD)]
        conversation.say(*(last or ways)[0])
    assert conversation.ended


@given(st.sampled_from(sorted(PROTOCOLS)), st.lists(st.tuples(st.sampled_from(Side), st.sampled_from(Act))))
def test_what_is_not_allowed_changes_nothing(protocol, acts):
    conversation = Conversation(protocol)
    for side, act in acts:
        before = [conversation.allowed(each) for each in Side]
        if conversation.say(side, act) is not None:
            assert [conversation.allowed(each) for each in Side] == before


def test_an_act_tells_which_protocol_it_begins():
    assert protocol_of(Act.SUBSCRIBE) == "fipa-subscribe"
    assert protocol_of(Act.INFORM) == ""
    for act in (Act.REQUEST, Act.QUERY_IF, Act.CFP, Act.PROPOSE):
        assert Conversation(protocol_of(act)).say(INI, act) is None


def test_a_cancel_runs_beside_what_it_cancels():
    crossing = [
        Said("q", "a", Act.REQUEST),
        Said("c", "a", Act.CANCEL),
        Said("r", "b", Act.INFORM, in_reply_to="q"),
        Said("d", "b", Act.FAILURE, in_reply_to="c"),
    ]
    assert violations_of(crossing) == []
    (violation,) = violations_of([*crossing, Said("e", "b", Act.INFORM, in_reply_to="c")])
    assert violation.act is Act.INFORM


def test_news_that_nobody_asked_for_are_no_conversation():
    assert violations_of([Said("1", "a", Act.INFORM), Said("2", "a", Act.INFORM)]) == []
