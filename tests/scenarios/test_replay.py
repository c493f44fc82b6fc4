"""Whoever sends a recorded letter once more changes nothing: not the market, not the ledger (SPEC 2.10)."""

import msgspec
import pytest
from recorded_run import RecordedRun
from scenario_helpers import assert_same_tables, balances, laboratory

from launch.results import completed
from ontology.letter import Envelope

ENGINE = "aggregator-blockchain@localhost"


@pytest.fixture(scope="module")
def undisturbed() -> RecordedRun:
    return RecordedRun(laboratory(intervals=6)).run()


def again(run: RecordedRun, letters: list[Envelope]) -> None:
    """Bring letters to their recipients once more, within the interval that has just begun."""
    for letter in letters:
        run.offline.loop.call_soon(run.offline.transport.send, letter)
    run.offline.clock.advance_to(run.offline.clock.now_s() + 5)


def assert_nothing_changed(run: RecordedRun, undisturbed: RecordedRun) -> None:
    run.run()
    assert_same_tables(run.tables(), undisturbed.tables())
    assert balances(run) == balances(undisturbed)
    supplies = [completed(each.community.ground.ledger.supply()) for each in (run, undisturbed)]
    assert supplies[0] == supplies[1]


def test_every_letter_of_an_hour_sent_once_more_changes_nothing(undisturbed):
    run = RecordedRun(laboratory(intervals=6)).step(4)
    letters = [each.envelope for each in run.notebook.letters]
    assert len(letters) > 200
    again(run, letters)
    repeated = [each for each in run.notebook.letters if each.outcome == "duplicate"]
    assert len(repeated) >= 0.9 * len(letters)
    assert_nothing_changed(run, undisturbed)


def test_letters_to_an_engine_that_was_restarted_since_change_nothing(undisturbed):
    """What it has settled, it knows from what it kept and from the ledger."""
    run = RecordedRun(laboratory(intervals=6)).step(4)
    letters = [each.envelope for each in run.notebook.letters if each.envelope.to == ENGINE]
    run.community.kill(ENGINE)
    run.offline.loop.call_soon(run.community.restart, ENGINE)
    again(run, letters)
    run.run()
    assert balances(run) == balances(undisturbed)


def test_old_content_under_a_new_number_is_not_believed(undisturbed):
    """Without the sender's key nobody can renumber a dataset: the signature covers the envelope."""
    run = RecordedRun(laboratory(intervals=6)).step(4)
    datasets = [
        msgspec.structs.replace(each.envelope, sequence=0, message_id=f"{each.envelope.message_id}-again")
        for each in run.notebook.letters
        if each.envelope.message_type == "parity:LemDataset" and each.envelope.to == ENGINE
    ]
    assert datasets
    again(run, datasets)
    refused = [each for each in run.notebook.letters if each.envelope.message_id.endswith("-again")]
    assert len(refused) == len(datasets)
    assert all(each.outcome != "handled" for each in refused)
    assert_nothing_changed(run, undisturbed)
