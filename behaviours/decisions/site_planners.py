"""The solvers of a site's plan, by the name that a scenario or a site gives them."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Protocol

from behaviours.decisions.pricing import FlowCharge
from behaviours.decisions.site_plan import WEAR_TICKS_PER_KWH, Limit, Series, SitePlan, plan_site
from ontology.errors import Failed
from ontology.flexibility import FlexEnvelope

__all__ = ["PlanSolver", "planner_of"]


class PlanSolver(StrEnum):
    """How a site's plan is found: device by device within a hundredth of the optimum, or all at once."""

    FAST = "fast"
    EXACT = "exact"


class Planner(Protocol):
    """Plans all devices of a site; arguments as `plan_site`."""

    def __call__(
        self,
        base_w: Series,
        buy_ticks: Series,
        sell_ticks: Series,
        envelopes: Iterable[FlexEnvelope],
        *,
        import_max_w: Limit = None,
        export_max_w: Limit = None,
        flow: FlowCharge | None = None,
        wear_ticks_per_kwh: int = WEAR_TICKS_PER_KWH,
    ) -> SitePlan:
        """Return the plan."""
        ...


def planner_of(solver: PlanSolver) -> Planner:
    """Return the solver of a name; where bounds contradict each other the exact one gives way to the fast."""
    if solver is PlanSolver.FAST:
        return plan_site
    # cvxpy takes a second to load and 100 MB to keep: only who asks for it pays
    from behaviours.decisions.exact_plan import exact_site_plan

    def exact_or_fast(*problem: Any, **limits: Any) -> SitePlan:
        try:
            return exact_site_plan(*problem, **limits)
        except Failed:
            return plan_site(*problem, **limits)

    return exact_or_fast
