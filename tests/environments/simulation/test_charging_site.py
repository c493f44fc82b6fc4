import asyncio

import pytest

from environments.simulation.charging_site import SimulatedChargingSite, Stay
from ontology.charging import EvConnectionEvent, EvDisconnectionEvent, EvSocUpdate, EvUserInput
from ontology.control import Instruction, InstructionState

START_S = 1_750_000_500


def stay(arrival_s=0, departure_s=3_600, need_wh=5_000.0, **other):
    return Stay("s", 0, "driver", START_S + arrival_s, START_S + departure_s, need_wh, None, **other)


def site(*stays, **other):
    return SimulatedChargingSite(stays, ["p1", "p2"], [6_000, 6_000], START_S, **other)


def tell(world, power_w, **other):
    told = Instruction(
        instruction_id="i",
        asset_id="p1",
        execution_time_s=world.now_s,
        valid_until_s=world.now_s + 86_400,
        setpoint_w=power_w,
        **other,
    )
    return asyncio.run(world.devices()[0].instruct(told))


def reports(world):
    return asyncio.run(world.devices()[0].percepts())


def test_a_vehicle_takes_what_it_is_told_until_it_has_what_it_needs():
    world = site(stay(need_wh=1_000.0))
    world.step()
    assert tell(world, 6_000).status is InstructionState.STARTED
    assert [world.step()[0] for _ in range(4)] == pytest.approx([6_000, 6_000, 0, 0])


def test_a_point_that_nobody_told_anything_gives_nothing_or_all():
    waiting, eager = site(stay(600)), site(stay(600), plug_and_charge=True)
    assert sum(waiting.step()[0] for _ in range(5)) == 0
    assert [eager.step()[0] for _ in range(4)] == pytest.approx([0, 0, 6_000, 6_000])


def test_whoever_comes_within_a_step_draws_from_then_on():
    eager = site(stay(150), plug_and_charge=True)
    assert eager.step()[0] == pytest.approx(3_000)


def test_what_one_session_was_told_is_nothing_to_the_next():
    later = Stay("t", 0, "another", START_S + 700, START_S + 3_600, 5_000.0, None)
    world = site(stay(0, 600), later)
    world.step()
    tell(world, 6_000)
    assert [round(world.step()[0]) for _ in range(3)] == [6_000, 0, 0]


def test_comings_and_goings_are_reported_once():
    world = site(stay(0, 450))
    world.step()
    assert [type(each) for each in reports(world)] == [EvConnectionEvent, EvSocUpdate]
    assert [type(each) for each in reports(world)] == [EvSocUpdate]
    tell(world, 6_000)
    world.step()
    (gone,) = reports(world)
    assert isinstance(gone, EvDisconnectionEvent)
    assert (gone.time_s, gone.energy_delivered_wh) == (START_S + 450, 250)
    assert world.over


def test_nothing_is_taken_below_the_drivers_minimum():
    wish = EvUserInput(
        session_id="s",
        time_s=START_S,
        requested_energy_wh=5_000,
        departure_s=START_S + 3_600,
        minimum_state_of_charge=0.3,
        v2g_allowed=True,
    )
    world = site(stay(capacity_wh=10_000.0, initial_state_of_charge=0.35)._replace(wish=wish), one_way=0.9)
    world.step()
    tell(world, -6_000)
    given_wh = -sum(world.step()[0] for _ in range(6)) / 12
    assert given_wh == pytest.approx(0.05 * 10_000 * 0.9)
    progress = world.progress(0)
    assert progress is not None
    assert progress.state_of_charge == pytest.approx(0.3, abs=1e-6)
