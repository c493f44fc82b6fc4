"""What a scenario's `ledger` section may say, and which ledger it opens."""

import pytest

from contracts import EvmLedger
from contracts.chain import Signer
from contracts.root_ledger import RootLedger
from launch.ledgers import opened_ledger
from launch.scenario import parse_scenario
from ontology.errors import Conflict, InvalidInput, Unavailable

SITES = "start: 2024-05-02\nzone: Europe/Berlin\nsites: [{id: h1}, {id: h2}]\n"
ATTESTOR = Signer(bytes([9]) * 32).address


def scenario(**ledger):
    return parse_scenario(SITES, {f"ledger.{key}": value for key, value in ledger.items()})


@pytest.mark.parametrize(
    ("ledger", "path"),
    [
        ({"url": "ws://127.0.0.1:8546", "key_file": __file__}, "ledger.url"),
        ({"journal_file": "journal.sqlite"}, "ledger.journal_file"),
        ({"balances_file": "balances.sqlite"}, "ledger.balances_file"),
        ({"url": "http://node", "key_file": __file__, "balances": "roots"}, "ledger.balances_file"),
        ({"balances": "roots", "contract": "0x" + "11" * 20}, "ledger.contract"),
        ({"balances": "root"}, "ledger.balances"),
        ({"challenge_window_s": 60}, "ledger.challenge_window_s"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_does_not_fit_together_is_named(ledger, path):
    with pytest.raises(InvalidInput) as wrong:
        scenario(**ledger)
    assert [problem.path for problem in wrong.value.problems] == [path]


@pytest.mark.chain
@pytest.mark.parametrize(("balances", "kind"), [("accounts", EvmLedger), ("roots", RootLedger)])
def test_a_ledger_in_a_file_is_taken_up_again(tmp_path, balances, kind):
    wanted = scenario(balances=balances, file=str(tmp_path / "chain.sqlite"), challenge_window_s=1_800)
    ledger = opened_ledger(wanted, "aggregator", [ATTESTOR])
    assert type(ledger) is kind
    contract = ledger.contract
    ledger.close()
    again = opened_ledger(wanted, "aggregator", [ATTESTOR])
    assert (again.contract, again.attestors[1]) == (contract, ATTESTOR)
    again.close()
    with pytest.raises(Conflict, match="other attestors"):
        opened_ledger(wanted, "aggregator", [])


@pytest.mark.chain
def test_roots_without_the_file_that_they_stand_for_are_a_conflict(tmp_path, open_accounts):
    wanted = scenario(balances="roots", file=str(tmp_path / "chain.sqlite"))
    ledger = opened_ledger(wanted, "aggregator", [])
    open_accounts(ledger)
    ledger.close()
    (tmp_path / "chain.sqlite.balances").unlink()
    with pytest.raises(Conflict, match=r"the file with the balances .* is missing"):
        opened_ledger(wanted, "aggregator", [])


@pytest.fixture
def open_accounts():
    from launch.results import completed

    return lambda ledger: completed(ledger.open_accounts({"aggregator": 1_000, "h1": 10}))


@pytest.mark.parametrize("balances", ["accounts", "roots"])
def test_a_node_that_is_away_is_named(tmp_path, balances):
    key = tmp_path / "key"
    key.write_text("11" * 32)
    files = {"balances_file": str(tmp_path / "balances")} if balances == "roots" else {}
    wanted = scenario(url="http://127.0.0.1:9", key_file=str(key), balances=balances, **files)
    with pytest.raises(Unavailable, match=r"chain: http://127\.0\.0\.1:9 does not answer"):
        opened_ledger(wanted, "aggregator", [])
