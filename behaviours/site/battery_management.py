"""The stationary battery manager: what the battery could do, and peak shaving in real time (D8.1 3.7)."""

from behaviours.behaviour import Behaviour, every, on
from behaviours.decisions.battery_control import PeakShaving as PeakShavingRule
from behaviours.decisions.battery_control import peak_shaving_power_w
from behaviours.decisions.envelopes import battery_envelope
from behaviours.site.battery_settings import BatterySettings
from behaviours.site.frequency_response import FrequencyResponse
from behaviours.site.turns import is_turn
from ontology.base import INTERVAL_S
from ontology.control import Instruction, InstructionBatch, Priority
from ontology.letter import Letter
from ontology.measurements import Measurement, Quantity
from ontology.performatives import Performative
from ontology.storage import StorageStatus

__all__ = ["BatteryOffering", "BatterySettings", "PeakShaving"]


class BatteryOffering(Behaviour):
    """Offers the prosumer, at each of its turns, all that the battery could do in a day."""

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
        reserve_wh = self.settings.reserve_wh + self.sibling(FrequencyResponse).reserved_wh
        envelope = battery_envelope(self.settings.model, self.status, start_s, reserve_wh=reserve_wh)
        self.tell(self.settings.contacts.prosumer, envelope)


class PeakShaving(Behaviour):
    """The real-time engine: keeps the site's import below its threshold between two plans (SPEC 4.7)."""

    settings: BatterySettings

    def setup(self) -> None:
        """Nothing has been measured yet."""
        self._import_w: int | None = None
        self._commanded_w = 0
        self._commands = 0

    @on(Measurement)
    def note(self, measurement: Measurement, letter: Letter) -> None:
        """Note the site's present power."""
        if measurement.quantity is Quantity.ACTIVE_POWER_W:
            self._import_w = round(measurement.value)

    @every(seconds=lambda settings: settings.real_time_s)
    def shave(self) -> None:
        """Take over from the plan while the site draws more than its connection should carry."""
        settings, status = self.settings, self.sibling(BatteryOffering).status
        if self._import_w is None or status is None:
            return
        load_w = self._import_w - status.power_w
        rule = PeakShavingRule(
            threshold_w=settings.import_max_w,
            recharge_below_w=settings.import_max_w // 2,
            reserve_wh=settings.reserve_wh,
        )
        stored_wh = status.state_of_charge * settings.model.capacity_wh
        power_w = peak_shaving_power_w(
            rule, settings.model, load_w, stored_wh, status.power_w, settings.real_time_s
        )
        if load_w > settings.import_max_w or self._commanded_w:
            self._command(power_w)
        self._commanded_w = power_w if load_w > settings.import_max_w else 0

    def _command(self, power_w: int) -> None:
        """Instruct the battery through the gateway, until shortly after the next decision."""
        self._commands += 1
        now_s, asset_id = self.now_s(), self.settings.model.asset_id
        instruction = Instruction(
            instruction_id=f"{asset_id}-shave-{now_s}-{self._commands}",
            asset_id=asset_id,
            execution_time_s=now_s,
            valid_until_s=now_s + 2 * self.settings.real_time_s,
            setpoint_w=power_w,
            reason="peak shaving",
            priority=Priority.CONTRACT,
        )
        batch = InstructionBatch(site=self.settings.site, instructions=[instruction])
        self.tell(self.settings.contacts.gateway, batch, Performative.REQUEST)
