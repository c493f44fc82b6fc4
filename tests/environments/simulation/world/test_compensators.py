"""D-STATCOMs of the world: where they stand, what they obey, and what they do by themselves."""

import asyncio
from typing import Any

import pytest
from world_helpers import bare_site, run, world

from environments.simulation.world import CompensatorSettings, FeederSettings, World
from environments.simulation.world.compensators import Compensator
from ontology.assets import Phases
from ontology.errors import InvalidInput
from ontology.grid import DstatcomCommand, DstatcomMode, DstatcomObjective, DstatcomStatus, GridMeasurement


def street(*units: CompensatorSettings, **settings: Any) -> World:
    """Return twelve large consumers on one feeder, most of them on the first phase."""
    phases = [Phases.L1, Phases.L1, Phases.L2, Phases.L1, Phases.L3, Phases.L1]
    sites = [bare_site(f"h{i:03d}", annual_kwh=20_000, phases=phases[i % 6]) for i in range(12)]
    feeder = FeederSettings(compensators=units or None, joint_spacing_m=80, **settings)
    return world(*sites, feeder=feeder)


def told(unit: Compensator, mode: DstatcomMode, **values: Any) -> None:
    unit.obey(DstatcomCommand(asset_id=unit.asset_id, mode=mode, **values))


def status(unit: Compensator) -> DstatcomStatus:
    return next(each for each in asyncio.run(unit.percepts()) if isinstance(each, DstatcomStatus))


def head(model: World) -> GridMeasurement:
    percepts = asyncio.run(model.compensators()[0].percepts())
    return next(each for each in percepts if isinstance(each, GridMeasurement))


def test_a_unit_moves_power_between_phases_and_keeps_only_its_losses() -> None:
    model = world()
    (unit,) = model.compensators("segment-001")
    told(unit, DstatcomMode.SETPOINT, power_w=[30_000, 0, 0], reactive_var=[0] * 3)
    run(model, 1)
    now = status(unit)
    assert now.power_w == pytest.approx([10_000, -5_000, -5_000], abs=100)
    assert 0 < sum(now.power_w) <= 0.01 * 30_000
    assert now.neutral_a > 50
    assert now.alarms == ["limited"]
    told(unit, DstatcomMode.OFF)
    assert status(unit).power_w == [0, 0, 0]


def test_rating_and_place_are_those_of_the_settings() -> None:
    near, far = (
        CompensatorSettings(segment_id="segment-001", rated_va=rated_va, site=site)
        for rated_va, site in ((9_000, "h000"), (15_000, ""))
    )
    model = street(near, far)
    run(model, 80)
    first, second = model.compensators()
    assert [first.asset_id, second.asset_id] == ["segment-001-dstatcom", "segment-001-dstatcom-2"]
    assert [status(each).rated_va for each in (first, second)] == [9_000, 15_000]
    assert status(first).voltage_v[0] > status(second).voltage_v[0]
    told(first, DstatcomMode.SETPOINT, power_w=[-20_000, 10_000, 10_000])
    assert status(first).power_w == pytest.approx([-3_000, 1_500, 1_500], abs=60)
    assert status(second).power_w == [0, 0, 0]


def test_what_a_unit_shifts_is_what_the_head_of_the_feeder_is_relieved_of() -> None:
    model = street()
    run(model, 80)
    before = head(model)
    told(model.compensators()[0], DstatcomMode.SETPOINT, power_w=[-4_000, 2_000, 2_000])
    after = head(model)
    assert [a - b for a, b in zip(after.power_w, before.power_w, strict=True)] == pytest.approx(
        [-4_000, 2_000, 2_000], abs=400
    )
    assert after.current_a[3] < before.current_a[3]


@pytest.mark.parametrize("objective", [DstatcomObjective.UNBALANCE, DstatcomObjective.NEUTRAL])
def test_left_to_itself_a_unit_evens_out_what_it_measures_at_the_head(objective: DstatcomObjective) -> None:
    model = street()
    (unit,) = model.compensators()
    run(model, 80)
    before = head(model)
    told(unit, DstatcomMode.BALANCE, objective=objective)
    after = head(model)
    assert before.current_a[3] > 15
    assert after.current_a[3] < 0.3 * before.current_a[3]


def test_holding_the_voltage_a_unit_lifts_it_where_it_is_low() -> None:
    model = street(source_pu=0.96)
    (unit,) = model.compensators()
    run(model, 80)
    before = status(unit)
    told(unit, DstatcomMode.VOLT)
    after = status(unit)
    assert min(after.reactive_var) < 0
    assert min(after.voltage_v) > min(before.voltage_v)
    assert abs(sum(after.power_w)) <= 0.01 * 30_000


def test_units_that_cannot_be_are_named_all_at_once() -> None:
    units = (
        CompensatorSettings(segment_id="segment-009", rated_va=0),
        CompensatorSettings(segment_id="segment-001", neutral_a=-1, site="nobody"),
    )
    with pytest.raises(InvalidInput) as caught:
        street(*units)
    assert [each.path for each in caught.value.problems] == [
        "feeder.compensators[0].rated_va",
        "feeder.compensators[0].segment_id",
        "feeder.compensators[1].neutral_a",
        "feeder.compensators[1].site",
    ]
