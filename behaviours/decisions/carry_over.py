"""Balances that go on to a member's next pseudonym, in integer tokens."""

import hashlib
from collections.abc import Mapping

import msgspec

__all__ = ["carried_balances", "carry_over_entries", "carry_over_hash", "carry_over_key"]


def carried_balances(successors: Mapping[str, str], balances: Mapping[str, int]) -> dict[str, int]:
    """Return what each account hands on to the one that follows it: all that it holds."""
    return {account: balances[account] for account in sorted(successors) if balances[account] > 0}


def carry_over_entries(carried: Mapping[str, int], successors: Mapping[str, str]) -> dict[str, int]:
    """Return the token changes that hand balances on; they sum to zero."""
    entries = {account: -tokens for account, tokens in carried.items()}
    entries |= {successors[account]: tokens for account, tokens in carried.items()}
    return dict(sorted(entries.items()))


def carry_over_hash(key: str, entries: Mapping[str, int]) -> str:
    """Return the SHA-256 (hexadecimal) of a carry-over: its key, and who gives and gets, not who to whom."""
    return hashlib.sha256(msgspec.json.encode((key, sorted(entries.items())))).hexdigest()


def carry_over_key(epoch: int, number: int) -> str:
    """Return the ledger's key of a carry-over into an epoch; they are numbered from 0."""
    return f"carry-over {epoch} {number}"
