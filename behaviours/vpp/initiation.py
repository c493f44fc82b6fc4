"""Forming a virtual power plant for a product, operating it, and dissolving it (SPEC 5.3, D8.1 3.8).

```
announce → recruit (contract net, up to three rounds) → let the members negotiate → commit
         → operate (negotiate again when members fail or the sum strays) → pay → dissolve
```
Any agent that holds a product may do this; it solves nothing for the members.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import TypeGuard

import msgspec
import structlog

from behaviours.behaviour import Behaviour, every, on, when
from behaviours.decisions.coalition.neighbourhood import neighbourhood_of
from behaviours.decisions.coalition.overlay import groups_of
from behaviours.decisions.coalition.payoff import Delivery, payoffs, price_of
from behaviours.decisions.coalition.recruitment import recruited
from behaviours.decisions.payments import tokens_of
from behaviours.information.directory import look_up
from behaviours.market.payments import PayerSettings, Paying
from behaviours.protocols.contract_net import ContractNet
from behaviours.vpp.portfolio import PlannedProduct, end_of, starts_of
from ontology.base import INTERVAL_S
from ontology.coalition import (
    CoalitionBid,
    CoalitionInvitation,
    DeliveryReport,
    FlexProduct,
    MemberPayoff,
    ScheduleCommitment,
    VppPayoff,
)
from ontology.directory import PROFILE_BLOCKS, CoarseProfile
from ontology.errors import ParityError, Refused, Unavailable
from ontology.ledger import SettlementKind
from ontology.letter import Letter
from ontology.roles import Role
from ontology.vpp import Vpp, VppMember, VppMetric, VppState

__all__ = ["FLEXIBILITY", "VppInitiation", "VppRecord"]

log = structlog.get_logger()

FLEXIBILITY = "flexibility"
"""What members of plants say in the directory that they offer."""
ROUNDS = 3
"""Calls for proposals at most (SPEC 5.3 B)."""
BID_WITHIN_S = 5.0
SETTLE_WITHIN_S = 120.0
"""How long a group may negotiate before it counts as failed."""
NEGOTIATIONS = 4
"""How often a plant's members negotiate before delivery at most."""
STRAY = 0.05
"""Deviation of the sum from the target, as a share of it, at which the members negotiate again."""
_PLANT, _DELIVERY = "plant ", "delivery "
SCHEDULES_TOLD = 3000
"""Values of schedules that fit into the description of a plant."""


class VppRecord(msgspec.Struct):
    """What the initiator knows of a plant."""

    vpp_id: str
    product: FlexProduct
    state: VppState = VppState.FORMING
    bids: dict[str, CoalitionBid] = {}
    reserves: list[str] = []
    commitments: dict[str, ScheduleCommitment] = {}
    delivered: dict[str, dict[int, int]] = {}
    lost: list[str] = []
    rounds: int = 0
    announced_s: float = 0.0
    formed_s: float = 0.0
    paid_ticks: int = 0


class VppInitiation(Behaviour):
    """Forms a plant for each product that the agent holds."""

    publishes = (Vpp,)

    def setup(self) -> None:
        """Recall the plants from before a restart, and what had been delivered."""
        self.plants: dict[str, VppRecord] = {}
        for name in self.agent.kept_names(_PLANT):
            record = msgspec.json.decode(self.agent.kept_bytes(name) or b"", type=VppRecord)
            self.plants[record.vpp_id] = record
        for name in self.agent.kept_names(_DELIVERY):
            _, vpp_id, member, start_s = name.split(" ")
            if vpp_id in self.plants:
                own = self.plants[vpp_id].delivered.setdefault(member, {})
                own[int(start_s)] = int(self.agent.kept_bytes(name) or b"0")
        self._nets: dict[str, ContractNet[CoalitionBid]] = {}

    @when("stopping")
    def call_off(self) -> None:
        """Leave nobody waiting: call off what is still being negotiated."""
        for net in self._nets.values():
            net.cancel()

    @when("started")
    def plan(self) -> None:
        """Wait for the time to announce each product for which there is no plant yet."""
        planned: Iterable[PlannedProduct] = getattr(self.settings, "products", ())
        for each in planned:
            if each.product.deadline_s > self.now_s() and plant_of(each.product) not in self.plants:
                self.clock.call_at(each.announce_s + ANNOUNCE_OFFSET_S, partial(self.offer, each.product))

    def offer(self, product: FlexProduct) -> None:
        """Begin to form a plant for a product."""
        self.agent.spawn(self.form(product))

    async def form(self, product: FlexProduct) -> None:
        """Recruit members, let them negotiate, and take their commitments."""
        record = VppRecord(plant_of(product), product, announced_s=self.clock.now_s())
        self.plants[record.vpp_id] = record
        chosen = await self._recruit(record)
        if not chosen:
            self._enter(record, VppState.DISSOLVED)
            self.agent.counts["plants without members"] += 1
            return
        await self._negotiate(record, chosen)
        record.formed_s = self.clock.now_s()
        self._enter(record, VppState.ACTIVE if record.commitments else VppState.DISSOLVED)

    async def sound(self, product: FlexProduct) -> dict[str, CoalitionBid] | None:
        """Ask who could contribute to a product, how far and at what price, without taking anybody.

        None when there is nobody to ask; those who are asked and have nothing to give do not bid.
        """
        near, far = await self._candidates(product)
        if not (near or far):
            return None
        net = ContractNet(self.agent, CoalitionBid)
        bids = await net.call([*near, *far], product, within_s=BID_WITHIN_S)
        net.reject_rest("only asked what is possible")
        return bids

    # -- recruitment ----------------------------------------------------------------------------

    async def _recruit(self, record: VppRecord) -> list[str]:
        """Call for proposals, again from who was silent, until the target and a reserve are covered."""
        product, net = record.product, self._net_of(record.vpp_id)
        near, far = await self._candidates(product)
        silent: list[str] = []
        recruitment = recruited({}, product)
        for number in range(1, ROUNDS + 1):
            called = [*silent, *(near if number == 1 else far)]
            call = msgspec.structs.replace(product, round=number)
            record.bids |= await net.call(called, call, within_s=BID_WITHIN_S)
            recruitment = recruited(record.bids, product)
            silent = [who for who in called if who not in record.bids]
            far = far if number == 1 else []
            if recruitment.covered >= 1 or not (silent or far):
                break
        record.reserves = recruitment.reserves
        return recruitment.chosen

    async def _candidates(self, product: FlexProduct) -> tuple[list[str], list[str]]:
        """Return who offers flexibility, by the directory: the own neighbourhood, and the others."""
        try:
            found = await look_up(
                self,
                self.settings.directory,
                role=Role.PROSUMER,
                segment_id=product.segment_id,
                product=FLEXIBILITY,
            )
        except ParityError:
            self.agent.counts["directory unavailable"] += 1
            return [], []
        me = self.agent.address
        profiles = {entry.agent: profile for entry in found if is_whole(profile := entry.profile)}
        near = set(neighbourhood_of(me, profiles)) if me in profiles else {entry.agent for entry in found}
        others = [entry.agent for entry in found if entry.agent != me]
        return [who for who in others if who in near], [who for who in others if who not in near]

    # -- negotiation ----------------------------------------------------------------------------

    async def _negotiate(self, record: VppRecord, chosen: list[str]) -> None:
        """Let members agree; who fell silent is replaced from the reserve, and the rest agree again."""
        members = chosen
        for _ in range(NEGOTIATIONS):
            record.rounds += 1
            silent, willing = await self._settle(record, members)
            record.lost += silent
            for who in silent:
                record.commitments.pop(who, None)
            if not silent and set(willing) <= set(record.commitments):
                break
            replacements, record.reserves = record.reserves[: len(silent)], record.reserves[len(silent) :]
            members = [who for who in members if who not in silent] + replacements
            if not members:
                break
        self._net_of(record.vpp_id).reject_rest("not needed")

    async def _settle(self, record: VppRecord, members: list[str]) -> tuple[list[str], list[str]]:
        """Invite members to negotiate; return who was silent, and who is still willing."""
        groups = groups_of(members, f"{record.vpp_id}/{record.rounds}")
        heads = [group[0] for group in groups]
        settle_by_s = round(self.clock.now_s() + SETTLE_WITHIN_S)
        invitations = [
            (
                who,
                CoalitionInvitation(
                    vpp_id=record.vpp_id,
                    product=record.product,
                    group=group,
                    heads=heads,
                    round=record.rounds,
                    settle_by_s=settle_by_s,
                ),
            )
            for group in groups
            for who in group
        ]
        answers = await asyncio.gather(*(self._commitment_of(*each) for each in invitations))
        silent, willing = [], []
        for (who, _), answer in zip(invitations, answers, strict=True):
            if isinstance(answer, ScheduleCommitment):
                record.commitments[who] = answer
                willing.append(who)
            elif answer == "failed":
                willing.append(who)
                record.commitments.pop(who, None)
            elif answer == "silent":
                silent.append(who)
        return silent, willing

    async def _commitment_of(self, who: str, invitation: CoalitionInvitation) -> ScheduleCommitment | str:
        """Return a member's commitment, or how it answered without one."""
        within_s = invitation.settle_by_s - self.clock.now_s() + BID_WITHIN_S
        net = self._net_of(invitation.vpp_id)
        try:
            if who in net.bidders:
                with suppress(Unavailable):  # then asked again, in case that the answer was lost
                    return await net.accept(who, invitation, ScheduleCommitment, within_s=within_s)
                within_s = BID_WITHIN_S
            return await self.ask(who, invitation, ScheduleCommitment, within_s=within_s)
        except Unavailable:
            return "silent"
        except Refused:
            return "refused"
        except ParityError:
            return "failed"

    # -- operation ------------------------------------------------------------------------------

    @on(DeliveryReport)
    def note_delivery(self, report: DeliveryReport, letter: Letter) -> None:
        """Note by how much a member has deviated; said twice it counts once."""
        record = self.plants.get(report.vpp_id)
        if record is not None and letter.sender == report.member and report.member in record.commitments:
            record.delivered.setdefault(report.member, {})[report.start_s] = report.delivered_wh
            name = f"{_DELIVERY}{report.vpp_id} {report.member} {report.start_s}"
            self.keep(name, str(report.delivered_wh).encode())

    @every(minutes=15, offset_s=60)
    async def operate(self) -> None:
        """Look at what was delivered in the interval that ended; negotiate again, or settle."""
        start_s = self.now_s() // INTERVAL_S * INTERVAL_S - INTERVAL_S
        for record in list(self.plants.values()):
            if record.state is not VppState.ACTIVE or start_s < record.product.start_s:
                continue
            if start_s + INTERVAL_S >= end_of(record.product):
                await self._dissolve(record)
            elif start_s + 3 * INTERVAL_S <= end_of(record.product) and self._has_strayed(record, start_s):
                await self._renegotiate(record, start_s)

    def _net_of(self, vpp_id: str) -> ContractNet[CoalitionBid]:
        return self._nets.setdefault(vpp_id, ContractNet(self.agent, CoalitionBid))

    def _has_strayed(self, record: VppRecord, start_s: int) -> bool:
        """Tell whether members, the lost included, delivered another sum than was promised or ordered."""
        step = starts_of(record.product).index(start_s)
        promised_wh = sum(each.schedule_w[step] for each in record.commitments.values()) / 4
        delivered_wh = sum(own.get(start_s, 0) for own in record.delivered.values())
        ordered_wh = record.product.target_w[step] / 4
        strayed_wh = min(abs(delivered_wh - promised_wh), abs(delivered_wh - ordered_wh))
        return strayed_wh > STRAY * abs(ordered_wh)

    async def _renegotiate(self, record: VppRecord, start_s: int) -> None:
        """Let those who are there, and reserves for those who are not, agree on what remains."""
        gone = [who for who in record.commitments if start_s not in record.delivered.get(who, {})]
        record.lost += gone
        for who in gone:
            record.commitments.pop(who)
        substitutes, record.reserves = record.reserves[: len(gone)], record.reserves[len(gone) :]
        self.agent.counts["plants renegotiated"] += 1
        await self._negotiate(record, [*record.commitments, *substitutes])
        self._enter(record, VppState.ACTIVE if record.commitments else VppState.DISSOLVED)

    # -- payoff and dissolution -----------------------------------------------------------------

    async def _dissolve(self, record: VppRecord) -> None:
        """Pay the members for what they delivered, and let the plant go."""
        self._enter(record, VppState.SETTLING)
        deliveries = [self._delivery_of(record, who) for who in sorted(record.commitments)]
        wanted_wh = sum(abs(w) for w in record.product.target_w) * record.product.step_s // 3600
        paid = price_of(deliveries, record.product.price_ticks_per_kwh, wanted_wh)
        members, rest = payoffs(deliveries, paid)
        record.paid_ticks = paid
        for each in members:
            self.tell(each.member, self._payoff(record, each.cost_ticks + each.surplus_ticks, [each]))
        shown = members[:PAYOFFS_TOLD]
        others = sum(each.cost_ticks + each.surplus_ticks for each in members[PAYOFFS_TOLD:])
        self.tell(self._repository, self._payoff(record, paid, shown, rest + others))
        self._pay(record, members)
        self._enter(record, VppState.DISSOLVED)

    def _pay(self, record: VppRecord, members: list[MemberPayoff]) -> None:
        """Order the payoffs from the initiator's account; a member without one is told only."""
        payer: PayerSettings | None = self.settings.payer
        if payer is None:
            return
        amounts = [
            (record.commitments[each.member].account, each.cost_ticks + each.surplus_ticks)
            for each in members
        ]
        own = (payer.account, *payer.accounts.values(), "")
        tokens = tokens_of([each for each in amounts if each[0] not in own], payer.tokens_per_currency)
        self.sibling(Paying).pay(SettlementKind.VPP_PAYOFF, record.vpp_id, tokens)

    def _payoff(
        self, record: VppRecord, paid_ticks: int, members: list[MemberPayoff], rest_ticks: int = 0
    ) -> VppPayoff:
        return VppPayoff(
            vpp_id=record.vpp_id,
            product_id=record.product.product_id,
            paid_ticks=paid_ticks,
            initiator_ticks=rest_ticks,
            members=members,
        )

    def _delivery_of(self, record: VppRecord, who: str) -> Delivery:
        """Return what a member promised and delivered in the wanted direction."""
        commitment, product = record.commitments[who], record.product
        own = record.delivered.get(who, {})
        committed = delivered = 0
        for step, start_s in enumerate(starts_of(product)):
            sign = 1 if product.target_w[step] > 0 else -1
            committed += sign * commitment.schedule_w[step]
            delivered += sign * own.get(start_s, 0)
        return Delivery(who, round(committed / 4), delivered, commitment.cost_ticks)

    # -- telling --------------------------------------------------------------------------------

    @property
    def _repository(self) -> str:
        contacts = getattr(self.settings, "contacts", None)
        return str(contacts.repository if contacts is not None else self.settings.repository)

    def _enter(self, record: VppRecord, state: VppState) -> None:
        record.state = state
        self._remember(record)
        described = self.describe(record)
        self.tell(self._repository, described)
        self.publish(described)

    def _remember(self, record: VppRecord) -> None:
        """Keep a plant over a restart for as long as it is to deliver and to be paid."""
        if record.state is not VppState.DISSOLVED:
            self.keep(_PLANT + record.vpp_id, msgspec.json.encode(record))
            return
        self.keep(_PLANT + record.vpp_id, None)
        for name in self.agent.kept_names(f"{_DELIVERY}{record.vpp_id} "):
            self.keep(name, None)

    def describe(self, record: VppRecord) -> Vpp:
        """Return the plant as others may know it: members, schedules where they fit, and metrics."""
        product = record.product
        capacity = {who: sum(record.bids[who].capacity_w) for who in record.commitments if who in record.bids}
        total = sum(capacity.values()) or 1
        fits = len(record.commitments) * len(product.target_w) <= SCHEDULES_TOLD
        return Vpp(
            vpp_id=record.vpp_id,
            product=product.product_id,
            members=[
                VppMember(
                    agent=who,
                    share=capacity.get(who, 0) / total,
                    schedule_w=commitment.schedule_w if fits else [],
                )
                for who, commitment in sorted(record.commitments.items())
            ],
            valid_from_s=product.start_s,
            valid_to_s=end_of(product),
            step_s=product.step_s,
            target_w=product.target_w,
            state=record.state,
            metrics=metrics_of(record),
        )


def is_whole(profile: CoarseProfile | None) -> TypeGuard[CoarseProfile]:
    """Tell whether a profile covers the day, so that it can be compared with others."""
    return profile is not None and len(profile.net_w) == PROFILE_BLOCKS


def plant_of(product: FlexProduct) -> str:
    """Return the name of the plant that delivers a product."""
    return f"vpp-{product.product_id}"


ANNOUNCE_OFFSET_S = 100.0
"""After the plans of an interval have been made (SPEC 2.3)."""
PAYOFFS_TOLD = 200
"""Payoffs that fit into one letter; what others got stands in the initiator's share."""


def metrics_of(record: VppRecord) -> list[VppMetric]:
    """Return the figures of a plant (D8.1 Table 4, test 2)."""
    product = record.product
    sums: dict[int, int] = defaultdict(int)
    for commitment in record.commitments.values():
        for step, power_w in enumerate(commitment.schedule_w):
            sums[step] += power_w
    wanted = sum(map(abs, product.target_w))
    residual = sum(abs(w - sums[step]) for step, w in enumerate(product.target_w))
    delivered = sum(sum(own.values()) for own in record.delivered.values())
    committed = sum(sums.values()) / 4
    cost = sum(each.cost_ticks for each in record.commitments.values())
    return [
        VppMetric(name="members", value=float(len(record.commitments))),
        VppMetric(name="bids", value=float(len(record.bids))),
        VppMetric(name="members_lost", value=float(len(record.lost))),
        VppMetric(name="negotiations", value=float(record.rounds)),
        VppMetric(name="committed", value=float(committed), unit="Wh"),
        VppMetric(name="delivered", value=float(delivered), unit="Wh"),
        VppMetric(name="residual", value=residual / wanted, unit="share of target"),
        VppMetric(name="delivered_share", value=delivered / committed if committed else 0.0),
        VppMetric(name="cost", value=float(cost), unit="ticks"),
        VppMetric(name="paid", value=float(record.paid_ticks), unit="ticks"),
        VppMetric(name="formation", value=max(0.0, record.formed_s - record.announced_s), unit="s"),
    ]
