"""A host's record for those who look on: who may, what they get, and who does not keep up."""

import pytest
from post_office import START_S

from behaviours.information.record_offering import (
    BATCH_LETTERS,
    BUFFERED,
    PATIENT_TURNS,
    UNACKNOWLEDGED,
    RecordGathering,
    RecordKeeperSettings,
    RecordOffering,
)
from ontology.discourse import Acknowledgement, Refusal
from ontology.letter import Envelope
from ontology.letter_record import MOST_BODY, RecordedLetters, RecordSubscription
from ontology.performatives import Performative
from ontology.roles import Role

KEEPER = "record@town"
MAY_LOOK = {"ann@town": True, "ben@town": False, "record-1@town": True}


@pytest.fixture
def keeper(town):
    settings = RecordKeeperSettings("town", MAY_LOOK)
    return town.agent("record", Role.UI, RecordOffering, settings=settings).behaviour(RecordOffering)


def subscribed(town, name, *, agent="", bodies=False):
    watcher = town.mailbox(name, Role.UI)
    wanted = RecordSubscription(agent=agent, bodies=bodies)
    town.soon(watcher.send, KEEPER, wanted, Performative.SUBSCRIBE)
    town.run()
    return watcher


def letter(number=1, sender="h001-pv@here", body=b'{"power_w": 1}'):
    return Envelope("inform", sender, "dso@here", "parity:Lem", "c", number, f"m{number}", START_S, body=body)


def recorded(keeper, town, letters):
    for each in letters:
        keeper.note(each, "handled", START_S + 1)
    town.soon(keeper.send_waiting)
    town.run()


def batches(watcher):
    return [each.content for each in watcher.read if isinstance(each.content, RecordedLetters)]


def numbers(watcher):
    return [note.sequence for batch in batches(watcher) for note in batch.letters]


def test_a_watcher_gets_what_is_recorded_from_then_on(town, keeper):
    recorded(keeper, town, [letter(1)])
    ann = subscribed(town, "ann", bodies=True)
    recorded(keeper, town, [letter(2), letter(3)])
    assert numbers(ann) == [2, 3]
    assert batches(ann)[0].letters[0].body == '{"power_w": 1}'


def test_who_is_not_named_is_refused_and_gets_nothing(town, keeper):
    cem = subscribed(town, "cem")
    recorded(keeper, town, [letter()])
    assert [type(each.content) for each in cem.read] == [Refusal]


def test_bodies_need_a_right_of_their_own(town, keeper):
    ben = subscribed(town, "ben", bodies=True)
    assert isinstance(ben.read[-1].content, Refusal)
    town.soon(ben.send, KEEPER, RecordSubscription(agent=""), Performative.SUBSCRIBE)
    recorded(keeper, town, [letter()])
    assert [note.body for batch in batches(ben) for note in batch.letters] == [""]


def test_a_watcher_may_want_one_site_only(town, keeper):
    ann = subscribed(town, "ann", agent="h001")
    recorded(keeper, town, [letter(1), letter(2, "h0011-pv@here"), letter(3, "h001-oracle@here")])
    assert numbers(ann) == [1, 3]


def test_one_that_falls_behind_loses_the_oldest_and_is_told_how_many(town, keeper):
    ann = subscribed(town, "ann")
    recorded(keeper, town, [letter(n) for n in range(1, BUFFERED + 101)])
    got = numbers(ann)
    assert got == list(range(101, 101 + len(got)))
    assert 0 < len(got) <= UNACKNOWLEDGED * BATCH_LETTERS
    assert batches(ann)[-1].dropped == 100


def test_acknowledging_brings_the_rest(town, keeper):
    ann = subscribed(town, "ann")
    recorded(keeper, town, [letter(n) for n in range(1, 1001)])
    while len(numbers(ann)) < 1000:
        for each in ann.read[1:]:
            receipt = Acknowledgement(of=each.message_id)
            town.soon(ann.reply, each, receipt, Performative.INFORM)
        recorded(keeper, town, [])
    assert numbers(ann) == list(range(1, 1001))


def test_one_that_acknowledges_nothing_is_forgotten(town, keeper):
    ann = subscribed(town, "ann")
    for turn in range(PATIENT_TURNS + 2):
        recorded(keeper, town, [letter(turn)])
    known = len(numbers(ann))
    recorded(keeper, town, [letter(9_000)])
    assert len(numbers(ann)) == known == UNACKNOWLEDGED


def test_letters_of_any_length_fit_and_long_ones_are_cut(town, keeper):
    ann = subscribed(town, "ann", bodies=True)
    recorded(keeper, town, [letter(n, body=b'"' * 40_000) for n in range(1, 4)])
    assert numbers(ann) == [1, 2, 3]
    assert {len(note.body) for batch in batches(ann) for note in batch.letters} == {MOST_BODY}


def test_one_host_gathers_what_another_records(town, keeper):
    first = RecordKeeperSettings("first", {}, gathered=(KEEPER,))
    town.agent("record-1", Role.UI, RecordOffering, RecordGathering, settings=first)
    town.run()
    before = len(town.notebook.noted)
    recorded(keeper, town, [letter()])
    assert ("parity:Lem", "handled") in town.notebook.noted[before:]
