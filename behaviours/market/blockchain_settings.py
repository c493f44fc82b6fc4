"""What a blockchain agent knows: whom it speaks for, and to whom."""

import msgspec

from behaviours.site.contacts import SiteContacts

__all__ = ["BlockchainSettings"]


class BlockchainSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a blockchain agent speaks for."""

    contacts: SiteContacts
    segment_id: str
    player: str
    attestors: tuple[str, ...] = ()
    has_register: bool = False
    """Whether the community keeps a register, in which datasets are committed to."""
