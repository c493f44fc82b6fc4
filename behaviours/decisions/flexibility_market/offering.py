"""What an aggregator offers for a request: exclusive options, from its cheapest members to all (SPEC 2.5)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ontology.base import INTERVAL_S
from ontology.flexibility import FlexibilityForecast
from ontology.flexibility_trading import Disposition, FlexRequest, OfferOption, PowerInterval

__all__ = ["MemberFlexibility", "OfferTerms", "members_of", "offer_options", "wanted_powers"]


class OfferTerms(NamedTuple):
    """How an aggregator prices what it offers.

    Each option takes one more share of the wanted power; the further it goes, the dearer is a kWh, since
    members are left to choose from less and less.
    """

    base_ticks_per_kwh: int = 1200
    """What shifting a kWh costs a member at most where prices are as usual, beside its wear."""
    margin: float = 0.05
    risk: float = 0.10
    """How much dearer the largest option is than a vanishingly small one."""
    firm: float = 0.7
    """Share of what members could do that is offered: the rest covers what they will not do."""
    shares: tuple[float, ...] = (1.0, 0.6, 0.3)
    activation_min: float = 0.2
    least_w: int = 100


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


def members_of(
    forecasts: Iterable[FlexibilityForecast], wanted_w: Mapping[int, int]
) -> list[MemberFlexibility]:
    """Return what members could do in the wanted intervals, cheapest first.

    A forecast says what can be changed in a single interval; over several, the same energy is shared out.
    """
    members = []
    for each in forecasts:
        power_w = tuple(
            _able_w(each, start_s, wanted) // len(wanted_w) for start_s, wanted in wanted_w.items()
        )
        if any(power_w):
            members.append(MemberFlexibility(each.subject, power_w, max(each.cost_ticks_per_kwh)))
    return sorted(members, key=lambda each: (each.cost_ticks_per_kwh, each.member))


def offer_options(
    wanted_w: Mapping[int, int],
    members: Sequence[MemberFlexibility],
    taken_w: Mapping[int, int] | None = None,
    terms: OfferTerms = USUAL_TERMS,
) -> list[OfferOption]:
    """Return the options of an offer, the largest first; none when there is too little to offer.

    Args:
        wanted_w: what is asked for by start of interval, in W; negative is consuming less.
        members: what each could do towards it, cheapest first.
        taken_w: power that is promised elsewhere already, by start of interval.
        terms: prices and precautions.
    """
    options: list[OfferOption] = []
    able_w = _offered_w(wanted_w, members, taken_w or {}, terms)
    for number, share in enumerate(terms.shares, start=1):
        power_w = {start_s: round(each * share) for start_s, each in able_w.items()}
        if max(map(abs, power_w.values()), default=0) < terms.least_w:
            continue
        energy_wh = sum(map(abs, power_w.values())) * INTERVAL_S / 3600
        unit = (terms.base_ticks_per_kwh + _cost(members)) * (1 + terms.margin + terms.risk * share)
        options.append(
            OfferOption(
                option_reference=f"option-{number}",
                price_ticks=round(energy_wh * unit / 1000),
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


def _cost(members: Sequence[MemberFlexibility]) -> float:
    """Return the mean cost of members in ticks per kWh, by what each could do."""
    able = sum(sum(each.power_w) for each in members)
    return sum(sum(each.power_w) * each.cost_ticks_per_kwh for each in members) / able if able else 0.0
