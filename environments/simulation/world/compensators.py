"""The D-STATCOMs of the world: four-leg converters on feeders, as the port `PhaseCompensator` shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from behaviours.decisions.dstatcom import Unit, compensating_va, phase_voltages, rating_of, supporting_va
from environments.simulation.world.converter import FourLegConverter
from ontology.base import Concept
from ontology.control import Instruction, InstructionState, InstructionStatus
from ontology.grid import DstatcomCommand, DstatcomMode, DstatcomStatus, GridMeasurement

if TYPE_CHECKING:
    from behaviours.decisions.dstatcom.rating import Complex
    from behaviours.decisions.grid.network import Network
    from behaviours.decisions.grid.power_flow import FlowResult
    from environments.simulation.world.world import World

__all__ = ["Compensator", "busbar_measurement"]

AT_ONCE_S = 1.0
"""Long beside the time constant of a converter, short beside a step of the world."""
STEP_SHARE = 0.5
"""How far units that control by their own measurements go before the grid is solved again."""
SETTLED = 0.0005
"""Share of the rating below which such a step counts as none."""


class Compensator:
    """A D-STATCOM: shifts power between phases and gives reactive power, as commanded or by itself."""

    name = "dstatcom"

    def __init__(self, world: World, feeder: int, position: int) -> None:
        """Stand on a feeder as the position-th of all units of the world."""
        settings = world.grid.compensators[position]
        first = sum(len(each.compensator_nodes) for each in world.grid.networks[:feeder])
        number = position - first
        self.world, self.feeder, self.position = world, feeder, position
        self.node = world.grid.networks[feeder].compensator_nodes[number]
        self.segment_id = settings.segment_id
        self.asset_id = f"{settings.segment_id}-dstatcom" + (f"-{number + 1}" if number else "")
        self.converter = FourLegConverter(rating_of(settings.rated_va, settings.neutral_a), settings.priority)
        self._command = DstatcomCommand(asset_id=self.asset_id, mode=DstatcomMode.OFF)

    @property
    def unit(self) -> Unit:
        """The unit as its operator knows it."""
        return Unit(self.asset_id, self.segment_id, self.converter.rating, self.converter.priority)

    @property
    def mode(self) -> DstatcomMode:
        """What it is controlling."""
        return self._command.mode

    async def percepts(self) -> Sequence[Concept]:
        """Return its state, then what is measured at the head of its feeder once there is something."""
        flow = self._flow()
        volts = self._volts(flow)
        drawn = self.converter.drawn_va
        status = DstatcomStatus(
            asset_id=self.asset_id,
            time_s=self.world.now_s,
            mode=self.mode,
            power_w=[round(float(each)) for each in drawn.real],
            reactive_var=[round(float(each)) for each in drawn.imag],
            neutral_a=round(self.converter.neutral_a(volts), 3),
            voltage_v=[round(float(each), 3) for each in np.abs(volts)],
            rated_va=round(self.converter.rating.rated_va),
            temperature_degc=round(self.converter.temperature_degc, 1),
            alarms=self.converter.alarms(),
        )
        if flow is None:
            return [status]
        network = self.world.grid.networks[self.feeder]
        return [status, busbar_measurement(network, flow, self.world.now_s)]

    async def instruct(self, instruction: Instruction) -> InstructionStatus:
        """Refuse: a D-STATCOM takes commands by phase (`command`)."""
        return InstructionStatus(
            instruction_id=instruction.instruction_id,
            status=InstructionState.REJECTED,
            time_s=self.world.now_s,
        )

    async def command(self, command: DstatcomCommand) -> None:
        """Put a command into effect at once."""
        self.obey(command)

    def obey(self, command: DstatcomCommand) -> None:
        """Put a command into effect; powers (consumption positive) are shifted to sum 0 and limited."""
        self._command = command
        self.world.grid.revision += 1
        if not self._controls_itself or command.mode is DstatcomMode.OFF:
            self._follow(self._commanded_va(), self._volts(self._flow()), AT_ONCE_S)

    def pursue(self, flow: FlowResult) -> bool:
        """Go some way to where its own control leads in a flow; tell whether that was a step at all."""
        if not self._controls_itself:
            return False
        before, volts = self.converter.power_va, flow.phasors_v(self.node)[-1]
        target = self._own_va(flow, volts)
        self._follow(before + STEP_SHARE * (target - before), volts, AT_ONCE_S)
        moved = np.abs(self.converter.power_va - before).max()
        return bool(moved > SETTLED * self.converter.rating.rated_va)

    @property
    def _controls_itself(self) -> bool:
        command = self._command
        unasked = command.mode is DstatcomMode.BALANCE and not (command.power_w or command.reactive_var)
        return unasked or command.mode is DstatcomMode.VOLT

    def _commanded_va(self) -> Complex | None:
        command = self._command
        if command.mode is DstatcomMode.OFF:
            return None
        return np.array(command.power_w or [0] * 3) + 1j * np.array(command.reactive_var or [0] * 3)

    def _own_va(self, flow: FlowResult, volts: Complex) -> Complex:
        command, rating = self._command, self.converter.rating
        if command.mode is DstatcomMode.VOLT:
            return supporting_va(volts, rating, command.voltage_reference_pu)
        head_va = flow.busbar_w[-1] + 1j * flow.busbar_var[-1]
        return compensating_va(
            command.objective,
            head_va - self.converter.drawn_va,
            flow.phasors_v(1)[-1],
            rating,
            self.converter.priority,
        )

    def _follow(self, wanted_va: Complex | None, volts: Complex, seconds: float) -> None:
        self.converter.follow(wanted_va, volts, seconds)
        self.world.grid.compensate(self.position, self.converter.drawn_va)

    def _flow(self) -> FlowResult | None:
        """Return the flow of this instant; None before the first step."""
        return self.world.solve_now()[self.feeder] if self.world.has_stepped else None

    def _volts(self, flow: FlowResult | None) -> Complex:
        return phase_voltages() if flow is None else flow.phasors_v(self.node)[-1]


def busbar_measurement(network: Network, flow: FlowResult, time_s: int) -> GridMeasurement:
    """Return what is measured at the low-voltage busbar at the last instant of a flow."""
    return GridMeasurement(
        node_id=network.nodes[1],
        time_s=time_s,
        voltage_v=[round(float(each), 3) for each in np.abs(flow.phasors_v(1)[-1])],
        current_a=[round(float(each), 3) for each in flow.busbar_current_a()[-1]],
        power_w=[round(float(each)) for each in flow.busbar_w[-1]],
        reactive_var=[round(float(each)) for each in flow.busbar_var[-1]],
    )
