"""What could have been reached had everything been known: the bound that replays are measured by."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import highspy
import numpy as np
from scipy.sparse import csc_matrix

from behaviours.decisions.series import FloatArray
from ontology.errors import Failed

__all__ = ["Foreseen", "KnownStay", "best_with_foresight", "least_peak_with_foresight"]

KILO = 1000.0
SECONDS_AN_HOUR = 3600.0
FIRST = 10.0
"""How many times the dearest Wh a Wh not served weighs."""
ENOUGH = 1e-6
PRECISION = 0.01


class KnownStay(NamedTuple):
    """A session with all that came true: times in epoch seconds, need in Wh, power in W."""

    arrival_s: int
    departure_s: int
    need_wh: float
    power_max_w: float


class Foreseen(NamedTuple):
    """Energy served in Wh, what it cost in currency, and the mean power by step in W from a time on."""

    served_wh: float
    energy_cost: float
    start_s: int
    power_w: FloatArray


def best_with_foresight(
    stays: Sequence[KnownStay], prices_per_kwh: FloatArray, start_s: int, step_s: int, limit_w: float
) -> Foreseen:
    """Return the most that could be served, and that at least cost, without giving anything back.

    Sessions that share no step are solved apart, which changes nothing.

    Args:
        stays: all sessions.
        prices_per_kwh: price of each step from `start_s` on, until all have left.
        start_s: start of the first step in epoch seconds.
        step_s: length of a step in seconds.
        limit_w: what all may draw together.

    Raises: Failed when the solver finds nothing.
    """
    power_w = np.zeros(len(prices_per_kwh))
    for group in _apart(stays, step_s):
        first = (min(each.arrival_s for each in group) - start_s) // step_s
        last = -(-(max(each.departure_s for each in group) - start_s) // step_s)
        power_w[first:last] += _best(
            group, prices_per_kwh[first:last], start_s + first * step_s, step_s, limit_w
        )
    energy_kwh = power_w * step_s / 3.6e6
    return Foreseen(float(energy_kwh.sum()) * KILO, float(energy_kwh @ prices_per_kwh), start_s, power_w)


def least_peak_with_foresight(
    stays: Sequence[KnownStay], prices_per_kwh: FloatArray, start_s: int, step_s: int, limit_w: float
) -> Foreseen:
    """Return the most that could be served below a limit, and that with the lowest peak, to 1 %.

    Arguments and errors are those of `best_with_foresight`; the peak is found by halving.
    """
    best = best_with_foresight(stays, prices_per_kwh, start_s, step_s, limit_w)
    enough_wh = best.served_wh * (1 - ENOUGH)
    low_w, high_w = 0.0, min(limit_w, float(best.power_w.max()))
    while high_w - low_w > PRECISION * high_w:
        middle_w = (low_w + high_w) / 2
        found = best_with_foresight(stays, prices_per_kwh, start_s, step_s, middle_w)
        if found.served_wh >= enough_wh:
            best, high_w = found, middle_w
        else:
            low_w = middle_w
    return best


def _apart(stays: Iterable[KnownStay], step_s: int) -> Iterable[list[KnownStay]]:
    """Return groups of sessions that share no step with those of another."""
    group: list[KnownStay] = []
    until_s = 0
    for each in sorted(stays):
        if group and each.arrival_s // step_s * step_s >= until_s:
            yield group
            group = []
        group.append(each)
        until_s = max(until_s, -(-each.departure_s // step_s) * step_s)
    if group:
        yield group


def _best(
    stays: Sequence[KnownStay], prices: FloatArray, start_s: int, step_s: int, limit_w: float
) -> FloatArray:
    """Return the mean power by step of the best schedule."""
    hours = step_s / SECONDS_AN_HOUR
    starts_s = start_s + np.arange(len(prices)) * step_s
    arrivals, departures, needs, powers = (
        np.array(column, dtype=float) for column in zip(*stays, strict=True)
    )
    there = np.minimum(departures[:, None], starts_s + step_s) - np.maximum(arrivals[:, None], starts_s)
    session, step = np.nonzero(there > 0)
    upper = powers[session] / KILO * there[session, step] / step_s
    count = len(session)
    rows = np.concatenate([session, len(stays) + step])
    columns = np.concatenate([np.arange(count), np.arange(count)])
    values = np.concatenate([np.full(count, hours), np.ones(count)])
    matrix = csc_matrix((values, (rows, columns)), shape=(len(stays) + len(prices), count))
    worth = FIRST * max(1e-3, float(np.abs(prices).max()))
    program = highspy.HighsLp()
    program.num_col_, program.num_row_ = count, len(stays) + len(prices)
    program.col_cost_ = (prices[step] - worth) * hours
    program.col_lower_, program.col_upper_ = np.zeros(count), upper
    program.row_lower_ = np.full(program.num_row_, -np.inf)
    program.row_upper_ = np.concatenate([needs / KILO, np.full(len(prices), limit_w / KILO)])
    program.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    program.a_matrix_.start_, program.a_matrix_.index_ = matrix.indptr, matrix.indices
    program.a_matrix_.value_ = matrix.data
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("threads", 1)
    solver.passModel(program)
    solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        raise Failed("no schedule with foresight")
    power = np.zeros(len(prices))
    np.add.at(power, step, np.asarray(solver.getSolution().col_value))
    return power * KILO
