"""The charging plan of a site: requests first, then least cost or least peak (SPEC 4.5.4)."""

from collections.abc import Sequence

import highspy
import numpy as np

from behaviours.decisions.charging.programme import Powers, powers_of, programme
from behaviours.decisions.charging.terms import ChargingDemand, ChargingPlan, Objective, SiteTerms
from behaviours.decisions.series import FloatArray
from ontology.errors import Failed

__all__ = ["charging_plan"]

KILO = 1000.0
TIME_LIMIT_S = 5.0
NOTHING_W = 0.5
"""Powers below are the solver's rounding."""


def charging_plan(
    demands: Sequence[ChargingDemand], terms: SiteTerms, objective: Objective = Objective.COST
) -> ChargingPlan:
    """Plan all sessions at once by a linear programme.

    Energies count at the charging point. A Wh given back costs `1 / round_trip` Wh of charging later, so
    charging and discharging at once never pays; where a negative price makes it pay, the two are set off
    to what changes the battery alike with less power.

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
    solution = _solved(programme(demands, terms, objective, powers))
    return _plan(demands, terms, powers, solution[: len(powers.step)])


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
