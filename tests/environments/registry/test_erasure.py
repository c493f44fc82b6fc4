"""Showing somebody all that is known, and forgetting it: nothing leads from a pseudonym to the person."""

import json

import pytest
from registry_samples import ANNA, BORIS, NOW_S, files_of, household, inline, opened_registry

from behaviours.decisions.pseudonyms import epoch_of, pseudonym
from behaviours.sealing import opened_subject
from environments.repository import SqlRepository
from ontology.base import INTERVAL_S
from ontology.errors import InvalidInput
from ontology.grid import GridState
from ontology.ledger import LedgerEntry
from ontology.market import LemResult, LemRow
from ontology.measurements import IntervalReading, Measurement, Quantity
from ontology.privacy import PseudonymScope
from ontology.registration import ConsentPurpose
from ontology.users import UserStatus


@pytest.fixture
def community(tmp_path):
    """What was measured at the sites and settled under pseudonyms, in a database of its own."""
    repository = SqlRepository(f"sqlite:///{tmp_path / 'community.sqlite'}")
    yield repository
    repository.close()


def fill(community, *players: str) -> None:
    readings = [
        IntervalReading(
            subject=site,
            start_s=NOW_S + i * INTERVAL_S,
            consumed_wh=100,
            produced_wh=0,
            consumed_w=400,
            produced_w=0,
        )
        for site in ("h001", "h0011", "h002")
        for i in range(4)
    ]
    sun = Measurement(subject="h001-pv", quantity=Quantity.ACTIVE_POWER_W, time_s=NOW_S, value=-5.0)
    inline(community.store([*readings, sun, result_of(players), entry_of(*players)]))


def result_of(players: tuple[str, ...]) -> LemResult:
    rows = [
        LemRow(
            player=player,
            consumed_wh=100,
            produced_wh=0,
            tokens_consumption=2,
            tokens_production=0,
            tokens_flow=0,
            tokens_net=-2,
        )
        for player in players
    ]
    return LemResult(
        start_s=NOW_S,
        segment_id="segment-001",
        grid_state=GridState.GREEN,
        consumed_wh=200,
        produced_wh=0,
        buy_price_ticks_per_kwh=2000,
        sell_price_ticks_per_kwh=700,
        rows=rows,
        result_hash="",
    )


def entry_of(debit: str, credit: str) -> LedgerEntry:
    return LedgerEntry(time_s=NOW_S, debit=debit, credit=credit, amount_tokens=5, settlement_key="vpp 1")


@pytest.fixture
def both(registry, community):
    anna = inline(registry.register(household(), NOW_S, "operator", ANNA))
    boris = inline(registry.register(household("h002"), NOW_S, "operator", BORIS))
    fill(community, *registry.accounts(anna.user_id), *registry.accounts(boris.user_id))
    return anna, boris


def test_an_export_has_all_that_is_stored_about_a_user_and_nothing_about_others(registry, community, both):
    anna, boris = both
    inline(registry.consent(anna.user_id, ConsentPurpose.FLEXIBILITY, False, NOW_S + 60, "h001"))
    told = json.dumps(inline(registry.export(anna.user_id, NOW_S + 90, "operator", community)))
    exported = json.loads(told)
    assert exported["user"]["name"] == ANNA.name
    assert len(exported["registered"]) == 1 + 1 + 3 + 2
    assert [each["given"] for each in exported["consents"]] == [True, False]
    assert {each["scope"] for each in exported["pseudonyms"]} == {*PseudonymScope}
    assert len(exported["measured_and_foreseen"]) == 4 + 1
    assert [len(each.get("rows", [1])) for each in exported["settled"]] == [1, 1]
    assert all(foreign not in told for foreign in (BORIS.name, BORIS.email, boris.user_id, "h0011", "h002"))


def test_after_an_erasure_no_table_and_no_key_leads_from_a_pseudonym_to_the_person(
    registry, community, both, tmp_path
):
    anna, boris = both
    lines = inline(registry._facts.query("parity:PseudonymRecord", "", 0, 2**40))
    (account,) = registry.accounts(anna.user_id)
    inline(registry.erase(anna.user_id, NOW_S + 60, "operator", community))

    left = inline(registry._facts.query("parity:PseudonymRecord", "", 0, 2**40))
    assert account not in {line.pseudonym for line in left}
    keys = registry._keys
    remaining = [keys.of_person(boris.user_id), keys.index_key, keys.box_key]
    remaining += [keys.of_scope(scope, epoch_of(NOW_S)) for scope in PseudonymScope]
    for line in lines:  # one who has kept a copy of the link table
        if line.pseudonym == account:
            for key in remaining:
                with pytest.raises(InvalidInput):
                    opened_subject(line.subject_encrypted, key, line.pseudonym)
    guesses = ["h001", anna.user_id, anna.wallet_id, ANNA.name, ANNA.email]
    assert account not in {pseudonym(guess, key) for guess in guesses for key in remaining if key}
    tables = (tmp_path / "registry.sqlite").read_bytes()
    assert anna.wallet_id.encode() not in tables


def test_after_an_erasure_no_call_knows_the_person_any_more(registry, community, both):
    anna, boris = both
    inline(registry.erase(anna.user_id, NOW_S + 60, "operator", community))
    gone = registry.user(anna.user_id)
    assert (gone.status, gone.name, gone.email, gone.pseudonym) == (UserStatus.ERASED, "", "", "")
    assert [each.user_id for each in registry.users()] == [boris.user_id]
    assert registry.user_of("h001") is None
    assert registry.portfolio() == [("h002", "segment-001", boris.user_id)]
    with pytest.raises(InvalidInput):
        registry.accounts(anna.user_id)
    with pytest.raises(InvalidInput):
        inline(registry.export(anna.user_id, NOW_S, "operator", community))
    with pytest.raises(InvalidInput):
        inline(registry.pseudonyms.issue("h001", PseudonymScope.LEM, NOW_S, NOW_S, "h001-oracle@localhost"))
    with pytest.raises(InvalidInput):
        inline(registry.consent(anna.user_id, ConsentPurpose.ANALYTICS, True, NOW_S, "operator"))


def test_what_is_known_of_the_site_goes_and_of_others_stays(registry, community, both):
    anna, _ = both
    inline(registry.erase(anna.user_id, NOW_S + 60, "operator", community))
    assert inline(community.subjects("parity:IntervalReading")) == ["h0011", "h002"]
    assert inline(community.query("parity:Measurement", "", 0, 2**40)) == []
    assert [each.asset_id for each in inline(registry.catalogue.entries("assets"))] == [
        "h002-bess",
        "h002-pv",
        "h002-pv-2",
    ]


def test_what_was_settled_stays_as_it_was(registry, community, both):
    anna, _ = both
    before = inline(community.query("parity:LemResult", "", 0, 2**40))
    entries = inline(community.query("parity:LedgerEntry", "", 0, 2**40))
    inline(registry.erase(anna.user_id, NOW_S + 60, "operator", community))
    assert inline(community.query("parity:LemResult", "", 0, 2**40)) == before
    assert inline(community.query("parity:LedgerEntry", "", 0, 2**40)) == entries


@pytest.mark.parametrize("step", ["forget_facts_about", "_forget_own_facts", "destroy_person", "erase"])
def test_an_erasure_that_is_cut_off_can_be_finished(registry, community, both, monkeypatch, tmp_path, step):
    class Killed(BaseException):
        pass

    def killed(*_):
        raise Killed

    anna, _ = both
    owner = {
        "forget_facts_about": "environments.registry.registry.forget_facts_about",
        "_forget_own_facts": (registry, "_forget_own_facts"),
        "destroy_person": (registry._keys, "destroy_person"),
        "erase": (registry._people, "erase"),
    }[step]
    with monkeypatch.context() as patch:
        patch.setattr(owner, killed) if isinstance(owner, str) else patch.setattr(*owner, killed)
        with pytest.raises(Killed):
            inline(registry.erase(anna.user_id, NOW_S + 60, "operator", community))
    again = opened_registry(tmp_path)
    inline(again.erase(anna.user_id, NOW_S + 60, "operator", community))
    assert again.user(anna.user_id).status is UserStatus.ERASED
    assert again.user_of("h001") is None
    again.close()


def test_killed_between_key_and_record_the_person_is_forgotten_already(registry, community, both, tmp_path):
    anna, _ = both
    registry._keys.destroy_person(anna.user_id)
    again = opened_registry(tmp_path)
    assert again.user(anna.user_id).status is UserStatus.ERASED
    assert len(again.users()) == 1
    assert again.user_of("h001") is None
    inline(again.erase(anna.user_id, NOW_S, "operator", community))
    again.close()


def test_the_site_can_be_somebody_elses_afterwards(registry, both):
    anna, _ = both
    inline(registry.erase(anna.user_id, NOW_S + 60, "operator"))
    later = inline(registry.register(household(), NOW_S + 120, "operator", ANNA))
    assert later.user_id != anna.user_id
    assert registry.accounts(later.user_id) != []


def test_erasing_again_changes_nothing_and_a_stranger_cannot_be_erased(registry, both):
    anna, _ = both
    inline(registry.erase(anna.user_id, NOW_S + 60, "operator"))
    inline(registry.erase(anna.user_id, NOW_S + 90, "operator"))
    with pytest.raises(InvalidInput):
        inline(registry.erase("u_nobody", NOW_S, "operator"))


def test_no_file_keeps_the_seals_of_an_erased_person(registry, both, tmp_path):
    anna, _ = both
    inline(registry.erase(anna.user_id, NOW_S + 60, "operator"))
    registry.close()
    assert anna.wallet_id.encode() not in files_of(tmp_path)
