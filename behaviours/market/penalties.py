"""Penalties of violated indicators: the one way in which the engine and every attestor add them up."""

import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from behaviours.ports import ServiceLevels
from ontology.attestation import Penalty

__all__ = ["penalties_hash", "penalty_entries", "penalty_of"]


async def penalty_of(levels: ServiceLevels, kpi_id: str, player: str, time_s: int) -> Penalty:
    """Return the penalty that the contract came to for a measure."""
    _, tokens = await levels.state_of(kpi_id, player, time_s)
    return Penalty(kpi_id=kpi_id, player=player, time_s=time_s, tokens=tokens)


def penalty_entries(penalties: Sequence[Penalty], payee: str) -> Mapping[str, int]:
    """Return the token changes that penalties come to: one an account, all to the payee."""
    entries: dict[str, int] = {payee: 0}
    for penalty in penalties:
        entries[penalty.player] = entries.get(penalty.player, 0) - penalty.tokens
        entries[payee] += penalty.tokens
    return entries


def penalties_hash(penalties: Sequence[Penalty]) -> str:
    """Return the SHA-256 (hexadecimal) of penalties in any order."""
    listed = sorted((each.kpi_id, each.player, each.time_s, each.tokens) for each in penalties)
    return hashlib.sha256(msgspec.json.encode(listed)).hexdigest()
