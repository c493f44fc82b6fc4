"""A run that crosses the end of an epoch: new pseudonyms, the same tokens, and nothing links the two."""

from collections import Counter
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest
from scenario_helpers import MORNING_S, Deaths, entries_by_start, laboratory, offline

import launch.cast
from behaviours.decisions.pseudonyms import EPOCH_S, EpochKeys, epoch_of, is_pseudonym
from behaviours.market.attestation_collecting import AttestationCollecting
from behaviours.market.dataset_submission import DatasetSubmission
from behaviours.sealing import opened_subject
from launch.model import CommunityModel
from launch.pseudonyms import pseudonyms_of
from launch.results import completed
from ontology.errors import InvalidInput
from ontology.ledger import SettlementKind

INTERVALS, BEFORE = 7, 3
EPOCH = epoch_of(MORNING_S) + 1
BEGINS_S = EPOCH * EPOCH_S
SITES = ("h001", "h002")
ENGINE = "aggregator-blockchain@localhost"


def starts(before: int) -> str:
    """Return the local time some intervals before the epoch begins, as scenarios have it."""
    moment = datetime.fromtimestamp(BEGINS_S - before * 900, ZoneInfo("Europe/Berlin"))
    return moment.strftime("%Y-%m-%dT%H:%M")


def scenario(intervals: int = INTERVALS, before: int = BEFORE, attestors: int = 1, **changes):
    ledger = {"attestors": attestors}
    return laboratory(intervals=intervals, start=starts(before), control=False, ledger=ledger, **changes)


def held(model: CommunityModel) -> dict[str, int]:
    """Return the tokens of each account."""
    return dict(completed(model.community.ground.ledger.balances(list(model.community.cast.accounts))))


def by_name(model: CommunityModel) -> Counter[str]:
    """Return the tokens of everybody, under all its pseudonyms."""
    total: Counter[str] = Counter()
    for account, tokens in held(model).items():
        total[model.community.cast.accounts[account]] += tokens
    return total


def players(model: CommunityModel, epoch: int) -> set[str]:
    """Return what the sites are called in an epoch."""
    names = pseudonyms_of(model.scenario)
    return {names.players(site)[epoch] for site in SITES}


def settlements(model: CommunityModel) -> dict[str, set[str]]:
    """Return the accounts that each settlement on the ledger names, by its key."""
    known = model.community.ground.ledger._settlements
    return {key: {account for account, tokens in s.entries.items() if tokens} for key, s in known.items()}


@pytest.fixture(scope="module")
def crossed() -> CommunityModel:
    return offline(scenario(attestors=4), Deaths({}))


@pytest.fixture(scope="module")
def without_an_end() -> CommunityModel:
    """The same hours with pseudonyms that last."""

    def lasting(scenario):
        names = pseudonyms_of(scenario)
        key = names.keys.keys[EPOCH - 1]
        return replace(names, keys=EpochKeys(dict.fromkeys(names.epochs, key)), epochs=names.epochs[:1])

    player = DatasetSubmission._player
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launch.cast, "pseudonyms_of", lasting)
        patch.setattr(
            DatasetSubmission,
            "_player",
            lambda self, epoch: msgspec.structs.replace(player(self, epoch), valid_to_s=0),
        )
        return offline(scenario(), Deaths({}))


def test_every_interval_is_settled_and_each_under_the_pseudonyms_of_its_epoch(crossed):
    tables = crossed.tables()
    assert list(tables.market["lem_state"]) == ["SOLVED"] * INTERVALS
    assert list(tables.market["players"]) == [2] * INTERVALS
    assert tables.market["estimated"].sum() == 0
    own = set(pseudonyms_of(crossed.scenario).community)
    for start_s, entries in entries_by_start(tables).items():
        assert set(entries) - own == players(crossed, epoch_of(start_s))


def test_everybody_has_the_tokens_that_it_would_have_without_an_end_of_the_epoch(crossed, without_an_end):
    assert by_name(crossed) == by_name(without_an_end)
    assert by_name(crossed).total() == 2 * 1_000_000 + 2 * 20_000_000


def test_the_balance_goes_on_to_the_new_pseudonym_and_nothing_stays_behind(crossed):
    tokens = held(crossed)
    assert {tokens[old] for old in players(crossed, EPOCH - 1)} == {0}
    assert crossed.community.counts()["balances carried over"] == 2
    ledger = crossed.community.ground.ledger
    events, _ = completed(ledger.events())
    kinds = list(SettlementKind)
    kept = [each for each in events if each.name == "Settled"]
    assert [kinds[each.values["kind"]] for each in kept].count(SettlementKind.CARRY_OVER) == 1
    assert len([each for each in events if each.name == "Attested"]) == 4 * (INTERVALS + 1)


def test_nothing_on_the_ledger_names_a_member_under_two_pseudonyms_but_the_carry_over_of_all(crossed):
    before, after = players(crossed, EPOCH - 1), players(crossed, EPOCH)
    assert all(is_pseudonym(player) for player in before | after)
    assert len(before | after) == 4
    both = {key: who for key, who in settlements(crossed).items() if who & before and who & after}
    assert both == {f"carry-over {EPOCH} 0": before | after}


def test_the_order_of_the_accounts_does_not_tell_who_follows_on_whom(crossed):
    """Accounts are opened in the order of their pseudonyms, which are random."""
    ledger = crossed.community.ground.ledger
    for epoch in (EPOCH - 1, EPOCH):
        numbers = ledger._known_numbers(sorted(players(crossed, epoch))).values()
        assert list(numbers) == sorted(numbers)


@pytest.mark.parametrize("after", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_an_engine_that_dies_at_the_carry_over_carries_over_once(monkeypatch, after, crossed):
    model = CommunityModel(scenario(attestors=4))
    ledger = model.community.ground.ledger
    settle, died = ledger.settle, []

    async def settle_and_die(key, *batch, **vouched):
        dies = key.startswith("carry-over") and not died
        receipt = await settle(key, *batch, **vouched) if after or not dies else None
        if dies:
            died.append(key)
            model.kill(ENGINE)
            model.restart(ENGINE)
            raise RuntimeError("the engine died here")
        return receipt

    monkeypatch.setattr(ledger, "settle", settle_and_die)
    model.run()
    assert died
    assert by_name(model) == by_name(crossed)
    assert [key for key in settlements(model) if key.startswith("carry-over")] == died


def test_a_site_that_is_cut_off_when_the_epoch_ends_is_estimated_and_keeps_its_tokens(without_an_end):
    deaths = Deaths({BEFORE - 1: "h001-blockchain"}, {BEFORE + 2: "h001-blockchain"})
    model = offline(scenario(attestors=4), deaths)
    tables = model.tables()
    assert list(tables.market["players"]) == [2] * INTERVALS
    assert model.community.counts().get("readings unknown", 0) == 0
    assert tables.market["estimated"].sum() > 0
    assert by_name(model) == by_name(without_an_end)


def test_an_engine_that_would_give_a_balance_to_somebody_else_finds_no_quorum(monkeypatch):
    asked = AttestationCollecting.carried

    async def swapped(self, key, due, result, ledger):
        one, other = due.balances
        balances = [
            msgspec.structs.replace(one, successor=other.successor),
            msgspec.structs.replace(other, successor=one.successor),
        ]
        return await asked(self, key, msgspec.structs.replace(due, balances=balances), result, ledger)

    monkeypatch.setattr(AttestationCollecting, "carried", swapped)
    model = offline(scenario(intervals=5, attestors=4), Deaths({}))
    assert model.community.counts()["carry-overs failed"] > 0
    assert not any(key.startswith("carry-over") for key in settlements(model))


def test_the_repository_has_the_link_table_and_only_who_has_the_subjects_key_can_read_it(crossed):
    names = pseudonyms_of(crossed.scenario)
    records = completed(crossed.community.ground.repository.query("parity:PseudonymRecord", "", 0, 2**40))
    assert len(records) == 4
    for record in records:
        epoch = epoch_of(record.valid_from_s)
        (site,) = [each for each in SITES if names.players(each)[epoch] == record.pseudonym]
        (other,) = {*SITES} - {site}
        line = record.subject_encrypted
        assert opened_subject(line, names.subject_keys[site], record.pseudonym) == site
        assert (record.valid_from_s, record.valid_to_s) == (epoch * EPOCH_S, (epoch + 1) * EPOCH_S)
        with pytest.raises(InvalidInput):
            opened_subject(line, names.subject_keys[other], record.pseudonym)
    sealed = {record.subject_encrypted for record in records}
    assert len(sealed) == 4
    assert not any(site in each for each in sealed for site in SITES)


def test_an_oracle_forgets_an_epoch_with_its_key():
    names = pseudonyms_of(scenario())
    kept = EpochKeys({EPOCH: names.keys.keys[EPOCH]})
    assert kept.pseudonyms_of("h001") == {EPOCH: names.players("h001")[EPOCH]}


@pytest.mark.slow
@pytest.mark.parametrize("settlement", ["hourly", "daily"])
def test_longer_periods_of_settlement_end_with_the_epoch_too(settlement, without_an_end):
    model = offline(scenario(settlement=settlement, attestors=4), Deaths({}))
    assert model.community.counts()["balances carried over"] == 2
    assert {held(model)[old] for old in players(model, EPOCH - 1)} == {0}
    assert by_name(model).total() == by_name(without_an_end).total()


@pytest.mark.slow
def test_what_a_correction_brings_the_old_account_follows_a_day_later():
    """A site is cut off before the end of the epoch, and back after it: a day later all is as usual."""
    intervals = 100 + BEFORE
    deaths = Deaths({BEFORE - 2: "h001-blockchain"}, {BEFORE + 2: "h001-blockchain"})
    model = offline(scenario(intervals=intervals, attestors=4), deaths)
    usual = offline(scenario(intervals=intervals), Deaths({}))
    owed = completed(model.community.ground.ledger.receivables(list(model.community.cast.accounts)))
    assert {held(model)[old] for old in players(model, EPOCH - 1)} == {0}
    assert by_name(model).total() == by_name(usual).total()
    assert by_name(model)["h001"] == by_name(usual)["h001"] + sum(owed.values())
    assert by_name(model)["h002"] == by_name(usual)["h002"]


@pytest.mark.slow
def test_an_agreement_that_outlasts_the_epoch_is_judged_under_the_pseudonym_of_its_end():
    indicator = {"id": "used", "function": "K_ENERGY", "rule": "gt", "limit": 0, "penalty_tokens": 7}
    agreement = {"id": "night", "after_hours": 0, "hours": 1.25, "indicators": [indicator]}
    model = offline(scenario(attestors=4, agreements=[agreement]), Deaths({}))
    payments = model.tables().payments
    fined = {str(payer): tokens for payer, tokens in zip(payments["payer"], payments["tokens"], strict=True)}
    assert fined == dict.fromkeys(players(model, EPOCH), 7)
