"""Who belongs to a community: each address with its role, its site and the key that verifies it."""

from collections.abc import Mapping
from dataclasses import dataclass

from ontology.roles import Role

__all__ = ["Member", "Membership"]


@dataclass(frozen=True, slots=True)
class Member:
    """An agent as the others know it."""

    address: str
    role: Role
    site: str = ""
    verify_key: bytes = b""
    """Raw Ed25519 public key (32 bytes); empty where the member signs nothing."""
    is_portal: bool = False
    """Whether it brings what people and programs outside want said."""
    assets: tuple[str, ...] = ()
    """What belongs to its site without bearing its name, such as charge points."""


Membership = Mapping[str, Member]
"""The register of a community by address; who is not in it is refused."""
