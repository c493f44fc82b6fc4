"""Vouching for settlements: what the market engine asks of the attestors, what they say, and proofs."""

from typing import Annotated

from msgspec import Meta

from ontology.base import (
    MAX_MEMBERS,
    Concept,
    Count,
    Energy,
    EpochSeconds,
    Hash,
    Identifier,
    IntervalStart,
    Label,
    Part,
)
from ontology.ledger import PaymentOrder
from ontology.market import Lem

__all__ = [
    "Attestation",
    "AttestationRequest",
    "CarriedBalance",
    "CarryOver",
    "CorrectedMarket",
    "Correction",
    "DatasetProof",
    "EstimatedEnergy",
    "Penalty",
    "ProofRequest",
    "ProofStep",
]

Signature = Annotated[str, Meta(max_length=130, description="r, s, v in hexadecimal; empty: none")]


class EstimatedEnergy(Part, frozen=True, kw_only=True):
    """What a player that brought no reading is taken to have consumed and produced (SPEC 2.3)."""

    player: Identifier
    start_s: IntervalStart
    consumed_wh: Energy
    produced_wh: Energy


class CorrectedMarket(Part, frozen=True, kw_only=True):
    """Whose late readings take an estimate's place in a market, as it stood after a previous correction."""

    segment_id: Identifier
    previous: Count
    players: Annotated[list[Identifier], Meta(min_length=1, max_length=MAX_MEMBERS)]


class Correction(Part, frozen=True, kw_only=True):
    """What late readings change of an interval that was settled, numbered from 1 (SPEC 4.3)."""

    start_s: IntervalStart
    number: Count
    markets: Annotated[list[CorrectedMarket], Meta(min_length=1, max_length=1000)]


class CarriedBalance(Part, frozen=True, kw_only=True):
    """What an account leaves to the one under which its holder goes on."""

    account: Identifier
    successor: Identifier
    tokens: Annotated[int, Meta(ge=1, le=2**52 - 1, description="whole tokens")]


class CarryOver(Part, frozen=True, kw_only=True):
    """Balances that go on to the pseudonyms of an epoch, numbered from 0 (SPEC 7.2)."""

    epoch: Count
    number: Count
    balances: Annotated[list[CarriedBalance], Meta(min_length=1, max_length=MAX_MEMBERS)]


class Penalty(Part, frozen=True, kw_only=True):
    """What a violated indicator of an agreement costs its player (SPEC 2.9)."""

    kpi_id: Identifier
    player: Identifier
    time_s: EpochSeconds
    tokens: Count


class AttestationRequest(Concept, frozen=True, kw_only=True, tag="parity:AttestationRequest"):
    """What is settled under one key, markets or anything else, and the result to be vouched for (SPEC 4.3).

    The readings are not in it: attestors have them from the oracles, and payments from their payers.
    """

    settlement_key: Identifier
    lems: Annotated[list[Lem], Meta(max_length=1000)] = []
    penalties: Annotated[list[Penalty], Meta(max_length=MAX_MEMBERS)] = []
    payment: PaymentOrder | None = None
    correction: Correction | None = None
    carry_over: CarryOver | None = None
    estimates: Annotated[list[EstimatedEnergy], Meta(max_length=MAX_MEMBERS)] = []
    result_hash: Label


class Attestation(Concept, frozen=True, kw_only=True, tag="parity:Attestation"):
    """The result that an attestor came to, and its signature where that is the one asked for (SPEC 4.3)."""

    settlement_key: Identifier
    attestor: Identifier
    result_hash: Label
    signature: Signature = ""


class ProofRequest(Concept, frozen=True, kw_only=True, tag="parity:ProofRequest"):
    """Asks for the way from a player's commitment to what its market closed with (D8.1 3.3.3)."""

    player: Identifier
    start_s: IntervalStart


class ProofStep(Part, frozen=True, kw_only=True):
    """The hash beside the one that is proven, on the way up a Merkle tree."""

    other: Hash
    other_is_left: bool


class DatasetProof(Concept, frozen=True, kw_only=True, tag="parity:DatasetProof"):
    """The way from a player's commitment up to the root that stands in the register (D8.1 3.3.3)."""

    player: Identifier
    start_s: IntervalStart
    commitment: Hash
    path: Annotated[list[ProofStep], Meta(max_length=40)]
