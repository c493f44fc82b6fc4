"""Who belongs to a community: certificates that the market operator signs, and how they are asked for."""

from typing import Annotated

from msgspec import Meta

from ontology.base import Address, Concept, EpochSeconds, Label, Part, require
from ontology.roles import Role

__all__ = ["CertifiedMember", "MemberCertificate", "MemberListing", "MemberQuery"]

MAX_CERTIFICATES = 8
"""In a listing: with ten agents each they stay well under 48 kB."""
MAX_AGENTS = 64


class CertifiedMember(Part, frozen=True, kw_only=True):
    """An agent: its address, its role and the raw Ed25519 key that verifies its letters, hexadecimal."""

    address: Address
    role: Role
    verify_key: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class MemberCertificate(Part, frozen=True, kw_only=True):
    """The agents of a site (of the community itself, where `site` is empty), vouched for until a time.

    The market operator signs it (Ed25519 over RFC 8785 JSON without the signature, base64url); of two for
    one site the later one holds, and one that is revoked lets nobody in.
    """

    site: Label
    members: Annotated[list[CertifiedMember], Meta(max_length=MAX_AGENTS)]
    issued_at_s: EpochSeconds
    valid_until_s: EpochSeconds
    is_revoked: bool = False
    signature: Label = ""

    def __post_init__(self) -> None:
        require(
            self.valid_until_s > self.issued_at_s, "valid_until_s", self.valid_until_s, "after issued_at_s"
        )


class MemberQuery(Concept, frozen=True, kw_only=True, tag="parity:MemberQuery"):
    """Asks for certificates that were issued since a time, by site, after one (cf. FIPA df search)."""

    since_s: EpochSeconds
    after: Label = ""


class MemberListing(Concept, frozen=True, kw_only=True, tag="parity:MemberListing"):
    """A page of certificates in order of sites; `is_complete` tells that none follows (cf. FIPA df)."""

    certificates: Annotated[list[MemberCertificate], Meta(max_length=MAX_CERTIFICATES)]
    is_complete: bool
