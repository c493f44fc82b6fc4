import pytest

from behaviours.decisions.envelopes import photovoltaic_envelope
from behaviours.decisions.site_plan import plan_site
from behaviours.decisions.site_planners import PlanSolver, planner_of
from ontology.flexibility import FlexEnvelope

STEPS = 8
BUY, SELL = [2_000] * 4 + [1_000] * 4, [500] * STEPS


def boiler(power_max_w=2_000, needed_wh=1_000):
    return FlexEnvelope(
        subject="boiler",
        start_s=0,
        power_min_w=[0] * STEPS,
        power_max_w=[power_max_w] * STEPS,
        energy_min_wh=[0] * 7 + [needed_wh],
        energy_max_wh=[10_000] * STEPS,
    )


@pytest.mark.parametrize("solver", PlanSolver)
def test_every_solver_buys_in_the_cheap_hours(solver):
    plan = planner_of(solver)([300] * STEPS, BUY, SELL, [boiler()])
    assert sum(plan.setpoints["boiler"][4:]) == pytest.approx(4_000, abs=4)
    assert sum(plan.setpoints["boiler"][:4]) == pytest.approx(0, abs=4)


@pytest.mark.parametrize("solver", PlanSolver)
def test_every_solver_turns_a_plant_down_where_it_may_not_export(solver):
    plant = photovoltaic_envelope("roof-pv", [-3_000] * STEPS, 0)
    plan = planner_of(solver)([1_000] * STEPS, BUY, SELL, [plant], export_max_w=0)
    assert plan.net_w == pytest.approx([0] * STEPS, abs=2)


def test_what_has_no_solution_is_planned_as_well_as_can_be():
    too_much = boiler(power_max_w=400, needed_wh=2_000)
    plan = planner_of(PlanSolver.EXACT)([300] * STEPS, BUY, SELL, [too_much])
    assert plan == plan_site([300] * STEPS, BUY, SELL, [too_much])
    assert plan.setpoints["boiler"] == [400] * STEPS
