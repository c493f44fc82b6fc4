"""What an aggregator offers for a request: exclusive options, from its cheapest members to all (SPEC 2.5)."""

from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import NamedTuple

from behaviours.decisions.coalition.recruitment import by_step
from ontology.base import INTERVAL_S
from ontology.coalition import CoalitionBid, FlexProduct
from ontology.flexibility import CostStep, FlexibilityForecast
from ontology.flexibility_trading import Disposition, FlexRequest, OfferOption, PowerInterval

__all__ = [
    "USUAL_TERMS",
    "MemberFlexibility",
    "OfferTerms",
    "members_by_bid",
    "members_by_forecast",
    "offer_options",
    "wanted_powers",
]


class OfferTerms(NamedTuple):
    """How an aggregator makes up its offers: one option for each share of what it could do."""

    margin: float = 0.25
    """Added to what members ask: their surplus, what their costs may rise until delivery, and the fee."""
    fee: float = 0.05
    """Share of the price that the aggregator keeps."""
    firm: float = 0.85
    """Share of what members could do that is offered: the rest covers what they will not do."""
    shares: tuple[float, ...] = (1.0, 0.6, 0.3)
    activation_min: float = 0.2
    """Of the largest option; the others are cheaper a kWh and indivisible."""
    least_w: int = 100
    penalty_ticks_per_kwh: int = 0
    """For what will be missing: the share that is not firm is expected to be, and asked for in the price."""

    @property
    def risk_ticks_per_kwh(self) -> float:
        """What penalties are expected to cost for each kWh sold."""
        return (1 - self.firm) * self.penalty_ticks_per_kwh


USUAL_TERMS = OfferTerms()


class MemberFlexibility(NamedTuple):
    """By how many W a member could deviate in each wanted interval, and what a kWh costs it."""

    member: str
    power_w: tuple[int, ...]
    cost_ticks_per_kwh: int


def wanted_powers(request: FlexRequest) -> dict[int, int]:
    """Return the deviation that a request asks for, in W by start of interval; free power is left out."""
    return {
        start_s: each.power_min_w if each.power_max_w <= 0 else each.power_max_w
        for each in request.intervals
        if each.disposition is Disposition.REQUESTED
        for start_s in range(each.start_s, each.start_s + each.duration_s, INTERVAL_S)
    }


def members_by_forecast(
    forecasts: Iterable[FlexibilityForecast], wanted_w: Mapping[int, int], energy_ticks_per_kwh: int = 0
) -> list[MemberFlexibility]:
    """Return what members could do in the wanted intervals by what they said last, cheapest first.

    A forecast says what can be changed in a single interval; over several, the same energy is shared out.

    Args:
        forecasts: of the members.
        wanted_w: what is asked for by start of interval, in W.
        energy_ticks_per_kwh: what making up for a kWh costs, where a forecast does not tell.
    """
    members = []
    for each in forecasts:
        able_w = [_able_w(each, start_s, wanted) for start_s, wanted in wanted_w.items()]
        power_w = tuple(power // len(wanted_w) for power in able_w)
        if any(power_w):
            cost = _cost(each, zip(wanted_w.items(), power_w, strict=True), energy_ticks_per_kwh)
            members.append(MemberFlexibility(each.subject, power_w, cost))
    return _cheapest_first(members)


def members_by_bid(
    bids: Mapping[str, CoalitionBid], product: FlexProduct, wanted_w: Iterable[int]
) -> list[MemberFlexibility]:
    """Return what members could do by what they bid, weighted by their reliability, cheapest first.

    Args:
        bids: by member.
        product: what they bid for.
        wanted_w: starts of the intervals that are wanted.
    """
    steps = len(product.target_w)
    wanted = [(start_s - product.start_s) // product.step_s for start_s in wanted_w]
    members = []
    for who, bid in bids.items():
        power_w = by_step(bid.capacity_w, steps) * bid.reliability
        members.append(
            MemberFlexibility(who, tuple(int(power_w[step]) for step in wanted), bid.cost_ticks_per_kwh)
        )
    return _cheapest_first(members)


def offer_options(
    wanted_w: Mapping[int, int],
    members: Sequence[MemberFlexibility],
    taken_w: Mapping[int, int] | None = None,
    terms: OfferTerms = USUAL_TERMS,
) -> list[OfferOption]:
    """Return the options of an offer, the largest first; none when there is too little to offer.

    A kWh of an option costs what the dearest member costs that it needs, with the aggregator's margin and
    risk.

    Args:
        wanted_w: what is asked for by start of interval, in W; negative is consuming less.
        members: what each could do towards it, cheapest first.
        taken_w: power that is promised elsewhere already, by start of interval.
        terms: prices and precautions.
    """
    options: list[OfferOption] = []
    able_w = _offered_w(wanted_w, members, taken_w or {}, terms)
    for number, share in enumerate(terms.shares, start=1):
        power_w = {start_s: round(each * share) for start_s, each in able_w.items() if round(each * share)}
        if max(map(abs, power_w.values()), default=0) < terms.least_w:
            continue
        energy_wh = sum(map(abs, power_w.values())) * INTERVAL_S / 3600
        unit = _marginal_cost(members, energy_wh / terms.firm) * (1 + terms.margin) + terms.risk_ticks_per_kwh
        options.append(
            OfferOption(
                option_reference=f"option-{number}",
                price_ticks=ceil(energy_wh * unit / 1000),
                activation_min=terms.activation_min if number == 1 else 1.0,
                intervals=[
                    PowerInterval(start_s=start_s, power_w=each) for start_s, each in sorted(power_w.items())
                ],
            )
        )
    return options


def _offered_w(
    wanted_w: Mapping[int, int],
    members: Sequence[MemberFlexibility],
    taken_w: Mapping[int, int],
    terms: OfferTerms,
) -> dict[int, int]:
    """Return what is offered by start of interval: a safe share of what is there, up to what is wanted."""
    offered_w = {}
    for i, (start_s, wanted) in enumerate(wanted_w.items()):
        there_w = int(terms.firm * sum(each.power_w[i] for each in members)) - abs(taken_w.get(start_s, 0))
        size = min(abs(wanted), max(0, there_w))
        offered_w[start_s] = -size if wanted < 0 else size
    return offered_w


def _able_w(forecast: FlexibilityForecast, start_s: int, wanted_w: int) -> int:
    step = (start_s - forecast.start_s) // forecast.step_s
    if not 0 <= step < len(forecast.up_w):
        return 0
    return forecast.up_w[step] if wanted_w < 0 else forecast.down_w[step]


def _cost(
    forecast: FlexibilityForecast,
    wanted: Iterable[tuple[tuple[int, int], int]],
    energy_ticks_per_kwh: int,
) -> int:
    """Return what the dearest kWh costs that a member gives for what is wanted of it."""
    if not forecast.up_steps:
        return max(forecast.cost_ticks_per_kwh) + energy_ticks_per_kwh
    dearest = 0
    for (start_s, wanted_w), power_w in wanted:
        step = (start_s - forecast.start_s) // forecast.step_s
        if power_w:
            curve = forecast.up_steps[step] if wanted_w < 0 else forecast.down_steps[step]
            dearest = max(dearest, _cost_at(curve, power_w))
    return dearest


def _cost_at(curve: Sequence[CostStep], power_w: int) -> int:
    """Return the cost of the step in which a power is reached."""
    left_w = power_w
    for step in curve:
        left_w -= step.power_w
        if left_w <= 0:
            break
    return step.cost_ticks_per_kwh if curve else 0


def _marginal_cost(members: Sequence[MemberFlexibility], energy_wh: float) -> int:
    """Return the cost per kWh of the dearest of the members that are needed for an energy."""
    left_wh, cost = energy_wh, 0
    for each in members:
        if left_wh <= 0:
            break
        cost = each.cost_ticks_per_kwh
        left_wh -= sum(each.power_w) * INTERVAL_S / 3600
    return cost


def _cheapest_first(members: Iterable[MemberFlexibility]) -> list[MemberFlexibility]:
    able = (each for each in members if any(each.power_w))
    return sorted(able, key=lambda each: (each.cost_ticks_per_kwh, each.member))
