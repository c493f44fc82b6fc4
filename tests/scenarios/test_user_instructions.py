"""What people tell their devices from their app: done, reported, and planned with."""

import msgspec
import pytest
from scenario_helpers import LABORATORY, MORNING

from behaviours.site.overriding import AUTOMATIC, OverrideHeeding
from behaviours.site.planning import SitePlanning
from ontology.control import Instruction, Priority


def agent(model, name):
    return model.community.agents[f"{name}@localhost"]


def wanted(model, power_w):
    now_s = model.now_s
    return Instruction(
        instruction_id=f"app-{now_s}",
        asset_id="h001-bess",
        execution_time_s=now_s,
        valid_until_s=now_s + 3_600,
        setpoint_w=power_w,
        priority=Priority.USER,
    )


@pytest.mark.parametrize("power_w", [1_500, 0])
def test_the_next_plan_has_the_battery_do_what_its_owner_wants(community, power_w):
    model = community(scenario=LABORATORY, intervals=12, start=MORNING, record=False)
    for _ in range(4):
        model.step()
    gateway, prosumer = agent(model, "h001-gateway"), agent(model, "h001-prosumer")
    start_s = model.now_s
    model.at(start_s + 60, lambda: gateway.tell(prosumer.address, wanted(model, power_w)))
    model.step()
    planning = prosumer.behaviour(SitePlanning)
    planned = [planning.planned_w(start_s + step * 900)["h001-bess"] for step in range(1, 4)]
    assert planned == [power_w] * 3
    assert prosumer.behaviour(OverrideHeeding).kept_to_plans < 1.0


def test_a_battery_that_is_given_back_is_planned_for_as_ever(community):
    model = community(scenario=LABORATORY, intervals=12, start=MORNING, record=False)
    for _ in range(4):
        model.step()
    gateway, prosumer = agent(model, "h001-gateway"), agent(model, "h001-prosumer")
    planning, start_s = prosumer.behaviour(SitePlanning), model.now_s
    told = wanted(model, 1_234)
    back = msgspec.structs.replace(told, setpoint_w=None, mode=AUTOMATIC)
    model.at(start_s + 60, lambda: gateway.tell(prosumer.address, told))
    model.at(start_s + 120, lambda: gateway.tell(prosumer.address, back))
    model.step()
    planned = [planning.planned_w(start_s + step * 900)["h001-bess"] for step in range(1, 4)]
    assert 1_234 not in planned
