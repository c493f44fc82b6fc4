"""Communities on a node: it is given again what it lost, and a later run finds the contracts."""

import pytest
from scenario_helpers import balances, laboratory, settled_intervals

from contracts.local_node import RICH_KEYS, LocalNode
from launch.model import CommunityModel
from tests.contracts.anvil_node import need_anvil

pytestmark = pytest.mark.server
INTERVALS = 4


@pytest.fixture
def node(tmp_path):
    need_anvil()
    node = LocalNode(tmp_path)
    node.start()
    yield node
    node.kill()


@pytest.fixture
def section(node, tmp_path):
    (tmp_path / "key").write_text(RICH_KEYS[0])
    return {
        "url": node.url,
        "key_file": str(tmp_path / "key"),
        "journal_file": str(tmp_path / "journal.sqlite"),
    }


@pytest.mark.parametrize("kept", ["accounts", "roots"])
def test_a_node_that_loses_all_its_blocks_during_a_run_is_given_them_again(node, section, tmp_path, kept):
    if kept == "roots":
        section |= {"balances": "roots", "balances_file": str(tmp_path / "balances.sqlite")}
    model = CommunityModel(laboratory(intervals=INTERVALS, ledger=section))
    for interval in range(INTERVALS):
        if interval == 2:
            node.kill()
            node.forget()
            node.start()
        model.step()
    undisturbed = CommunityModel(laboratory(intervals=INTERVALS)).run()
    assert settled_intervals(model.tables()) == list(range(INTERVALS))
    assert balances(model) == balances(undisturbed)


def test_a_later_run_with_the_same_journal_takes_the_contract_up_and_settles_nothing_again(section):
    scenario = laboratory(intervals=INTERVALS, ledger=section)
    first = CommunityModel(scenario).run()
    before, contract = balances(first), first.community.ground.ledger.contract
    first.community.ground.ledger.close()
    again = CommunityModel(scenario).run()
    assert again.community.ground.ledger.contract == contract
    assert balances(again) == before
