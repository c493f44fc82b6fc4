"""What a community writes down for all to read: by whom, exactly once, and provable (D8.1 3.3.3)."""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from typing import Any

import msgspec
import numpy as np
import pytest
from scenario_helpers import MORNING_S, Deaths, assert_same_tables, laboratory, offline

from behaviours.market import auditing
from behaviours.market.attestation_collecting import AttestationCollecting
from behaviours.market.auditing import RegisterAuditing
from behaviours.market.proving import Committed, DatasetCommitting, DatasetProving
from behaviours.market.registering import players_hash
from contracts.register import EvmMarketRegister
from launch.model import CommunityModel
from launch.results import completed
from launch.runs import notes_of, run_live
from launch.scenario import lem_parameters
from ontology.attestation import DatasetProof, ProofRequest
from ontology.discourse import Acknowledgement
from ontology.errors import ParityError, Refused, Unavailable
from ontology.grid import GridConstraint, GridState, GridStatusEvent
from ontology.market import LemDataset

pytestmark = pytest.mark.chain
INTERVALS = 3
DSO, OPERATOR, ENGINE = "dso-blockchain", "market", "aggregator-blockchain"
H001 = "h001-blockchain@localhost"


def community(register: str = "chain", **settings: Any) -> CommunityModel:
    settings = {"intervals": INTERVALS, "ledger": {"register": register}} | settings
    return CommunityModel(laboratory(**settings))


def told(model: CommunityModel) -> list:
    """Return all that the register's contract has told."""
    return model._run.ledger.registry().contract.events()


def segment_of(model: CommunityModel) -> str:
    """Return the name of the laboratory's only segment."""
    return model.world.feeders[0].segment_id


def assert_written_once(model: CommunityModel) -> None:
    """Every state and every market stands in the register, and nothing was written twice."""
    register, grid = model.tables().register, model.tables().grid
    published = grid["flagged"] == ""
    np.testing.assert_array_equal(register["grid_state"][published], grid["grid_state"][published])
    assert register["lem_state"].tolist() == ["SOLVED"] * model.intervals
    written = [(each.name, str(each.values)) for each in told(model)]
    assert {entry: times for entry, times in Counter(written).items() if times > 1} == {}
    counted = Counter(name for name, _ in written)
    assert counted["LemOpened"] - model.intervals in (0, 1)  # the one that begins where the run ends
    assert counted["LemSolved"] == counted["LemClosed"] == model.intervals
    assert model.community.counts().get("errors", 0) == 0


def outcome(model: CommunityModel, work: Coroutine[Any, Any, Any]) -> Any:
    """Let a conversation take place within the next interval; return, or raise, what came of it."""
    found: list[Any] = []

    async def noted() -> None:
        try:
            found.append(await work)
        except ParityError as error:
            found.append(error)

    agent = next(iter(model.community.agents.values()))
    model.at(model.now_s + 400, lambda: agent.spawn(noted()))
    model.step()
    if isinstance(found[0], ParityError):
        raise found[0]
    return found[0]


@pytest.fixture(scope="module")
def undisturbed() -> CommunityModel:
    return community().run()


def test_the_register_holds_what_the_run_did(undisturbed):
    tables, scenario = undisturbed.tables(), undisturbed.scenario
    register, market = tables.register, tables.market
    assert_written_once(undisturbed)
    assert register["start_s"].tolist() == market["start_s"].tolist()
    facts = completed(undisturbed.community.ground.repository.query("parity:LemResult", "", 0, 2**40))
    assert register["result"].tolist() == [each.result_hash for each in facts]
    green = lem_parameters(scenario, GridState.GREEN)
    assert set(register["buy_usual_ticks_per_kwh"].tolist()) == {green.buy_usual_ticks_per_kwh}
    assert set(register["mechanism"].tolist()) == {"COMMUNITY"}
    assert all(len(root) == 64 for root in register["datasets"])
    assert len(set(register["datasets"].tolist())) == INTERVALS
    players = [account for account, name in undisturbed.community.cast.accounts.items() if name[0] == "h"]
    assert set(register["players"].tolist()) == {players_hash(players)}
    assert register["import_max_w"].tolist()[1:] == [50_000] * (INTERVALS - 1)


def test_anybody_reads_the_tariffs_without_a_key(undisturbed):
    reader = undisturbed.community.ground.registers.reader
    for state in (GridState.GREEN, GridState.YELLOW):
        assert completed(reader.parameters(state)) == lem_parameters(undisturbed.scenario, state)


def test_the_register_in_memory_says_the_same_as_the_one_on_the_chain(undisturbed):
    assert_same_tables(community("memory").run().tables(), undisturbed.tables())


def test_who_has_too_few_tokens_is_absent_from_the_market_that_is_vouched_for(monkeypatch):
    collect, lems = AttestationCollecting.collect, []

    async def noted(self, key, closed, *others):
        lems.extend(closed)
        return await collect(self, key, closed, *others)

    monkeypatch.setattr(AttestationCollecting, "collect", noted)
    community("memory", intervals=2, initial_tokens=1_000, minimum_tokens=2_000).run()
    assert [(len(lem.players), len(lem.absent)) for lem in lems] == [(0, 2), (0, 2)]


@pytest.mark.slow
def test_a_live_run_leaves_the_register_that_the_offline_run_leaves(undisturbed):
    live = asyncio.run(run_live(undisturbed.scenario))
    assert live.deadlines_missed == 0
    assert_same_tables(live.tables, undisturbed.tables())


def test_without_a_register_the_same_is_settled_and_nothing_written(undisturbed):
    tables = community("none").run().tables()
    assert len(tables.register["start_s"]) == 0
    for name, column in undisturbed.tables().settlement.items():
        np.testing.assert_array_equal(column, tables.settlement[name])


def test_markets_settled_by_the_hour_are_each_in_the_register():
    register = community("memory", settlement="hourly", intervals=8).run().tables().register
    assert register["lem_state"].tolist() == ["SOLVED"] * 8
    assert len(set(register["datasets"].tolist())) == 2
    assert len(set(register["result"].tolist())) == 8


def test_while_red_the_segment_may_take_no_more_than_relieves_it():
    narrow = {"transformer_kva": 50, "thresholds": {"loading_yellow": 0.02, "loading_red": 0.06}}
    tables = community("memory", grid=narrow, intervals=12).run().tables()
    states, most_w = tables.register["grid_state"].tolist(), tables.register["import_max_w"].tolist()
    assert set(states) == {"", "GREEN", "YELLOW", "RED"}
    wanted_w = {"": 0, "GREEN": 3_000, "YELLOW": 3_000, "RED": 1_000}
    assert most_w == [wanted_w[state] for state in states]
    assert states[1:] == tables.market["grid_state"].tolist()[1:]


# -- who may write ---------------------------------------------------------------------------------


def test_nobody_writes_what_is_anothers(undisturbed):
    writers = undisturbed.community.ground.registers.writers
    dso, operator = writers[f"{DSO}@localhost"], writers[f"{OPERATOR}@localhost"]
    green = lem_parameters(undisturbed.scenario, GridState.GREEN)
    segment = segment_of(undisturbed)
    constraint = GridConstraint(
        segment_id=segment, start_s=MORNING_S, import_max_w=[9_000_000], export_max_w=[9_000_000]
    )
    market = completed(operator.history([segment], MORNING_S, MORNING_S + 900))[0].market
    dearer = msgspec.structs.replace(green, buy_usual_ticks_per_kwh=9_999)
    for refused in (
        operator.set_constraint(constraint, 0),
        writers[f"{ENGINE}@localhost"].set_parameters(dearer, 0),
        writers[f"{ENGINE}@localhost"].set_constraint(constraint, 0),
    ):
        with pytest.raises(Refused, match="wrong role"):
            completed(refused)
    with pytest.raises(Refused, match="wrong role"):
        completed(dso.open_markets([msgspec.structs.replace(market, start_s=0)], 0))
    with pytest.raises(Refused, match="without a key"):
        completed(undisturbed.community.ground.registers.reader.set_parameters(dearer, 0))


def test_the_dsos_blockchain_agent_writes_only_what_its_own_oracle_brings():
    model = community("memory")
    model.step()
    light = GridStatusEvent(
        segment_id=segment_of(model),
        start_s=MORNING_S,
        end_s=MORNING_S + 900,
        published_at_s=MORNING_S,
        state=GridState.RED,
        causes=[],
        loading=0.0,
        voltage_min_pu=1.0,
        voltage_max_pu=1.0,
    )
    aggregator = model.community.agents["aggregator@localhost"]
    with pytest.raises(Refused, match="does not speak for the DSO"):
        outcome(model, aggregator.ask(f"{DSO}@localhost", light, Acknowledgement))
    assert "RED" not in model.tables().register["grid_state"].tolist()


# -- exactly once ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["dso-oracle", ENGINE])
def test_a_writer_that_was_dead_for_a_while_leaves_nothing_out_and_writes_nothing_twice(name):
    assert_written_once(offline(community().scenario, Deaths({1: name}, {2: name})))


@pytest.mark.parametrize(
    ("name", "dies_s"),
    [(DSO, 602), (OPERATOR, 0), (ENGINE, 622), (ENGINE, 60)],
    ids=str,
)
def test_a_writer_that_dies_just_before_it_writes_does_it_when_it_is_back(name, dies_s):
    model = community()
    begin_s = model.now_s + (900 if dies_s > 100 else 0)
    model.at(begin_s + dies_s, model.kill, f"{name}@localhost")
    model.at(begin_s + dies_s + 120, model.restart, f"{name}@localhost")
    assert_written_once(model.run())


@pytest.mark.slow
def test_writers_that_die_at_random_moments_of_a_hundred_intervals_write_everything_once():
    model, rng = community(intervals=100), np.random.default_rng(7)
    writers = [DSO, "dso-oracle", OPERATOR, ENGINE]
    for interval in range(0, 98, 2):
        name = f"{writers[int(rng.integers(len(writers)))]}@localhost"
        dies_s = model.now_s + 900 * interval + float(rng.uniform(0, 900))
        model.at(dies_s, model.kill, name)
        model.at(dies_s + float(rng.uniform(1, 600)), model.restart, name)
    assert_written_once(model.run())


def test_when_the_answer_of_the_chain_is_lost_nothing_is_written_twice(monkeypatch):
    send, calls = EvmMarketRegister._send_raw, Counter()

    def lost(self, function, *arguments, time_s):
        send(self, function, *arguments, time_s=time_s)
        calls[function] += 1
        if calls[function] == 2:
            raise Unavailable("chain: no answer")

    monkeypatch.setattr(EvmMarketRegister, "_send_raw", lost)
    model = community().run()
    assert_written_once(model)
    assert model.community.counts()["register not written"] == 4  # states, tariffs, openings, closings


def test_what_cannot_be_written_while_the_node_is_away_is_written_later(monkeypatch, undisturbed):
    send, model = EvmMarketRegister._send_raw, community()
    away_s = range(MORNING_S + 1_000, MORNING_S + 2_600)

    def away(self, function, *arguments, time_s):
        if int(model.community.ground.clock.now_s()) in away_s:
            raise Unavailable("chain: no node")
        send(self, function, *arguments, time_s=time_s)

    monkeypatch.setattr(EvmMarketRegister, "_send_raw", away)
    model.run()
    assert_written_once(model)
    assert model.community.counts()["register not written"] > 2
    for name, column in undisturbed.tables().register.items():
        np.testing.assert_array_equal(column, model.tables().register[name], err_msg=name)


# -- proofs ----------------------------------------------------------------------------------------


@pytest.fixture
def brought(monkeypatch) -> list[LemDataset]:
    """What h001 has brought to the market, as it was committed to."""
    committed, datasets = DatasetCommitting.committed, []

    def noted(self, dataset):
        made = committed(self, dataset)
        if self.agent.address == H001:
            datasets.append(made)
        return made

    monkeypatch.setattr(DatasetCommitting, "committed", noted)
    return datasets


def test_a_player_proves_what_it_brought_and_a_changed_dataset_is_found_out(brought):
    model = community("memory", intervals=6)
    model.step()
    model.step()
    mine = model.community.agents[H001].behaviour(DatasetCommitting)
    dataset = brought[0]
    assert outcome(model, mine.prove(dataset.start_s)) is True
    assert outcome(model, mine.prove(dataset.start_s, dataset)) is True
    reading = msgspec.structs.replace(dataset.reading, consumed_wh=dataset.reading.consumed_wh + 1)
    changed = msgspec.structs.replace(dataset, reading=reading)
    assert outcome(model, mine.prove(dataset.start_s, changed)) is False


def test_a_player_that_died_in_between_still_proves_what_it_brought(brought):
    model = community("memory", intervals=4)
    model.step()
    model.step()
    model.kill(H001)
    model.restart(H001)
    model.step()
    mine = model.community.agents[H001].behaviour(DatasetCommitting)
    assert outcome(model, mine.prove(brought[0].start_s, brought[0])) is True


def test_nobody_asks_for_the_proof_of_anothers_dataset(brought):
    model = community("memory")
    model.step()
    model.step()
    dataset = brought[0]
    neighbour = model.community.agents["h002-blockchain@localhost"]
    request = ProofRequest(player=dataset.player, start_s=dataset.start_s)
    with pytest.raises(Refused, match="does not speak for"):
        outcome(model, neighbour.ask(f"{ENGINE}@localhost", request, DatasetProof))


def test_players_audit_what_they_are_told_and_find_that_it_is_so(monkeypatch):
    monkeypatch.setattr(auditing, "is_turn", lambda *_: True)
    counts = community().run().community.counts()
    assert counts["audits passed"] == 2 * (INTERVALS - 1)
    assert counts.get("audits failed", 0) == counts.get("audits put off", 0) == 0


@pytest.mark.parametrize("lie", ["dataset", "result", "grid state", "prices"])
def test_an_audit_finds_what_is_not_as_the_register_says(monkeypatch, lie):
    """The engine closes with another dataset; or what stands in the register differs from what it tells."""
    model = community("memory")
    if lie == "dataset":
        monkeypatch.setattr(DatasetProving, "close", _closing_with_another(DatasetProving.close))
    model.step()
    model.step()
    audit = model.community.agents[H001].behaviour(RegisterAuditing)
    result = audit._newest
    told = {
        "dataset": result,
        "result": msgspec.structs.replace(result, result_hash="ab" * 32),
        "grid state": msgspec.structs.replace(result, grid_state=GridState.YELLOW),
        "prices": msgspec.structs.replace(result, buy_price_ticks_per_kwh=result.buy_price_ticks_per_kwh + 1),
    }
    assert lie in outcome(model, audit.audit(told[lie]))


def test_an_audit_that_fails_is_noted_for_the_reader_of_the_results(monkeypatch):
    monkeypatch.setattr(auditing, "is_turn", lambda *_: True)
    monkeypatch.setattr(DatasetProving, "close", _closing_with_another(DatasetProving.close))
    model = community("memory").run()
    assert any("audits found that the register differs" in note for note in notes_of(model.community))


def _closing_with_another(close):
    """Close markets as `close` does, but with a commitment of the engine's own in h001's place."""

    def lying(self, key, lems):
        close(self, key, lems)
        committed = self._committed(f"commitments {key}")
        forged = [Committed(each.player, each.start_s, "cd" * 32) for each in committed]
        self.keep(f"commitments {key}", msgspec.json.encode(forged))
        return self.root_of(key)

    return lying
