"""`parity-mas tap`, as an operator uses it on a finished run."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from environments.repository.recorder import SqliteRecorder
from launch.cli import app
from ontology.letter import Envelope


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    with SqliteRecorder(tmp_path / "messages.sqlite") as recorder:
        for number, act in enumerate(("cfp", "propose", "reject-proposal"), 1):
            sides = ("dso@here", "aggregator@here") if number % 2 else ("aggregator@here", "dso@here")
            envelope = Envelope(
                act, *sides, "uftp:FlexOffer", "c1", number, f"m{number}", number, body=b'{"a":1}'
            )
            recorder.record(envelope, "handled", float(number))
    return tmp_path


def tap(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["tap", *map(str, arguments)])
    return result.exit_code, result.output


def test_letters_are_listed_oldest_first(run_folder: Path) -> None:
    code, output = tap(run_folder)
    assert code == 0
    assert [line.split()[5] for line in output.splitlines()] == ["cfp", "propose", "reject-proposal"]


def test_they_are_filtered_shown_in_full_and_as_json(run_folder: Path) -> None:
    _, output = tap(run_folder, "--act", "propose", "--bodies")
    assert output.count("\n") == 2
    assert '{"a":1}' in output
    _, output = tap(run_folder, "--agent", "dso", "--json", "--limit", 1)
    assert json.loads(output)["performative"] == "reject-proposal"


def test_a_conversation_is_drawn(run_folder: Path, tmp_path: Path) -> None:
    code, output = tap(run_folder, "--conversation", "c1", "--diagram", tmp_path / "c1.svg")
    assert code == 0
    assert Path(output.strip()).read_text().startswith("<svg")


def test_nothing_found_is_one_and_no_record_is_two(run_folder: Path, tmp_path: Path) -> None:
    assert tap(run_folder, "--words", "nowhere")[0] == 1
    assert tap(tmp_path / "none")[0] == 2
