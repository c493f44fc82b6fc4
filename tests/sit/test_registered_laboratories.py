"""LAB4's register on the embedded chain, on a real node and in memory: the same, open to anybody's web3."""

from pathlib import Path

import msgspec
import pytest
from eth_utils import keccak
from web3 import Web3

from behaviours.decisions.commitments import leaf, root
from behaviours.market.proving import Committed
from contracts.artefact import load_artefact
from contracts.calldata import key_hash
from contracts.local_node import RICH_KEYS, LocalNode
from launch.offline import OfflineCommunity
from launch.results import completed, run_tables
from launch.scenario import lem_parameters, load_scenario
from ontology.grid import GridState
from tests.contracts.anvil_node import need_anvil

SCENARIOS = Path(__file__).parents[2] / "launch" / "scenarios"
LAB4 = SCENARIOS / "laboratory.yaml"
pytestmark = [pytest.mark.chain, pytest.mark.server, pytest.mark.slow]


class Laboratory:
    """LAB4 after a day, and what its players committed to."""

    def __init__(self, **ledger):
        changes = {"record": False} | {f"ledger.{key}": value for key, value in ledger.items()}
        self.scenario = load_scenario(LAB4, changes)
        run = OfflineCommunity(self.scenario)
        for _ in range(96):
            run.step()
        run.settle()
        self.counts = run.community.counts()
        self.tables = completed(run_tables(run.community)).checked()
        self.registry = run.ledger.registry() if self.scenario.ledger.register == "chain" else None
        self.segment = run.world.feeders[0].segment_id
        self.accounts = run.community.cast.accounts
        self.brought = {
            account: {
                int(name.removeprefix("brought ")): bytes.fromhex(
                    msgspec.json.decode(agent.kept_bytes(name), type=Committed).commitment
                )
                for agent in [run.community.agents.get(f"{site}-blockchain@localhost")]
                if agent is not None
                for name in agent.kept_names("brought ")
            }
            for account, site in self.accounts.items()
        }
        run.close()


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    need_anvil()
    folder = tmp_path_factory.mktemp("node")
    node = LocalNode(folder)
    node.start()
    for number, key in enumerate(RICH_KEYS):
        (folder / f"key-{number}").write_text(key)
    yield {
        "url": node.url,
        "key_file": str(folder / "key-0"),
        "dso_key_file": str(folder / "key-1"),
    }
    node.kill()


@pytest.fixture(scope="module")
def on_node(node):
    return Laboratory(register="chain", **node)


def test_the_register_is_the_same_on_a_node_on_the_embedded_chain_and_in_memory(on_node):
    embedded, memory = Laboratory(register="chain"), Laboratory(register="memory")
    for other in (embedded, memory):
        for name, column in on_node.tables.register.items():
            assert column.tolist() == other.tables.register[name].tolist(), name
        assert other.counts["audits passed"] == on_node.counts["audits passed"] == 2
        assert other.counts.get("audits failed", 0) == 0
    assert embedded.tables.register["lem_state"].tolist() == ["SOLVED"] * 96


def test_anybody_with_web3_reads_what_the_tables_say(on_node, node):
    web3 = Web3(Web3.HTTPProvider(node["url"]))
    artefact, address = load_artefact("registry"), on_node.registry.contract.address
    register = web3.eth.contract(address=address, abi=artefact.abi).functions
    grid, market = on_node.tables.grid, on_node.tables.market
    segment = keccak(text=on_node.segment)
    assert segment == key_hash(on_node.segment)
    for row in range(96):
        start_s = int(market["start_s"][row])
        state = ["", "GREEN", "YELLOW", "RED"][register.gridState(segment, start_s).call()]
        assert state == (grid["grid_state"][row] if not grid["flagged"][row] else "")
        key = register.lemKey(start_s, start_s + 900, segment, on_node.registry.aggregator).call()
        _, lem_state, _, datasets, result = register.lemOf(key).call()
        assert (lem_state, result.hex()) == (4, on_node.tables.register["result"][row])
        assert datasets == root(
            [
                leaf(player, start_s, on_node.brought[player][start_s])
                for player in sorted(on_node.brought)
                if start_s in on_node.brought[player]
            ]
        )
    green = lem_parameters(on_node.scenario, GridState.GREEN)
    assert register.parameters(1).call()[1:] == (
        green.buy_usual_ticks_per_kwh,
        green.sell_usual_ticks_per_kwh,
        green.buy_peer_ticks_per_kwh,
        green.sell_peer_ticks_per_kwh,
        green.beta_ticks_per_kwh2,
    )
    _, import_w, export_w = register.constraintOf(segment).call()
    assert import_w == export_w == on_node.scenario.grid.transformer_kva * 1_000


def test_the_chain_shows_who_has_written_what(on_node, node):
    web3 = Web3(Web3.HTTPProvider(node["url"]))
    writer = {}
    for event in on_node.registry.contract.events():
        writer.setdefault(event.name, set()).add(web3.eth.get_transaction(event.transaction)["from"])
    submitter, dso = (web3.eth.account.from_key(key).address for key in RICH_KEYS)
    assert writer["GridStateSet"] == writer["ConstraintSet"] == writer["RoleSet"] == {dso}
    assert writer["LemOpened"] == writer["LemClosed"] == writer["LemSolved"] == {submitter}
