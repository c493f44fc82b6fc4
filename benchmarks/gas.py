"""Gas that each function of the contracts uses, on the embedded chain: the same on every machine."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from eth_abi import encode

from contracts.artefact import load_artefact
from contracts.balance_tree import BalanceTree, Fraud, Node, first_fraud, leaf_hash, node_hash
from contracts.calldata import (
    END,
    SettleCall,
    Signature,
    changes_of,
    digests_of,
    encode_settle,
    keccak,
    key_hash,
    message_of,
    number,
    statement_of,
)
from contracts.chain import Mined, Signer
from contracts.deployed import DeployedContract
from contracts.embedded import embedded_chain, embedded_signers

__all__ = ["rows"]

Row = dict[str, object]
MEMBERS = 100
TOKENS = 10_000
WINDOW_S = 3_600
OPERATOR, ATTESTORS = embedded_signers()[1], tuple(Signer(bytes([n]) * 32) for n in (11, 12, 13))
OWNER = embedded_signers()[0]
COUNCIL = (OPERATOR, *ATTESTORS)
ADDRESSES = [each.address for each in COUNCIL]
QUORUM = 3
COUNCIL_TYPES = ("address", "address[]", "uint256", "uint256")


@dataclass
class Meter:
    """A contract whose calls are noted with their gas."""

    name: str
    contract: DeployedContract
    found: list[Row]

    def __call__(
        self, signer: Signer, function: str, *arguments: Any, about: str = "", time_s: int = 0
    ) -> Mined:
        mined = self.contract.send(signer, function, *arguments, time_s=time_s)
        self.note(function, mined, about)
        return mined

    def note(self, function: str, mined: Mined, about: str = "") -> None:
        """Note what a transaction used."""
        row = {"contract": self.name, "function": function, "of": about, "gas": mined.gas}
        self.found.append(row)

    def signed(self, statement: bytes) -> list[Signature]:
        """Return a quorum's signatures of a statement, without the last attestor's."""
        message = message_of(self.contract._chain.id, self.contract.address, statement)
        return [Signature(n, *each.sign_hash(message)) for n, each in enumerate(COUNCIL[:QUORUM])]


def rows() -> list[Row]:
    """Call every function of every contract once or, where its gas depends on it, with few and with many."""
    chain = embedded_chain(funded=ADDRESSES)
    found: list[Row] = []

    def deployed(name: str, types: Sequence[str], *arguments: Any) -> Meter:
        creation = load_artefact(name).deployment(encode(types, arguments))
        mined = chain.transact(OWNER, creation, to=None)
        meter = Meter(name, DeployedContract(chain, name, mined.contract), found)
        meter.note("(deployment)", mined)
        return meter

    settlement = deployed("settlement", COUNCIL_TYPES, OPERATOR.address, ADDRESSES, QUORUM, 100)
    settle(settlement)
    roots = deployed("balance_roots", COUNCIL_TYPES, OPERATOR.address, ADDRESSES, QUORUM, WINDOW_S)
    root(roots)
    registry = deployed("registry", ["address"], settlement.contract.address)
    register(registry)
    levels(deployed("service_levels", ["address"], registry.contract.address))
    return found


def settle(call: Meter) -> None:
    """Call the functions of the settlement contract."""
    names = [key_hash(f"member-{n}") for n in range(MEMBERS)]
    call(OWNER, "openAccounts", names[:1], [10**9], about="1 account")
    call(OWNER, "openAccounts", names[1:], [TOKENS] * (MEMBERS - 1), about=f"{MEMBERS - 1} accounts")
    batches = {
        "1 account": {1: -10},
        f"{MEMBERS - 1} accounts": {n: (-1) ** n * 10 for n in range(1, MEMBERS)},
        "1 account that cannot pay": {1: -TOKENS},
    }
    for about, moves in batches.items():
        parts = [changes_of(moves)]
        step = SettleCall(key_hash(about), digests_of(parts)[0], time_s=900)
        signatures = call.signed(statement_of(step.key, step.kind, step.result, step.digest))
        data = encode_settle(step, parts[0], signatures)
        mined = call.contract._chain.transact(OPERATOR, data, to=call.contract.address)
        call.note("settle", mined, f"{about}, quorum of {QUORUM}")
    call(OWNER, "mint", 1, TOKENS, key_hash("receipt"))
    call(OPERATOR, "collect", [1], about="1 account")
    call(OWNER, "setMinimum", 200)
    call(OWNER, "appointOperator", OPERATOR.address)
    call(OWNER, "appointAttestors", ADDRESSES, QUORUM, about="4")
    call(ATTESTORS[0], "object", key_hash("1 account"), END)


def root(call: Meter) -> None:
    """Call the functions of the balance roots' contract, over trees of ten thousand accounts."""
    honest = BalanceTree([TOKENS] * 10_000)
    call(OWNER, "mint", 0, honest.top, TOKENS * 10_000, about="any number of accounts", time_s=1_000)
    post(call, honest.top, "00:15", 2_000)
    call(ATTESTORS[2], "contest", 2, time_s=2_100)
    statement = keccak(b"confirm" + number(2) + honest.root)
    call(OWNER, "confirm", 2, call.signed(statement), about=f"quorum of {QUORUM}", time_s=2_200)
    late_s = 3_000 + WINDOW_S
    call(OWNER, "prove", 7, TOKENS, 2, honest.path(7), about="10 000 accounts", time_s=late_s)
    top, fraud = dishonest(honest)
    post(call, top, "00:30", late_s, note=False)
    path = fraud.path, fraud.claimed_sum, fraud.node
    call(OWNER, "challengeSum", 3, *path, about="10 000 accounts", time_s=late_s + 10)
    post(call, honest.top, "00:45", late_s + 20, note=False)
    call.contract.send(ATTESTORS[2], "contest", 3, time_s=late_s + 30)
    call(OWNER, "overturn", 3, about="1 root", time_s=late_s + 100 + 2 * WINDOW_S)
    call(OWNER, "appointAttestors", ADDRESSES, QUORUM, about="4")
    call(ATTESTORS[0], "object", key_hash("00:15"), END)


def post(call: Meter, top: Node, key: str, time_s: int, note: bool = True) -> None:
    """Post a root with a quorum's signatures."""
    head = call.contract.ask("head")
    before = call.contract.ask("roots", head)[0]
    statement = keccak(key_hash(key) + number(0) + END + before + node_hash(top))
    arguments = key_hash(key), 0, END, head, top, call.signed(statement)
    mined = call.contract.send(OPERATOR, "post", *arguments, time_s=time_s)
    if note:
        call.note("post", mined, f"any number of accounts, quorum of {QUORUM}")


def dishonest(honest: BalanceTree) -> tuple[Node, Fraud]:
    """Return a tree whose first account has more than its parents say, and what shows it."""
    levels = [list(level) for level in honest.levels]
    levels[0][0] = (leaf_hash(0, 2 * TOKENS), 2 * TOKENS)
    for depth in range(1, len(levels)):
        below = levels[depth - 1]
        levels[depth][0] = (node_hash(Node(*below[0], *below[1])), levels[depth][0][1])
    fraud = first_fraud(levels)
    if fraud is None:
        raise RuntimeError("the tree adds up")
    return Node(*levels[-1][0], *levels[-1][1]), fraud


def register(call: Meter) -> None:
    """Call the functions of the registry, for one and for ten segments."""
    call(OWNER, "setRoles", OPERATOR.address, 2 | 8)
    for several in (1, 10):
        segments = [key_hash(f"{several} {n}") for n in range(several)]
        about = f"{several} segment{'s' if several > 1 else ''}"
        call(OWNER, "setGridStates", 900, segments, [1] * several, about=about)
        openings = [(segment, 1, key_hash("players")) for segment in segments]
        call(OPERATOR, "openLems", 900, 1_800, openings, about=about)
        markets = [call.contract.ask("lemKey", 900, 1_800, each, OPERATOR.address) for each in segments]
        if several == 1:
            call(OPERATOR, "closeLems", markets, key_hash("datasets"), about=about)
            call(OPERATOR, "solveLems", markets, [key_hash("result")], about=about)
        else:
            results = [key_hash("result")] * several
            call(OPERATOR, "settleLems", markets, key_hash("datasets"), results, about=about)
    call(OWNER, "setConstraint", key_hash("f1"), 900, 40_000, 30_000)
    call(OWNER, "setParameters", 1, (0, 200, 65, 140, 80, 0))
    player = key_hash("member-2")
    call(OWNER, "setPlayers", [player], [OPERATOR.address], about="1 player")
    call(OPERATOR, "commitDataset", player, 900, key_hash("dataset"))
    call(OPERATOR, "commitForecast", player, 900, key_hash("forecast"))


def levels(call: Meter) -> None:
    """Call the functions of the service levels' contract."""
    player, unit = key_hash("member-2"), key_hash("degC")
    call(OPERATOR, "writeSla", key_hash("sla"), 0, 86_400, END)
    terms = (key_hash("sla"), 1, 24_500_000, unit, 120, True, 50_000, 1_000)
    call(OPERATOR, "writeKpi", key_hash("kpi"), terms, [player], about="1 player")
    for value, about in ((30_000_000, "violated"), (20_000_000, "kept")):
        time_s = 900 if value == 30_000_000 else 1_800
        call(OPERATOR, "measure", key_hash("kpi"), player, time_s, value, unit, 10**6, END, about=about)


def table() -> Iterator[str]:
    """Yield the lines of the table in the documentation."""
    yield "| contract | function | of | gas |"
    yield "|---|---|---|---:|"
    for row in rows():
        yield f"| `{row['contract']}` | `{row['function']}` | {row['of']} | {row['gas']:,} |"


if __name__ == "__main__":
    print("\n".join(table()))
