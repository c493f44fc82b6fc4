"""Facts into files and back."""

import pytest
from facts import READING, reading
from ontology_samples import LEAST, MOST, USUAL, sample

from environments.repository.files import FORMATS, format_of, read_facts, write_facts
from environments.repository.keys import ENTITIES
from ontology.errors import InvalidInput

EVERY_ENTITY = sorted(ENTITIES)


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("entity", EVERY_ENTITY)
def test_what_was_written_is_read_back(entity, file_format, tmp_path):
    facts = [sample(entity, which) for which in (LEAST, USUAL, MOST)]
    path = tmp_path / f"facts.{file_format}"
    assert write_facts(path, entity, [facts[:2], facts[2:]], file_format) == 3
    assert [fact for batch in read_facts(path, entity, file_format) for fact in batch] == facts


def test_a_file_that_fails_half_way_leaves_the_old_one(tmp_path):
    path = tmp_path / "facts.csv"
    write_facts(path, READING, [[reading(0)]], "csv")

    def interrupted():
        yield [reading(900)]
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_facts(path, READING, interrupted(), "csv")
    assert [p.name for p in tmp_path.iterdir()] == ["facts.csv"]
    assert list(read_facts(path, READING, "csv")) == [[reading(0)]]


def test_wrong_rows_of_a_file_are_named_by_number(tmp_path):
    path = tmp_path / "facts.jsonl"
    path.write_text('{"subject": "h001", "start_s": 7}\n')
    with pytest.raises(InvalidInput, match=r"rows\[0\]"):
        list(read_facts(path, READING, format_of(path)))


@pytest.mark.parametrize("file_format", FORMATS)
def test_what_is_no_such_file_is_refused(file_format, tmp_path):
    path = tmp_path / "facts"
    path.write_bytes(b"\xff\xfe not a file of ours \x00")
    with pytest.raises(InvalidInput):
        list(read_facts(path, READING, file_format))
    with pytest.raises(InvalidInput, match="unreadable"):
        list(read_facts(tmp_path / "none", READING, file_format))
