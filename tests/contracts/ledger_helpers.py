"""What the tests of ledgers share."""

from collections.abc import Coroutine
from typing import Any, TypeVar

from behaviours.ports import Ledger

T = TypeVar("T")
L = TypeVar("L", bound=Ledger)
ACCOUNTS = {"alice": 1_000, "bob": 500, "carol": 0, "aggregator": 10_000, "grid": 5_000}


def inline(work: Coroutine[Any, Any, T]) -> T:
    """Run a call of the ledger, which completes without an event loop."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("the ledger waited for something")


def opened(ledger: L) -> L:
    """Open the usual accounts."""
    inline(ledger.open_accounts(ACCOUNTS))
    return ledger
