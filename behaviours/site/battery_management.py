"""What a battery could do: its manager's offer to the site's plan (D8.1 3.7)."""

from behaviours.behaviour import Behaviour, every, on
from behaviours.decisions.envelopes import battery_envelope
from behaviours.decisions.peak_shaving import rest_envelope
from behaviours.site.battery_settings import BatterySettings
from behaviours.site.frequency_response import FrequencyResponse
from behaviours.site.peak_forecasting import PeakForecasting
from behaviours.site.turns import is_turn
from ontology.base import INTERVAL_S
from ontology.flexibility import FlexEnvelope
from ontology.letter import Letter
from ontology.storage import StorageStatus

__all__ = ["BatteryOffering"]


class BatteryOffering(Behaviour):
    """Offers the prosumer, at each of its turns, all that the battery could do in a day beside its duties."""

    settings: BatterySettings

    def setup(self) -> None:
        """Nothing is known of the battery yet."""
        self.status: StorageStatus | None = None
        self._offered = False

    @on(StorageStatus)
    def note(self, status: StorageStatus, letter: Letter) -> None:
        """Note how full the battery is."""
        self.status = status

    @every(minutes=15, offset_s=10)
    def offer(self) -> None:
        """Send the envelope of the day ahead; a battery that does not report is not offered."""
        start_s = self.now_s() // INTERVAL_S * INTERVAL_S
        if self._offered and not is_turn(self.settings.site, start_s, self.settings.planning_intervals):
            return
        if self.status is None or self.now_s() - self.status.time_s > INTERVAL_S:
            self.agent.counts["reports missing"] += 1
            return
        self._offered = True
        self.tell(self.settings.contacts.prosumer, self._envelope(self.status, start_s))

    def _envelope(self, status: StorageStatus, start_s: int) -> FlexEnvelope:
        """Return what the battery could do: all, or what its corridor leaves."""
        plan = self.sibling(PeakForecasting).plan
        if plan is not None and plan.start_s == start_s:
            return rest_envelope(plan, self.settings.model, status)
        reserve_wh = self.settings.reserve_wh + self.sibling(FrequencyResponse).reserved_wh
        return battery_envelope(self.settings.model, status, start_s, reserve_wh=reserve_wh)
