"""Pseudonyms on request: one a scope and epoch, unlinkable, never of a pseudonym, not too often."""

import pytest
from registry_samples import ANNA, BORIS, NOW_S, household, inline

from behaviours.decisions.pseudonyms import EPOCH_S, epoch_of, is_pseudonym, pseudonym
from behaviours.sealing import opened_subject
from environments.registry.pseudonym_service import ASKED_AT_ONCE
from ontology.errors import InvalidInput, Refused, Unavailable
from ontology.privacy import PseudonymScope

ORACLE = "h001-oracle@localhost"


@pytest.fixture
def anna(registry):
    return inline(registry.register(household(), NOW_S, "operator", ANNA))


def issued(registry, name="h001", scope=PseudonymScope.LEM, time_s=NOW_S, now_s=NOW_S):
    return inline(registry.pseudonyms.issue(name, scope, time_s, now_s, ORACLE))


def test_a_pseudonym_is_the_same_all_through_an_epoch_and_another_in_the_next(registry, anna):
    first = issued(registry)
    assert is_pseudonym(first.pseudonym)
    assert issued(registry, time_s=first.valid_to_s - 1) == first
    following = issued(registry, time_s=first.valid_to_s)
    assert following.pseudonym != first.pseudonym
    assert following.valid_from_s == first.valid_to_s == first.valid_from_s + EPOCH_S


def test_cross_scope_linkage_by_id_is_zero(registry, anna):
    inline(registry.register(household("h002"), NOW_S, "operator", BORIS))
    names = [
        issued(registry, site, scope, time_s).pseudonym
        for site in ("h001", "h002")
        for scope in PseudonymScope
        for time_s in (NOW_S, NOW_S + EPOCH_S)
    ]
    assert len(set(names)) == len(names)


def test_lines_of_the_link_table_do_not_tell_which_belong_together(registry, anna):
    for scope in PseudonymScope:
        issued(registry, scope=scope)
    lines = inline(registry._facts.query("parity:PseudonymRecord", "", 0, 2**40))
    assert len({line.subject_encrypted for line in lines}) == len(lines) == len(PseudonymScope)
    assert {line.key_id for line in lines} == {"subject"}
    key = registry._keys.of_person(anna.user_id)
    assert {opened_subject(each.subject_encrypted, key, each.pseudonym) for each in lines} == {anna.user_id}


def test_nobody_comes_from_a_name_to_a_pseudonym_even_with_the_scopes_key(registry, anna):
    key = registry._keys.of_scope(PseudonymScope.LEM, epoch_of(NOW_S))
    guesses = ["h001", anna.user_id, ANNA.name, ANNA.email, anna.wallet_id]
    assert issued(registry).pseudonym not in {pseudonym(guess, key) for guess in guesses}


def test_oracles_get_to_the_same_pseudonyms_with_the_keys_that_they_are_handed(registry, anna):
    keys = registry.pseudonyms.epoch_keys(PseudonymScope.LEM, [epoch_of(NOW_S)]).of("h001")
    assert keys.pseudonym_of("h001", NOW_S) == issued(registry).pseudonym


def test_a_pseudonym_gets_no_pseudonym(registry, anna):
    with pytest.raises(InvalidInput, match="a pseudonym already"):
        issued(registry, issued(registry).pseudonym)


def test_an_unknown_name_is_told_to_nobody_and_written_down(registry):
    with pytest.raises(InvalidInput) as caught:
        issued(registry, "somebody else")
    assert "somebody" not in str(caught.value)
    assert [each.outcome for each in registry.audit.about()] == ["unknown"]


def test_who_asks_too_often_waits(registry, anna):
    for _ in range(ASKED_AT_ONCE):
        issued(registry)
    with pytest.raises(Refused):
        issued(registry)
    assert issued(registry, now_s=NOW_S + 2)
    assert "too often" in {each.outcome for each in registry.audit.about()}


def test_every_request_is_written_down_without_the_pseudonym(registry, anna):
    name = issued(registry).pseudonym
    actions = registry.audit.about(anna.user_id)
    assert actions[-1][1:3] == (ORACLE, "pseudonym LEM")
    assert not any(name in str(action) for action in actions)


def test_an_epoch_that_is_forgotten_has_no_pseudonyms_any_more(registry, anna):
    issued(registry)
    registry.pseudonyms.forget_epochs(NOW_S + EPOCH_S, NOW_S + EPOCH_S, "operator")
    with pytest.raises(Unavailable):
        issued(registry)
    assert issued(registry, time_s=NOW_S + EPOCH_S)
