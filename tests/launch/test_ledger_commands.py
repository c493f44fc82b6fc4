"""`parity-mas ledger`: balances, events and checks from a run folder, a chain's file or a node."""

import json

import pytest
from typer.testing import CliRunner

from contracts import EvmLedger
from contracts.local_node import RICH_KEYS, LocalNode
from launch.cli import app
from launch.runs import run_offline
from launch.scenario import parse_scenario
from tests.contracts.anvil_node import need_anvil

pytestmark = pytest.mark.chain
INTERVALS = 2
STREET = """
start: 2024-05-02T10:00
zone: Europe/Berlin
sites: [{id: h001, pv: {kwp: 5}}, {id: h002}]
"""


def ran(folder, **ledger):
    changes = {"intervals": INTERVALS, "record": False}
    return run_offline(
        parse_scenario(STREET, changes | {f"ledger.{key}": value for key, value in ledger.items()}), folder
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return ran(tmp_path_factory.mktemp("runs") / "street", attestors=4)


@pytest.fixture(scope="module")
def run_by_root(tmp_path_factory):
    return ran(tmp_path_factory.mktemp("runs") / "roots", balances="roots")


def parity(*arguments, code=0):
    result = CliRunner().invoke(app, ["ledger", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result.stdout


def lines(*arguments):
    return [json.loads(line) for line in parity(*arguments, "--json").splitlines()]


@pytest.mark.parametrize("kind", ["run", "run_by_root"])
def test_balances_are_told_by_the_names_that_a_reader_knows(request, kind):
    result = request.getfixturevalue(kind)
    told = {line["name"]: line["tokens"] for line in lines("balance", result.folder)}
    assert sorted(told) == ["aggregator", "grid", "h001", "h002"]
    moved = result.tables.settlement
    changes = moved["tokens"][[result.accounts[a] == "h001" for a in moved["account"]]]
    assert told["h001"] == 1_000_000 + sum(changes)
    assert sum(told.values()) == 42_000_000


def test_one_account_is_meant_by_site_pseudonym_or_number(run):
    account = next(account for account, name in run.accounts.items() if name == "h001")
    (by_site,), (by_pseudonym,) = (lines("balance", run.folder, name) for name in ("h001", account))
    assert by_site == by_pseudonym
    (first,) = lines("balance", run.folder, "#0")
    assert first["name"] == "aggregator"
    parity("balance", run.folder, "h009", code=2)


def test_the_file_of_a_chain_is_enough_but_knows_no_names(run):
    chain = run.folder / "chain.sqlite"
    assert [line["name"] for line in lines("balance", chain)] == ["#0", "#1", "#2", "#3"]
    assert len(lines("events", chain, "--event", "Settled")) == INTERVALS


def test_events_are_told_in_order_and_by_what_they_are_about(run):
    told = lines("events", run.folder)
    assert [each["block"] for each in told] == sorted(each["block"] for each in told)
    assert {each["event"] for each in told} == {"AttestorsAppointed", "Opened", "Attested", "Settled"}
    key = f"lem {run.tables.settlement['start_s'][0]}"
    about = lines("events", run.folder, "--key", key)
    assert [each["event"] for each in about].count("Settled") == 1
    assert [each["event"] for each in lines("events", run.folder, "--account", "h001")] == ["Opened"]
    last = told[-1]["block"]
    assert {each["block"] for each in lines("events", run.folder, "--since", last)} == {last}
    assert lines("events", run.folder, "--until", 1)[0]["event"] == "AttestorsAppointed"


@pytest.mark.parametrize("kind", ["run", "run_by_root"])
def test_what_holds_is_said_to_hold(request, kind):
    told = lines("verify", request.getfixturevalue(kind).folder)
    assert all(each["holds"] for each in told)
    assert f"{INTERVALS} settlements sum to zero" in [each["check"] for each in told]


def test_what_does_not_hold_ends_with_one(run, monkeypatch):
    monkeypatch.setattr("contracts.audit.decode_settle", lambda data: (1, {}))
    said = parity("verify", run.folder, code=1)
    assert f"WRONG  {INTERVALS} settlements sum to zero" in said


def test_what_is_no_ledger_is_named_and_left_as_it_is(tmp_path, run):
    other = tmp_path / "other.sqlite"
    other.write_bytes(b"SQLite format 3\0 or not")
    for source in (tmp_path / "nothing", other, run.folder / "manifest.json", tmp_path):
        parity("verify", source, code=2)
    assert other.read_bytes() == b"SQLite format 3\0 or not"
    parity("verify", "http://127.0.0.1:9", "--contract", "0x" + "11" * 20, code=5)


def test_a_chain_that_a_run_has_open_is_unavailable_until_it_ends(tmp_path):
    path = tmp_path / "chain.sqlite"
    ledger = EvmLedger.embedded(path=path)
    parity("verify", path, code=5)
    ledger.close()
    assert all(line["holds"] for line in lines("verify", path))


@pytest.mark.server
def test_a_ledger_on_a_node_is_read_by_the_runs_folder_or_the_nodes_address(tmp_path):
    need_anvil()
    node = LocalNode(tmp_path)
    node.start()
    (tmp_path / "key").write_text(RICH_KEYS[0])
    try:
        result = ran(tmp_path / "run", url=node.url, key_file=str(tmp_path / "key"))
        assert all(each["holds"] for each in lines("verify", result.folder))
        assert all(each["holds"] for each in lines("verify", node.url, "--contract", result.contract))
        parity("verify", node.url, code=2)
        parity("verify", node.url, "--contract", "0x" + "11" * 20, code=4)
    finally:
        node.kill()
