"""The ledger on chains that fail, restart or belong to somebody else, and what makes it repeatable."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from eth_tester.exceptions import TransactionFailed
from ledger_helpers import ACCOUNTS, inline, opened
from web3 import EthereumTesterProvider, Web3

from contracts import EvmLedger, calldata
from contracts.chain import Chain, Nonces, Reverted, Signer, node_chain
from contracts.embedded import embedded_signers
from contracts.journal import TransactionJournal
from ontology.errors import Conflict, Failed, InvalidInput, Refused, Unavailable

pytestmark = pytest.mark.chain
MANY = {"aggregator": 10_000} | {f"member-{number:02}": 1_000 for number in range(20)}
TO_ALL = {name: (-30 if number % 2 else 40) for number, name in enumerate(MANY) if number} | {
    "aggregator": -100
}


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of more than two words are split."""
    monkeypatch.setattr(calldata, "MAX_CHANGES", 2)


def restarted(ledger: EvmLedger) -> EvmLedger:
    """Return a new client of the same contract that knows the accounts, as after a restart."""
    again = EvmLedger(ledger._chain, operator=ledger._operator, owner=ledger._owner, contract=ledger.contract)
    inline(again.open_accounts(dict.fromkeys(MANY | ACCOUNTS, 0)))
    return again


def ledger_of_many() -> EvmLedger:
    ledger = EvmLedger.embedded()
    inline(ledger.open_accounts(MANY | ACCOUNTS))
    return ledger


def test_two_runs_with_the_same_calls_have_the_same_transactions():
    def run() -> list[str]:
        ledger = opened(EvmLedger.embedded())
        return [
            inline(ledger.settle(f"{time_s}", {"alice": -1, "bob": 1}, time_s)).transaction
            for time_s in (900, 1_800, 1_800)
        ]

    assert run() == run()


def test_blocks_carry_the_time_of_the_community():
    ledger = opened(EvmLedger.embedded())
    web3 = ledger._chain._web3
    inline(ledger.settle("a", {"alice": -1, "bob": 1}, 1_700_000_100))
    assert web3.eth.get_block("latest")["timestamp"] == 1_700_000_100
    inline(ledger.settle("b", {"alice": -1, "bob": 1}, 1_700_000_100))
    assert web3.eth.get_block("latest")["timestamp"] == 1_700_000_101


def test_a_restarted_client_reads_a_settlement_back_from_the_chain():
    ledger = opened(EvmLedger.embedded())
    entries = {"bob": -800, "alice": 700, "aggregator": 100}
    first = inline(ledger.settle("00:15", entries, 900))
    again = restarted(ledger)
    held = inline(again.settlement("00:15"))
    assert (held.transaction, held.entries, held.receivables) == (first.transaction, entries, {"bob": 300})
    assert not inline(restarted(ledger).settle("00:15", entries, 900)).fresh
    with pytest.raises(Conflict):
        inline(restarted(ledger).settle("00:15", {"bob": -1, "alice": 1}, 900))


@pytest.mark.usefixtures("small_parts")
def test_a_large_batch_is_settled_in_parts():
    ledger = ledger_of_many()
    receipt = inline(ledger.settle("00:15", TO_ALL, 900))
    balances = inline(ledger.balances(MANY))
    assert receipt.fresh
    assert balances == {name: MANY[name] + change for name, change in TO_ALL.items()}
    held = inline(restarted(ledger).settlement("00:15"))
    assert (held.entries, held.transaction) == (TO_ALL, receipt.transaction)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("parts_through", [1, 2, 4])
def test_a_batch_that_stopped_between_its_parts_is_finished_once(monkeypatch, parts_through):
    ledger = ledger_of_many()
    send, sent = ledger._chain.transact, []

    def dying(*args: Any, **kwargs: Any) -> Any:
        if len(sent) == parts_through:
            raise Unavailable("power cut")
        sent.append(1)
        return send(*args, **kwargs)

    monkeypatch.setattr(ledger._chain, "transact", dying)
    with pytest.raises(Unavailable):
        inline(ledger.settle("00:15", TO_ALL, 900))
    monkeypatch.undo()
    monkeypatch.setattr(calldata, "MAX_CHANGES", 2)
    again = restarted(ledger)
    assert inline(again.settlement("00:15")) is None
    receipt = inline(again.settle("00:15", TO_ALL, 900))
    assert receipt.fresh
    assert receipt.entries == TO_ALL
    assert inline(again.balances(MANY)) == {name: MANY[name] + change for name, change in TO_ALL.items()}
    assert not inline(again.settle("00:15", TO_ALL, 900)).fresh


@pytest.mark.usefixtures("small_parts")
def test_a_batch_that_ran_out_of_funds_half_way_is_finished_after_a_top_up():
    ledger = ledger_of_many()
    entries = dict.fromkeys(MANY, 1500) | {"aggregator": -30_000}
    for _ in range(2):
        with pytest.raises(Refused, match="cannot fund"):
            inline(ledger.settle("00:15", entries, 900))
    assert inline(ledger.settlement("00:15")) is None
    inline(ledger.top_up("aggregator", 20_000))
    assert inline(ledger.settle("00:15", entries, 900)).fresh
    assert inline(ledger.balances(MANY)) == dict.fromkeys(MANY, 2_500) | {"aggregator": 0}


def test_an_answer_that_got_lost_is_not_paid_twice(monkeypatch):
    ledger = opened(EvmLedger.embedded())
    eth = ledger._chain._web3.eth

    def lost(*_: Any, **__: Any) -> Any:
        raise ConnectionError("reset by peer")

    with monkeypatch.context() as broken:
        broken.setattr(eth, "wait_for_transaction_receipt", lost)
        with pytest.raises(Unavailable, match="reset by peer"):
            inline(ledger.settle("00:15", {"alice": -300, "bob": 300}, 900))
    assert not inline(ledger.settle("00:15", {"alice": -300, "bob": 300}, 900)).fresh
    assert inline(ledger.balances(["alice"])) == {"alice": 700}
    assert inline(ledger.settle("00:30", {"alice": -300, "bob": 300}, 1_800)).fresh


def test_without_the_owners_key_nobody_opens_or_mints():
    ledger = opened(EvmLedger.embedded())
    operator_only = EvmLedger(ledger._chain, operator=ledger._operator, contract=ledger.contract)
    inline(operator_only.open_accounts(ACCOUNTS))
    assert inline(operator_only.settle("00:15", {"alice": -1, "bob": 1}, 900)).fresh
    for work in (operator_only.open_accounts({"dave": 1}), operator_only.top_up("alice", 1)):
        with pytest.raises(Refused, match="owner"):
            inline(work)


def test_somebody_elses_key_cannot_settle():
    ledger = opened(EvmLedger.embedded())
    stranger = EvmLedger(ledger._chain, operator=ledger._owner, contract=ledger.contract)
    with pytest.raises(Refused, match="only the operator"):
        inline(stranger.settle("00:15", {"alice": -1, "bob": 1}, 900))


def test_another_account_in_the_aggregators_place_is_a_conflict():
    ledger = opened(EvmLedger.embedded())
    other = EvmLedger(ledger._chain, operator=ledger._operator, contract=ledger.contract, aggregator="alice")
    with pytest.raises(Conflict, match="should be 0"):
        inline(other.balances(["alice"]))


def test_many_threads_share_one_sequence_of_nonces():
    sequence, lock, nonces = Nonces(), threading.Lock(), []

    def take() -> None:
        for _ in range(50):
            with sequence.turn(lambda: 0) as nonce, lock:
                nonces.append(nonce)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert nonces == list(range(200))


def test_however_often_a_key_is_read_its_transactions_take_turns():
    ledger = opened(EvmLedger.embedded())
    chain, key = ledger.chain, (1).to_bytes(32, "big")
    before = chain._web3.eth.get_transaction_count(Signer(key).address)
    for _ in range(3):
        for reader in (Signer(key), Signer(key)):
            chain.transact(reader, b"", to="0x" + "11" * 20)
    assert chain._web3.eth.get_transaction_count(Signer(key).address) == before + 6


def test_a_key_file_is_never_shown(tmp_path):
    path = tmp_path / "operator.key"
    path.write_text("0xnot-a-key-but-secret")
    with pytest.raises(InvalidInput) as wrong:
        Signer.from_file(path)
    assert "secret" not in str(wrong.value)
    path.write_text("0x" + "2".rjust(64, "0") + "\n")
    assert Signer.from_file(path).address == embedded_signers()[1].address


class _Node(BaseHTTPRequestHandler):
    """A JSON-RPC node in a thread: eth-tester with its own clock, spoken to over HTTP."""

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            web3: Web3 = self.server.web3  # type: ignore[attr-defined]
            answer = web3.provider.request_func(web3, web3.middleware_onion)(
                request["method"], request["params"]
            )
        except TransactionFailed as error:
            answer = {"error": {"code": 3, "message": str(error), "data": "0x"}}
        body = json.dumps({"jsonrpc": "2.0", "id": request["id"]} | answer, default=_plain).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def _plain(value: Any) -> Any:
    return "0x" + bytes(value).hex() if isinstance(value, bytes) else dict(value)


@pytest.fixture
def node() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Node)
    server.web3 = Web3(EthereumTesterProvider())  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def keys(tmp_path):
    """Files with the keys of two accounts that the node has funded."""
    owner, operator = tmp_path / "owner.key", tmp_path / "operator.key"
    owner.write_text(f"{1:064x}")
    operator.write_text(f"{2:064x}")
    return owner, operator


def test_a_node_by_its_address_serves_as_well(node, keys):
    owner, operator = keys
    ledger = opened(EvmLedger.on_node(node, operator_key=operator, owner_key=owner))
    receipt = inline(ledger.settle("00:15", {"bob": -800, "alice": 800}, 900))
    assert receipt.receivables == {"bob": 300}
    with pytest.raises(Refused, match="cannot fund"):
        inline(ledger.settle("00:30", {"carol": -90_000, "alice": 90_000}, 1_800))
    again = EvmLedger.on_node(node, operator_key=operator, contract=ledger.contract)
    inline(again.open_accounts(ACCOUNTS))
    assert inline(again.settlement("00:15")).entries == {"bob": -800, "alice": 800}
    assert not inline(again.settle("00:15", {"bob": -800, "alice": 800}, 900)).fresh
    assert inline(again.balances(["alice"])) == {"alice": 1_800}


def test_a_journal_serves_the_chain_that_it_was_begun_on(node, keys, tmp_path):
    path = tmp_path / "journal.sqlite"
    node_chain(node, journal=path).close()
    node_chain(node, journal=path).close()
    journal = TransactionJournal(path)
    journal.make_note("chain", "5")
    journal.close()
    with pytest.raises(Conflict, match=r"and journal .* of 5"):
        node_chain(node, journal=path)


def test_a_reason_in_bytes_is_understood_as_besu_sends_it(monkeypatch):
    ledger = opened(EvmLedger.embedded())
    reason = b"only the operator"
    data = "08c379a0" + f"{32:064x}{len(reason):064x}" + reason.hex().ljust(64, "0")
    refusal = {"error": {"code": -32000, "message": "Execution reverted", "data": f"0x{data}"}}
    web3 = Web3(Web3.HTTPProvider("http://node"))
    monkeypatch.setattr(web3.provider, "make_request", lambda *_: {"jsonrpc": "2.0", "id": 1} | refusal)
    with pytest.raises(Reverted, match=r"^only the operator$"):
        Chain(web3).call(ledger.contract, b"1234")


@pytest.mark.parametrize("name", ["registry", "service_levels"])
def test_other_code_where_a_contract_was_noted_is_a_conflict_at_the_start(name):
    ledger = opened(EvmLedger.embedded())
    ledger.chain.note(name, ledger.contract)
    with pytest.raises(Conflict, match=f"does not run this version's {name} contract"):
        ledger.service_levels()


def test_a_node_that_does_not_answer_is_unavailable(keys):
    with pytest.raises(Unavailable, match="chain"):
        EvmLedger.on_node("http://127.0.0.1:9", operator_key=keys[1])


def test_a_transaction_that_runs_out_of_gas_failed():
    ledger = opened(EvmLedger.embedded())
    starved = Chain(ledger._chain._web3, gas=100_000, gas_price=2_000_000_000, reverts=TransactionFailed)
    client = EvmLedger(starved, operator=embedded_signers()[1], contract=ledger.contract)
    with pytest.raises(Failed, match="out of gas"):
        inline(client.settle("00:15", {"alice": -1, "bob": 1}, 900))


def test_a_sender_without_means_is_unavailable():
    ledger = opened(EvmLedger.embedded())
    poor = EvmLedger(ledger._chain, operator=Signer((3).to_bytes(32, "big")), contract=ledger.contract)
    with pytest.raises(Unavailable, match="cannot afford"):
        inline(poor.settle("00:15", {"alice": -1, "bob": 1}, 900))
