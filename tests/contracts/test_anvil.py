"""The ledger on a real node: the same as on the embedded chain, also when the node goes away at any time."""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from anvil_node import need_anvil
from ledger_helpers import ACCOUNTS, inline, opened

from contracts import EvmLedger
from contracts.chain import Signer
from contracts.local_node import CHAIN_ID, RICH_KEYS, LocalNode
from ontology.errors import Conflict, InvalidInput, Refused, Unavailable

pytestmark = [pytest.mark.chain, pytest.mark.server]
OTHERS = [Signer(bytes([number]) * 32) for number in (11, 12, 13)]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNode]:
    need_anvil()
    node = LocalNode(tmp_path_factory.mktemp("anvil"))
    node.start()
    yield node
    node.stop()


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, Path]:
    for name, key in zip(("owner_key", "operator_key"), RICH_KEYS, strict=True):
        (tmp_path / name).write_text(key)
    return {name: tmp_path / name for name in ("owner_key", "operator_key")}


def on(node: LocalNode, keys: dict[str, Path], contract: str = "") -> EvmLedger:
    return EvmLedger.on_node(node.url, **keys, contract=contract, chain_id=CHAIN_ID, wait_s=10.0)


def test_it_settles_what_the_embedded_chain_settles(node, keys):
    entries = np.random.default_rng(1).integers(-400, 300, (6, 4)).tolist()
    there, here = opened(on(node, keys)), opened(EvmLedger.embedded())
    for number, changes in enumerate(entries):
        batch = dict(zip(("alice", "bob", "carol", "grid"), changes, strict=True))
        batch["aggregator"] = -sum(changes)
        receipts = [inline(each.settle(str(number), batch, 900 * (number + 1))) for each in (there, here)]
        assert receipts[0].receivables == receipts[1].receivables
        assert inline(there.balances(ACCOUNTS)) == inline(here.balances(ACCOUNTS))
    assert inline(there.receivables(ACCOUNTS)) == inline(here.receivables(ACCOUNTS))


def test_a_refusal_sounds_the_same_as_on_the_embedded_chain(node, keys):
    ledger = opened(on(node, keys))
    with pytest.raises(Refused, match="cannot fund"):
        inline(ledger.settle("a", {"carol": -90_000, "alice": 90_000}, 900))
    again = opened(on(node, keys, ledger.contract))
    inline(again.settle("b", {"bob": -1, "alice": 1}, 900))
    with pytest.raises(Conflict, match="another batch"):
        inline(ledger.settle("b", {"bob": -2, "alice": 2}, 900))


def test_a_follower_catches_up_from_the_last_block_that_it_has_seen(node, keys):
    ledger = opened(on(node, keys))
    events, next_block = inline(ledger.events())
    assert [each.name for each in events if each.name == "Opened"] == ["Opened"] * len(ACCOUNTS)
    inline(ledger.settle("a", {"bob": -800, "alice": 800}, 900))
    inline(ledger.top_up("bob", 5, "receipt"))
    events, after = inline(ledger.events(next_block))
    assert [each.name for each in events] == ["Attested", "Receivable", "Settled", "Minted"]
    assert (events[1].values["tokens"], events[3].values["tokens"]) == (300, 5)
    assert inline(ledger.events(after)) == ([], after)


def test_a_node_of_another_chain_is_a_conflict(node, keys):
    with pytest.raises(Conflict, match="not of 1"):
        EvmLedger.on_node(node.url, **keys, chain_id=1)


def test_another_contract_at_the_address_is_a_conflict(node, keys):
    with pytest.raises(Conflict, match="does not run"):
        on(node, keys, contract="0x" + "11" * 20)


def test_an_encrypted_keystore_opens_with_its_password_only(node, keys, tmp_path):
    import json

    from eth_account import Account

    store, password = tmp_path / "keystore.json", tmp_path / "password"
    store.write_text(json.dumps(Account.encrypt(RICH_KEYS[0], "open sesame", iterations=2)))
    password.write_text("open sesame\n")
    ledger = EvmLedger.on_node(node.url, operator_key=store, owner_key=store, password_file=password)
    assert inline(opened(ledger).balances(["alice"])) == {"alice": 1_000}
    password.write_text("sesame")
    with pytest.raises(InvalidInput, match="password") as wrong:
        EvmLedger.on_node(node.url, operator_key=store, password_file=password)
    assert "sesame" not in str(wrong.value)


def test_two_clients_with_one_key_get_all_their_batches_through(node, keys):
    """Both count the same sequence of nonces; who comes second in a race tries again."""
    one = opened(on(node, keys))
    clients = [one, opened(on(node, keys, one.contract))]

    def settle(client: EvmLedger, first: int) -> None:
        for number in range(first, 20, 2):
            while True:
                try:
                    inline(client.settle(str(number), {"alice": -1, "bob": 1}, 900))
                    break
                except Unavailable:
                    pass

    threads = [threading.Thread(target=settle, args=each) for each in zip(clients, (0, 1), strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert inline(one.balances(["alice", "bob"])) == {"alice": 980, "bob": 520}


@pytest.mark.parametrize("deaths", [3, pytest.param(12, marks=pytest.mark.slow)])
def test_a_node_that_is_killed_at_random_points_pays_everything_once(keys, tmp_path, deaths):
    need_anvil()
    node, generator = LocalNode(tmp_path), np.random.default_rng(deaths)
    node.start()
    ledger = opened(on(node, keys))
    over = threading.Event()
    failures: list[str] = []

    def settle() -> None:
        for number in range(100):
            while True:
                try:
                    inline(ledger.settle(str(number), {"alice": -1, "bob": 1}, 900 * (number + 1)))
                    break
                except Unavailable as error:
                    failures.append(str(error))
                    over.wait(0.05)
        over.set()

    worker = threading.Thread(target=settle)
    worker.start()
    try:
        for _ in range(deaths):
            over.wait(float(generator.uniform(0.02, 1.0 / deaths)))
            node.kill()
            node.start()
        worker.join(timeout=120)
        assert not worker.is_alive()
        assert failures
        assert inline(ledger.balances(["alice", "bob"])) == {"alice": 900, "bob": 600}
        again = opened(on(node, keys, ledger.contract))
        assert all(inline(again.settlement(str(number))) is not None for number in range(100))
    finally:
        node.kill()


def test_a_node_that_is_away_is_named_as_such(keys, tmp_path):
    node = LocalNode(tmp_path)
    with pytest.raises(Unavailable, match="chain"):
        on(node, keys)
