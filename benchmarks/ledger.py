"""Settling, against its limits: in batches and by root, embedded and on a node, a quorum of four included."""

from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, TypeVar

import numpy as np

from contracts import EvmLedger
from contracts.chain import Chain, Signer, node_chain
from contracts.embedded import embedded_chain, embedded_signers
from contracts.local_node import CHAIN_ID, RICH_KEYS, LocalNode, anvil_program
from contracts.root_ledger import RootLedger
from ontology.ledger import SettlementKind

__all__ = ["rows"]

T = TypeVar("T")
Row = dict[str, object]
TokenLedger = EvmLedger | RootLedger

LEM, RESULT = SettlementKind.LEM, "ab" * 32
INTERVALS = 5
WEEK = 7 * 96
ATTESTORS = tuple(Signer(bytes([number]) * 32) for number in (11, 12, 13))
COUNCIL = tuple(each.address for each in ATTESTORS)


@dataclass(frozen=True)
class Case:
    """What is settled where, and how long it may take."""

    title: str
    members: int
    limit_s: float
    opened: Callable[[Path], TokenLedger]
    needs_anvil: bool = False


def rows() -> list[Row]:
    """Settle some intervals of each case, then a week that is reopened from its file."""
    cases = (
        Case("batches, embedded chain", 10, 1.5, embedded_batches),
        Case("batches, embedded chain", 1_000, 1.5, embedded_batches),
        Case("batches, anvil", 1_000, 1.5, anvil_batches, needs_anvil=True),
        Case("batches, anvil", 10_000, 10, anvil_batches, needs_anvil=True),
        Case("one root, embedded chain", 10_000, 2, embedded_roots),
        Case("one root, anvil", 10_000, 2, anvil_roots, needs_anvil=True),
    )
    return [*(row for case in cases for row in measured(case)), reopened(1_000, WEEK)]


def measured(case: Case) -> Iterator[Row]:
    """Yield the row of a case, none where it needs a node that is not installed."""
    if case.needs_anvil and anvil_program() is None:
        return
    with TemporaryDirectory() as folder:
        ledger = case.opened(Path(folder))
        try:
            yield settled(case, ledger)
        finally:
            ledger.close()
            for node in NODES:
                node.stop()
            NODES.clear()


def settled(case: Case, ledger: TokenLedger) -> Row:
    """Open accounts, settle intervals in which everyone's balance changes, and ask for all balances."""
    names = [f"member-{number}" for number in range(case.members)]
    began = perf_counter()
    inline(ledger.open_accounts({"aggregator": 10**12} | dict.fromkeys(names, 10**6)))
    opening_s = perf_counter() - began
    gas = gas_meter(ledger)
    durations, spent = [], []
    for number in range(INTERVALS):
        gas.clear()
        began = perf_counter()
        settle(ledger, number, entries_of(names, number))
        durations.append(perf_counter() - began)
        spent.append(sum(gas))
    return {
        "what": case.title,
        "members": case.members,
        "seconds": median(durations),
        "limit, s": case.limit_s,
        "kept": str(max(durations) <= case.limit_s).lower(),
        "gas": int(median(spent)),
        "gas a member": median(spent) / case.members,
        "opening, s": opening_s,
    }


def reopened(members: int, intervals: int, limit_s: float = 10) -> Row:
    """Settle a week into a chain's file, and take it up again: to the same state, and what it holds."""
    names = [f"member-{number}" for number in range(members)]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "chain.sqlite"
        ledger = EvmLedger.embedded(path=path, attestors=COUNCIL)
        inline(ledger.open_accounts({"aggregator": 10**12} | dict.fromkeys(names, 10**6)))
        gas = gas_meter(ledger)
        for number in range(intervals):
            settle(ledger, number, entries_of(names, number))
        root = ledger.state_root
        balances = inline(ledger.balances(names))
        ledger.close()
        began = perf_counter()
        again = EvmLedger.embedded(path=path, attestors=COUNCIL)
        same = again.state_root == root and inline(again.balances(names)) == balances
        held = inline(again.settlement(f"interval-{intervals - 1}"))
        seconds = perf_counter() - began
        again.close()
        if not same or held is None:
            raise RuntimeError("the chain's file does not hold what the chain held")
        title = f"a week of {intervals} reopened, {path.stat().st_size / 1e6:.0f} MB"
    return {
        "what": title,
        "members": members,
        "seconds": seconds,
        "limit, s": limit_s,
        "kept": str(seconds <= limit_s).lower(),
        "gas": int(median(gas)),
        "gas a member": median(gas) / members,
        "opening, s": None,
    }


def settle(ledger: TokenLedger, number: int, entries: Mapping[str, int]) -> None:
    """Have an interval's batch attested by three beside the operator, and settle it."""
    key, time_s = f"interval-{number}", 900 * (number + 1)
    vouched = {
        each.address: inline(ledger.attestor(each).attest(key, entries, LEM, RESULT)) for each in ATTESTORS
    }
    inline(ledger.settle(key, entries, time_s, result=RESULT, attestations=vouched))


def entries_of(names: Sequence[str], number: int) -> dict[str, int]:
    """Return changes of everyone's balance that sum to zero with the aggregator's."""
    rng = np.random.default_rng(number)
    entries: dict[str, int] = dict(zip(names, rng.integers(-3_000, 2_999, len(names)).tolist(), strict=True))
    entries["aggregator"] = -sum(entries.values())
    return entries


def embedded_batches(folder: Path) -> EvmLedger:
    return EvmLedger.embedded(path=folder / "chain.sqlite", attestors=COUNCIL)


def embedded_roots(folder: Path) -> RootLedger:
    owner, operator = embedded_signers()
    return roots_on(embedded_chain(folder / "chain.sqlite", COUNCIL), owner, operator, folder)


def anvil_batches(folder: Path) -> EvmLedger:
    node, (owner, operator) = started(folder), key_files(folder)
    return EvmLedger.on_node(
        node.url, operator_key=operator, owner_key=owner, attestors=COUNCIL, chain_id=CHAIN_ID
    )


def anvil_roots(folder: Path) -> RootLedger:
    node, files = started(folder), key_files(folder)
    return roots_on(node_chain(node.url, CHAIN_ID), *map(Signer.from_file, files), folder)


def roots_on(chain: Chain, owner: Signer, operator: Signer, folder: Path) -> RootLedger:
    council = [operator.address, *COUNCIL]
    path = folder / "entries.sqlite"
    return RootLedger(chain, operator=operator, owner=owner, path=path, attestors=council)


NODES: list[LocalNode] = []


def started(folder: Path) -> LocalNode:
    node = LocalNode(folder)
    node.start()
    NODES.append(node)
    return node


def key_files(folder: Path) -> list[Path]:
    for number, key in enumerate(RICH_KEYS):
        (folder / f"key-{number}").write_text(key)
    return [folder / f"key-{number}" for number in range(len(RICH_KEYS))]


def gas_meter(ledger: TokenLedger) -> list[int]:
    """Note the gas of every transaction of a ledger from now on."""
    used: list[int] = []
    send = ledger._chain.transact

    def metered(*args: Any, **kwargs: Any) -> Any:
        mined = send(*args, **kwargs)
        used.append(mined.gas)
        return mined

    ledger._chain.transact = metered  # type: ignore[method-assign]
    return used


def inline(work: Coroutine[Any, Any, T]) -> T:
    """Return the result of work that never waits, as the ledger's does not."""
    try:
        work.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    raise RuntimeError("the ledger waits for something")
