"""The aggregator sells its portfolio's flexibility to the DSO (SPEC 2.5, 4.9).

```
every 15 min   inform DPrognosis
cfp FlexRequest → propose FlexOffer | refuse, with every reason
                → accept-proposal FlexOrder → inform FlexResponse, and a plant is formed
                → cancel FlexOfferRevocation, when the portfolio can no longer do it
```
Offers and orders are kept over a restart; an order that is said twice is the same order.
"""

from collections.abc import Mapping

import msgspec

from behaviours.behaviour import Behaviour, every, on, when
from behaviours.decisions.coalition.products import product_of_order, product_of_request
from behaviours.decisions.flexibility_market.baselines import Baseline
from behaviours.decisions.flexibility_market.flexibility_settlement import ordered_powers
from behaviours.decisions.flexibility_market.offering import (
    USUAL_TERMS,
    MemberFlexibility,
    members_by_bid,
    members_by_forecast,
    offer_options,
    wanted_powers,
)
from behaviours.decisions.flexibility_market.terms import FlexibilityTerms
from behaviours.decisions.flexibility_market.validation import Known, KnownOffer, breaches, reasons
from behaviours.decisions.market_activity import Market, is_active
from behaviours.information.delivery import grouped
from behaviours.market.opening import AggregatorSettings, TrafficLightObedience
from behaviours.market.portfolio import PortfolioKeeping
from behaviours.vpp.initiation import VppInitiation, plant_of
from ontology.base import INTERVAL_S
from ontology.codec import message_type_of
from ontology.discourse import Query, QueryResult
from ontology.errors import Failed, ParityError, Refused
from ontology.flexibility_trading import (
    DPrognosis,
    FlexOffer,
    FlexOfferRevocation,
    FlexOrder,
    FlexRequest,
    FlexReservation,
    FlexResponse,
    OfferOption,
    PowerInterval,
    ResponseResult,
    TradeDocument,
)
from ontology.forecasts import Forecast
from ontology.letter import Letter
from ontology.performatives import Performative

__all__ = ["FlexibilityOffering", "OfferRecord", "SoldOrder"]

_FORECAST = message_type_of(Forecast)
_OFFER, _SOLD, _RESERVED, _REVISION = "flex offer ", "flex sold ", "flex reserved ", "flex revision "
OUTLOOK = 28
"""Intervals that a prognosis covers: seven hours, beyond the end of any request."""
PRICE_MAX_TICKS_PER_KWH = 5000
"""What members are asked for at most: what they bid is what is offered."""
ENERGY_TICKS_PER_KWH = 1200
"""What making up for a kWh costs a member at most while prices are as usual."""
SITES_A_QUERY = 24


class OfferRecord(msgspec.Struct):
    """An offer that was made: its id, the baseline that it deviates from (W), and what became of it."""

    message_id: str
    offer: FlexOffer
    baseline_w: dict[int, int]
    revoked: bool = False
    ordered: bool = False

    def is_open(self, now_s: int) -> bool:
        """Tell whether it can still be ordered."""
        return self.offer.expiration_s > now_s and not (self.revoked or self.ordered)


class SoldOrder(msgspec.Struct):
    """An order that was taken, and how far it has come."""

    order: FlexOrder
    baseline_w: dict[int, int]
    metered_w: dict[int, int] = {}
    reported: bool = False
    agreed: bool = False
    disputed: str = ""
    attempts: int = 0

    @property
    def powers_w(self) -> dict[int, int]:
        """The deviation sold, in W by start of interval."""
        return ordered_powers(self.order)

    @property
    def end_s(self) -> int:
        """When its last interval ends."""
        return max(self.powers_w) + INTERVAL_S


class FlexibilityOffering(Behaviour):
    """Answers the DSO's requests with what the portfolio can do, and lets a plant deliver what is ordered."""

    settings: AggregatorSettings

    def setup(self) -> None:
        """Recall offers, orders and reservations from before a restart."""
        self.terms: FlexibilityTerms | None = getattr(self.settings, "flexibility", None)
        self.offers: dict[str, OfferRecord] = {}
        for name in self.agent.kept_names(_OFFER):
            made = msgspec.json.decode(self.agent.kept_bytes(name) or b"", type=OfferRecord)
            self.offers[made.message_id] = made
        self.sold: dict[str, SoldOrder] = {}
        for name in self.agent.kept_names(_SOLD):
            sold = msgspec.json.decode(self.agent.kept_bytes(name) or b"", type=SoldOrder)
            self.sold[sold.order.order_reference] = sold
        self._revisions: dict[tuple[str, str, int], int] = {}
        self._prognoses: dict[str, tuple[str, dict[int, int]]] = {}

    def buyer(self, point: str) -> str:
        """Return who buys flexibility at a congestion point."""
        return self.settings.buyers.get(point, self.settings.dso)

    def points_of(self, buyer: str) -> frozenset[str]:
        """Return the congestion points at which somebody buys."""
        return frozenset(point for point in self.settings.segments if self.buyer(point) == buyer)

    # -- what is expected -----------------------------------------------------------------------

    @every(minutes=15, offset_s=540)
    async def foresee(self) -> None:
        """Tell the DSO what the portfolio of each segment will draw without any order, as far as is known."""
        if self.terms is None:
            return
        start_s = self.now_s() // INTERVAL_S * INTERVAL_S + INTERVAL_S
        for point in self.settings.segments:
            for step in range(OUTLOOK):
                self._hold(point, start_s + step * INTERVAL_S)
            power_w = await self._expected_w(point, start_s)
            if power_w is not None:
                self._tell_prognosis(point, start_s, power_w)

    def _tell_prognosis(self, point: str, start_s: int, power_w: list[int]) -> None:
        expected_w = {start_s + i * INTERVAL_S: each for i, each in enumerate(power_w)}
        prognosis = DPrognosis(
            period_start_s=start_s,
            period_end_s=start_s + OUTLOOK * INTERVAL_S,
            congestion_point=point,
            revision=self.agent.boots,
            intervals=[PowerInterval(start_s=s, power_w=w) for s, w in expected_w.items()],
        )
        message_id = self.tell(self.buyer(point), prognosis)
        self.tell(self.settings.repository, prognosis)
        self._prognoses[point] = message_id, expected_w

    async def _expected_w(self, point: str, start_s: int) -> list[int] | None:
        """Return the sum of the members' newest forecasts in W; None when not all are there."""
        sites = self._sites(point)
        total = [0] * OUTLOOK
        found = 0
        for group in grouped(sites, SITES_A_QUERY):
            query = Query(entity=_FORECAST, subjects=list(group), latest=True)
            try:
                result = await self.ask(
                    self.settings.repository, query, QueryResult, act=Performative.QUERY_REF
                )
            except ParityError:
                self.agent.counts["repository unavailable"] += 1
                return None
            for forecast in result.items:
                if isinstance(forecast, Forecast):
                    found += 1
                    total = [sum(pair) for pair in zip(total, _window(forecast, start_s), strict=True)]
        return total if found == len(sites) else None

    def _sites(self, point: str) -> list[str]:
        return sorted(each.site for each in self.settings.portfolio if each.segment_id == point)

    # -- offering -------------------------------------------------------------------------------

    @on(FlexRequest, Performative.CFP)
    async def offer(self, request: FlexRequest, letter: Letter) -> None:
        """Propose what the portfolio can do towards a request, in exclusive options.

        Raises: Refused with every reason: a rule is broken, the light does not allow trading, there is
        nothing to offer.
        """
        self._require_open(request, letter)
        wanted_w = wanted_powers(request)
        options = await self._options(request, wanted_w)
        if not options:
            raise Refused("nothing to offer")
        prognosis_id, baseline_w = self._prognoses.get(request.congestion_point, ("", {}))
        offer = FlexOffer(
            period_start_s=request.period_start_s,
            period_end_s=request.period_end_s,
            congestion_point=request.congestion_point,
            expiration_s=request.expiration_s + INTERVAL_S,
            request_message_id=letter.message_id,
            baseline_reference=self._baseline,
            prognosis_message_id=prognosis_id,
            contract_id=request.contract_id,
            options=options,
        )
        message_id = self.agent.post.reply(letter, offer, Performative.PROPOSE)
        self._revisions["FlexRequest", request.congestion_point, request.period_start_s] = request.revision
        foreseen_w = {start_s: baseline_w[start_s] for start_s in wanted_w if start_s in baseline_w}
        self._keep_offer(OfferRecord(message_id, offer, foreseen_w))
        self.agent.counts["offers"] += 1

    @property
    def _baseline(self) -> str:
        return self.terms.baseline.value if self.terms else Baseline.D_PROGNOSIS.value

    def _require_open(self, request: FlexRequest, letter: Letter) -> None:
        """Check that a request is a buyer's, keeps the rules, and that its intervals may be traded.

        An interval of which the light is known is traded only while YELLOW; of the others the DSO, who
        asks, foresees that they will be.

        Raises: Refused.
        """
        if self.terms is None or not self.points_of(letter.sender):
            raise Refused("no flexibility is sold here")
        found = breaches(request, letter.message_id, self._known(letter.sender))
        if found:
            raise Refused("; ".join(reasons(found))[:4000])
        _, foreseen_w = self._prognoses.get(request.congestion_point, ("", {}))
        if not foreseen_w:
            raise Refused("no prognosis of this congestion point has been made yet")
        if not foreseen_w.keys() >= wanted_powers(request).keys():
            raise Refused(f"nothing is foreseen yet beyond {max(foreseen_w) + INTERVAL_S}")
        for each in request.intervals:
            light = self.sibling(TrafficLightObedience).known(request.congestion_point, each.start_s)
            if light is not None and not is_active(Market.EXPLICIT_FLEXIBILITY, light):
                raise Refused(f"flexibility is not traded while {light}")

    async def _options(self, request: FlexRequest, wanted_w: Mapping[int, int]) -> list[OfferOption]:
        """Return the options for a request, from members' bids, or what they said last if none can be asked.

        Raises: Refused when the request wants nothing.
        """
        product = product_of_request(request, PRICE_MAX_TICKS_PER_KWH)
        if product is None:
            raise Refused("nothing is wanted")
        bids = await self.sibling(VppInitiation).sound(product)
        point, portfolio = request.congestion_point, self.sibling(PortfolioKeeping)
        if bids is None:
            members = self._members(point, wanted_w)
        else:
            members = members_by_bid(bids, product, wanted_w)
        besides: tuple[str, ...] = (_RESERVED,) if request.contract_id else ()
        if bids is not None:  # who is promised already does not bid
            besides += (_SOLD,)
        offered_w = self._on_offer_w(request)
        taken_w = {s: offered_w + portfolio.promised_w(s, point, besides=besides) for s in wanted_w}
        penalty = self.terms.penalty_ticks_per_kwh if self.terms else 0
        return offer_options(wanted_w, members, taken_w, USUAL_TERMS._replace(penalty_ticks_per_kwh=penalty))

    def _on_offer_w(self, request: FlexRequest) -> int:
        """Return the power of open offers that members could not deliver beside what is asked for now, in W.

        A member joins one plant at a time: an offer binds those whom it needs from its beginning to its end.
        """
        return sum(
            max(abs(each.power_w) for each in made.offer.options[0].intervals)
            for made in self.offers.values()
            if made.is_open(self.now_s())
            and made.offer.congestion_point == request.congestion_point
            and made.offer.period_start_s < request.period_end_s
            and request.period_start_s < made.offer.period_end_s
        )

    # -- orders ---------------------------------------------------------------------------------

    @on(FlexOrder, Performative.ACCEPT_PROPOSAL)
    @on(FlexOrder, Performative.REQUEST)
    def take_order(self, order: FlexOrder, letter: Letter) -> FlexResponse:
        """Take an order and let a plant deliver it; the same order said again gets the same answer.

        Raises: Refused when it is not a buyer's, Failed with every reason when it breaks the rules.
        """
        if self.terms is None or not self.points_of(letter.sender):
            raise Refused("no flexibility is sold here")
        known = self.sold.get(order.order_reference)
        if known is None or known.order != order:
            found = breaches(order, letter.message_id, self._known(letter.sender))
            if found:
                raise Failed("; ".join(reasons(found))[:4000])
            made = self.offers[order.offer_message_id]
            made.ordered = True
            self._keep_offer(made)
            self.remember(SoldOrder(order, made.baseline_w))
            self.agent.counts["orders taken"] += 1
            self._dispatch(order)
        return FlexResponse(
            document=TradeDocument.FLEX_ORDER,
            reference_message_id=letter.message_id,
            result=ResponseResult.ACCEPTED,
        )

    def _dispatch(self, order: FlexOrder) -> None:
        """Form a plant that delivers an order, unless there is one already."""
        product = product_of_order(order, ordered_powers(order), USUAL_TERMS.fee)
        plants = self.sibling(VppInitiation)
        if plant_of(product) not in plants.plants and product.deadline_s > self.now_s():
            plants.offer(product)

    @when("started")
    def dispatch_again(self) -> None:
        """Form the plants of orders that were taken before a restart and have none yet."""
        for sold in self.sold.values():
            self._promise(sold)
            self._dispatch(sold.order)

    def remember(self, sold: SoldOrder) -> None:
        """Keep how far an order has come over a restart."""
        self.sold[sold.order.order_reference] = sold
        self._promise(sold)
        self.keep(_SOLD + sold.order.order_reference, msgspec.json.encode(sold))

    def _promise(self, sold: SoldOrder) -> None:
        order = sold.order
        self.sibling(PortfolioKeeping).promise(
            _SOLD + order.order_reference, sold.powers_w, order.congestion_point
        )

    # -- revocation -----------------------------------------------------------------------------

    @every(minutes=15, offset_s=660)
    async def revoke(self) -> None:
        """Take back offers of which not even the smallest option can be delivered any more."""
        now_s = self.now_s()
        for made in list(self.offers.values()):
            if made.offer.period_end_s + 86_400 < now_s:
                del self.offers[made.message_id]
                self.keep(_OFFER + made.message_id, None)
            elif made.is_open(now_s) and not self._still_able(made):
                await self._take_back(made)

    def _still_able(self, made: OfferRecord) -> bool:
        """Tell whether members could still do the least that an offer may be ordered for."""
        return any(self._can_do(made.offer.congestion_point, option) for option in made.offer.options)

    def _can_do(self, point: str, option: OfferOption) -> bool:
        """Tell whether members could do an option at its least activation, each interval by itself.

        Where no member's forecast reaches, they are taken at their word.
        """
        portfolio, sites = self.sibling(PortfolioKeeping), self._sites(point)
        for each in option.intervals:
            if portfolio.covering(sites, each.start_s):
                able = self._members(point, {each.start_s: each.power_w})
                if sum(member.power_w[0] for member in able) < abs(each.power_w) * option.activation_min:
                    return False
        return True

    def _members(self, point: str, wanted_w: Mapping[int, int]) -> list[MemberFlexibility]:
        """Return what the members at a congestion point could do in the wanted intervals."""
        portfolio, sites = self.sibling(PortfolioKeeping), self._sites(point)
        known = {f.subject: f for start_s in wanted_w for f in portfolio.covering(sites, start_s)}
        return members_by_forecast(known.values(), wanted_w, ENERGY_TICKS_PER_KWH)

    async def _take_back(self, made: OfferRecord) -> None:
        """Revoke an offer; where the DSO has ordered meanwhile, the order stands."""
        revocation = FlexOfferRevocation(offer_message_id=made.message_id)
        try:
            await self.ask(
                self.buyer(made.offer.congestion_point), revocation, FlexResponse, act=Performative.CANCEL
            )
        except ParityError:
            self.agent.counts["revocations refused"] += 1
            return
        made.revoked = True
        self._keep_offer(made)
        self.agent.counts["offers taken back"] += 1

    def _keep_offer(self, made: OfferRecord) -> None:
        self.offers[made.message_id] = made
        self.keep(_OFFER + made.message_id, msgspec.json.encode(made))

    # -- reservations ---------------------------------------------------------------------------

    @on(FlexReservation)
    def reserve(self, reservation: FlexReservation, letter: Letter) -> FlexResponse | None:
        """Note how much a buyer keeps reserved; what it does not keep is free to be sold elsewhere.

        Who asks is told that it is taken, too; who tells hears only what is wrong.
        """
        if self.terms is None or not self.points_of(letter.sender):
            return None
        found = breaches(reservation, letter.message_id, self._known(letter.sender))
        if found:
            self.agent.counts["reservations rejected"] += 1
        else:
            self._note_reservation(reservation)
        if not found and letter.performative is not Performative.REQUEST:
            return None
        return FlexResponse(
            document=TradeDocument.FLEX_RESERVATION,
            reference_message_id=letter.message_id,
            result=ResponseResult.REJECTED if found else ResponseResult.ACCEPTED,
            reasons=reasons(found),
        )

    def _note_reservation(self, reservation: FlexReservation) -> None:
        for each in reservation.intervals:
            name = _reservation(reservation.contract_id, reservation.congestion_point, each.start_s)
            self.keep(name, msgspec.json.encode((each.start_s, abs(each.power_w))))
            self._hold(reservation.congestion_point, each.start_s)

    def _hold(self, point: str, start_s: int) -> None:
        """Keep out of other sales what contracts reserve: all that they hold, until the DSO says less."""
        assert self.terms is not None
        for contract_id, held_w in self.terms.contracts_w.items():
            said = self.agent.kept_bytes(_reservation(contract_id, point, start_s))
            of_s, power_w = msgspec.json.decode(said, type=tuple[int, int]) if said else (0, 0)
            reserved_w = power_w if of_s == start_s else held_w
            name = f"{_RESERVED}{contract_id} {point} {start_s}"
            self.sibling(PortfolioKeeping).promise(name, {start_s: reserved_w}, point)

    def _known(self, buyer: str) -> Known:
        """Return what a buyer's documents are checked against."""
        assert self.terms is not None
        return Known(
            now_s=self.now_s(),
            congestion_points=self.points_of(buyer),
            contracts_w=self.terms.contracts_w,
            baselines=frozenset(Baseline),
            revisions=self._revisions,
            offers={
                k: KnownOffer(v.offer, v.revoked, v.ordered)
                for k, v in self.offers.items()
                if self.buyer(v.offer.congestion_point) == buyer
            },
            orders=frozenset(self.sold),
        )


def _reservation(contract_id: str, point: str, start_s: int) -> str:
    """Return where a reservation is kept: by time of day, so that old ones are replaced."""
    return f"{_RESERVED}{contract_id} {point} {start_s % 86_400}"


def _window(forecast: Forecast, start_s: int) -> list[int]:
    """Return a forecast's powers in W from a time on, its last value held."""
    first = max(0, (start_s - forecast.start_s) // forecast.step_s)
    values = forecast.power_w[first : first + OUTLOOK] or forecast.power_w[-1:]
    return values + values[-1:] * (OUTLOOK - len(values))
