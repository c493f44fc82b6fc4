"""Letters are found again by who, what, when and any word, in a record that may still grow."""

import sqlite3
from pathlib import Path

import pytest

from environments.repository.letter_archive import LetterArchive, LetterSelection
from environments.repository.recorder import SqliteRecorder
from ontology.errors import InvalidInput, Unavailable
from ontology.letter import Envelope


def letter(number: int, **changes: object) -> Envelope:
    fields = {
        "performative": "inform",
        "sender": "h001-gateway@here",
        "to": "repository@here",
        "message_type": "parity:IntervalReading",
        "conversation": f"c{number}",
        "sequence": 1,
        "message_id": f"c{number}#1",
        "sent_at_s": 100.0 + number,
        "body": b'{"subject":"h001","consumed_wh":%d}' % number,
    }
    return Envelope(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.fixture
def record(tmp_path: Path) -> Path:
    path = tmp_path / "messages.sqlite"
    with SqliteRecorder(path) as recorder:
        for number in range(1, 21):
            recorder.record(letter(number), "handled", 100.5 + number)
        recorder.record(
            letter(21, sender="dso@here", to="aggregator@here", performative="request"), "refused", 130
        )
        recorder.record(letter(22, sender="h0011-gateway@here", conversation="c21"), "handled", 140)
    return path


def numbers(archive: LetterArchive, limit: int = 100, **wanted: object) -> list[int]:
    selection = LetterSelection(**wanted)  # type: ignore[arg-type]
    return [found.number for found in archive.select(selection, limit=limit)]


def test_the_newest_letters_come_first_and_page_by_page(record: Path) -> None:
    with LetterArchive(record) as archive:
        first = archive.select(LetterSelection(), limit=5)
        assert [found.number for found in first] == [22, 21, 20, 19, 18]
        following = archive.select(LetterSelection(), before=first[-1].number, limit=2)
        assert [found.number for found in following] == [17, 16]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"agent": "dso"}, [21]),
        ({"agent": "aggregator@here"}, [21]),
        ({"agent": "h001", "start_s": 119.0}, [20, 19]),
        ({"agent": "h00"}, []),
        ({"performative": "request"}, [21]),
        ({"outcome": "refused"}, [21]),
        ({"conversation": "c21"}, [22, 21]),
        ({"conversation": "c21", "outcome": "handled"}, [22]),
        ({"message_type": "parity:IntervalReading", "end_s": 102.0}, [1]),
        ({"message_type": "parity:Interval"}, []),
        ({"words": "consumed_wh 17"}, [17]),
        ({"words": "h0011-gate"}, [22]),
        ({"words": 'quoted " word'}, []),
        ({"slower_than_s": 5.0}, [22, 21]),
    ],
)
def test_letters_are_found_by_what_is_known_of_them(
    record: Path, wanted: dict[str, object], found: list[int]
) -> None:
    with LetterArchive(record) as archive:
        assert numbers(archive, **wanted) == found


def test_a_growing_record_is_followed(record: Path) -> None:
    with LetterArchive(record) as archive:
        assert numbers(archive, words="later") == []
        with SqliteRecorder(record) as recorder:
            recorder.record(letter(23, body=b'{"word":"later"}'), "handled", 150)
        assert numbers(archive, words="later") == [23]
        assert archive.newest_number() == 23


def test_the_index_of_another_record_is_made_anew(record: Path) -> None:
    with LetterArchive(record) as archive:
        numbers(archive, words="h001")
    record.unlink()
    with SqliteRecorder(record) as recorder:
        recorder.record(letter(7, body=b'{"word":"other"}'), "handled", 150)
    with LetterArchive(record) as archive:
        assert numbers(archive, words="other") == [1]
        assert numbers(archive, words="consumed_wh") == []


def test_a_conversation_is_read_in_order_and_a_letter_by_number(record: Path) -> None:
    with LetterArchive(record) as archive:
        assert [found.number for found in archive.conversation("c21")] == [21, 22]
        found = archive.letter(3)
        assert found is not None
        assert (found.envelope, found.latency_s) == (letter(3), 0.5)
        assert archive.letter(99) is None


def test_what_is_no_record_is_said_so(tmp_path: Path, record: Path) -> None:
    with pytest.raises(InvalidInput, match="record of letters"):
        LetterArchive(tmp_path / "nothing.sqlite")
    other = tmp_path / "other.sqlite"
    sqlite3.connect(other).execute("CREATE TABLE messages (id INTEGER)").connection.close()
    with pytest.raises(Unavailable):
        LetterArchive(other)
    with LetterArchive(record) as archive, pytest.raises(InvalidInput, match="limit"):
        archive.select(LetterSelection(), limit=0)
