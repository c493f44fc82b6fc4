"""Letters are written down whole, in batches, and survive a kill."""

import sqlite3

import msgspec
import pytest
from killing import killed_after

from environments.repository import NullRecorder, SqliteRecorder
from ontology.errors import Unavailable
from ontology.letter import Envelope

LETTER = Envelope(
    performative="inform",
    sender="h001-gateway@localhost",
    to="repository@localhost",
    message_type="parity:IntervalReading",
    conversation="c-1",
    sequence=3,
    message_id="m-1",
    sent_at_s=910.5,
    in_reply_to="m-0",
    reply_by_s=960.0,
    protocol="fipa-request",
    signature="sig",
    key_id="kid",
    body='{"subject":"höhe"}'.encode(),
)


def test_a_letter_is_written_down_with_all_its_metadata(tmp_path):
    with SqliteRecorder(tmp_path / "messages.sqlite") as recorder:
        recorder.record(LETTER, "handled", 911.0)
    connection = sqlite3.connect(tmp_path / "messages.sqlite")
    connection.row_factory = sqlite3.Row
    row = dict(connection.execute("SELECT * FROM messages").fetchone())
    assert row == {
        "id": 1,
        "time_s": 911.0,
        "outcome": "handled",
        "performative": "inform",
        "sender": "h001-gateway@localhost",
        "recipient": "repository@localhost",
        "message_type": "parity:IntervalReading",
        "conversation": "c-1",
        "sequence": 3,
        "message_id": "m-1",
        "sent_at_s": 910.5,
        "in_reply_to": "m-0",
        "reply_by_s": 960.0,
        "protocol": "fipa-request",
        "ontology": "parity/1.0",
        "language": "application/json",
        "signature": "sig",
        "key_id": "kid",
        "body": '{"subject":"höhe"}',
    }


def count(path) -> int:
    return sqlite3.connect(path).execute("SELECT count(*) FROM messages").fetchone()[0]


def test_letters_wait_for_a_full_batch_or_a_flush(tmp_path):
    path = tmp_path / "messages.sqlite"
    recorder = SqliteRecorder(path, batch=10)
    for _ in range(25):
        recorder.record(LETTER, "sent", 1.0)
    assert count(path) == 20
    recorder.flush()
    assert count(path) == 25
    recorder.flush()
    recorder.close()
    assert count(path) == 25


def test_a_body_that_is_no_text_is_still_noted(tmp_path):
    with SqliteRecorder(tmp_path / "messages.sqlite") as recorder:
        recorder.record(
            msgspec.structs.replace(LETTER, body=b"\xff"),
            "not-understood",
            1.0,
        )
    assert count(tmp_path / "messages.sqlite") == 1


def test_a_closed_record_is_one_file(tmp_path):
    with SqliteRecorder(tmp_path / "messages.sqlite") as recorder:
        recorder.record(LETTER, "sent", 1.0)
    assert [path.name for path in tmp_path.iterdir()] == ["messages.sqlite"]


def test_a_file_that_cannot_be_opened_is_unavailable(tmp_path):
    with pytest.raises(Unavailable):
        SqliteRecorder(tmp_path / "nowhere" / "messages.sqlite")


def test_nothing_is_written_down_by_the_recorder_that_forgets():
    recorder = NullRecorder()
    recorder.record(LETTER, "sent", 1.0)
    recorder.flush()
    recorder.close()


RECORD_UNTIL_KILLED = """
import itertools, sys
from pathlib import Path
from environments.repository import SqliteRecorder
from ontology.letter import Envelope
recorder = SqliteRecorder(Path(sys.argv[1]), batch=100)
for number in itertools.count(1):
    letter = Envelope("inform", "a@x", "b@x", "parity:Lem", "c", number, f"m{number}", 1.0, body=b"x" * 300)
    recorder.record(letter, "sent", 1.0)
    if number % 100 == 0:
        print(number, flush=True)
"""


def test_a_kill_leaves_a_readable_record_of_every_batch(tmp_path):
    path = tmp_path / "messages.sqlite"
    said = killed_after(RECORD_UNTIL_KILLED, path, lines=20_000)
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert count(path) >= said
    assert count(path) % 100 == 0
