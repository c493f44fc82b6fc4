"""What contracts turn down, fuzzed: every function that writes, called by a stranger with any arguments.

Calls are tried without a transaction, so one chain serves all examples.
"""

from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.artefact import load_artefact
from contracts.balance_tree import BalanceTree, Fraud, Node, first_fraud, leaf_hash, node_hash
from contracts.calldata import (
    END,
    SettleCall,
    Signature,
    call_data,
    changes_of,
    digests_of,
    encode_settle,
    keccak,
    key_hash,
    message_of,
    number,
    statement_of,
)
from contracts.chain import Reverted, Signer
from contracts.deployed import DeployedContract
from contracts.embedded import embedded_chain, embedded_signers
from contracts.events import abi_type

pytestmark = pytest.mark.chain
fuzzed = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
STRANGER = Signer(bytes([99]) * 32)
OWNER, OPERATOR = embedded_signers()
WINDOW_S = 3_600
ROOT = r"no such root|nobody objected|challenge expired|only an attestor|not under this root|the root itself"

WHY = {
    "settlement": {
        "only the owner": "appointOperator appointAttestors setMinimum openAccounts mint",
        "only the operator": "settle collect",
        "only an attestor": "object",
    },
    "balance_roots": {
        "only the owner": "mint appointAttestors",
        "only the operator": "post",
        "only an attestor": "object",
        ROOT: "contest challengeSum confirm overturn",
        "not final|not newer|not under this root": "prove",
    },
    "registry": {
        "wrong role": "setRoles setPlayers setGridStates setConstraint setParameters openLems",
        "only its aggregator|one result a market": "closeLems solveLems settleLems",
        "speaks for somebody else": "commitDataset commitForecast",
    },
    "service_levels": {"wrong role": "writeSla writeKpi measure"},
}
"""Why a stranger is turned down, by contract, with the functions that say so."""
CASES = [
    (contract, function, why)
    for contract, reasons in WHY.items()
    for why, functions in reasons.items()
    for function in functions.split()
]


class World:
    """All contracts on one chain, with some accounts and roots, the newest of which does not add up."""

    def __init__(self) -> None:
        self.chain = embedded_chain(funded=[STRANGER.address])
        council = OPERATOR.address, [OPERATOR.address], 1
        deploy = self._deployed
        settlement = deploy("settlement", *council, 100)
        roots = deploy("balance_roots", *council, WINDOW_S)
        registry = deploy("registry", settlement.address)
        levels = deploy("service_levels", registry.address)
        self.contracts = dict(zip(WHY, (settlement, roots, registry, levels), strict=True))
        settlement.send(OWNER, "openAccounts", [key_hash(n) for n in "abcde"], [10_000, 1_000, 500, 0, 9])
        roots.send(OWNER, "mint", 0, BalanceTree([100] * 4).top, 400)
        self.fraud = self._fraud()
        self.post(roots, "fraud", self.fraud[0])

    def _deployed(self, name: str, *arguments: object) -> DeployedContract:
        return DeployedContract.deploy(self.chain, OWNER, name, *arguments)

    def _fraud(self) -> tuple[Node, Fraud]:
        """Return the top of a tree whose first account has more than its root says, and what shows it."""
        levels = [list(level) for level in BalanceTree([100] * 4).levels]
        levels[0][0] = (leaf_hash(0, 900), 900)
        levels[1][0] = (node_hash(Node(*levels[0][0], *levels[0][1])), 200)
        return Node(*levels[1][0], *levels[1][1]), first_fraud(levels)

    def post(self, roots: DeployedContract, key: str, top: Node) -> None:
        head = roots.ask("head")
        statement = keccak(key_hash(key) + number(0) + END + roots.ask("roots", head)[0] + node_hash(top))
        roots.send(OPERATOR, "post", key_hash(key), 0, END, head, top, self.signed(roots, statement))

    def signed(self, contract: DeployedContract, statement: bytes) -> list[Signature]:
        message = message_of(self.chain.id, contract.address, statement)
        return [Signature(0, *OPERATOR.sign_hash(message))]

    def settle(self, key: str, moves: dict[int, int], tamper: int = 0) -> bytes:
        """Return a call of `settle` with its signature; what the aggregator gets may be tampered with."""
        parts = [changes_of(moves)]
        step = SettleCall(key_hash(key), digests_of(parts)[0])
        statement = statement_of(step.key, step.kind, step.result, step.digest)
        data = encode_settle(step, parts[0], self.signed(self.contracts["settlement"], statement))
        place = slice(4 + 6 * 32, 4 + 7 * 32)
        change = int.from_bytes(data[place], "big", signed=True) + tamper
        return data[: place.start] + change.to_bytes(32, "big", signed=True) + data[place.stop :]

    def try_(self, contract: str, data: bytes, sender: Signer) -> None:
        """Try a call, without a transaction."""
        self.chain.call(self.contracts[contract].address, data, sender=sender.address)


@cache
def world() -> World:
    return World()


def arguments_of(item) -> st.SearchStrategy:
    """Return what may be handed in for an argument of an interface; flags stay in their range."""
    kind = item["type"]
    if kind.endswith("[]"):
        return st.lists(arguments_of(item | {"type": kind[:-2]}), min_size=1, max_size=2)
    if kind == "tuple":
        return st.tuples(*(arguments_of(each) for each in item["components"]))
    if kind.startswith(("uint", "int")):
        most = 2 ** (int(kind.lstrip("uint")) - kind.startswith("int")) - 1
        most = 1 if item["name"] in ("roles", "rule") else most
        return st.integers(0, 3) | st.integers(0, most)
    return {
        "bytes32": st.sampled_from([END, key_hash("a")]) | st.binary(min_size=32, max_size=32),
        "address": st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex()),
        "bool": st.booleans(),
    }[kind]


def written_by(contract: str) -> dict:
    """Return the interface of every function of a contract that changes something."""
    interface = load_artefact(contract).abi
    writes = ("nonpayable", "payable")
    return {
        each["name"]: each
        for each in interface
        if each["type"] == "function" and each["stateMutability"] in writes
    }


@pytest.mark.parametrize("contract", WHY)
def test_no_function_that_writes_is_forgotten_here(contract):
    assert {function for name, function, _ in CASES if name == contract} == set(written_by(contract))


@pytest.mark.parametrize(("contract", "function", "why"), CASES, ids=lambda value: str(value).split("|")[0])
@settings(max_examples=5, deadline=None)
@given(data=st.data())
def test_a_stranger_changes_nothing_whatever_it_says(contract, function, why, data):
    inputs = written_by(contract)[function]["inputs"]
    types = [abi_type(each) for each in inputs]
    arguments = data.draw(st.tuples(*map(arguments_of, inputs)))
    call = call_data(f"{function}({','.join(types)})", *arguments)
    with pytest.raises(Reverted, match=why):
        world().try_(contract, call, STRANGER)


MOVES = st.dictionaries(st.integers(1, 4), st.integers(-2_000, 2_000).filter(bool), min_size=1)


@fuzzed
@given(moves=MOVES, tamper=st.integers(-(2**60), 2**60).filter(bool))
def test_a_batch_that_does_not_sum_to_zero_is_turned_down_by_however_little(moves, tamper):
    with pytest.raises(Reverted, match="does not sum to zero"):
        world().try_("settlement", world().settle("zero", moves, tamper), OPERATOR)


SMALL = st.dictionaries(st.integers(1, 2), st.integers(-9, 9).filter(bool), min_size=1)


@settings(max_examples=5, deadline=None)
@given(moves=SMALL, other=SMALL)
def test_a_key_is_settled_once_whatever_is_asked_under_it_again(moves, other):
    here, key = world(), f"replay {sorted(moves.items())} {sorted(other.items())}"
    settlement, held = here.contracts["settlement"], "another batch has this key|settled already"
    if not settlement.ask("batches", key_hash(key))[1]:
        here.chain.transact(OPERATOR, here.settle(key, moves), to=settlement.address)
    before = settlement.ask("quadsOf", [0, 1])
    for again in (moves, other):
        with pytest.raises(Reverted, match=held):
            here.try_("settlement", here.settle(key, again), OPERATOR)
    assert settlement.ask("quadsOf", [0, 1]) == before
    assert settlement.ask("supply") == 11_509


@fuzzed
@given(missing=st.integers(1, 2**51))
def test_what_nobody_can_pay_is_turned_down_whole(missing):
    """Account 4 pays more than it and the aggregator have together."""
    here = world()
    quads = here.contracts["settlement"].ask("quadsOf", [0, 1])
    funds = (quads[0] & (2**64 - 1)) + (quads[1] & (2**64 - 1))
    with pytest.raises(Reverted, match="the aggregator cannot fund it"):
        here.try_("settlement", here.settle("overdraft", {4: -funds - missing, 1: funds + missing}), OPERATOR)


@fuzzed
@given(left=st.integers(0, 2**128 - 1) | st.integers(0, 1_000), right=st.integers(0, 1_000))
def test_a_root_stands_for_the_supply_and_for_nothing_else(left, right):
    roots = world().contracts["balance_roots"]
    top = Node(bytes(32), left, bytes(32), right)
    head = roots.ask("head")
    statement = keccak(key_hash("supply") + number(0) + END + roots.ask("roots", head)[0] + node_hash(top))
    signed = world().signed(roots, statement)
    types = ",".join(abi_type(each) for each in written_by("balance_roots")["post"]["inputs"])
    call = call_data(f"post({types})", key_hash("supply"), 0, END, head, top, signed)
    if left + right == 400:
        world().try_("balance_roots", call, OPERATOR)
    else:
        with pytest.raises(Reverted, match="sum to the supply"):
            world().try_("balance_roots", call, OPERATOR)


LATER_S = st.integers(1, 3 * WINDOW_S) | st.sampled_from([WINDOW_S, WINDOW_S + 1])


def newly_posted() -> tuple[DeployedContract, int]:
    """Return a contract of its own with one honest root and a fraudulent one, and when that came."""
    here = world()
    roots = here._deployed("balance_roots", OPERATOR.address, [OPERATOR.address], 1, WINDOW_S)
    roots.send(OWNER, "mint", 0, BalanceTree([100] * 4).top, 400)
    top, _ = here.fraud
    here.post(roots, "fraud", top)
    return roots, roots.ask("roots", 2)[2]


@settings(max_examples=5, deadline=None)
@given(later_s=LATER_S)
def test_a_challenge_counts_to_the_last_second_of_its_window_and_not_beyond(later_s):
    (roots, posted_s), (_, fraud) = newly_posted(), world().fraud
    told = 2, fraud.path, fraud.claimed_sum, fraud.node
    if later_s <= WINDOW_S:
        roots.send(STRANGER, "challengeSum", *told, time_s=posted_s + later_s)
        assert roots.ask("head") == 1
    else:
        with pytest.raises(Reverted, match="challenge expired"):
            roots.send(STRANGER, "challengeSum", *told, time_s=posted_s + later_s)


@settings(max_examples=5, deadline=None)
@given(later_s=LATER_S)
def test_a_balance_is_proven_after_the_window_and_not_within_it(later_s):
    (roots, _), tree = newly_posted(), BalanceTree([100] * 4)
    when_s = roots.ask("roots", 1)[2] + later_s + 1
    told = 3, 100, 1, tree.path(3)
    if later_s + 1 > WINDOW_S:
        roots.send(STRANGER, "prove", *told, time_s=when_s)
        assert roots.ask("proven", 3) == 101
    else:
        with pytest.raises(Reverted, match="not final"):
            roots.send(STRANGER, "prove", *told, time_s=when_s)
