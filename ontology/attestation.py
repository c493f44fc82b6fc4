"""Vouching for settlements: what the market engine asks of the attestors, and what they say."""

from typing import Annotated

from msgspec import Meta

from ontology.base import MAX_MEMBERS, Concept, Energy, Identifier, IntervalStart, Label, Part
from ontology.market import Lem

__all__ = ["Attestation", "AttestationRequest", "EstimatedEnergy"]

Signature = Annotated[str, Meta(pattern="^([0-9a-f]{130})?$", description="r, s and v; empty: none")]


class EstimatedEnergy(Part, frozen=True, kw_only=True):
    """What a player that brought no reading is taken to have consumed and produced (SPEC 2.3)."""

    player: Identifier
    start_s: IntervalStart
    consumed_wh: Energy
    produced_wh: Energy


class AttestationRequest(Concept, frozen=True, kw_only=True, tag="parity:AttestationRequest"):
    """Closed markets that are settled under one key, and the hash of the result to be vouched for (SPEC 4.3).

    The readings are not in it: attestors have them from the oracles.
    """

    settlement_key: Identifier
    lems: Annotated[list[Lem], Meta(min_length=1, max_length=1000)]
    estimates: Annotated[list[EstimatedEnergy], Meta(max_length=MAX_MEMBERS)] = []
    result_hash: Label


class Attestation(Concept, frozen=True, kw_only=True, tag="parity:Attestation"):
    """The result that an attestor came to, and its signature where that is the one asked for (SPEC 4.3)."""

    settlement_key: Identifier
    attestor: Identifier
    result_hash: Label
    signature: Signature = ""
