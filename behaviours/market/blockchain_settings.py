"""What a blockchain agent knows: whom it speaks for, and to whom."""

from collections.abc import Mapping

import msgspec

from behaviours.decisions.pseudonyms import epoch_of
from behaviours.site.contacts import SiteContacts

__all__ = ["BlockchainSettings"]


class BlockchainSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a blockchain agent speaks for."""

    contacts: SiteContacts
    segment_id: str
    players: Mapping[int, str] = {}
    """What its oracle calls the player, by epoch."""
    attestors: tuple[str, ...] = ()
    has_register: bool = False
    """Whether the community keeps a register, in which datasets are committed to."""

    def player_at(self, time_s: float) -> str:
        """Return what the player is called at a time; nothing outside the epochs that are known."""
        return self.players.get(epoch_of(time_s), "")
