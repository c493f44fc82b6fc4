"""The DSO's central controller of the D-STATCOMs on each of its feeders (D8.1 3.10, SPEC 4.11)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from behaviours.behaviour import Behaviour, on
from behaviours.decisions.dstatcom import Unit, corrected, phase_voltages, planned
from behaviours.decisions.dstatcom.coordination import whole
from behaviours.decisions.dstatcom.laws import DEADBAND_PU
from behaviours.decisions.dstatcom.rating import Complex
from behaviours.decisions.grid.network import LINE_VOLTAGE_V, Network
from behaviours.decisions.grid.power_flow import FlowResult
from ontology.errors import Refused
from ontology.grid import DstatcomCommand, DstatcomMode, DstatcomObjective, DstatcomStatus, GridMeasurement
from ontology.letter import Letter
from ontology.performatives import Performative

__all__ = ["CoordinationSettings", "DstatcomCoordination"]

UNEVEN = 0.5
"""Share of the yellow limit of unbalance from which units are put to work against it."""
NEUTRAL_SHARE = 0.1
"""Neutral current over the transformer's rated current from which they are put to work against that."""
WORTHWHILE = 0.003
"""Share of a unit's rating that a correction must change to be sent."""


@dataclass(frozen=True, kw_only=True)
class CoordinationSettings:
    """The units that the DSO runs, their agent, and what they are for."""

    agent: str
    units: tuple[Unit, ...]
    objective: DstatcomObjective = DstatcomObjective.UNBALANCE


class DstatcomCoordination(Behaviour):
    """Sets all units of a feeder together: ahead from the forecast, then from what is measured."""

    def setup(self) -> None:
        """No unit is at work, none has reported."""
        self._plan: CoordinationSettings | None = self.settings.dstatcoms
        self._working: set[str] = set()
        self.statuses: dict[str, DstatcomStatus] = {}
        """What each unit has reported last."""

    def foresee(self, network: Network, flow: FlowResult | None, unbalance_yellow: float) -> Complex | None:
        """Set the units of a feeder for the coming interval, or switch them off where nothing calls for them.

        Returns what they are to draw at each foreseen instant, (T - 1, units, 3) in VA; None where nobody
        can tell. Of units that hold the voltage only they know, so that is nothing.

        Args:
            network: the feeder.
            flow: its flow without the units; the instants from the second on are foreseen.
            unbalance_yellow: voltage unbalance from which the traffic light is yellow.
        """
        units = self._units(network.segment_id)
        if flow is None or self._plan is None or not units:
            return None
        called = [self._called_for(network, flow, t, unbalance_yellow) for t in range(1, len(flow.busbar_w))]
        ahead = [self._planned(units, flow, t) if yes else _nothing(units) for t, yes in enumerate(called, 1)]
        if not called[0]:
            self._rest(network.segment_id, units)
            return np.array(ahead)
        self._working.add(network.segment_id)
        if self._plan.objective is DstatcomObjective.VOLTAGE:
            for unit in units:
                self._command(unit, DstatcomMode.VOLT)
        else:
            self._set(units, ahead[0])
        return np.array(ahead)

    def follow(self, segment_id: str, power_va: Complex) -> None:
        """Set the units of a feeder to powers (units, 3) that relief needs, until the next outlook."""
        self._working.add(segment_id)
        for unit, each in zip(self._units(segment_id), power_va, strict=True):
            self._command(unit, DstatcomMode.SETPOINT, *whole(each))

    def reported(self, segment_id: str) -> list[Complex]:
        """Return what each unit of a feeder said last that it draws, (3,) in VA; nothing of silent ones."""
        statuses = [self.statuses.get(unit.asset_id) for unit in self._units(segment_id)]
        return [drawn_va(each) if each else np.zeros(3, dtype=np.complex128) for each in statuses]

    def _planned(self, units: Sequence[Unit], flow: FlowResult, instant: int) -> list[Complex]:
        assert self._plan is not None
        if self._plan.objective is DstatcomObjective.VOLTAGE:
            return _nothing(units)
        load_va = flow.busbar_w[instant] + 1j * flow.busbar_var[instant]
        return planned(self._plan.objective, load_va, flow.phasors_v(1)[instant], units)

    @on(DstatcomStatus)
    def note(self, status: DstatcomStatus, letter: Letter) -> None:
        """Remember a unit's state, and count its alarms.

        Raises: Refused when it is not from the units' agent.
        """
        self._check(letter)
        self.statuses[status.asset_id] = status
        self.agent.counts["dstatcom alarms"] += len(status.alarms)

    @on(GridMeasurement)
    def correct(self, head: GridMeasurement, letter: Letter) -> None:
        """Correct the units of a feeder that are at work, from what is measured at its head.

        Units of which no state of the same time is known take no part.

        Raises: Refused when it is not from the units' agent.
        """
        self._check(letter)
        network = next((each for each in self.settings.networks if each.nodes[1] == head.node_id), None)
        plan = self._plan
        if network is None or plan is None or network.segment_id not in self._working:
            return
        reported = [(unit, self.statuses.get(unit.asset_id)) for unit in self._units(network.segment_id)]
        present = [
            (unit, drawn_va(status))
            for unit, status in reported
            if status and status.time_s == head.time_s and status.mode is DstatcomMode.BALANCE
        ]
        if not present:
            return
        units, given_va = [unit for unit, _ in present], [given for _, given in present]
        head_va = np.array(head.power_w) + 1j * np.array(head.reactive_var)
        volts = phase_voltages(np.array(head.voltage_v))
        next_va = corrected(plan.objective, head_va, volts, units, given_va)
        if any(worthwhile(*each) for each in zip(units, given_va, next_va, strict=True)):
            self._set(units, next_va)

    def _called_for(self, network: Network, flow: FlowResult, instant: int, unbalance_yellow: float) -> bool:
        """Tell whether what the units are for is strained at an instant of a flow."""
        assert self._plan is not None
        match self._plan.objective:
            case DstatcomObjective.UNBALANCE:
                return float(flow.unbalance_max[instant]) > UNEVEN * unbalance_yellow
            case DstatcomObjective.NEUTRAL:
                rated_a = network.transformer.rated_va / LINE_VOLTAGE_V / 3**0.5
                return float(flow.busbar_current_a()[instant, 3]) > NEUTRAL_SHARE * rated_a
            case DstatcomObjective.VOLTAGE:
                low, high = float(flow.voltage_min_pu[instant]), float(flow.voltage_max_pu[instant])
                return max(1 - low, high - 1) > DEADBAND_PU

    def _rest(self, segment_id: str, units: Sequence[Unit]) -> None:
        """Switch off units that were put to work, or say that they are (as before a restart here)."""
        reported = [status for unit in units if (status := self.statuses.get(unit.asset_id))]
        if segment_id in self._working or any(each.mode is not DstatcomMode.OFF for each in reported):
            self._working.discard(segment_id)
            for unit in units:
                self._command(unit, DstatcomMode.OFF)

    def _set(self, units: Sequence[Unit], power_va: Sequence[Complex]) -> None:
        for unit, each in zip(units, power_va, strict=True):
            self._command(unit, DstatcomMode.BALANCE, *whole(each))

    def _command(
        self,
        unit: Unit,
        mode: DstatcomMode,
        power_w: Sequence[int] = (),
        reactive_var: Sequence[int] = (),
    ) -> None:
        assert self._plan is not None
        command = DstatcomCommand(
            asset_id=unit.asset_id,
            mode=mode,
            objective=self._plan.objective,
            power_w=list(power_w),
            reactive_var=list(reactive_var),
        )
        self.tell(self._plan.agent, command, Performative.REQUEST)

    def _units(self, segment_id: str) -> list[Unit]:
        return [unit for unit in self._plan.units if unit.segment_id == segment_id] if self._plan else []

    def _check(self, letter: Letter) -> None:
        if self._plan is None or letter.sender != self._plan.agent:
            raise Refused("only the agent of the DSO's D-STATCOMs reports of them")


def _nothing(units: Sequence[Unit]) -> list[Complex]:
    return [np.zeros(3, dtype=np.complex128) for _ in units]


def drawn_va(status: DstatcomStatus) -> Complex:
    """Return what a unit draws from each phase, (3,) in VA."""
    return np.array(status.power_w) + 1j * np.array(status.reactive_var)


def worthwhile(unit: Unit, given_va: Complex, next_va: Complex) -> bool:
    """Tell whether a correction changes anything that matters beside a unit's rating."""
    moved_va = given_va - np.real(given_va).mean()
    return bool(np.abs(next_va - moved_va).max() > WORTHWHILE * unit.rating.rated_va)
