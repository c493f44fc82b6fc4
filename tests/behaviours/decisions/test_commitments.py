"""Commitments hide what they commit to, and prove that it is what was committed to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from behaviours.decisions.commitments import EMPTY, commitment, is_under, leaf, path, root
from ontology.errors import InvalidInput

SALT = b"\7" * 32
LEAVES = st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=40, unique=True)


@given(LEAVES, st.data())
def test_every_leaf_has_a_path_to_the_root_and_no_other_leaf_has_it(leaves, data):
    index = data.draw(st.integers(0, len(leaves) - 1))
    steps, top = path(leaves, index), root(leaves)
    assert is_under(leaves[index], steps, top)
    assert not any(is_under(other, steps, top) for other in leaves if other != leaves[index])
    assert len(steps) <= (len(leaves) - 1).bit_length()


@given(LEAVES, st.data())
def test_another_leaf_makes_another_root(leaves, data):
    index = data.draw(st.integers(0, len(leaves) - 1))
    changed = [*leaves[:index], data.draw(st.binary(min_size=32, max_size=32)), *leaves[index + 1 :]]
    assert (root(changed) == root(leaves)) == (changed == leaves)


def test_the_same_content_under_another_salt_is_another_commitment():
    assert commitment(b"3 kWh", SALT) == commitment(b"3 kWh", SALT)
    assert commitment(b"3 kWh", SALT) != commitment(b"3 kWh", b"\10" * 32)
    assert commitment(b"3 kWh", SALT) != commitment(b"4 kWh", SALT)


@pytest.mark.parametrize("salt", [b"", b"short", b"\7" * 33])
def test_a_salt_that_could_be_guessed_is_invalid(salt):
    with pytest.raises(InvalidInput, match="salt"):
        commitment(b"3 kWh", salt)


def test_a_leaf_belongs_to_one_player_and_one_interval():
    told = [leaf(player, start_s, SALT) for player in ("p_a", "p_b") for start_s in (0, 900)]
    assert len(set(told)) == 4


def test_nothing_has_a_root_too_and_no_paths():
    assert root([]) == EMPTY
    with pytest.raises(InvalidInput, match="index"):
        path([], 0)
