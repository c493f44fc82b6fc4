"""Neutrals of the world: currents as the phases leave them, voltages where they are conductors."""

import asyncio

import numpy as np
import pytest
from world_helpers import WINTER, bare_site, run, world

from environments.simulation.world import CompensatorSettings, FeederSettings, World
from environments.simulation.world.neutrals import conducted
from ontology.assets import Phases
from ontology.grid import DstatcomCommand, DstatcomMode

UNIT = CompensatorSettings(segment_id="segment-001", rated_va=15_000)


def street(*, four_wires: bool, units: tuple[CompensatorSettings, ...] = (UNIT,)) -> World:
    """Return houses on the first and second phase in a winter evening, and what they have drawn by then."""
    phases = [Phases.L1, Phases.L1, Phases.L2, Phases.L1]
    sites = [bare_site(f"h{i:03d}", annual_kwh=15_000, phases=phases[i]) for i in range(4)]
    model = world(
        *sites, feeder=FeederSettings(four_wires=four_wires, compensators=units), start_s=WINTER + 61_200
    )
    for unit in model.compensators():
        power_w = [-3_000, 0, 3_000]
        asyncio.run(
            unit.command(DstatcomCommand(asset_id=unit.asset_id, mode=DstatcomMode.SETPOINT, power_w=power_w))
        )
    run(model, 4)
    return model


def test_the_conductor_carries_what_the_phases_leave_and_has_a_voltage_besides() -> None:
    without, with_wires = (street(four_wires=each).grid_table() for each in (False, True))
    for name in ("neutral_a", "dstatcom_neutral_a"):
        assert (with_wires[name] > 5).all()
        assert with_wires[name] == pytest.approx(without[name], abs=1e-4)
    assert np.isnan(without["neutral_v"].astype(float)).all()
    assert (with_wires["neutral_v"] > 0.1).all()
    assert (with_wires["neutral_v"] < 20).all()


def test_a_feeder_without_units_has_no_current_in_their_neutrals() -> None:
    for four_wires in (False, True):
        table = street(four_wires=four_wires, units=()).grid_table()
        assert (table["dstatcom_neutral_a"] == 0).all()
        assert (table["neutral_a"] > 5).all()


def test_what_no_feeder_can_carry_leaves_nothing_known() -> None:
    model = street(four_wires=True)
    (wires,) = model.grid._wires or ()
    impossible_va = np.full((4, 3), 1e6 + 0j)
    assert np.isnan(conducted(wires, impossible_va, np.zeros((1, 3), dtype=np.complex128))).all()
