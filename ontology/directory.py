"""Who offers what: registrations with a lease, and looking each other up (FIPA SC00023)."""

from typing import Annotated

from msgspec import Meta

from ontology.base import (
    Address,
    Concept,
    Count,
    Duration,
    EpochSeconds,
    Fraction,
    Identifier,
    Label,
    Magnitude,
    Part,
    Power,
    PowerMagnitude,
    require,
    require_aligned,
)
from ontology.roles import Role

__all__ = [
    "PROFILE_BLOCKS",
    "CoarseProfile",
    "DirectoryEntry",
    "DirectoryListing",
    "DirectoryNotice",
    "DirectorySearch",
]

PROFILE_BLOCKS = 6
"""Blocks of four hours: as much of a site's day as others may know (SPEC 5.3 A)."""
MAX_ENTRIES = 100

_Blocks = Meta(max_length=PROFILE_BLOCKS)


class CoarseProfile(Part, frozen=True, kw_only=True):
    """A site's day in blocks of four hours from `start_s`, quantised; all that leaves it before a contract.

    Up is up-regulation (consuming less or giving more), down the opposite.
    """

    start_s: EpochSeconds
    net_w: Annotated[list[Power], _Blocks]
    up_w: Annotated[list[PowerMagnitude], _Blocks]
    down_w: Annotated[list[PowerMagnitude], _Blocks]
    response_time_s: Magnitude = 0.0
    reliability: Fraction = 1.0

    def __post_init__(self) -> None:
        require_aligned(self, "net_w", "up_w", "down_w")


class DirectoryEntry(Concept, frozen=True, kw_only=True, tag="parity:DirectoryEntry"):
    """What an agent offers, known for as long as its lease (FIPA df-agent-description).

    `products` are the kinds of product that it takes part in; a renewed lease replaces the entry.
    """

    agent: Address
    role: Role
    segment_id: Label = ""
    products: Annotated[list[Identifier], Meta(max_length=16)] = []
    profile: CoarseProfile | None = None
    lease_s: Duration
    registered_at_s: EpochSeconds


class DirectorySearch(Concept, frozen=True, kw_only=True, tag="parity:DirectorySearch"):
    """Asks for entries by role, segment and product; an empty wish means any (FIPA df search).

    Answers come in pages of `limit` entries in order of address, beginning after `after`.
    """

    role: Role | None = None
    segment_id: Label
    product: Label
    after: Label = ""
    limit: Annotated[int, Meta(ge=1, le=MAX_ENTRIES)] = MAX_ENTRIES


class DirectoryListing(Concept, frozen=True, kw_only=True, tag="parity:DirectoryListing"):
    """The entries found, in order of address, and how many there are in all (FIPA inform-ref)."""

    entries: Annotated[list[DirectoryEntry], Meta(max_length=MAX_ENTRIES)]
    total: Count


class DirectoryNotice(Concept, frozen=True, kw_only=True, tag="parity:DirectoryNotice"):
    """Tells that an agent has joined, or that it left or let its lease run out (FIPA df subscription)."""

    agent: Address
    role: Role
    segment_id: Label = ""
    present: bool
    time_s: EpochSeconds

    def __post_init__(self) -> None:
        require("@" in self.agent, "agent", self.agent, "an address, name@domain")
