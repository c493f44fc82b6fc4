"""Balances under one hash: posting, proving and challenging roots, and the ledger that works with them."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_helpers import ACCOUNTS, inline, opened

from contracts import MemoryLedger
from contracts.balance_tree import BalanceTree, Node, Step, leaf_hash, node_hash
from contracts.calldata import keccak, key_hash, message_of, number
from contracts.chain import Reverted, Signer
from contracts.deployed import DeployedContract
from contracts.embedded import embedded_chain, embedded_signers
from contracts.root_ledger import RootLedger
from ontology.errors import Conflict, InvalidInput, ParityError, Refused, Unavailable
from ontology.ledger import SettlementKind

pytestmark = pytest.mark.chain
WINDOW_S = 3_600
OTHERS = [bytes([n]) * 32 for n in (41, 42, 43)]


class Roots:
    """A BalanceRoots contract with four attestors over four accounts of 100 tokens each."""

    def __init__(self) -> None:
        self.attestors = [Signer(key) for key in OTHERS]
        self.chain = embedded_chain(funded=[each.address for each in self.attestors])
        self.owner, self.operator = embedded_signers()
        council = [self.operator.address, *(each.address for each in self.attestors)]
        self.contract = DeployedContract.deploy(
            self.chain, self.owner, "balance_roots", self.operator.address, council, 3, WINDOW_S
        )
        self.send(self.owner, "mint", 0, BalanceTree([100] * 4).top, 400, time_s=900)

    def send(self, signer: Signer, function: str, *arguments: object, time_s: int = 1_000):
        return self.contract.send(signer, function, *arguments, time_s=time_s)

    def signed(self, statement: bytes, signers: tuple[int, ...]) -> list[tuple[int, int, int, int]]:
        message = message_of(self.chain.id, self.contract.address, statement)
        council = [self.operator, *self.attestors]
        return [(n, *council[n].sign_hash(message)) for n in signers]

    def post(
        self, top: Node, key: str = "00:15", signers: tuple[int, ...] = (0, 1, 2), time_s: int = 1_000, **how
    ):
        head = self.contract.ask("head")
        before = self.contract.ask("roots", head)[0]
        statement = keccak(key_hash(key) + number(0) + bytes(32) + before + node_hash(top))
        return self.send(
            how.get("by", self.operator),
            "post",
            key_hash(key),
            how.get("kind", 0),
            bytes(32),
            how.get("after", head),
            top,
            self.signed(statement, signers),
            time_s=time_s,
        )


@pytest.fixture
def roots() -> Roots:
    return Roots()


AFTER = BalanceTree([70, 130, 100, 100])


def fraud() -> tuple[Node, bytes, Node]:
    """Return a top whose left child claims 200 of the 900 tokens below it, and what shows it."""
    leaves = [(leaf_hash(n, tokens), tokens) for n, tokens in enumerate((800, 100, 100, 100))]
    left, right = Node(*leaves[0], *leaves[1]), Node(*leaves[2], *leaves[3])
    return Node(node_hash(left), 200, node_hash(right), 200), node_hash(right), left


def test_a_root_with_a_quorum_settles_its_key_once(roots):
    roots.post(AFTER.top)
    assert (roots.contract.ask("head"), roots.contract.ask("numbers", key_hash("00:15"))) == (2, 2)
    with pytest.raises(Reverted, match="settled already"):
        roots.post(AFTER.top)


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"top": BalanceTree([70, 131, 100, 100]).top}, "sum to the supply"),
        ({"top": Node(bytes(32), 2**128, bytes(32), 0)}, "balance too large"),
        ({"signers": (0, 1)}, "no quorum"),
        ({"signers": (0, 1, 1)}, "once and in order"),
        ({"kind": 7}, "unknown kind"),
        ({"kind": 1}, "not an attestor's signature"),
        ({"after": 0}, "not the newest root"),
    ],
    ids=["not zero-sum", "overflow", "no quorum", "twice", "unknown kind", "another kind", "out of turn"],
)
def test_a_root_that_breaks_a_rule_is_turned_down(roots, how, why):
    with pytest.raises(Reverted, match=why):
        roots.post(**({"top": AFTER.top} | how))


def test_roles_are_kept(roots):
    with pytest.raises(Reverted, match="only the operator"):
        roots.post(AFTER.top, by=roots.owner)
    with pytest.raises(Reverted, match="only the owner"):
        roots.send(roots.operator, "mint", 1, BalanceTree([500]).top, 100)
    with pytest.raises(Reverted, match="only the owner"):
        roots.send(roots.operator, "appointAttestors", [roots.operator.address], 1)
    with pytest.raises(Reverted, match="only an attestor"):
        roots.send(roots.owner, "contest", 1)
    with pytest.raises(Reverted, match="not the newest root"):
        roots.send(roots.owner, "mint", 0, AFTER.top, 0)


def test_a_tree_that_does_not_add_up_falls_with_all_that_followed(roots):
    top, right, left = fraud()
    roots.post(top)
    roots.post(AFTER.top, key="00:30")
    path = [Step(right, 200, is_left=False)]
    (event,) = roots.contract.events_of(
        roots.send(roots.owner, "challengeSum", 2, path, 200, left, time_s=2_000)
    )
    assert (event.name, roots.contract.ask("head")) == ("Challenged", 1)
    assert roots.contract.ask("numbers", key_hash("00:30")) == 0
    roots.post(AFTER.top, time_s=2_100)


def test_a_challenge_comes_in_time_and_proves_something(roots):
    top, right, left = fraud()
    roots.post(top, time_s=1_000)
    path = [Step(right, 200, is_left=False)]
    for wrong, sum_, node, why in (
        ([], 200, left, "root itself"),
        (path, 201, left, "not under this root"),
        ([Step(right, 200, is_left=True)], 200, left, "not under this root"),
    ):
        with pytest.raises(Reverted, match=why):
            roots.send(roots.owner, "challengeSum", 2, wrong, sum_, node, time_s=1_100)
    honest = BalanceTree([100] * 4)
    node = Node(*honest._levels[0][0], *honest._levels[0][1])
    with pytest.raises(Reverted, match="it adds up"):
        roots.send(roots.owner, "challengeSum", 1, honest.path(0)[1:], 200, node, time_s=1_100)
    with pytest.raises(Reverted, match="no such root"):
        roots.send(roots.owner, "challengeSum", 3, path, 200, left, time_s=1_100)
    with pytest.raises(Reverted, match="challenge expired"):
        roots.send(roots.owner, "challengeSum", 2, path, 200, left, time_s=1_000 + WINDOW_S + 1_000)


def test_a_balance_is_proven_once_its_root_is_final(roots):
    roots.post(AFTER.top, time_s=1_000)
    with pytest.raises(Reverted, match="not final"):
        roots.send(roots.owner, "prove", 1, 130, 2, AFTER.path(1), time_s=2_000)
    late = 2_000 + WINDOW_S
    with pytest.raises(Reverted, match="not under this root"):
        roots.send(roots.owner, "prove", 1, 131, 2, AFTER.path(1), time_s=late)
    roots.send(roots.owner, "prove", 1, 130, 2, AFTER.path(1), time_s=late)
    assert roots.contract.ask("proven", 1) == 131
    with pytest.raises(Reverted, match="not newer"):
        roots.send(roots.owner, "prove", 1, 100, 1, BalanceTree([100] * 4).path(1), time_s=late)


def test_a_contested_root_stands_when_a_quorum_confirms_it_and_falls_when_none_does(roots):
    roots.post(AFTER.top, time_s=1_000)
    roots.send(roots.attestors[2], "contest", 2, time_s=1_100)
    with pytest.raises(Reverted, match="contested already"):
        roots.send(roots.attestors[2], "contest", 2, time_s=1_100)
    late = 2_000 + WINDOW_S
    with pytest.raises(Reverted, match="not final"):
        roots.send(roots.owner, "prove", 1, 130, 2, AFTER.path(1), time_s=late)
    statement = keccak(b"confirm" + number(2) + AFTER.root)
    with pytest.raises(Reverted, match="signed by who objected"):
        roots.send(roots.owner, "confirm", 2, roots.signed(statement, (0, 1, 3)), time_s=late)
    with pytest.raises(Reverted, match="still to be confirmed"):
        roots.send(roots.owner, "overturn", 2, time_s=late)
    roots.send(roots.owner, "confirm", 2, roots.signed(statement, (0, 1, 2)), time_s=late)
    with pytest.raises(Reverted, match="nobody objected"):
        roots.send(roots.owner, "confirm", 2, roots.signed(statement, (0, 1, 2)), time_s=late)
    roots.send(roots.owner, "prove", 1, 130, 2, AFTER.path(1), time_s=late + 900)
    roots.post(BalanceTree([60, 140, 100, 100]).top, key="00:30", time_s=late + 1_000)
    roots.send(roots.attestors[0], "contest", 3, time_s=late + 1_100)
    roots.send(roots.owner, "overturn", 3, time_s=late + 2_000 + 2 * WINDOW_S)
    assert roots.contract.ask("head") == 2


@settings(max_examples=60, deadline=None)
@given(balances=st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=40), data=st.data())
def test_every_balance_has_a_path_to_the_root_and_no_other_balance_has_it(balances, data):
    tree = BalanceTree(balances)
    account = data.draw(st.integers(0, len(balances) - 1))
    claimed = data.draw(st.integers(0, 2**63 - 1))

    def climbed(tokens: int) -> bytes:
        at, total = leaf_hash(account, tokens), tokens
        for other, other_sum, is_left in tree.path(account):
            pair = (other, other_sum, at, total) if is_left else (at, total, other, other_sum)
            at, total = node_hash(Node(*pair)), total + other_sum
        return at

    assert climbed(balances[account]) == tree.root
    assert (climbed(claimed) == tree.root) == (claimed == balances[account])
    assert tree.top.left_sum + tree.top.right_sum == sum(balances)


def root_ledger(path: Path | None = None, chain=None) -> RootLedger:
    owner, operator = embedded_signers()
    return RootLedger(chain or embedded_chain(), operator=operator, owner=owner, path=path)


BATCHES = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c", "d"]),
        st.dictionaries(st.sampled_from(["alice", "bob", "carol", "grid"]), st.integers(-2_000, 2_000)),
    ),
    max_size=5,
)


@settings(max_examples=15, deadline=None)
@given(batches=BATCHES)
def test_it_is_the_twin_of_the_ledger_in_memory(batches):
    twins = (opened(root_ledger()), opened(MemoryLedger()))
    for key, changes in batches:
        batch = changes | {"aggregator": -sum(changes.values())}
        outcomes = []
        for ledger in twins:
            try:
                receipt = inline(ledger.settle(key, batch, 900))
                outcomes.append((receipt.fresh, dict(receipt.entries), dict(receipt.receivables)))
            except ParityError as error:
                outcomes.append(type(error))
        assert outcomes[0] == outcomes[1]
        assert inline(twins[0].balances(ACCOUNTS)) == inline(twins[1].balances(ACCOUNTS))
        assert inline(twins[0].receivables(ACCOUNTS)) == inline(twins[1].receivables(ACCOUNTS))
    assert sum(inline(twins[0].balances(ACCOUNTS)).values()) == inline(twins[0].supply())


@pytest.mark.parametrize("lost", ["before the chain has it", "after the chain has it"])
def test_an_entry_that_was_interrupted_is_posted_once(tmp_path, monkeypatch, lost):
    chain, path = embedded_chain(), tmp_path / "book.sqlite"
    ledger = opened(root_ledger(path, chain))
    send = DeployedContract.send

    def interrupted(*args, **kwargs):
        if lost.startswith("after"):
            send(*args, **kwargs)
        raise Unavailable("power cut")

    with monkeypatch.context() as power:
        power.setattr(DeployedContract, "send", interrupted)
        with pytest.raises(Unavailable):
            inline(ledger.settle("00:15", {"alice": -300, "bob": 300}, 900))
    again = root_ledger(path, chain)
    for each in (again, ledger):
        assert not inline(each.settle("00:15", {"alice": -300, "bob": 300}, 900)).fresh
        assert inline(each.balances(["alice"])) == {"alice": 700}
    with pytest.raises(Conflict):
        inline(again.settle("00:15", {"alice": -1, "bob": 1}, 900))


def test_a_holder_proves_its_balance_to_the_chain():
    ledger = opened(root_ledger())
    inline(ledger.settle("00:15", {"alice": -300, "bob": 300}, 900))
    account, balance, root, path = ledger.proof("bob")
    ledger.watch(ledger._owner).prove(account, balance, root, path, time_s=10**6)
    assert ledger._roots.ask("proven", account) == 800 + 1


def test_it_refuses_what_its_twin_on_the_chain_refuses():
    ledger = opened(root_ledger())
    with pytest.raises(Refused, match="cannot fund"):
        inline(ledger.settle("a", {"alice": 90_000, "carol": -90_000}, 900))
    with pytest.raises(InvalidInput):
        inline(ledger.settle("a", {"nobody": 1, "alice": -1}, 900))
    lie = {"0x" + "11" * 20: "00" * 65}
    assert inline(ledger.settle("a", {"alice": -1, "bob": 1}, 900, attestations=lie)).fresh
    assert inline(ledger.attestor(ledger._operator).attest("b", {}, SettlementKind.LEM, ""))
