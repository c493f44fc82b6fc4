"""The charging plan of a site: requests first, then least cost or least peak (SPEC 4.5.4)."""

from collections.abc import Sequence

import highspy
import numpy as np
import numpy.typing as npt

from behaviours.decisions.charging.programme import Powers, powers_of, programme
from behaviours.decisions.charging.terms import ChargingDemand, ChargingPlan, Objective, SiteTerms
from behaviours.decisions.series import FloatArray
from ontology.errors import Failed

__all__ = ["charging_plan"]

KILO = 1000.0
TIME_LIMIT_S = 30.0
ROUNDS = 3
"""How often the programme is solved until nothing charges and discharges at once."""
MIXED_KW = 0.01
NOTHING_W = 0.5
"""Powers below are the solver's rounding."""


def charging_plan(
    demands: Sequence[ChargingDemand], terms: SiteTerms, objective: Objective = Objective.COST
) -> ChargingPlan:
    """Plan all sessions at once by a linear programme.

    Energies count at the charging point. A Wh given back costs `1 / round_trip` Wh of charging later, so
    charging and discharging at once pays only where giving back is worth more than that. There the
    direction in which the battery goes is kept, and the programme solved again.

    Args:
        demands: the sessions plugged in.
        terms: limits, loads and prices by step; at least one step.
        objective: what to do once the requests are served.

    Raises: Failed when the solver finds no plan.
    Source: SPEC 4.5 (charging control and optimisation).
    """
    if not demands:
        return ChargingPlan(terms.starts_s, {}, {})
    powers = powers_of(demands, terms)
    if not len(powers.step):
        idle = np.zeros(len(terms.hours))
        return ChargingPlan(
            terms.starts_s,
            {each.session_id: idle for each in demands},
            {each.session_id: max(0.0, each.remaining_wh) for each in demands},
        )
    for _ in range(ROUNDS):
        solution = _solved(programme(demands, terms, objective, powers))[: len(powers.step)]
        both = _at_once(powers, solution, terms.round_trip)
        if not both.any():
            break
        powers = powers._replace(upper_kw=np.where(both, 0.0, powers.upper_kw))
    return _plan(demands, terms, powers, solution)


def _at_once(powers: Powers, solution_kw: FloatArray, round_trip: float) -> "npt.NDArray[np.bool_]":
    """Return which powers go against the direction that a battery takes in a step all the same."""
    rate = np.where(powers.sign > 0, 1.0, -1.0 / round_trip) * solution_kw
    width = int(powers.step.max()) + 1
    cell = powers.session * width + powers.step
    net, turnover = (np.bincount(cell, weights=each)[cell] for each in (rate, np.abs(rate)))
    mixed = turnover - np.abs(net) > 2 * MIXED_KW
    against: npt.NDArray[np.bool_] = mixed & (np.sign(net) != powers.sign) & (np.abs(net) > 0)
    return against


def _plan(
    demands: Sequence[ChargingDemand], terms: SiteTerms, powers: Powers, solution_kw: FloatArray
) -> ChargingPlan:
    """Return powers and shortfalls from what the solver found."""
    content_kw = np.zeros((len(demands), len(terms.hours)))
    rate = np.where(powers.sign > 0, 1.0, -1.0 / terms.round_trip)
    np.add.at(content_kw, (powers.session, powers.step), rate * solution_kw)
    net_w = np.where(content_kw < 0, content_kw * terms.round_trip, content_kw) * KILO
    net_w[np.abs(net_w) < NOTHING_W] = 0.0
    there = np.zeros_like(content_kw)
    there[powers.session, powers.step] = powers.there
    served_wh = (content_kw * there * terms.hours).sum(axis=1) * KILO
    return ChargingPlan(
        terms.starts_s,
        {each.session_id: net_w[i] for i, each in enumerate(demands)},
        {each.session_id: max(0.0, each.remaining_wh - served_wh[i]) for i, each in enumerate(demands)},
    )


def _solved(program: highspy.HighsLp) -> FloatArray:
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("threads", 1)
    solver.setOptionValue("time_limit", TIME_LIMIT_S)
    solver.passModel(program)
    solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        raise Failed(f"no charging plan: {solver.modelStatusToString(solver.getModelStatus())}")
    solution: FloatArray = np.asarray(solver.getSolution().col_value)
    return solution
