"""A community that settles by root: one hash on the chain, proofs for its members, challenges by anyone."""

import pytest
from scenario_helpers import assert_same_tables, balances, cleared_intervals, laboratory, settled_intervals

from behaviours.market.engine import LemSolving
from contracts.balance_tree import BalanceTree, Node, first_fraud, leaf_hash, node_hash
from contracts.calldata import keccak, key_hash, message_of, number
from contracts.chain import Signer
from contracts.deployed import DeployedContract
from contracts.embedded import embedded_signers
from launch.model import CommunityModel
from launch.results import completed
from ontology.errors import Refused

INTERVALS = 4
WINDOW_S = 3_600


def community(**changes) -> CommunityModel:
    ledger = {"balances": "roots", "attestors": 4, "challenge_window_s": WINDOW_S}
    return CommunityModel(laboratory(intervals=INTERVALS, ledger=ledger, **changes))


@pytest.fixture(scope="module")
def by_root() -> CommunityModel:
    return community().run()


def account_of(model: CommunityModel, name: str) -> str:
    return next(account for account, known in model.community.cast.accounts.items() if known == name)


def member() -> Signer:
    """Anybody with means: here the owner's key, which the contract lets do nothing that others may not."""
    return embedded_signers()[0]


def test_it_settles_what_accounts_on_the_chain_settle(by_root):
    by_account = CommunityModel(laboratory(intervals=INTERVALS, ledger={"attestors": 4})).run()
    assert_same_tables(by_root.tables(), by_account.tables())
    assert balances(by_root) == balances(by_account)


def test_each_interval_is_one_root_and_all_four_vouch_for_it(by_root):
    found, _ = completed(by_root.community.ground.ledger.events())
    posted = [event.values for event in found if event.name == "Posted"]
    assert len(posted) == INTERVALS
    assert len({values["result"] for values in posted}) == INTERVALS
    assert len([event for event in found if event.name == "Attested"]) == 4 * INTERVALS


def test_a_member_proves_its_balance_once_its_root_is_final(by_root):
    ledger, account = by_root.community.ground.ledger, account_of(by_root, "h001")
    watch = ledger.watch(member())
    newest = ledger.proof(account)
    with pytest.raises(Refused, match="not final"):
        watch.prove(*newest[:2], newest.root, newest.path, time_s=by_root.now_s + 900)
    late_s = by_root.now_s + 2 * WINDOW_S
    assert watch.last_final(by_root.now_s) < newest.root == watch.last_final(late_s)
    earlier = ledger.proof(account, newest.root - 1)
    assert earlier.tokens != newest.tokens
    for proof in (earlier, newest):
        watch.prove(proof.account, proof.tokens, proof.root, proof.path, time_s=late_s)
        assert watch.proven(proof.account) == proof.tokens
    with pytest.raises(Refused, match="not newer"):
        watch.prove(earlier.account, earlier.tokens, earlier.root, earlier.path, time_s=late_s)


def test_nobody_proves_more_than_it_has(by_root):
    ledger = by_root.community.ground.ledger
    proof = ledger.proof(account_of(by_root, "h002"))
    with pytest.raises(Refused, match="not under this root"):
        ledger.watch(member()).prove(
            proof.account, proof.tokens + 1, proof.root, proof.path, time_s=by_root.now_s + 3 * WINDOW_S
        )


@pytest.mark.slow
def test_a_lying_engine_posts_no_root(monkeypatch):
    metered = LemSolving._metered

    def inflated(self, lem):
        rows = list(metered(self, lem))
        return [rows[0]._replace(produced_wh=rows[0].produced_wh + 9_000), *rows[1:]]

    monkeypatch.setattr(LemSolving, "_metered", inflated)
    model = community().run()
    assert settled_intervals(model.tables()) == []
    assert model.community.counts()["settlements failed"] > 0


class Conspiracy:
    """The operator and two other attestors, who post a root under which they have more than there is."""

    def __init__(self, model: CommunityModel) -> None:
        ground = model.community.ground
        self.ledger, self.operator = ground.ledger, ground.ledger.operator
        others = [each._signer for each in ground.attestors.values()]
        self.council = {each.address: each for each in (self.operator, *others)}
        self.roots = DeployedContract(ground.ledger.chain, "balance_roots", ground.ledger.contract)

    def levels(self) -> list[list[tuple[bytes, int]]]:
        """Return a tree whose first leaf has a million more, while the sums above say nothing of it."""
        tokens = list(self.ledger._balances.values())
        honest = [list(level) for level in BalanceTree(tokens).levels]
        honest[0][0] = (leaf_hash(0, tokens[0] + 10**6), tokens[0] + 10**6)
        for depth in range(1, len(honest)):
            for place, (_, claimed) in enumerate(honest[depth]):
                children = honest[depth - 1][2 * place : 2 * place + 2]
                if len(children) == 2:
                    honest[depth][place] = (node_hash(Node(*children[0], *children[1])), claimed)
        return honest

    def post(self, levels: list[list[tuple[bytes, int]]], time_s: int) -> int:
        """Post the root with a quorum's signatures, and return its number."""
        key, head = key_hash("loot"), self.roots.ask("head")
        top = Node(*levels[-1][0], *levels[-1][1])
        before = self.roots.ask("roots", head)[0]
        statement = keccak(key + number(0) + bytes(32) + before + node_hash(top))
        message = message_of(self.ledger.chain.id, self.roots.address, statement)
        liars = list(enumerate(self.ledger.attestors))[:3]
        signed = [(place, *self.council[address].sign_hash(message)) for place, address in liars]
        self.roots.send(self.operator, "post", key, 0, bytes(32), head, top, signed, time_s=time_s)
        return head + 1


def test_a_wrong_root_is_challenged_within_its_window_and_the_community_goes_on(by_root):
    model = community()
    model.step()
    model.step()
    conspiracy = Conspiracy(model)
    levels = conspiracy.levels()
    wrong = conspiracy.post(levels, model.now_s + 10)
    model.step()
    assert model.community.counts()["settlements failed"] > 0
    model.community.ground.ledger.watch(member()).challenge(wrong, first_fraud(levels), model.now_s + 10)
    model.run()
    assert settled_intervals(model.tables()) == cleared_intervals(model.tables()) == list(range(INTERVALS))
    assert balances(model) == balances(by_root)


def test_a_challenge_after_the_window_is_refused(by_root):
    model = community()
    model.step()
    model.step()
    conspiracy = Conspiracy(model)
    levels = conspiracy.levels()
    wrong = conspiracy.post(levels, model.now_s + 10)
    watch = model.community.ground.ledger.watch(member())
    with pytest.raises(Refused, match="challenge expired"):
        watch.challenge(wrong, first_fraud(levels), model.now_s + 20 + WINDOW_S)


def test_an_honest_root_cannot_be_challenged_and_stands_against_an_objection(by_root):
    """A root that was contested is final only when a quorum without the objector confirms it."""
    model = community().run()
    ledger, ground = model.community.ground.ledger, model.community.ground
    assert first_fraud(BalanceTree(list(ledger._balances.values())).levels) is None
    objector, *others = [each._signer for each in ground.attestors.values() if each._signer is not None]
    watch, root = ledger.watch(objector), ledger.proof(account_of(model, "h001")).root
    watch.contest(root, model.now_s + 60)
    late_s = model.now_s + 2 * WINDOW_S
    assert watch.last_final(late_s) == 0
    watch.confirm(root, [ledger.operator, *others], late_s)
    assert watch.last_final(late_s + 60) == root


def test_a_root_that_nobody_confirms_falls_and_is_posted_again_as_it_was_signed(by_root):
    model = community()
    for _ in range(3):
        model.step()
    ledger, ground = model.community.ground.ledger, model.community.ground
    before = balances(model)
    watch = ledger.watch(next(iter(ground.attestors.values()))._signer)
    root = watch.head
    hash_ = watch.root(root)
    watch.contest(root, model.now_s + 900)
    watch.overturn(root, model.now_s + 3 * WINDOW_S)
    assert watch.head == root - 1
    model.run()
    assert (watch.root(root), watch.head > root) == (hash_, True)
    assert settled_intervals(model.tables()) == list(range(INTERVALS))
    assert balances(model) == balances(by_root) != before
