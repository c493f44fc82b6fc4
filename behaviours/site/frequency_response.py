"""Frequency reserve of a site: the battery holds power ready and follows the frequency (SPEC 4.7, FCR-D)."""

from behaviours.behaviour import Behaviour, every, on
from behaviours.decisions.battery_control import fcr_d_power_w, fcr_d_reserve_wh, reserve_of
from behaviours.site.battery_settings import BatterySettings
from behaviours.site.contacts import SiteContacts
from behaviours.site.planning import SitePlanning
from ontology.base import INTERVAL_S
from ontology.coalition import DeliveryReport
from ontology.control import Instruction, InstructionBatch, Priority
from ontology.discourse import Acknowledgement
from ontology.errors import Refused
from ontology.letter import Letter
from ontology.market import ReserveAssignment, ReserveOffer
from ontology.measurements import Measurement, Quantity
from ontology.performatives import Performative
from ontology.storage import StorageStatus

__all__ = ["FrequencyResponse", "ReserveRelaying"]

_RESERVE = "reserve "
AHEAD_S = 6 * INTERVAL_S
"""The interval that the aggregator bids for begins so long after the present one."""


class FrequencyResponse(Behaviour):
    """Offers what the battery could hold ready, keeps the content for it, and follows the frequency."""

    settings: BatterySettings

    def setup(self) -> None:
        """Recall what is held ready; the battery follows its plan."""
        self._status: StorageStatus | None = None
        self._baseline_w: int | None = None
        self._wh: dict[str, float] = {}
        self._commands = 0

    @on(StorageStatus)
    def note(self, status: StorageStatus, letter: Letter) -> None:
        """Count what the battery did beside its plan in the step that has ended."""
        since_s = status.time_s - self._status.time_s if self._status is not None else 0
        self._status = status
        if self._baseline_w is not None:
            for each in self._assigned(status.time_s - 1):
                deviation_wh = (status.power_w - self._baseline_w) * since_s / 3600
                self._wh[each.bid_id] = self._wh.get(each.bid_id, 0.0) + deviation_wh

    @every(minutes=15, offset_s=15)
    def offer(self) -> None:
        """Say what could be held ready in the interval that is bid for; half is kept for the plan."""
        if not self.settings.offers_reserve or self._status is None:
            return
        start_s = self.now_s() // INTERVAL_S * INTERVAL_S + AHEAD_S
        up_w, down_w = reserve_of(self.settings.model, self._status.state_of_charge)
        if up_w or down_w:
            offer = ReserveOffer(subject=self.settings.site, start_s=start_s, up_w=up_w, down_w=down_w)
            self.tell(self.settings.contacts.prosumer, offer)

    @on(ReserveAssignment)
    def hold(self, assignment: ReserveAssignment, letter: Letter) -> Acknowledgement:
        """Hold power ready in an interval; content for it is kept from the next envelope on.

        Raises: Refused for anybody but the site's prosumer.
        """
        if letter.sender != self.settings.contacts.prosumer:
            raise Refused("a battery holds power ready for its own site only")
        self.keep(f"{_RESERVE}{assignment.bid_id}", assignment)
        return Acknowledgement(of=letter.message_id)

    @property
    def reserved_wh(self) -> int:
        """The content that is kept for low frequency, in Wh."""
        efficiency = self.settings.model.discharge_efficiency
        return max((fcr_d_reserve_wh(each.up_w, efficiency) for each in self._held()), default=0)

    @on(Measurement)
    def follow(self, measurement: Measurement, letter: Letter) -> None:
        """Give or take beside the plan what the frequency calls for; return to the plan when it is over."""
        if not self.settings.offers_reserve or self._status is None:
            return
        if measurement.quantity is not Quantity.FREQUENCY_HZ:
            return
        held = self._assigned(self.now_s())
        up_w, down_w = sum(each.up_w for each in held), sum(each.down_w for each in held)
        wanted_w = fcr_d_power_w(measurement.value, up_w, down_w)
        if not wanted_w:
            self._baseline_w = None
            return
        if self._baseline_w is None:
            self._baseline_w = self._status.power_w
        self._command(self._baseline_w + wanted_w)

    @every(minutes=15, offset_s=20)
    def report(self) -> None:
        """Tell what was given beside the plan in each interval that has ended, in all."""
        for each in self._held():
            if each.start_s + INTERVAL_S <= self.now_s():
                report = DeliveryReport(
                    vpp_id=each.bid_id,
                    member=self.settings.contacts.prosumer,
                    start_s=each.start_s,
                    committed_wh=0,
                    delivered_wh=round(self._wh.pop(each.bid_id, 0.0)),
                )
                self.tell(self.settings.contacts.prosumer, report)
                self.keep(f"{_RESERVE}{each.bid_id}", None)

    def _held(self) -> list[ReserveAssignment]:
        found = (self.kept(name, ReserveAssignment) for name in self.agent.kept_names(_RESERVE))
        return [each for each in found if each is not None]

    def _assigned(self, time_s: int) -> list[ReserveAssignment]:
        return [each for each in self._held() if each.start_s <= time_s < each.start_s + INTERVAL_S]

    def _command(self, power_w: int) -> None:
        """Instruct the battery through the gateway, until shortly after the next reading."""
        self._commands += 1
        model, now_s = self.settings.model, self.now_s()
        instruction = Instruction(
            instruction_id=f"{model.asset_id}-frequency-{now_s}-{self._commands}",
            asset_id=model.asset_id,
            execution_time_s=now_s,
            valid_until_s=now_s + max(1, self.settings.real_time_s),
            setpoint_w=max(-model.discharge_max_w, min(model.charge_max_w, power_w)),
            reason="frequency",
            priority=Priority.CONTRACT,
        )
        batch = InstructionBatch(site=self.settings.site, instructions=[instruction])
        self.tell(self.settings.contacts.gateway, batch, Performative.REQUEST)


class ReserveRelaying(Behaviour):
    """The prosumer's part: it speaks for the site's battery to the aggregator."""

    @property
    def _contacts(self) -> SiteContacts:
        contacts: SiteContacts = self.settings.contacts
        return contacts

    @on(ReserveOffer)
    def offer(self, offer: ReserveOffer, letter: Letter) -> None:
        """Pass on what the battery offers."""
        if letter.sender == self._contacts.bess and self.sibling(SitePlanning).tells_flexibility:
            self.tell(self._contacts.aggregator, offer)

    @on(ReserveAssignment)
    async def assign(self, assignment: ReserveAssignment, letter: Letter) -> Acknowledgement:
        """Pass on what the battery shall hold ready.

        Raises: Refused when it is not the aggregator's, or as the battery says.
        """
        if letter.sender != self._contacts.aggregator or not self._contacts.bess:
            raise Refused("the aggregator assigns reserves, to sites with a battery")
        await self.ask(self._contacts.bess, assignment, Acknowledgement, within_s=2)
        return Acknowledgement(of=letter.message_id)

    @on(DeliveryReport)
    def report(self, report: DeliveryReport, letter: Letter) -> None:
        """Pass on what the battery gave."""
        if letter.sender == self._contacts.bess:
            self.tell(self._contacts.aggregator, report)
