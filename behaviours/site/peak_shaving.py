"""The peak-shaving real-time engine: what a battery does from step to step (SPEC 4.7)."""

from behaviours.behaviour import Behaviour, every, on
from behaviours.decisions.battery_control import PeakShaving as PeakShavingRule
from behaviours.decisions.battery_control import (
    peak_shaving_power_w,
    rule_for,
    threshold_of_rest_w,
)
from behaviours.decisions.peak_shaving import ShavingPlan
from behaviours.site.battery_management import BatteryOffering
from behaviours.site.battery_settings import BatterySettings
from behaviours.site.flexibility_response import FlexibilityResponse
from behaviours.site.peak_forecasting import PeakForecasting
from ontology.base import INTERVAL_S
from ontology.control import Instruction, InstructionBatch, Priority
from ontology.letter import Letter
from ontology.measurements import Measurement, Quantity
from ontology.performatives import Performative

__all__ = ["PeakShaving"]


class PeakShaving(Behaviour):
    """Keeps import below a threshold: always, or only where the connection cannot carry it."""

    settings: BatterySettings

    def setup(self) -> None:
        """Nothing has been measured yet."""
        self._import_w: int | None = None
        self._commanded_w = 0
        self._commands = 0

    @on(Measurement)
    def note(self, measurement: Measurement, letter: Letter) -> None:
        """Note the site's present power."""
        if measurement.subject == self.settings.site and measurement.quantity is Quantity.ACTIVE_POWER_W:
            self._import_w = round(measurement.value)

    @every(seconds=lambda settings: settings.real_time_s)
    def shave(self) -> None:
        """Decide what the battery does until the next measurement."""
        if self.settings.shaves:
            self._keep_threshold()
        else:
            self._protect_connection()

    def _keep_threshold(self) -> None:
        """Keep the planned threshold, and do what is ordered beside that."""
        settings, status = self.settings, self.sibling(BatteryOffering).status
        forecasting = self.sibling(PeakForecasting)
        if status is None or forecasting.plan is None:
            return
        stored_wh = status.state_of_charge * settings.model.capacity_wh
        forecasting.check(stored_wh)
        period_s = settings.real_time_s
        order = self.sibling(FlexibilityResponse).order(self.now_s())
        plan = forecasting.plan
        threshold_w = threshold_of_rest_w(plan.threshold_w, *forecasting.measured(), INTERVAL_S)
        power_w = peak_shaving_power_w(
            rule_for(threshold_w, plan.floor_wh(self.now_s() + period_s)),
            settings.model,
            self._load_w(plan),
            stored_wh,
            status.power_w,
            period_s,
            None if order is None else order.setpoint_w,
        )
        priority = Priority.CONTRACT if order is None else max(Priority.CONTRACT, order.priority)
        self._command(power_w, "peak shaving", priority)

    def _load_w(self, plan: ShavingPlan) -> int:
        """Return the present load as it was measured, or else as it is prepared for."""
        measured = self.sibling(PeakForecasting).load_w
        if measured and self.now_s() - measured[1] < 2 * self.settings.real_time_s:
            return round(measured[0])
        return plan.high_load_w(self.now_s())

    def _protect_connection(self) -> None:
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
            self._command(power_w, "peak shaving")
        self._commanded_w = power_w if load_w > settings.import_max_w else 0

    def _command(self, power_w: int, reason: str, priority: Priority = Priority.CONTRACT) -> None:
        """Instruct the battery through the gateway, until shortly after the next decision."""
        self._commands += 1
        now_s, asset_id = self.now_s(), self.settings.model.asset_id
        instruction = Instruction(
            instruction_id=f"{asset_id}-shave-{now_s}-{self._commands}",
            asset_id=asset_id,
            execution_time_s=now_s,
            valid_until_s=now_s + 2 * self.settings.real_time_s,
            setpoint_w=power_w,
            reason=reason,
            priority=priority,
        )
        batch = InstructionBatch(site=self.settings.site, instructions=[instruction])
        self.tell(self.settings.contacts.gateway, batch, Performative.REQUEST)
