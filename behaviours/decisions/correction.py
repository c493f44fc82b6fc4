"""Corrections: what readings that came after a settlement change of it, in integer tokens."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from behaviours.decisions.settlement import MeteredEnergy, Settlement
from ontology.base import INTERVAL_S

__all__ = [
    "CORRECTION_S",
    "correction_entries",
    "correction_hash",
    "correction_key",
    "is_too_old",
    "with_readings",
]

CORRECTION_S = 7 * 86_400
"""How long after an interval a reading still corrects its settlement (SPEC 4.3)."""


def is_too_old(start_s: int, now_s: int) -> bool:
    """Tell whether the interval that began at a time ended too long ago to be corrected."""
    return now_s - (start_s + INTERVAL_S) > CORRECTION_S


def with_readings(
    rows: Iterable[MeteredEnergy], readings: Mapping[str, MeteredEnergy]
) -> list[MeteredEnergy]:
    """Return the rows of a market in which readings, by player, take the place of estimates.

    What was metered already stays as it was.
    """
    return [readings.get(row.player, row) if row.estimated else row for row in rows]


def correction_entries(settled: Mapping[str, int], corrected: Mapping[str, int]) -> dict[str, int]:
    """Return the token changes from what was settled to what would have been; they sum to zero as both do."""
    accounts = sorted({*settled, *corrected})
    return {account: corrected.get(account, 0) - settled.get(account, 0) for account in accounts}


def correction_hash(key: str, changes: Sequence[tuple[Settlement, Settlement]]) -> str:
    """Return the SHA-256 (hexadecimal) of a correction: its key, and each market before and after it."""
    content = (key, [(before.result.result_hash, after.result.result_hash) for before, after in changes])
    return hashlib.sha256(msgspec.json.encode(content)).hexdigest()


def correction_key(start_s: int, number: int) -> str:
    """Return the ledger's key of the correction of an interval; they are numbered from 1."""
    return f"correction {start_s} {number}"
