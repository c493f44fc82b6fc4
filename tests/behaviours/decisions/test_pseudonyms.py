import pytest
from hypothesis import given
from hypothesis import strategies as st

from behaviours.decisions.pseudonyms import (
    EPOCH_S,
    EpochKeys,
    epoch_of,
    is_pseudonym,
    pseudonym,
    scope_key,
)
from ontology.errors import InvalidInput
from ontology.privacy import PseudonymScope
from tests.behaviours.decisions.quick import quick

MASTER = bytes(range(32))
LEM_KEY = scope_key(MASTER, PseudonymScope.LEM, 0)


@quick
@given(st.text(min_size=1).filter(str.strip))
def test_a_pseudonym_has_the_agreed_form_and_stays_itself(identity):
    name = pseudonym(identity, LEM_KEY)
    assert is_pseudonym(name)
    assert pseudonym(name, LEM_KEY) == name


def test_the_same_person_keeps_the_pseudonym_within_scope_and_epoch():
    assert pseudonym("h001", LEM_KEY) == pseudonym(" H001 ", scope_key(MASTER, PseudonymScope.LEM, 0))


def test_scopes_and_epochs_and_people_cannot_be_linked():
    keys = [scope_key(MASTER, scope, epoch) for scope in PseudonymScope for epoch in range(5)]
    names = {pseudonym(person, key) for key in keys for person in ("h001", "h002")}
    assert len(names) == 2 * len(keys)


def test_an_epoch_lasts_thirty_days():
    assert epoch_of(EPOCH_S - 1) == 0
    assert epoch_of(EPOCH_S) == 1


def test_a_short_key_is_refused_without_showing_it():
    with pytest.raises(InvalidInput, match="at least 16 bytes") as caught:
        scope_key(b"secret", PseudonymScope.LEM, 0)
    assert "secret" not in str(caught.value)


def test_nobody_has_no_pseudonym():
    with pytest.raises(InvalidInput):
        pseudonym("  ", LEM_KEY)


KEYS = EpochKeys({epoch: scope_key(MASTER, PseudonymScope.LEM, epoch) for epoch in (7, 8)})


def test_a_pseudonym_holds_to_the_last_second_of_its_epoch():
    first, *rest = (KEYS.pseudonym_of("h001", 8 * EPOCH_S + s) for s in (-EPOCH_S, -1, 0, EPOCH_S - 1))
    assert rest[0] == first
    assert rest[1] == rest[2] != first
    assert KEYS.pseudonyms_of("h001") == {7: first, 8: rest[1]}


def test_what_is_a_pseudonym_already_is_not_made_one_again_in_any_epoch():
    name = KEYS.pseudonym_of("h001", 7 * EPOCH_S)
    assert KEYS.pseudonym_of(name, 8 * EPOCH_S) == name


def test_without_the_key_of_an_epoch_nobody_has_a_pseudonym_in_it():
    with pytest.raises(InvalidInput, match="time_s"):
        KEYS.pseudonym_of("h001", 9 * EPOCH_S)
