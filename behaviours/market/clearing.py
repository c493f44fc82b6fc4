"""Clearing closed markets: the one way in which the market engine and every attestor come to a result."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from behaviours.decisions.settlement import MeteredEnergy, Settlement, settle_interval
from ontology.market import Lem

__all__ = ["ClearingTerms", "batch_result", "clear", "summed"]


class ClearingTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What holds in every market of a community: whose accounts balance it, and what tokens are worth."""

    aggregator_account: str
    grid_account: str
    tokens_per_currency: int


def clear(lem: Lem, metered: Iterable[MeteredEnergy], terms: ClearingTerms) -> Settlement:
    """Clear one market from what its players consumed and produced.

    Raises: InvalidInput when a player stands twice in it or an energy is negative.
    """
    return settle_interval(
        metered,
        lem.parameters,
        lem.grid_state,
        terms.tokens_per_currency,
        start_s=lem.start_s,
        segment_id=lem.segment_id,
        aggregator=terms.aggregator_account,
        grid=terms.grid_account,
    )


def batch_result(settlements: Sequence[Settlement]) -> str:
    """Return the hash of what markets settled together came to, in their order; one market's is its own."""
    hashes = [settlement.result.result_hash for settlement in settlements]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def summed(batches: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Add up token changes by account."""
    total: dict[str, int] = defaultdict(int)
    for batch in batches:
        for account, tokens in batch.items():
            total[account] += tokens
    return dict(total)
