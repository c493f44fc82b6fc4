"""Pseudonyms and the link to whom they stand for, which only the repository holds."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from ontology.base import Concept, EpochSeconds, Identifier, Label, require

__all__ = ["Pseudonym", "PseudonymRecord", "PseudonymScope"]

Pseudonym = Annotated[str, Meta(pattern="^p_[a-z2-7]{26}$", description="pseudonym (SPEC 7.2)")]


class PseudonymScope(StrEnum):
    """Where a pseudonym is used; another one in each scope (SPEC 7.2)."""

    LEM = "LEM"
    VPP = "VPP"
    DSO = "DSO"
    ANALYTICS = "ANALYTICS"


class PseudonymRecord(Concept, frozen=True, kw_only=True, tag="parity:PseudonymRecord"):
    """A pseudonym and its encrypted subject; destroying the key erases the link (SPEC 7.2)."""

    scope: PseudonymScope
    pseudonym: Pseudonym
    subject_encrypted: Label
    key_id: Identifier
    valid_from_s: EpochSeconds
    valid_to_s: EpochSeconds

    def __post_init__(self) -> None:
        require(self.valid_to_s > self.valid_from_s, "valid_to_s", self.valid_to_s, "later than valid_from_s")
