"""A prosumer's part in virtual power plants: it bids, agrees, delivers and is paid (SPEC 5.3)."""

from collections.abc import Iterable, Mapping

import msgspec
import numpy as np

from behaviours.behaviour import Behaviour, every, on, when
from behaviours.decisions.coalition.payoff import Delivery, reliability_after
from behaviours.decisions.coalition.profiles import bid_capacity, coarse_profile
from behaviours.decisions.coalition.schedules import Deviations, feasible_deviations
from behaviours.decisions.flexibility import deviations
from behaviours.information.directory import DirectoryMembership
from behaviours.site.market_listening import MarketListening
from behaviours.site.overriding import OverrideHeeding
from behaviours.site.planning import SitePlanning
from behaviours.site.prosumer_settings import ProsumerSettings
from behaviours.vpp.portfolio import end_of, starts_of
from behaviours.vpp.selection import ScheduleNegotiation, seed_of
from ontology.base import INTERVAL_S
from ontology.coalition import (
    CoalitionBid,
    CoalitionInvitation,
    DeliveryReport,
    FlexProduct,
    ScheduleCommitment,
    VppPayoff,
)
from ontology.codec import message_type_of
from ontology.discourse import Query, QueryResult
from ontology.errors import ParityError, Refused
from ontology.letter import Letter
from ontology.measurements import Measurement
from ontology.performatives import Performative

__all__ = ["Promise", "VppMembership"]

WEAR_TICKS_PER_KWH = 300
"""What a site wants for a kWh of deviation beside what the energy costs it: 0.03 EUR."""
LAST_STEP = 90
"""How far into the plan a product may reach: what is made up for afterwards must still fit."""
_MEASUREMENT = message_type_of(Measurement)
_PROMISE = "promise "


class Promise(msgspec.Struct):
    """What the site has promised to a plant: against which plan (W by asset and interval), and what (W)."""

    initiator: str
    product: FlexProduct
    round: int
    baseline_w: dict[str, dict[int, int]]
    schedule_w: dict[int, int]
    assets: list[str]
    pins: dict[str, dict[int, int]]
    cost_ticks: int = 0

    def power_w(self, asset_id: str, start_s: int) -> int:
        """Return at what power a device keeps the promise in an interval, in W."""
        planned_w = self.baseline_w.get(asset_id, {}).get(start_s, 0)
        return self.pins.get(asset_id, {}).get(start_s, planned_w)


class VppMembership(Behaviour):
    """Offers what the site could do otherwise, and does what it has promised."""

    settings: ProsumerSettings

    def setup(self) -> None:
        """Recall what was promised before a restart."""
        self.promises: dict[str, Promise] = {}
        """What the site has promised, by plant."""
        for name in self.agent.kept_names(_PROMISE):
            kept = self.agent.kept_bytes(name)
            if kept is not None:
                self.promises[name.removeprefix(_PROMISE)] = msgspec.json.decode(kept, type=Promise)
        self._plan_start_s = 0
        self.takes_part = True
        """Whether the site's people agree to it."""
        self._delivering = 1.0
        self.earned_ticks = 0
        self.response_time_s = 0.0
        """From the last invitation to the commitment that answered it."""

    @property
    def reliability(self) -> float:
        """What can be expected of the site's promises: as delivered so far, less what its people override."""
        return self._delivering * self.sibling(OverrideHeeding).kept_to_plans

    @when("started")
    def hold(self) -> None:
        """Hold the devices to what was promised before a restart."""
        for promise in self.promises.values():
            self.sibling(SitePlanning).pin(promise.pins)

    # -- recruitment ----------------------------------------------------------------------------

    @on(FlexProduct, Performative.CFP)
    def bid(self, product: FlexProduct, letter: Letter) -> CoalitionBid:
        """Offer the capacity of the site towards a product, in blocks, and its price.

        Raises: Refused when the site can contribute nothing, or has promised itself to another plant.
        """
        if not self.takes_part:
            raise Refused("takes no part in plants")
        if self._is_promised(product):
            raise Refused("promised to another plant in that time")
        able = self._able(product, self._baseline())
        if able is None or len(able.power_w) < 2:
            raise Refused("no flexibility for this product")
        energy_wh = np.abs(able.power_w).sum(axis=1) * product.step_s / 3600
        best = int(energy_wh.argmax())
        return CoalitionBid(
            product_id=product.product_id,
            capacity_w=bid_capacity(able.power_w, product.target_w),
            cost_ticks_per_kwh=int(able.cost_ticks[best] * 1000 // max(1.0, energy_wh[best])),
            reliability=round(self.reliability, 2),
        )

    @on(CoalitionInvitation, Performative.ACCEPT_PROPOSAL)
    @on(CoalitionInvitation, Performative.REQUEST)
    async def join(self, invitation: CoalitionInvitation, letter: Letter) -> ScheduleCommitment:
        """Negotiate with the group and promise what was chosen for the site.

        Raises: Refused when the site is no member of the group or cannot do anything, Failed when the
        group does not agree in time.
        """
        product, invited_s = invitation.product, self.clock.now_s()
        known = self.promises.get(invitation.vpp_id)
        if known is not None and known.round == invitation.round:
            return self._commitment(invitation.vpp_id, known)
        if not self.takes_part:
            raise Refused("takes no part in plants")
        if self.agent.address not in invitation.group or invitation.settle_by_s <= self.now_s():
            raise Refused("not for this agent, or over")
        baseline = known.baseline_w if known else self._baseline()
        able = self._able(product, baseline)
        if able is None:
            raise Refused("no flexibility for this product")
        first_s = self._plan_start_s
        row = await self.sibling(ScheduleNegotiation).take_part(invitation, able)
        schedule = self._schedule(invitation, able, row, first_s)
        pins = self._pins(invitation.product, able, row, first_s)
        cost = int(able.cost_ticks[row]) + self._spent(invitation.vpp_id)
        self.response_time_s = self.clock.now_s() - invited_s
        return self._promise(invitation, letter.sender, baseline, schedule, pins, cost)

    def _schedule(
        self, invitation: CoalitionInvitation, able: Deviations, row: int, first_s: int
    ) -> dict[int, int]:
        """Return the deviation promised by start of interval; what has begun stays as it was."""
        before = self.promises.get(invitation.vpp_id)
        starts = starts_of(invitation.product)
        held = before.schedule_w if before else dict.fromkeys(starts, 0)
        chosen = zip(starts, able.power_w[row].tolist(), strict=True)
        return held | {start_s: power_w for start_s, power_w in chosen if start_s > first_s}

    def _spent(self, vpp_id: str) -> int:
        """Return what the part of a promise that has been kept already costs, in ticks."""
        before = self.promises.get(vpp_id)
        if before is None:
            return 0
        total = sum(map(abs, before.schedule_w.values()))
        past = sum(abs(w) for start_s, w in before.schedule_w.items() if start_s <= self.now_s())
        return before.cost_ticks * past // total if total else 0

    def _pins(
        self, product: FlexProduct, able: Deviations, row: int, first_s: int
    ) -> dict[str, dict[int, int]]:
        """Return the powers to which the devices shall be held, by start of interval.

        Until the product begins that is the plan: to make up for a promise in advance (to heat before it)
        would only bring the congestion forward that the promise is to relieve.
        """
        ahead = range(first_s, end_of(product), INTERVAL_S)
        return {
            asset: {start_s: int(powers[row][(start_s - first_s) // INTERVAL_S]) for start_s in ahead}
            for asset, powers in able.setpoints_w.items()
        }

    def _promise(
        self,
        invitation: CoalitionInvitation,
        initiator: str,
        baseline: dict[str, dict[int, int]],
        schedule_w: dict[int, int],
        pins: dict[str, dict[int, int]],
        cost_ticks: int,
    ) -> ScheduleCommitment:
        """Hold the devices to what was chosen, and say so."""
        before = self.promises.get(invitation.vpp_id)
        moved = {asset for asset, own in pins.items() if any(own[s] != baseline[asset].get(s) for s in own)}
        assets = sorted(moved | set(before.assets if before else ()))
        product = invitation.product
        past = before.pins if before else {}
        held = {asset: past.get(asset, {}) | pins[asset] for asset in assets if asset in pins}
        promise = Promise(
            initiator, product, invitation.round, baseline, schedule_w, assets, held, cost_ticks
        )
        self.promises[invitation.vpp_id] = promise
        self.keep(_PROMISE + invitation.vpp_id, msgspec.json.encode(promise))
        self.sibling(SitePlanning).pin(held)
        return self._commitment(invitation.vpp_id, promise)

    def withdraw(self) -> None:
        """Leave all plants: devices are let go, and initiators that hear nothing more replace the site."""
        if self.promises:
            self.agent.counts["promises withdrawn"] += len(self.promises)
            for vpp_id in self.promises:
                self.keep(_PROMISE + vpp_id, None)
            self.promises.clear()
            self.sibling(SitePlanning).unpin()

    def widen(self, vpp_id: str, assets: Iterable[str]) -> None:
        """Count what more devices do towards a promise from now on, beside what is planned of them now."""
        promise, planning = self.promises[vpp_id], self.sibling(SitePlanning)
        interval_s = self.now_s() // INTERVAL_S * INTERVAL_S
        planned_w = {s: planning.planned_w(s) for s in promise.schedule_w if s >= interval_s}
        for asset in set(assets) - set(promise.assets):
            promise.assets = sorted([*promise.assets, asset])
            promise.baseline_w[asset] = {s: w[asset] for s, w in planned_w.items() if asset in w}
            promise.pins[asset] = dict(promise.baseline_w[asset])
            planning.pin({asset: promise.pins[asset]})
        self.keep(_PROMISE + vpp_id, msgspec.json.encode(promise))

    def _commitment(self, vpp_id: str, promise: Promise) -> ScheduleCommitment:
        product = promise.product
        return ScheduleCommitment(
            vpp_id=vpp_id,
            product_id=product.product_id,
            member=self.agent.address,
            start_s=product.start_s,
            step_s=product.step_s,
            schedule_w=[promise.schedule_w[start_s] for start_s in starts_of(product)],
            cost_ticks=promise.cost_ticks,
            account=self.settings.payer.account_at(self.now_s()) if self.settings.payer else "",
        )

    # -- operation ------------------------------------------------------------------------------

    @every(minutes=15, offset_s=40)
    async def report_deliveries(self) -> None:
        """Tell the initiators by how much the devices have deviated in the interval that ended."""
        start_s = self.now_s() // INTERVAL_S * INTERVAL_S - INTERVAL_S
        for vpp_id, promise in list(self.promises.items()):
            if start_s in promise.schedule_w:
                await self._report(vpp_id, promise, start_s)
            if start_s >= end_of(promise.product):
                del self.promises[vpp_id]
                self.keep(_PROMISE + vpp_id, None)

    @on(VppPayoff)
    def take_payoff(self, payoff: VppPayoff, letter: Letter) -> None:
        """Count what was earned, and learn how reliable the site has been."""
        for each in payoff.members:
            if each.member == self.agent.address:
                self.earned_ticks += each.cost_ticks + each.surplus_ticks
                delivery = Delivery(each.member, each.committed_wh, each.delivered_wh, each.cost_ticks)
                self._delivering = reliability_after(self._delivering, delivery)

    async def _report(self, vpp_id: str, promise: Promise, start_s: int) -> None:
        query = Query(entity=_MEASUREMENT, start_s=start_s, end_s=start_s + INTERVAL_S)
        try:
            metered = await self.ask(
                self.settings.contacts.gateway, query, QueryResult, act=Performative.QUERY_REF
            )
        except ParityError:
            self.agent.counts["deliveries unmetered"] += 1
            return
        powers = {m.subject: m.value for m in metered.items if isinstance(m, Measurement)}
        deviation_w = sum(
            powers.get(asset, 0.0) - promise.baseline_w[asset].get(start_s, 0) for asset in promise.assets
        )
        report = DeliveryReport(
            vpp_id=vpp_id,
            member=self.agent.address,
            start_s=start_s,
            committed_wh=round(promise.schedule_w[start_s] / 4),
            delivered_wh=round(deviation_w / 4),
        )
        self.tell(promise.initiator, report)

    # -- what the site could do -----------------------------------------------------------------

    def _baseline(self) -> dict[str, dict[int, int]]:
        """Return what each device would do by the present plan, in W by start of interval."""
        start_s, setpoints, _ = self.sibling(SitePlanning).laid_out()
        return {
            asset: {start_s + i * INTERVAL_S: power_w for i, power_w in enumerate(powers_w)}
            for asset, powers_w in setpoints.items()
        }

    def _able(self, product: FlexProduct, baseline: Mapping[str, Mapping[int, int]]) -> Deviations | None:
        """Return by how much the site could deviate from a baseline over a product's period."""
        start_s, setpoints, envelopes = self.sibling(SitePlanning).laid_out()
        self._plan_start_s = start_s
        ahead = (product.start_s - start_s) // INTERVAL_S
        steps = len(product.target_w)
        begun = max(0, 1 - ahead)
        if ahead + steps > LAST_STEP or begun >= steps or not envelopes:
            return None
        planned = {
            asset: [
                baseline.get(asset, {}).get(start_s + i * INTERVAL_S, power_w) if i else power_w
                for i, power_w in enumerate(powers_w)
            ]
            for asset, powers_w in setpoints.items()
        }
        buy, _ = self.sibling(MarketListening).ahead(start_s)
        able = feasible_deviations(
            planned,
            [each for each in envelopes if not each.subject.endswith("-pv")],
            product.target_w[begun:],
            max(1, ahead),
            buy,
            wear_ticks_per_kwh=WEAR_TICKS_PER_KWH,
            price_max_ticks_per_kwh=product.price_ticks_per_kwh,
            seed=seed_of(f"{self.agent.address} {product.product_id} {start_s}"),
        )
        return able if begun == 0 else able._replace(power_w=np.pad(able.power_w, ((0, 0), (begun, 0))))

    def _is_promised(self, product: FlexProduct) -> bool:
        return any(
            other.product.product_id != product.product_id
            and product.start_s < end_of(other.product)
            and other.product.start_s < end_of(product)
            for other in self.promises.values()
        )

    @every(minutes=240, offset_s=90)
    def refresh_profile(self) -> None:
        """Tell the directory the coarse profile of the day ahead with the next renewal."""
        start_s, setpoints, envelopes = self.sibling(SitePlanning).laid_out()
        if not envelopes:
            return
        up = np.zeros(len(envelopes[0].power_min_w), dtype=np.int64)
        down = np.zeros_like(up)
        for each in envelopes:
            less, more = deviations(each, setpoints[each.subject])
            up, down = up + less, down + more
        net = self.sibling(SitePlanning).net_w
        self.sibling(DirectoryMembership).profile = coarse_profile(
            start_s, net, up.tolist(), down.tolist(), self.reliability
        )
