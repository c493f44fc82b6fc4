"""A gateway's outbox: nothing is let go of before it is acknowledged, not even by kill -9."""

import sqlite3
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "repository"))

from killing import killed_after

from environments.iml.outbox import SampleOutbox
from ontology.errors import Problem, Unavailable
from ontology.samples import Sample, SampleReceipt

PROGRAM = """
import sys
from pathlib import Path
from environments.iml.outbox import SampleOutbox
from ontology.samples import Sample
box = SampleOutbox(Path(sys.argv[1]), "h001")
second = 0
while True:
    box.add([Sample(sensor_id=name, time_s=second, value=1.0) for name in ("a", "b", "c")])
    second += 1
    print(second, flush=True)
"""


def sample(time_s, sensor="meter"):
    return Sample(sensor_id=sensor, time_s=time_s, value=float(time_s))


def test_samples_wait_through_a_restart_until_they_are_acknowledged(tmp_path):
    box = SampleOutbox(tmp_path / "box", "h001")
    box.add([sample(at) for at in range(700)])
    box.close()
    box = SampleOutbox(tmp_path / "box", "h001")
    first = box.next_batch()
    assert [each.time_s for each in first.samples] == list(range(500))
    assert box.settle(SampleReceipt(batch_id=first.batch_id, stored=500))
    assert box.count() == 200


def test_a_receipt_for_something_else_lets_go_of_nothing(tmp_path):
    box = SampleOutbox(tmp_path / "box", "h001")
    box.add([sample(1)])
    box.next_batch()
    assert not box.settle(SampleReceipt(batch_id="another", stored=1))
    assert box.count() == 1


def test_what_was_refused_is_put_aside(tmp_path):
    box = SampleOutbox(tmp_path / "box", "h001")
    box.add([sample(1), sample(2)])
    batch = box.next_batch()
    no = Problem("samples[1].sensor_id", "meter", "a sensor that is registered")
    box.settle(SampleReceipt(batch_id=batch.batch_id, stored=1, refused=[no]))
    assert box.count() == 0
    assert [each for each, _ in box.refused()] == [sample(2)]


def test_a_second_and_a_sensor_is_one_sample(tmp_path):
    box = SampleOutbox(tmp_path / "box", "h001")
    box.add([sample(1), sample(1)])
    box.add([sample(1)])
    assert box.count() == 1


def test_a_full_disk_is_said_and_keeps_what_there_was(tmp_path):
    box = SampleOutbox(tmp_path / "box", "h001")
    box.add([sample(1)])
    (pages,) = box._connection.execute("PRAGMA page_count").fetchone()
    box._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(Unavailable):
        box.add([sample(at, "x" * 200) for at in range(2, 400)])
    assert box.count() == 1


@pytest.mark.parametrize("lines", [1, 17, 120])
def test_kill_9_loses_nothing_that_was_added(tmp_path, lines):
    said = killed_after(PROGRAM, tmp_path / "box", lines)
    box = SampleOutbox(tmp_path / "box", "h001")
    assert 3 * said <= box.count() <= 3 * (said + 1)
    with sqlite3.connect(tmp_path / "box") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
