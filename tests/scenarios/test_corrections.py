"""A site that was cut off delivers later: what was settled stays, and a correction moves the difference."""

import msgspec
import numpy as np
import pytest
from scenario_helpers import (
    MORNING_S,
    balances,
    entries_by_start,
    estimated_intervals,
    laboratory,
)

from behaviours.market.corrections import CorrectionSettling
from behaviours.market.dataset_submission import DatasetSubmission
from behaviours.market.players import DatasetCollection
from behaviours.market.settled_markets import SettledMarkets
from launch.model import CommunityModel
from launch.results import completed
from launch.tables import RunTables

INTERVALS = 6
CUT_OFF, BACK = 2, 4
LATE = [1, 2]
"""Killed before the third interval, so the second one's reading, due at its end, is missing, too."""


def community(attestors: int = 1, intervals: int = INTERVALS, **changes) -> CommunityModel:
    """Return the laboratory, in which nobody plans by prices: each run draws the same energy."""
    ledger = {"attestors": attestors}
    return CommunityModel(laboratory(intervals=intervals, control=False, ledger=ledger, **changes))


def cut_off(model: CommunityModel, name: str = "h001-oracle", *others: str) -> CommunityModel:
    for interval in range(model.intervals):
        for each in (name, *others):
            if interval == CUT_OFF:
                model.kill(f"{each}@localhost")
            if interval == BACK:
                model.restart(f"{each}@localhost")
        model.step()
    return model


def corrections(tables: RunTables) -> dict[tuple[int, int], dict[str, int]]:
    """Return what each correction moved, by interval (counted from 0) and number."""
    moved: dict[tuple[int, int], dict[str, int]] = {}
    columns = tables.corrections
    for start_s, number, account, tokens in zip(*columns.values(), strict=True):
        moved.setdefault(((start_s - MORNING_S) // 900, number), {})[account] = int(tokens)
    return moved


@pytest.fixture(scope="module")
def undisturbed() -> CommunityModel:
    return community().run()


@pytest.fixture(scope="module")
def late() -> CommunityModel:
    return cut_off(community(attestors=4))


def test_after_the_corrections_everyone_has_what_an_undisturbed_run_gives(late, undisturbed):
    assert balances(late) == balances(undisturbed)
    assert late.community.counts()["corrections settled"] == len(LATE)


def test_what_was_settled_stays_and_is_flagged(late, undisturbed):
    tables, usual = late.tables(), undisturbed.tables()
    assert estimated_intervals(tables, "h001") == LATE
    settled, as_metered = entries_by_start(tables), entries_by_start(usual)
    differing = [start_s for start_s in settled if settled[start_s] != as_metered[start_s]]
    assert differing == [MORNING_S + 900 * interval for interval in LATE]


def test_each_correction_moves_tokens_and_makes_none(late):
    moved = corrections(late.tables())
    assert sorted(moved) == [(interval, 1) for interval in LATE]
    assert all(sum(changes.values()) == 0 for changes in moved.values())
    assert all(any(changes.values()) for changes in moved.values())


def test_a_quorum_vouches_for_a_correction_like_for_the_first_settlement(late):
    found, _ = completed(late.community.ground.ledger.events())
    attested = [each for each in found if each.name == "Attested"]
    assert len(attested) == 4 * (INTERVALS + len(LATE))
    assert [each for each in found if each.name == "Objected"] == []


def test_the_repository_tells_how_the_market_was_settled_and_how_it_stands(late):
    repository = late.community.ground.repository
    start_s = MORNING_S + LATE[0] * 900
    first, second = completed(repository.query("parity:LemResult", "", start_s, start_s + 1))
    assert (first.correction, second.correction) == (0, 1)
    assert [sum(row.estimated for row in each.rows) for each in (first, second)] == [1, 0]
    changed = {row.player: row.tokens_corrected for row in second.rows}
    assert changed == {
        after.player: after.tokens_net - before.tokens_net
        for before, after in zip(first.rows, second.rows, strict=True)
    }


@pytest.mark.parametrize("name", ["repository", pytest.param("h001-blockchain", marks=pytest.mark.slow)])
def test_whatever_kept_the_readings_back_they_come_when_it_is_there_again(name, undisturbed):
    model = cut_off(community(), name)
    assert balances(model) == balances(undisturbed)
    assert estimated_intervals(model.tables(), "h001") == LATE


@pytest.mark.slow
def test_two_sites_that_come_back_one_after_the_other_are_corrected_one_after_the_other():
    model = community(attestors=4, intervals=INTERVALS + 1)
    for interval in range(model.intervals):
        for name, back in (("h001-oracle@localhost", 4), ("h002-oracle@localhost", 5)):
            if interval == CUT_OFF:
                model.kill(name)
            if interval == back:
                model.restart(name)
        model.step()
    numbers = sorted(corrections(model.tables()))
    assert numbers == [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1)]
    assert balances(model) == balances(community(intervals=INTERVALS + 1).run())


@pytest.mark.slow
def test_hourly_settlements_are_corrected_interval_by_interval():
    model = cut_off(community(intervals=8, settlement="hourly"), "h001-oracle", "h001-blockchain")
    assert balances(model) == balances(community(intervals=8).run())


@pytest.mark.parametrize("after", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_an_engine_that_dies_at_a_correction_settles_it_once(monkeypatch, after, undisturbed):
    model = community(attestors=4)
    ledger = model.community.ground.ledger
    settle, engine, died = ledger.settle, "aggregator-blockchain@localhost", []

    async def settle_and_die(key, *batch, **vouched):
        dies = key.startswith("correction") and not died
        receipt = await settle(key, *batch, **vouched) if after or not dies else None
        if dies:
            died.append(key)
            model.kill(engine)
            model.restart(engine)
            raise RuntimeError("the engine died here")
        return receipt

    monkeypatch.setattr(ledger, "settle", settle_and_die)
    cut_off(model)
    assert died
    assert balances(model) == balances(undisturbed)
    assert sorted(corrections(model.tables())) == [(interval, 1) for interval in LATE]


def test_readings_that_come_again_change_nothing(monkeypatch, undisturbed):
    """Each site brings all that it ever brought once more, before the last interval."""
    model = community(attestors=4)
    submit, brought = DatasetSubmission._submit, []

    async def note(self, name, dataset):
        brought.append((self, name, dataset))
        return await submit(self, name, dataset)

    def bring_again():
        for site, name, dataset in brought[:]:
            site.agent.spawn(submit(site, name, dataset))

    monkeypatch.setattr(DatasetSubmission, "_submit", note)
    model.at(MORNING_S + (INTERVALS - 1) * 900 + 300, bring_again)
    cut_off(model)
    assert model.community.counts()["datasets late"] > 2 * len(LATE)
    assert balances(model) == balances(undisturbed)
    assert len(corrections(model.tables())) == len(LATE)
    engine = model.community.agents["aggregator-blockchain@localhost"]
    assert engine.behaviour(DatasetCollection).late() == {}


def test_an_engine_that_invents_late_readings_settles_no_correction(monkeypatch):
    changes = CorrectionSettling._changes

    def invented(self, due):
        honest = changes(self, due)
        after = honest[0].after
        first, second, *_ = sorted(after.entries)
        entries = after.entries | {first: after.entries[first] + 500, second: after.entries[second] - 500}
        return [msgspec.structs.replace(honest[0], after=after._replace(entries=entries))]

    monkeypatch.setattr(CorrectionSettling, "_changes", invented)
    model = cut_off(community(attestors=4))
    assert corrections(model.tables()) == {}
    assert model.community.counts()["corrections failed"] > 0


def test_an_engine_cannot_have_a_reading_taken_in_twice(monkeypatch, undisturbed):
    """It asks for the same correction again under the next number."""
    model = community(attestors=4)
    monkeypatch.setattr(DatasetCollection, "drop_late", lambda self, start_s, players: None)
    engine = "aggregator-blockchain@localhost"
    note = SettledMarkets.note

    def forgetful(self, market):
        if self.agent.address != engine or not market.correction:
            note(self, market)

    monkeypatch.setattr(SettledMarkets, "note", forgetful)
    cut_off(model)
    assert sorted(corrections(model.tables())) == [(interval, 1) for interval in LATE]
    assert balances(model) == balances(undisturbed)


SITES = ("h001-oracle", "h001-blockchain", "h002-oracle", "h001-attestor")
NAMES = (*SITES, "aggregator-blockchain", "repository")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_whoever_dies_whenever_all_is_corrected_once_everyone_is_back(seed):
    """Two deaths of up to forty minutes at moments of the first two hours, with letters under way."""
    chance = np.random.default_rng(seed)
    intervals = 14
    model = community(attestors=4, intervals=intervals, faults={"delay_s": 0.3})
    for name in chance.choice(NAMES, 2, replace=False):
        dies_s = MORNING_S + chance.uniform(900, 7 * 900)
        model.at(dies_s, model.kill, f"{name}@localhost")
        model.at(dies_s + chance.uniform(100, 2_500), model.restart, f"{name}@localhost")
    model.run()
    assert balances(model) == balances(community(intervals=intervals).run())
    counts = model.community.counts()
    assert counts.get("errors", 0) == counts.get("settlements differ", 0) == 0
