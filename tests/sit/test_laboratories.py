"""LAB4 and LAB6 (SPEC 8): the small deployments, on the embedded chain and on a real node alike."""

from pathlib import Path

import pytest

from contracts.local_node import RICH_KEYS, LocalNode
from launch.offline import OfflineCommunity
from launch.results import completed, run_tables
from launch.scenario import load_scenario
from ontology.ledger import SettlementKind
from tests.contracts.anvil_node import need_anvil

SCENARIOS = Path(__file__).parents[2] / "launch" / "scenarios"
LAB4, LAB6 = SCENARIOS / "laboratory.yaml", SCENARIOS / "laboratory-six.yaml"


class Laboratory:
    """A laboratory that has run, and what its chain says."""

    def __init__(self, scenario, **ledger):
        changes = {"record": False} | {f"ledger.{key}": value for key, value in ledger.items()}
        loaded = load_scenario(scenario, changes)
        run = OfflineCommunity(loaded)
        self.intervals = loaded.intervals or 96
        self.attestors = loaded.ledger.attestors
        for _ in range(self.intervals):
            run.step()
        run.settle()
        self.tables = completed(run_tables(run.community)).checked()
        self.balances = completed(run.ledger.balances(run.community.cast.accounts))
        self.counts = run.community.counts()
        self.events, _ = completed(run.ledger.events())
        run.close()

    def told(self, name):
        return [event.values for event in self.events if event.name == name]


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    need_anvil()
    folder = tmp_path_factory.mktemp("node")
    node = LocalNode(folder)
    node.start()
    key = folder / "key"
    key.write_text(RICH_KEYS[0])
    yield {"url": node.url, "key_file": str(key)}
    node.kill()


@pytest.fixture(scope="module")
def lab6():
    return Laboratory(LAB6)


def settled(laboratory):
    """Return how every account changed by settlement."""
    table = laboratory.tables.settlement
    return list(zip(*(table[key].tolist() for key in ("start_s", "account", "tokens")), strict=True))


def assert_all_vouched(laboratory, settlements):
    """Every attestor came to the result that was settled, and nobody objected."""
    lems = [each for each in laboratory.told("Settled") if each["kind"] == list(SettlementKind).index("LEM")]
    assert len(lems) == settlements
    assert len(laboratory.told("Attested")) == settlements * laboratory.attestors
    assert laboratory.told("Objected") == []


@pytest.mark.server
@pytest.mark.slow
def test_lab4_has_the_same_balances_after_a_day_on_the_embedded_chain_and_on_a_node(node):
    embedded, real = Laboratory(LAB4), Laboratory(LAB4, **node)
    assert real.balances == embedded.balances
    assert settled(real) == settled(embedded)
    for laboratory in (embedded, real):
        assert laboratory.intervals == 96
        assert_all_vouched(laboratory, 96)


@pytest.mark.server
def test_lab6_has_the_same_balances_on_the_embedded_chain_and_on_a_node(lab6, node):
    real = Laboratory(LAB6, **node)
    assert real.balances == lab6.balances
    assert settled(real) == settled(lab6)
    assert_all_vouched(real, 4)


def test_lab6_settles_four_markets_an_hour_and_six_vouch_for_each_hour(lab6):
    assert_all_vouched(lab6, 4)
    assert len(lab6.tables.market["start_s"]) == 16
    assert len(set(lab6.tables.settlement["start_s"].tolist())) == 4


def test_lab6s_players_vary_since_who_has_used_up_its_tokens_does_not_trade(lab6):
    players = lab6.tables.market["players"].tolist()
    assert players[:4] == [4] * 4
    assert min(players) < 4
    assert min(lab6.balances.values()) >= 0
    assert lab6.counts["players suspended"] > 0
