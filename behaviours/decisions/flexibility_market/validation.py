"""The rules that a document of the flexibility trade must keep, each on its own (UFTP; SPEC 2.5).

A document is checked against `Known`, what its reader knows; everything that is wrong is found at once.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, TypeAlias

from ontology.base import INTERVAL_S, Concept
from ontology.flexibility_trading import (
    Disposition,
    DPrognosis,
    FlexMetering,
    FlexOffer,
    FlexOfferRevocation,
    FlexOrder,
    FlexRequest,
    FlexReservation,
    FlexSettlement,
    OfferOption,
    PowerInterval,
    RequestInterval,
)

__all__ = [
    "RULES",
    "Breach",
    "Known",
    "KnownOffer",
    "KnownRequest",
    "Rule",
    "breaches",
    "price_ticks_at",
    "reasons",
]

Traded: TypeAlias = DPrognosis | FlexRequest | FlexOffer | FlexOrder | FlexReservation | FlexMetering
"""What is about intervals of a period at a congestion point."""


class Rule(StrEnum):
    """Why a document is rejected (UFTP, rejection reasons)."""

    INTERVAL_LENGTH = "interval length"
    INTERVAL_OUTSIDE_PERIOD = "interval outside the period"
    INTERVAL_TWICE = "interval addressed twice"
    NO_INTERVALS = "no intervals"
    TIME_ZONE = "time zone"
    CONGESTION_POINT = "unknown congestion point"
    PAST = "period is over"
    EXPIRED = "expired"
    DUPLICATE_MESSAGE = "duplicate message"
    OUTDATED_REVISION = "outdated revision"
    NOTHING_REQUESTED = "nothing requested"
    CONTRACT = "unknown contract"
    CURRENCY = "currency"
    UNSOLICITED = "unsolicited"
    REQUEST_UNKNOWN = "unknown request"
    REQUEST_OUTDATED = "outdated request"
    PERIOD_DIFFERS = "period differs"
    CONGESTION_POINT_DIFFERS = "congestion point differs"
    NOT_REQUESTED = "interval not requested"
    POWER_OUTSIDE_REQUEST = "power outside the request"
    BASELINE = "unknown baseline"
    PROGNOSIS = "unknown prognosis"
    OFFER_UNKNOWN = "unknown offer"
    OFFER_EXPIRED = "offer expired"
    OFFER_REVOKED = "offer revoked"
    OFFER_ORDERED = "offer already ordered"
    OPTION_UNKNOWN = "unknown option"
    ACTIVATION = "activation factor below the minimum"
    INTERVALS_DIFFER = "intervals differ from the offer"
    PRICE_DIFFERS = "price differs from the offer"
    BASELINE_DIFFERS = "baseline differs from the offer"
    DUPLICATE_REFERENCE = "duplicate reference"
    ORDER_UNKNOWN = "unknown order"
    RESERVED_TOO_MUCH = "more than the contract holds"
    NOT_OVER = "interval is not over yet"


class Breach(NamedTuple):
    """A rule that a document breaks: where, what stands there, and what would be right."""

    rule: Rule
    path: str
    value: str
    expected: str

    def __str__(self) -> str:
        """Say it in a line."""
        return f"{self.rule}: {self.path} is {self.value}, expected {self.expected}"


class KnownRequest(NamedTuple):
    """A request that the reader has sent or received, and whether a newer revision replaced it."""

    request: FlexRequest
    outdated: bool = False


class KnownOffer(NamedTuple):
    """An offer that the reader has sent or received, and what became of it."""

    offer: FlexOffer
    revoked: bool = False
    ordered: bool = False


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the reader of a document knows: the market's terms, and what was said before.

    Requests, offers, prognoses and messages go by message id, orders by reference; powers are in W.
    """

    now_s: float
    congestion_points: frozenset[str]
    contracts_w: Mapping[str, int] = field(default_factory=dict)
    baselines: frozenset[str] = frozenset()
    prognoses: frozenset[str] = frozenset()
    time_zone: str = "UTC"
    interval_s: int = INTERVAL_S
    currency: str = "EUR"
    takes_unsolicited: bool = False
    messages: frozenset[str] = frozenset()
    revisions: Mapping[tuple[str, str, int], int] = field(default_factory=dict)
    """The newest revision by type, congestion point and start of the period."""
    requests: Mapping[str, KnownRequest] = field(default_factory=dict)
    offers: Mapping[str, KnownOffer] = field(default_factory=dict)
    orders: frozenset[str] = frozenset()
    foreseen: Mapping[str, Collection[int]] | None = None
    """Starts of the intervals that each prognosis tells, by its id; None where offers need not name one."""


Check: TypeAlias = Callable[[Any, str, Known], Iterator[Breach]]
"""A rule: document, its message id and what is known give the breaches of this rule."""


def breaches(document: Concept, message_id: str, known: Known) -> list[Breach]:
    """Return every rule that a document of the trade breaks, in the order of `RULES`.

    Raises: KeyError when there are no rules for such a document.
    """
    return [breach for check in RULES[type(document)] for breach in check(document, message_id, known)]


def reasons(found: Iterable[Breach]) -> list[str]:
    """Return breaches as the reasons of a response."""
    return [str(breach) for breach in found]


def price_ticks_at(price_ticks: int, activation: float) -> int:
    """Return what an option costs at an activation factor, whose hundredths count (UFTP)."""
    return (price_ticks * round(activation * 100) + 50) // 100


# ------------------------------------------------------------------------------ every document


def interval_length(document: Traded, _: str, known: Known) -> Iterator[Breach]:
    """Intervals begin on the market's grid and last a whole number of its intervals (ISP-Duration)."""
    for path, each in _each_interval(document):
        if each.duration_s % known.interval_s or each.start_s % known.interval_s:
            yield Breach(
                Rule.INTERVAL_LENGTH, path, f"{each.duration_s} s", f"whole intervals of {known.interval_s} s"
            )


def interval_outside_period(document: Traded, _: str, known: Known) -> Iterator[Breach]:
    """Intervals lie within the period."""
    for path, each in _each_interval(document):
        if each.start_s < document.period_start_s or each.start_s + each.duration_s > document.period_end_s:
            within = f"within [{document.period_start_s}, {document.period_end_s})"
            yield Breach(Rule.INTERVAL_OUTSIDE_PERIOD, path, str(each.start_s), within)


def interval_twice(document: Traded, _: str, known: Known) -> Iterator[Breach]:
    """Each interval is addressed once, also by an interval that spans several."""
    for path, intervals in _series(document):
        seen: set[int] = set()
        for i, each in enumerate(intervals):
            covered = set(range(each.start_s, each.start_s + each.duration_s, known.interval_s))
            if covered & seen:
                yield Breach(Rule.INTERVAL_TWICE, f"{path}[{i}]", str(each.start_s), "each interval once")
            seen |= covered


def no_intervals(document: Traded, _: str, known: Known) -> Iterator[Breach]:
    """There is something to talk about."""
    for path, intervals in _series(document):
        if not intervals:
            yield Breach(Rule.NO_INTERVALS, path, "empty", "at least one interval")


def time_zone(document: Any, _: str, known: Known) -> Iterator[Breach]:
    """Both count days in the same time zone."""
    if document.time_zone != known.time_zone:
        yield Breach(Rule.TIME_ZONE, "time_zone", document.time_zone, known.time_zone)


def congestion_point(document: Traded, _: str, known: Known) -> Iterator[Breach]:
    """The congestion point is one of the market's."""
    if document.congestion_point not in known.congestion_points:
        points = ", ".join(sorted(known.congestion_points)) or "none"
        yield Breach(Rule.CONGESTION_POINT, "congestion_point", document.congestion_point, points)


def past(document: Traded, _: str, known: Known) -> Iterator[Breach]:
    """What is still to be decided has not happened yet."""
    if document.period_end_s <= known.now_s:
        yield Breach(Rule.PAST, "period_end_s", str(document.period_end_s), f"after {known.now_s:.0f}")


def expired(document: FlexRequest | FlexOffer, _: str, known: Known) -> Iterator[Breach]:
    """It can still be answered."""
    if document.expiration_s <= known.now_s:
        yield Breach(Rule.EXPIRED, "expiration_s", str(document.expiration_s), f"after {known.now_s:.0f}")


def duplicate_message(document: Concept, message_id: str, known: Known) -> Iterator[Breach]:
    """A message id names one message."""
    if message_id in known.messages:
        yield Breach(Rule.DUPLICATE_MESSAGE, "message_id", message_id, "an id of its own")


def outdated_revision(
    document: DPrognosis | FlexRequest | FlexMetering, _: str, known: Known
) -> Iterator[Breach]:
    """A revision is higher than those before it."""
    key = (type(document).__name__, document.congestion_point, document.period_start_s)
    newest = known.revisions.get(key, -1)
    if document.revision <= newest:
        yield Breach(Rule.OUTDATED_REVISION, "revision", str(document.revision), f"more than {newest}")


def contract(document: FlexRequest | FlexOffer | FlexOrder, _: str, known: Known) -> Iterator[Breach]:
    """A contract that is named has been concluded."""
    if document.contract_id and document.contract_id not in known.contracts_w:
        contracts = ", ".join(sorted(known.contracts_w)) or "none"
        yield Breach(Rule.CONTRACT, "contract_id", document.contract_id, contracts)


def currency(document: FlexOffer | FlexOrder | FlexSettlement, _: str, known: Known) -> Iterator[Breach]:
    """Prices are in the market's currency."""
    if document.currency != known.currency:
        yield Breach(Rule.CURRENCY, "currency", document.currency, known.currency)


def not_over(metering: FlexMetering, _: str, known: Known) -> Iterator[Breach]:
    """What is metered has happened."""
    for path, each in _each_interval(metering):
        if each.start_s + each.duration_s > known.now_s:
            yield Breach(Rule.NOT_OVER, path, str(each.start_s), f"an interval over at {known.now_s:.0f}")


# ------------------------------------------------------------------------------------- requests


def nothing_requested(request: FlexRequest, _: str, known: Known) -> Iterator[Breach]:
    """At least one interval is requested, and there power is to change."""
    wanted = [each for each in request.intervals if each.disposition is Disposition.REQUESTED]
    if not any(each.power_min_w or each.power_max_w for each in wanted):
        yield Breach(Rule.NOTHING_REQUESTED, "intervals", str(len(wanted)), "an interval that asks for power")


# --------------------------------------------------------------------------------------- offers


def unsolicited(offer: FlexOffer, _: str, known: Known) -> Iterator[Breach]:
    """An offer answers a request, unless the market takes others."""
    if offer.unsolicited and not known.takes_unsolicited:
        yield Breach(Rule.UNSOLICITED, "unsolicited", "true", "an answer to a request")


def request_unknown(offer: FlexOffer, _: str, known: Known) -> Iterator[Breach]:
    """The request that an offer answers has been made."""
    if not offer.unsolicited and offer.request_message_id not in known.requests:
        yield Breach(
            Rule.REQUEST_UNKNOWN, "request_message_id", offer.request_message_id, "the id of a request"
        )


def request_outdated(offer: FlexOffer, _: str, known: Known) -> Iterator[Breach]:
    """The request that an offer answers is in force: not replaced, not expired."""
    asked = known.requests.get(offer.request_message_id)
    if asked and (asked.outdated or asked.request.expiration_s <= known.now_s):
        yield Breach(
            Rule.REQUEST_OUTDATED,
            "request_message_id",
            f"revision {asked.request.revision}",
            "the newest revision, before it expires",
        )


def offer_differs_from_request(offer: FlexOffer, _: str, known: Known) -> Iterator[Breach]:
    """An offer is about the period and the congestion point that were asked about."""
    asked = known.requests.get(offer.request_message_id)
    if asked is not None:
        yield from _differences(offer, asked.request)


def not_requested(offer: FlexOffer, _: str, known: Known) -> Iterator[Breach]:
    """Options address only intervals that the request names, whether requested or available."""
    bounds = _bounds_of(offer, known)
    for path, start_s, _power_w in _powers(offer):
        if bounds is not None and start_s not in bounds:
            yield Breach(Rule.NOT_REQUESTED, path, str(start_s), "an interval of the request")


def power_outside_request(offer: FlexOffer, _: str, known: Known) -> Iterator[Breach]:
    """Options keep between no deviation and the bounds that the request sets."""
    bounds = _bounds_of(offer, known) or {}
    for path, start_s, power_w in _powers(offer):
        if start_s not in bounds:
            continue
        least_w, most_w = min(0, bounds[start_s][0]), max(0, bounds[start_s][1])
        if not least_w <= power_w <= most_w:
            yield Breach(
                Rule.POWER_OUTSIDE_REQUEST, path, f"{power_w} W", f"between {least_w} and {most_w} W"
            )


def baseline(offer: FlexOffer, _: str, known: Known) -> Iterator[Breach]:
    """The baseline that an offer deviates from is one that both know."""
    if offer.baseline_reference and offer.baseline_reference not in known.baselines:
        baselines = ", ".join(sorted(known.baselines)) or "none"
        yield Breach(Rule.BASELINE, "baseline_reference", offer.baseline_reference, baselines)


def prognosis(offer: FlexOffer, _: str, known: Known) -> Iterator[Breach]:
    """The prognosis that an offer names has been received."""
    if offer.prognosis_message_id and offer.prognosis_message_id not in known.prognoses:
        yield Breach(
            Rule.PROGNOSIS, "prognosis_message_id", offer.prognosis_message_id, "a prognosis received"
        )


def not_foreseen(offer: FlexOffer, _: str, known: Known) -> Iterator[Breach]:
    """Where deviations are measured from prognoses, the one named tells every interval of the options."""
    if known.foreseen is None:
        return
    told = known.foreseen.get(offer.prognosis_message_id, ())
    missing = sorted({start_s for _, start_s, _ in _powers(offer) if start_s not in told})
    if missing and (told or not offer.prognosis_message_id):
        yield Breach(
            Rule.PROGNOSIS,
            "prognosis_message_id",
            offer.prognosis_message_id or "empty",
            f"a prognosis that tells {', '.join(map(str, missing))}",
        )


# --------------------------------------------------------------------------------------- orders


def offer_unknown(document: FlexOrder | FlexOfferRevocation, _: str, known: Known) -> Iterator[Breach]:
    """The offer has been made."""
    if document.offer_message_id not in known.offers:
        yield Breach(Rule.OFFER_UNKNOWN, "offer_message_id", document.offer_message_id, "the id of an offer")


def offer_expired(order: FlexOrder, _: str, known: Known) -> Iterator[Breach]:
    """The offer still holds."""
    made = known.offers.get(order.offer_message_id)
    if made and made.offer.expiration_s <= known.now_s:
        yield Breach(
            Rule.OFFER_EXPIRED,
            "offer_message_id",
            f"expired at {made.offer.expiration_s}",
            f"an offer that holds at {known.now_s:.0f}",
        )


def offer_revoked(document: FlexOrder | FlexOfferRevocation, _: str, known: Known) -> Iterator[Breach]:
    """The offer has not been taken back."""
    made = known.offers.get(document.offer_message_id)
    if made and made.revoked:
        yield Breach(
            Rule.OFFER_REVOKED, "offer_message_id", document.offer_message_id, "an offer not revoked"
        )


def offer_ordered(document: FlexOrder | FlexOfferRevocation, _: str, known: Known) -> Iterator[Breach]:
    """Options exclude each other, so an offer is ordered once; and what is ordered is not revoked."""
    made = known.offers.get(document.offer_message_id)
    if made and made.ordered:
        yield Breach(
            Rule.OFFER_ORDERED, "offer_message_id", document.offer_message_id, "an offer not ordered yet"
        )


def option_unknown(order: FlexOrder, _: str, known: Known) -> Iterator[Breach]:
    """The option is one of the offer's."""
    made = known.offers.get(order.offer_message_id)
    if made and _option_of(order, known) is None:
        options = ", ".join(each.option_reference for each in made.offer.options)
        yield Breach(Rule.OPTION_UNKNOWN, "option_reference", order.option_reference, options)


def activation(order: FlexOrder, _: str, known: Known) -> Iterator[Breach]:
    """An option is activated at least as much as it says."""
    option = _option_of(order, known)
    if option and order.activation_factor < option.activation_min - 1e-9:
        yield Breach(
            Rule.ACTIVATION,
            "activation_factor",
            f"{order.activation_factor:g}",
            f"at least {option.activation_min:g}",
        )


def intervals_differ(order: FlexOrder, _: str, known: Known) -> Iterator[Breach]:
    """The list of intervals is the option's, to the last W: the activation factor alone scales it."""
    option = _option_of(order, known)
    if option and order.intervals != option.intervals:
        yield Breach(
            Rule.INTERVALS_DIFFER, "intervals", _told(order.intervals), _told(option.intervals) or "none"
        )


def price_differs(order: FlexOrder, _: str, known: Known) -> Iterator[Breach]:
    """The price is the option's times the activation factor."""
    option = _option_of(order, known)
    if option is None:
        return
    price_ticks = price_ticks_at(option.price_ticks, order.activation_factor)
    if order.price_ticks != price_ticks:
        yield Breach(Rule.PRICE_DIFFERS, "price_ticks", str(order.price_ticks), str(price_ticks))


def order_differs_from_offer(order: FlexOrder, _: str, known: Known) -> Iterator[Breach]:
    """An order is about the period, the congestion point and the baseline of its offer."""
    made = known.offers.get(order.offer_message_id)
    if made is None:
        return
    yield from _differences(order, made.offer)
    if order.baseline_reference != made.offer.baseline_reference:
        yield Breach(
            Rule.BASELINE_DIFFERS,
            "baseline_reference",
            order.baseline_reference,
            made.offer.baseline_reference,
        )


def duplicate_reference(order: FlexOrder, _: str, known: Known) -> Iterator[Breach]:
    """A reference names one order."""
    if order.order_reference in known.orders:
        yield Breach(Rule.DUPLICATE_REFERENCE, "order_reference", order.order_reference, "a new reference")


# ------------------------------------------------------------- reservations and settlements


def reservation_contract(reservation: FlexReservation, _: str, known: Known) -> Iterator[Breach]:
    """What is reserved is reserved under a contract."""
    if reservation.contract_id not in known.contracts_w:
        contracts = ", ".join(sorted(known.contracts_w)) or "none"
        yield Breach(Rule.CONTRACT, "contract_id", reservation.contract_id, contracts)


def reserved_too_much(reservation: FlexReservation, _: str, known: Known) -> Iterator[Breach]:
    """No more is reserved than the contract holds."""
    held_w = known.contracts_w.get(reservation.contract_id)
    for i, each in enumerate(reservation.intervals):
        if held_w is not None and abs(each.power_w) > held_w:
            yield Breach(
                Rule.RESERVED_TOO_MUCH, f"intervals[{i}]", f"{each.power_w} W", f"at most {held_w} W"
            )


def order_unknown(settlement: FlexSettlement, _: str, known: Known) -> Iterator[Breach]:
    """What is settled has been ordered."""
    for i, each in enumerate(settlement.orders):
        if each.order_reference not in known.orders:
            yield Breach(
                Rule.ORDER_UNKNOWN, f"orders[{i}].order_reference", each.order_reference, "an order's"
            )


def settled_twice(settlement: FlexSettlement, _: str, known: Known) -> Iterator[Breach]:
    """A settlement names each order once."""
    references = [each.order_reference for each in settlement.orders]
    for i, reference in enumerate(references):
        if reference in references[:i]:
            yield Breach(Rule.DUPLICATE_REFERENCE, f"orders[{i}].order_reference", reference, "once")


_EVERY: tuple[Check, ...] = (
    duplicate_message,
    time_zone,
    congestion_point,
    no_intervals,
    interval_length,
    interval_outside_period,
    interval_twice,
)

RULES: Mapping[type[Concept], tuple[Check, ...]] = {
    DPrognosis: (*_EVERY, past, outdated_revision),
    FlexRequest: (*_EVERY, past, expired, outdated_revision, nothing_requested, contract),
    FlexOffer: (
        *_EVERY,
        past,
        expired,
        unsolicited,
        request_unknown,
        request_outdated,
        offer_differs_from_request,
        not_requested,
        power_outside_request,
        baseline,
        prognosis,
        not_foreseen,
        contract,
        currency,
    ),
    FlexOrder: (
        *_EVERY,
        past,
        offer_unknown,
        offer_expired,
        offer_revoked,
        offer_ordered,
        option_unknown,
        activation,
        intervals_differ,
        price_differs,
        order_differs_from_offer,
        duplicate_reference,
        contract,
        currency,
    ),
    FlexOfferRevocation: (duplicate_message, offer_unknown, offer_revoked, offer_ordered),
    FlexReservation: (*_EVERY, past, reservation_contract, reserved_too_much),
    FlexMetering: (*_EVERY, outdated_revision, not_over),
    FlexSettlement: (duplicate_message, currency, order_unknown, settled_twice),
}
"""The rules that each document must keep."""


# ------------------------------------------------------------------------------------- in common


def _series(document: Traded) -> Iterator[tuple[str, list[Any]]]:
    """Yield each series of intervals of a document, with its path."""
    if isinstance(document, FlexOffer):
        for i, option in enumerate(document.options):
            yield f"options[{i}].intervals", option.intervals
    else:
        yield "intervals", list(document.intervals)


def _each_interval(document: Traded) -> Iterator[tuple[str, PowerInterval | RequestInterval]]:
    for path, intervals in _series(document):
        for i, each in enumerate(intervals):
            yield f"{path}[{i}]", each


def _powers(offer: FlexOffer) -> Iterator[tuple[str, int, int]]:
    """Yield path, start and power in W of each interval that an offer's options address."""
    for path, intervals in _series(offer):
        for i, each in enumerate(intervals):
            for start_s in range(each.start_s, each.start_s + each.duration_s, INTERVAL_S):
                yield f"{path}[{i}]", start_s, each.power_w


def _bounds_of(offer: FlexOffer, known: Known) -> dict[int, tuple[int, int]] | None:
    """Return the power that was asked for by start of interval, in W; None when nothing was."""
    asked = known.requests.get(offer.request_message_id)
    if asked is None:
        return None
    return {
        start_s: (each.power_min_w, each.power_max_w)
        for each in asked.request.intervals
        for start_s in range(each.start_s, each.start_s + each.duration_s, INTERVAL_S)
    }


def _differences(document: FlexOffer | FlexOrder, earlier: FlexRequest | FlexOffer) -> Iterator[Breach]:
    period = (document.period_start_s, document.period_end_s)
    agreed = (earlier.period_start_s, earlier.period_end_s)
    if period != agreed:
        yield Breach(Rule.PERIOD_DIFFERS, "period_start_s", str(period), str(agreed))
    if document.congestion_point != earlier.congestion_point:
        yield Breach(
            Rule.CONGESTION_POINT_DIFFERS,
            "congestion_point",
            document.congestion_point,
            earlier.congestion_point,
        )


def _option_of(order: FlexOrder, known: Known) -> OfferOption | None:
    made = known.offers.get(order.offer_message_id)
    options = made.offer.options if made else []
    return next((each for each in options if each.option_reference == order.option_reference), None)


def _told(intervals: Iterable[PowerInterval]) -> str:
    return ", ".join(f"{each.power_w} W at {each.start_s}" for each in intervals)
