"""The stationary battery manager: what the battery could do, and peak shaving in real time (D8.1 3.7)."""

import msgspec

from behaviours.behaviour import Behaviour, every, on
from behaviours.decisions.envelopes import battery_envelope
from behaviours.site.contacts import SiteContacts
from ontology.base import INTERVAL_S
from ontology.letter import Letter
from ontology.storage import StorageModel, StorageStatus

__all__ = ["BatteryOffering", "BatterySettings"]


class BatterySettings(msgspec.Struct, frozen=True, kw_only=True):
    """The battery, and the energy in Wh that stays reserved for other duties."""

    contacts: SiteContacts
    model: StorageModel
    reserve_wh: int = 0
    real_time_s: int = 0
    import_max_w: int = 43_000


class BatteryOffering(Behaviour):
    """Offers the prosumer, at the start of each interval, all that the battery could do in a day."""

    settings: BatterySettings

    def setup(self) -> None:
        """Nothing is known of the battery yet."""
        self.status: StorageStatus | None = None

    @on(StorageStatus)
    def note(self, status: StorageStatus, letter: Letter) -> None:
        """Note how full the battery is."""
        self.status = status

    @every(minutes=15, offset_s=10)
    def offer(self) -> None:
        """Send the envelope of the day ahead; a battery that does not report is not offered."""
        if self.status is None or self.now_s() - self.status.time_s > INTERVAL_S:
            self.agent.counts["reports missing"] += 1
            return
        start_s = self.now_s() // INTERVAL_S * INTERVAL_S
        envelope = battery_envelope(
            self.settings.model, self.status, start_s, reserve_wh=self.settings.reserve_wh
        )
        self.tell(self.settings.contacts.prosumer, envelope)


class PeakShaving(Behaviour):
    """todo"""
