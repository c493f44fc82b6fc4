"""A settlement batch: what it says, the rules it must obey, and what the ledger holds of it afterwards."""

from collections.abc import Mapping
from hashlib import sha256
from operator import index

import msgspec

from ontology.errors import Conflict, InvalidInput, Problem, problem

__all__ = ["AMOUNT_LIMIT", "BALANCE_LIMIT", "Batch", "Settlement", "checked_openings"]

AMOUNT_LIMIT = 2**52
"""One entry moves fewer tokens than this."""
BALANCE_LIMIT = 2**63
"""An account holds fewer tokens than this."""


class Settlement(msgspec.Struct, kw_only=True):
    """What the ledger holds under a key (the port's `SettlementReceipt`).

    `entries` are the signed changes asked for, `receivables` what of a debit could not be paid; both in
    tokens by account. `fresh` is False when the key was known. Entries read back from a chain by a client
    that did not submit them lack the zeros.
    """

    key: str
    transaction: str
    entries: Mapping[str, int]
    receivables: Mapping[str, int]
    fresh: bool


class Batch(msgspec.Struct, frozen=True):
    """Signed token changes by account under a key; they sum to zero."""

    key: str
    entries: Mapping[str, int]

    @classmethod
    def of(cls, key: str, entries: Mapping[str, int]) -> "Batch":
        """Check a batch.

        Raises: InvalidInput when the key is empty, an amount no whole number or too large, or the sum not 0.
        """
        entries = _whole("entries", entries)
        problems = [
            problem(f"entries[{name}]", change, f"between -{AMOUNT_LIMIT} and {AMOUNT_LIMIT}")
            for name, change in entries.items()
            if not -AMOUNT_LIMIT < change < AMOUNT_LIMIT
        ]
        if not key:
            problems.append(problem("key", key, "not empty"))
        if total := sum(entries.values()):
            problems.append(problem("entries", f"sum to {total}", "sum to zero"))
        if problems:
            raise InvalidInput(problems)
        return cls(key, entries)

    @property
    def digest(self) -> bytes:
        """Return a hash of the changes; neither their order nor zeros matter."""
        lines = sorted(f"{name} {change}\n" for name, change in self.entries.items() if change)
        return sha256("".join(lines).encode()).digest()

    def require_same(self, held: Settlement) -> None:
        """Check that this is the batch that is held.

        Raises: Conflict when the changes differ.
        """
        if held.entries != self.entries and Batch(self.key, held.entries).digest != self.digest:
            raise Conflict(f"settlement {self.key}: another batch is held under this key")


def checked_openings(accounts: Mapping[str, int]) -> dict[str, int]:
    """Return the first tokens of new accounts when they are in order.

    Raises: InvalidInput with every account that has a negative or too large amount.
    """
    accounts = _whole("accounts", accounts)
    problems: list[Problem] = [
        problem(f"accounts[{name}]", tokens, f"from 0 to below {AMOUNT_LIMIT} tokens")
        for name, tokens in accounts.items()
        if not 0 <= tokens < AMOUNT_LIMIT
    ]
    if problems:
        raise InvalidInput(problems)
    return accounts


def _whole(path: str, tokens: Mapping[str, int]) -> dict[str, int]:
    """Return amounts as Python's own integers, also when numpy computed them."""
    try:
        return {name: index(amount) for name, amount in tokens.items()}
    except TypeError as error:
        raise InvalidInput(problem(path, str(error), "whole tokens")) from None
