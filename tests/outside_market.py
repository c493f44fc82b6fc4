"""A market outside in virtual time: scenarios that trade there, and participants that speak real UFTP."""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
from recorded_run import Notebook, RecordedRun

from behaviours.decisions.flexibility_market.daily_documents import day_end_s, day_start_s
from behaviours.decisions.flexibility_market.flexibility_settlement import (
    ordered_powers,
    settled_interval,
    settled_order,
)
from behaviours.decisions.flexibility_market.selection import Bid, Chosen, cost_ticks
from behaviours.decisions.flexibility_market.validation import price_ticks_at
from behaviours.ports import AgentStore, Clock, FlexibilityExchange
from environments.repository.agent_store import MemoryAgentStore
from environments.uftp.exchange import UftpOffice
from environments.uftp.gateway import Identity, Incoming, UftpGateway
from environments.uftp.in_process import InProcessCarrier, MessageRoom
from environments.uftp.participants import AddressBook, Participant
from environments.uftp.roles import ParticipantRole
from environments.uftp.signing import SigningKey
from environments.uftp.speech import response
from launch.offline import OfflineCommunity
from launch.scenario import Scenario, scenario_of
from launch.uftp import market_terms
from ontology.base import Concept
from ontology.discourse import Acknowledgement
from ontology.flexibility_trading import (
    DPrognosis,
    FlexMetering,
    FlexOffer,
    FlexOrder,
    FlexRequest,
    FlexSettlement,
    FlexSettlementResponse,
    MeteredInterval,
    OfferOption,
    OrderSettlement,
    OrderStatus,
    OrderVerdict,
    PowerInterval,
    TradeDocument,
)

changed = msgspec.structs.replace

AGR, DSO = ParticipantRole.AGR, ParticipantRole.DSO
DOMAINS = {DSO: "dso.example.org", AGR: "agr.example.org"}
POINT = "ean.871685900012636543"
ZONE = "Europe/Berlin"
CAREFUL = {"loading_yellow": 0.20, "loading_red": 3.0}
"""Thresholds of a DSO that calls a quarter of the transformer congestion: no night is without."""
PENALTY = 2000
"""Of the scenario's market, in ticks a kWh."""
BASELINE_W = 20_000
"""What an aggregator outside foresees at all times."""


def keys_in(
    folder: Path, keys: Mapping[ParticipantRole, SigningKey] | None = None
) -> Mapping[ParticipantRole, SigningKey]:
    """Keys of both sides, new ones if none are given, with their files: `dso.key`, `dso.pub`, …"""
    keys = keys or {role: SigningKey(os.urandom(32)) for role in DOMAINS}
    for role, key in keys.items():
        private = folder / f"{role.lower()}.key"
        private.write_text(key.text, "ascii")
        private.chmod(0o600)
        (folder / f"{role.lower()}.pub").write_text(key.verify_key.text, "ascii")
    return keys


def url_of(role: ParticipantRole) -> str:
    return f"https://{DOMAINS[role]}/shapeshifter/api/v3/message"


def outside(folder: Path, role: ParticipantRole, *, endpoint: str = "", **changes: Any) -> dict[str, Any]:
    """The `uftp` section of a community in a role, whose one counterparty has the other."""
    (other,) = set(DOMAINS) - {role}
    return {
        "role": role.lower(),
        "domain": DOMAINS[role],
        "key_file": str(folder / f"{role.lower()}.key"),
        "listen": "127.0.0.1:0",
        "congestion_points": [{"segment": "segment-001", "address": POINT}],
        "counterparties": [
            {
                "domain": DOMAINS[other],
                "endpoint": endpoint or url_of(other),
                "public_key_file": str(folder / f"{other.lower()}.pub"),
            }
        ],
    } | changes


def night(trade: Mapping[str, Any], intervals: int, **changes: Any) -> Scenario:
    """A February night of twelve households on a transformer that a careful DSO finds too small."""
    return scenario_of(
        {
            "start": "2024-02-13",
            "zone": ZONE,
            "seed": 5,
            "population": {"sites": 12},
            "record": False,
            "pace_s": 1,
            "intervals": intervals,
            "grid": {"transformer_kva": 30, "thresholds": CAREFUL},
            "flexibility_market": {"active": True, "loading": 0.27, "uftp": dict(trade)},
        }
        | changes
    )


class Foreigner:
    """A participant outside in virtual time: a gateway of its own, what it heard, and how it answers."""

    def __init__(
        self,
        role: ParticipantRole,
        key: SigningKey,
        answer: Callable[["Foreigner", Incoming], Any],
    ) -> None:
        self.role, self.key, self._answer = role, key, answer
        self.heard: list[Incoming] = []
        self.store: AgentStore = MemoryAgentStore()
        self._said = 0
        self._watch: Callable[[Concept], None] = lambda _: None

    def at_each(self, watch: Callable[[Concept], None]) -> None:
        """Have something told whatever is about to be said here, and whatever has just come in."""
        self._watch = watch

    def settle_in(self, room: MessageRoom, scenario: Scenario, partner_key: SigningKey, clock: Clock) -> None:
        """Open a gateway in a room."""
        (other,) = set(DOMAINS) - {self.role}
        trade = scenario.flexibility_market.uftp
        assert trade is not None
        self.clock, self.partner = clock, DOMAINS[other]
        self.gateway = UftpGateway(
            Identity(DOMAINS[self.role], self.role, self.key),
            market_terms(scenario, trade),
            AddressBook([Participant(self.partner, other, partner_key.verify_key, url_of(other))]),
            self.store,
            clock,
            self._hear,
            carrier=InProcessCarrier(room),
        )
        room.open(url_of(self.role), self.gateway.take)

    def say(self, content: Concept, **about: str) -> str:
        """Say something; return its id outside."""
        self._watch(content)
        self._said += 1
        letter = about.pop("letter", f"{self.role} {self._said}")
        about.setdefault("conversation", f"about {letter}")
        return self.gateway.say(content, to=self.partner, message_id=letter, **about)

    def later(self, seconds: float, content: Concept, **about: str) -> None:
        """Say something after a while."""
        asyncio.get_running_loop().call_later(seconds, lambda: self.say(content, **about))

    def respond(self, said: Incoming, document: TradeDocument, *reasons: str) -> None:
        """Respond to a document: accepted, or rejected for some reasons."""
        answer = response(document, said.message_id, list(reasons))
        self.say(answer, conversation=said.conversation, in_reply_to=said.message_id)

    def of(self, kind: type[Concept]) -> list[Any]:
        """What was said of a kind."""
        return [each.content for each in self.heard if isinstance(each.content, kind)]

    def prognosis(self, message_id: str) -> dict[int, int]:
        """The powers of a prognosis that was heard, in W by start of interval."""
        (heard,) = (each for each in self.heard if each.message_id == message_id)
        assert isinstance(heard.content, DPrognosis)
        return {each.start_s: each.power_w for each in heard.content.intervals}

    async def _hear(self, incoming: Incoming) -> None:
        self.heard.append(incoming)
        self._watch(incoming.content)
        answer = self._answer(self, incoming)
        if asyncio.iscoroutine(answer):
            await answer


class OutsideRun(RecordedRun):
    """A community in virtual time beside a participant outside, every message between them sealed UFTP."""

    def __init__(
        self, scenario: Scenario, keys: Mapping[ParticipantRole, SigningKey], foreigner: Foreigner
    ) -> None:
        self.notebook = Notebook()
        self.scenario, self.keys, self.foreigner = scenario, keys, foreigner
        self.room = MessageRoom()
        (self.role,) = set(DOMAINS) - {foreigner.role}
        self.store = MemoryAgentStore()
        self.offline = OfflineCommunity(scenario, recorder=self.notebook, exchanges=self._exchanges)
        self.world, self.community = self.offline.world, self.offline.community
        self.intervals_done, self.is_over, self._tables = 0, False, None
        loop = self.offline.loop
        loop.call_soon(lambda: loop.create_task(self._begin()))

    def _exchanges(self, clock: Clock) -> Mapping[str, FlexibilityExchange]:
        self.clock = clock
        self.foreigner.settle_in(self.room, self.scenario, self.keys[self.role], clock)
        return self._office_again()

    def _office_again(self) -> Mapping[str, FlexibilityExchange]:
        trade = self.scenario.flexibility_market.uftp
        assert trade is not None
        other = self.foreigner.role
        self.office = UftpOffice(
            Identity(trade.domain, self.role, self.keys[self.role]),
            market_terms(self.scenario, trade),
            AddressBook([Participant(DOMAINS[other], other, self.keys[other].verify_key, url_of(other))]),
            [DOMAINS[other]],
            self.store,
            self.clock,
            carrier=InProcessCarrier(self.room),
        )
        return self.office.exchanges

    async def _begin(self) -> None:
        await self.foreigner.gateway.resume()
        await self._listen()

    async def _listen(self) -> None:
        await self.office.gateway.resume()
        self.room.open(url_of(self.role), self.office.gateway.take)

    def crash(self) -> None:
        """Let the agent that stands for the participant and all that brings it messages die at once."""
        self.community.kill(self.gateway)
        self.room.close(url_of(self.role))
        self.offline.loop.create_task(self.office.close())

    def recover(self) -> None:
        """Bring both back; they know what they had written down."""
        exchanges = self._office_again()
        self.community.ground.exchanges[self.gateway] = exchanges[DOMAINS[self.foreigner.role]]
        self.offline.loop.create_task(self._listen())
        self.community.restart(self.gateway)

    @property
    def gateway(self) -> str:
        """The address of the agent that stands for the participant outside."""
        return f"uftp.{DOMAINS[self.foreigner.role]}@localhost"

    def at(self, time_s: float, act: Callable[[], object]) -> None:
        """Let something happen at a moment of the run."""
        self.offline.loop.call_at(time_s, act)

    def restart(self, address: str) -> None:
        self.offline.loop.call_soon(self.community.restart, address)


def alternatives(bid: Bid) -> list[Chosen | None]:
    """Every way to order of an offer: not at all, or an option at a hundredth from its minimum on."""
    return [
        None,
        *(
            Chosen(bid, option, share / 100)
            for option in bid.offer.options
            for share in range(round(option.activation_min * 100), 101)
        ),
    ]


def least_cost_ticks(need_w: Mapping[int, int], bids: Sequence[Bid], willingness: int) -> float:
    """The least that any choice among some offers costs, found by trying every one."""
    return min(
        cost_ticks(need_w, [each for each in choice if each], willingness)
        for choice in product(*(alternatives(bid) for bid in bids))
    )


def local(moment: str) -> int:
    """Epoch seconds of a local time, `2024-02-13T03:00`."""
    from zoneinfo import ZoneInfo

    return int(datetime.fromisoformat(moment).replace(tzinfo=ZoneInfo(ZONE)).timestamp())


class Buyer:
    """How a DSO outside answers: it orders an option of each offer, and settles what was metered."""

    def __init__(self, option: int = 0, activation: float = 1.0, **changes: Any) -> None:
        self.option, self.activation, self.changes = option, activation, changes
        self.orders: list[FlexOrder] = []

    def __call__(self, me: Foreigner, said: Incoming) -> None:
        match said.content:
            case FlexOffer():
                self._order(me, said, said.content)
            case FlexMetering():
                me.say(Acknowledgement(of=said.message_id), in_reply_to=said.message_id)
                self._settle(me, said.content)

    def _order(self, me: Foreigner, said: Incoming, offer: FlexOffer) -> None:
        option = offer.options[self.option]
        order = FlexOrder(
            period_start_s=offer.period_start_s,
            period_end_s=offer.period_end_s,
            congestion_point=offer.congestion_point,
            order_reference=f"order {len(self.orders) + 1}",
            offer_message_id=said.message_id,
            option_reference=option.option_reference,
            prognosis_message_id=offer.prognosis_message_id,
            price_ticks=price_ticks_at(option.price_ticks, self.activation),
            activation_factor=self.activation,
            intervals=option.intervals,
        )
        self.orders.append(changed(order, **self.changes))
        me.say(self.orders[-1], conversation=said.conversation)

    def _settle(self, me: Foreigner, metering: FlexMetering) -> None:
        """Settle every order whose intervals have all been metered, by the prognosis that it names."""
        actual_w = {each.start_s: each.actual_w for each in metering.intervals}
        settled = [
            settlement_of(order, me.prognosis(order.prognosis_message_id), actual_w)
            for order in self.orders
            if ordered_powers(order).keys() <= actual_w.keys()
        ]
        start_s, end_s = metering.period_start_s, metering.period_end_s
        me.say(FlexSettlement(period_start_s=start_s, period_end_s=end_s, orders=settled))


def settlement_of(
    order: FlexOrder, baseline_w: Mapping[int, int], actual_w: Mapping[int, int]
) -> OrderSettlement:
    """What an order is worth at the market's penalty."""
    intervals = [
        settled_interval(start_s, baseline_w[start_s], power_w, actual_w[start_s])
        for start_s, power_w in sorted(ordered_powers(order).items())
    ]
    return settled_order(order, intervals, PENALTY)


class Seller:
    """How an aggregator outside answers: it foresees, offers at its prices, and delivers a share."""

    def __init__(
        self, prices: Mapping[str, tuple[float, int]], *, delivers: float = 1.0, prognosis: bool = True
    ) -> None:
        """Offer options: name to share of what is wanted, and price in ticks a kWh."""
        self.prices, self.delivers, self.prognosis = prices, delivers, prognosis
        self._revision = 0

    def __call__(self, me: Foreigner, said: Incoming) -> Any:
        match said.content:
            case FlexRequest():
                self._offer(me, said, said.content)
            case FlexOrder():
                me.say(Acknowledgement(of=said.message_id), in_reply_to=said.message_id)
                over_s = max(ordered_powers(said.content)) + 960
                asyncio.get_running_loop().call_at(over_s, self._meter, me, said.content)
            case FlexSettlement():
                self._judge(me, said, said.content)

    def _offer(self, me: Foreigner, said: Incoming, request: FlexRequest) -> None:
        day = (day_start_s(request.period_start_s, ZONE), day_end_s(request.period_start_s, ZONE))
        starts = [each.start_s for each in request.intervals]
        self._revision += 1
        foreseen = DPrognosis(
            period_start_s=day[0],
            period_end_s=day[1],
            congestion_point=request.congestion_point,
            revision=self._revision,
            intervals=[PowerInterval(start_s=each, power_w=BASELINE_W) for each in starts],
        )
        letter = f"prognosis {self._revision}"
        if self.prognosis:
            me.say(foreseen, letter=letter, conversation=said.conversation)
        options = [self._option(name, share, price, request) for name, (share, price) in self.prices.items()]
        offer = FlexOffer(
            period_start_s=request.period_start_s,
            period_end_s=request.period_end_s,
            congestion_point=request.congestion_point,
            expiration_s=request.expiration_s + 900,
            request_message_id=said.message_id,
            prognosis_message_id=letter if self.prognosis else "",
            options=options,
        )
        me.say(offer, conversation=said.conversation)

    def _option(self, name: str, share: float, price: int, request: FlexRequest) -> OfferOption:
        intervals = [
            PowerInterval(start_s=each.start_s, power_w=round(share * each.power_min_w))
            for each in request.intervals
        ]
        energy_wh = sum(abs(each.power_w) for each in intervals) / 4
        return OfferOption(
            option_reference=name, price_ticks=round(energy_wh * price / 1000), intervals=intervals
        )

    def _meter(self, me: Foreigner, order: FlexOrder) -> None:
        """Meter what was delivered."""
        self._revision += 1
        metered = [
            MeteredInterval(start_s=start_s, actual_w=BASELINE_W + round(power_w * self.delivers))
            for start_s, power_w in sorted(ordered_powers(order).items())
        ]
        metering = FlexMetering(
            period_start_s=order.period_start_s,
            period_end_s=order.period_end_s,
            congestion_point=order.congestion_point,
            revision=self._revision,
            intervals=metered,
        )
        me.say(metering)

    def _judge(self, me: Foreigner, said: Incoming, settlement: FlexSettlement) -> None:
        statuses = [
            OrderStatus(order_reference=each.order_reference, verdict=OrderVerdict.ACCEPTED)
            for each in settlement.orders
        ]
        verdict = FlexSettlementResponse(settlement_message_id=said.message_id, orders=statuses)
        me.say(verdict, conversation=said.conversation, in_reply_to=said.message_id)
