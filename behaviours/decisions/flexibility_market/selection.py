"""Which options of which offers the DSO buys: pay-as-bid, exact, with a greedy choice to fall back on.

Each option is bought as a whole or at an activation factor in hundredths, at most one of an offer. Chosen is
what costs least, where a missing kWh counts as much as the DSO is willing to pay for one.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import highspy
import numpy as np
import numpy.typing as npt
from scipy.sparse import lil_matrix

from behaviours.decisions.flexibility_market.validation import price_ticks_at
from behaviours.decisions.series import IntArray
from ontology.base import INTERVAL_S
from ontology.flexibility_trading import FlexOffer, OfferOption

__all__ = ["Bid", "Chosen", "chosen_offers", "cost_ticks", "greedy_offers", "uncovered_w"]

NODES = 2_000
"""How many nodes the exact search may look at: a bound that is the same on every machine."""
_OPTIONS = {
    "output_flag": False,
    "threads": 1,
    "random_seed": 0,
    "mip_max_nodes": NODES,
    "mip_heuristic_effort": 0.0,
}
WHOLE = 100
"""Hundredths of an option that is bought in full."""
EXACT = 600
"""Up to so many options times intervals the best is found; beyond, one that is within `GAP` of it."""
GAP = 0.01
TIE_TICKS = 0.5
"""What order of preference may cost altogether: less than anything that is paid."""


class Bid(NamedTuple):
    """An offer as the buyer sees it: whose, when made, how reliable its seller has been (0 to 1)."""

    seller: str
    message_id: str
    sent_at_s: float
    offer: FlexOffer
    reliability: float = 1.0


class Chosen(NamedTuple):
    """An option that is bought, at an activation factor."""

    bid: Bid
    option: OfferOption
    activation: float

    @property
    def price_ticks(self) -> int:
        """What it costs."""
        return price_ticks_at(self.option.price_ticks, self.activation)

    @property
    def ordered_w(self) -> dict[int, int]:
        """The deviation that is bought, in W by start of interval."""
        return {
            start_s: round(power_w * self.activation) for start_s, power_w in powers_of(self.option).items()
        }


class _Candidate(NamedTuple):
    """An option worth looking at: how far it goes towards the need in each interval (W), and its limits."""

    bid: Bid
    option: OfferOption
    towards_w: IntArray
    least: int

    @property
    def rank(self) -> tuple[float, float, float, str, str]:
        """Cheapest first, then the most reliable seller, then the earliest offer."""
        useful = int(np.maximum(self.towards_w, 0).sum())
        price = self.option.price_ticks / useful
        return price, -self.bid.reliability, self.bid.sent_at_s, self.bid.seller, self.option.option_reference


class _Need(NamedTuple):
    """What is needed: intervals, direction (-1 or 1) and power (W) in each, and a missing W's worth."""

    starts: list[int]
    sign: IntArray
    power_w: IntArray
    ticks_per_w: float


def chosen_offers(
    need_w: Mapping[int, int], bids: Sequence[Bid], willingness_ticks_per_kwh: int
) -> list[Chosen]:
    """Return the options to buy, at the least of price and worth of what stays uncovered.

    Ties go to the more reliable seller, then to the earlier offer. The choice never costs more than the
    greedy one, nor than the energy that it covers is worth.

    Args:
        need_w: deviation needed by start of interval, in W; negative is consuming less.
        bids: valid offers.
        willingness_ticks_per_kwh: what a kWh towards the need may cost at most.

    Source: SPEC 2.5 (pay-as-bid clearing, PYFM), with indivisible options solved exactly as a MILP.
    """
    need = _need(need_w, willingness_ticks_per_kwh)
    candidates = _candidates(need, bids, willingness_ticks_per_kwh)
    if not candidates:
        return []
    greedy = _greedy(need, candidates)
    exact = _exact(need, candidates, greedy)
    shares = exact if _cost(need, candidates, exact) <= _cost(need, candidates, greedy) else greedy
    return _chosen(candidates, shares)


def greedy_offers(
    need_w: Mapping[int, int], bids: Sequence[Bid], willingness_ticks_per_kwh: int
) -> list[Chosen]:
    """Return the cheapest options in turn until the need is covered, the last one in part (PYFM)."""
    need = _need(need_w, willingness_ticks_per_kwh)
    candidates = _candidates(need, bids, willingness_ticks_per_kwh)
    return _chosen(candidates, _greedy(need, candidates))


def cost_ticks(need_w: Mapping[int, int], chosen: Iterable[Chosen], willingness_ticks_per_kwh: int) -> float:
    """Return what a choice costs, with what stays uncovered at what the buyer is willing to pay for it."""
    bought = list(chosen)
    missing_w = sum(map(abs, uncovered_w(need_w, bought).values()))
    worth = missing_w * INTERVAL_S / 3600 / 1000 * willingness_ticks_per_kwh
    return sum(each.option.price_ticks * each.activation for each in bought) + worth


def uncovered_w(need_w: Mapping[int, int], chosen: Iterable[Chosen]) -> dict[int, int]:
    """Return what is still needed of each need by start of interval, in W and with its sign."""
    left = dict(need_w)
    for each in chosen:
        for start_s, power_w in each.ordered_w.items():
            if start_s in left:
                left[start_s] -= power_w
    return {
        start_s: min(0, left[start_s]) if wanted_w < 0 else max(0, left[start_s])
        for start_s, wanted_w in need_w.items()
        if wanted_w
    }


def powers_of(option: OfferOption) -> dict[int, int]:
    """Return an option's deviation in W by start of interval."""
    return {
        start_s: each.power_w
        for each in option.intervals
        for start_s in range(each.start_s, each.start_s + each.duration_s, INTERVAL_S)
    }


def _need(need_w: Mapping[int, int], willingness_ticks_per_kwh: int) -> _Need:
    starts = sorted(start_s for start_s, power_w in need_w.items() if power_w)
    power_w = np.array([need_w[start_s] for start_s in starts], dtype=np.int64)
    worth = willingness_ticks_per_kwh * INTERVAL_S / 3600 / 1000
    return _Need(starts, np.sign(power_w), np.abs(power_w), worth)


def _candidates(need: _Need, bids: Sequence[Bid], willingness: int) -> list[_Candidate]:
    """Return the options that cost no more than the buyer is willing to pay, best first."""
    found = [each for bid in bids for each in _options(need, bid)]
    affordable = [
        each
        for each in found
        if each.option.price_ticks <= need.ticks_per_w * int(np.maximum(each.towards_w, 0).sum())
    ]
    return sorted(affordable, key=lambda each: each.rank)


def _options(need: _Need, bid: Bid) -> Iterator[_Candidate]:
    for option in bid.offer.options:
        powers = powers_of(option)
        towards_w = need.sign * np.array([powers.get(s, 0) for s in need.starts], dtype=np.int64)
        if (towards_w > 0).any():
            yield _Candidate(bid, option, towards_w, round(option.activation_min * WHOLE))


def _cost(need: _Need, candidates: Sequence[_Candidate], shares: Sequence[int]) -> float:
    """Return the price of shares (in hundredths) and the worth of what they leave uncovered, in ticks."""
    price = sum(c.option.price_ticks * share for c, share in zip(candidates, shares, strict=True)) / WHOLE
    return float(price + need.ticks_per_w * sum(_missing_w(need, candidates, shares)))


def _missing_w(need: _Need, candidates: Sequence[_Candidate], shares: Sequence[int]) -> list[float]:
    """Return what shares (in hundredths) leave uncovered in each interval, in W."""
    covered_w = np.zeros(len(need.starts))
    for candidate, share in zip(candidates, shares, strict=True):
        covered_w += candidate.towards_w * (share / WHOLE)
    missing: list[float] = np.maximum(need.power_w - covered_w, 0.0).tolist()
    return missing


def _greedy(need: _Need, candidates: Sequence[_Candidate]) -> list[int]:
    """Take the best in turn, in full or as much as is still needed, while it makes the whole cheaper."""
    shares = [0] * len(candidates)
    taken: set[str] = set()
    left_w = need.power_w.astype(np.float64)
    cost = _cost(need, candidates, shares)
    for i, candidate in enumerate(candidates):
        share = _share_needed(candidate, left_w)
        if candidate.bid.message_id in taken or not share:
            continue
        shares[i] = share
        lower = _cost(need, candidates, shares)
        if lower >= cost:
            shares[i] = 0
            continue
        cost = lower
        taken.add(candidate.bid.message_id)
        left_w -= candidate.towards_w * (share / WHOLE)
    return shares


def _share_needed(candidate: _Candidate, left_w: npt.NDArray[np.float64]) -> int:
    """Return the smallest share in hundredths that covers all of what is left that the option can."""
    useful = (candidate.towards_w > 0) & (left_w > 0)
    if not useful.any():
        return 0
    wanted = np.minimum(left_w[useful], candidate.towards_w[useful]) / candidate.towards_w[useful]
    return max(candidate.least, int(np.ceil(wanted.max() * WHOLE - 1e-9)))


def _exact(need: _Need, candidates: Sequence[_Candidate], start: Sequence[int]) -> list[int]:
    """Solve the choice as a mixed-integer program from a first solution on; that is kept if none is better.

    Variables: the share of each option in hundredths, whether it is taken, and the uncovered power.
    """
    options = len(candidates)
    solver = highspy.Highs()
    for name, value in _OPTIONS.items():
        solver.setOptionValue(name, value)
    solver.setOptionValue("mip_rel_gap", 0.0 if options * len(need.starts) <= EXACT else GAP)
    solver.passModel(_program(need, candidates))
    first = highspy.HighsSolution()
    first.col_value = [*start, *(min(1, share) for share in start), *_missing_w(need, candidates, start)]
    solver.setSolution(first)
    solver.run()
    found = solver.getSolution().col_value[:options]
    return [round(share) for share in found] if found else list(start)


def _program(need: _Need, candidates: Sequence[_Candidate]) -> highspy.HighsLp:
    """Return the program for the solver."""
    options, steps = len(candidates), len(need.starts)
    lower, rows, upper = _constraints(need, candidates)
    columns = rows.tocsc()
    program = highspy.HighsLp()
    program.num_col_, program.num_row_ = 2 * options + steps, len(lower)
    ties = np.arange(options) * (TIE_TICKS / options**2)
    prices = np.array([each.option.price_ticks / WHOLE for each in candidates])
    program.col_cost_ = np.concatenate([prices, ties, np.full(steps, need.ticks_per_w)])
    program.col_lower_ = np.zeros(program.num_col_)
    whole = np.concatenate([np.full(options, WHOLE), np.ones(options)])
    program.col_upper_ = np.concatenate([whole, np.full(steps, highspy.kHighsInf)])
    program.row_lower_, program.row_upper_ = np.array(lower), np.array(upper)
    program.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    program.a_matrix_.start_, program.a_matrix_.index_ = columns.indptr, columns.indices
    program.a_matrix_.value_ = columns.data
    kinds = [highspy.HighsVarType.kInteger] * (2 * options)
    program.integrality_ = kinds + [highspy.HighsVarType.kContinuous] * steps
    return program


def _constraints(
    need: _Need, candidates: Sequence[_Candidate]
) -> tuple[list[float], lil_matrix, list[float]]:
    """Return: least ≤ share ≤ whole where taken, one option an offer, and the need covered or missing."""
    options, steps = len(candidates), len(need.starts)
    offers = {
        message_id: i for i, message_id in enumerate(dict.fromkeys(c.bid.message_id for c in candidates))
    }
    rows = lil_matrix((2 * options + len(offers) + steps, 2 * options + steps))
    for i, each in enumerate(candidates):
        rows[2 * i, i], rows[2 * i, options + i] = 1, -WHOLE
        rows[2 * i + 1, i], rows[2 * i + 1, options + i] = 1, -each.least
        rows[2 * options + offers[each.bid.message_id], options + i] = 1
        rows[2 * options + len(offers) :, i] = each.towards_w[:, None] / WHOLE
    for step in range(steps):
        rows[2 * options + len(offers) + step, 2 * options + step] = 1
    lower = [-np.inf, 0.0] * options + [-np.inf] * len(offers) + need.power_w.tolist()
    upper = [0.0, np.inf] * options + [1] * len(offers) + [np.inf] * steps
    return lower, rows, upper


def _chosen(candidates: Sequence[_Candidate], shares: Sequence[int]) -> list[Chosen]:
    return [
        Chosen(candidate.bid, candidate.option, share / WHOLE)
        for candidate, share in zip(candidates, shares, strict=True)
        if share
    ]
