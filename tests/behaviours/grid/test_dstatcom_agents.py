"""The D-STATCOMs' agent obeys the DSO alone, and the DSO sets all units of a feeder together."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import pytest
from post_office import Mailbox, Town

from behaviours.decisions.dstatcom import Unit, rating_of
from behaviours.decisions.grid import PowerFlow, radial_feeder
from behaviours.grid.compensation import Compensating, DstatcomSettings, StatusReporting
from behaviours.grid.dstatcom_coordination import CoordinationSettings, DstatcomCoordination
from behaviours.signing import Signer
from ontology.base import Concept
from ontology.discourse import Acknowledgement, FailureReport, Refusal
from ontology.errors import Unavailable
from ontology.grid import DstatcomCommand, DstatcomMode, DstatcomObjective, DstatcomStatus, GridMeasurement
from ontology.performatives import Performative
from ontology.roles import Role

NETWORK = radial_feeder("segment-001", [f"h{i:03d}" for i in range(12)])
UNITS = tuple(Unit(f"unit-{i}", "segment-001", rating_of(15_000)) for i in (1, 2))


def status(asset_id: str, time_s: int, power_w: Sequence[int] = (0, 0, 0)) -> DstatcomStatus:
    return DstatcomStatus(
        asset_id=asset_id,
        time_s=time_s,
        mode=DstatcomMode.BALANCE,
        power_w=list(power_w),
        reactive_var=[0] * 3,
        neutral_a=0.0,
        voltage_v=[230.0] * 3,
    )


def head(time_s: int, power_w: Sequence[int]) -> GridMeasurement:
    return GridMeasurement(
        node_id=NETWORK.nodes[1],
        time_s=time_s,
        voltage_v=[230.0] * 3,
        current_a=[0.0] * 4,
        power_w=list(power_w),
        reactive_var=[0] * 3,
    )


@dataclass
class Unplugged:
    """A unit that notes commands and can be away."""

    asset_id: str
    is_away: bool = False
    commands: list[DstatcomCommand] = field(default_factory=list)

    async def percepts(self) -> Sequence[Concept]:
        if self.is_away:
            raise Unavailable("unit: no answer")
        return [status(self.asset_id, 5), head(5, [0, 0, 0])]

    async def command(self, command: DstatcomCommand) -> None:
        if self.is_away:
            raise Unavailable("unit: no acknowledgement")
        self.commands.append(command)


class Cabinet:
    """The units' agent, its DSO and another one."""

    def __init__(self, town: Town, status_s: int) -> None:
        self.town = town
        self.dso, self.rival = (
            town.mailbox(name, Role.DSO, signer=Signer(name.ljust(32).encode())) for name in ("dso", "rival")
        )
        self.units = (Unplugged("unit-1"), Unplugged("unit-2"))
        settings = DstatcomSettings(dso="dso@town", units=self.units, status_s=status_s)
        self.agent = town.agent("dstatcom", Role.DSTATCOM, Compensating, StatusReporting, settings=settings)

    def ordered(self, sender: Mailbox, asset_id: str = "unit-1") -> Any:
        """Send a command and return the answer."""
        command = DstatcomCommand(asset_id=asset_id, mode=DstatcomMode.VOLT)
        self.town.soon(sender.send, "dstatcom@town", command, Performative.REQUEST)
        return sender.read[-1].content


def test_a_command_of_the_dso_reaches_the_unit_that_it_names(town: Town) -> None:
    cabinet = Cabinet(town, 900)
    assert isinstance(cabinet.ordered(cabinet.dso), Acknowledgement)
    assert [len(each.commands) for each in cabinet.units] == [1, 0]


def test_a_unit_that_does_not_acknowledge_fails_the_command(town: Town) -> None:
    cabinet = Cabinet(town, 900)
    cabinet.units[0].is_away = True
    answer = cabinet.ordered(cabinet.dso)
    assert isinstance(answer, FailureReport)
    assert "no acknowledgement" in answer.reason


def test_nobody_but_its_dso_commands_a_unit(town: Town) -> None:
    cabinet = Cabinet(town, 900)
    answer = cabinet.ordered(cabinet.rival)
    assert isinstance(answer, Refusal)
    assert "only the DSO" in answer.reason
    assert cabinet.units[0].commands == []


def test_a_unit_that_is_not_here_is_refused(town: Town) -> None:
    cabinet = Cabinet(town, 900)
    assert "no unit unit-9" in cabinet.ordered(cabinet.dso, "unit-9").reason


@pytest.mark.parametrize(("status_s", "seconds", "statuses", "heads"), [(1, 10, 20, 10), (900, 900, 2, 0)])
def test_units_report_as_often_as_they_are_set_to(
    town: Town, status_s: int, seconds: int, statuses: int, heads: int
) -> None:
    cabinet = Cabinet(town, status_s)
    town.run(1)
    cabinet.dso.read.clear()
    town.run(seconds)
    kinds = [type(letter.content) for letter in cabinet.dso.read]
    assert [kinds.count(DstatcomStatus), kinds.count(GridMeasurement)] == [statuses, heads]


def test_a_unit_that_is_away_silences_no_other(town: Town) -> None:
    cabinet = Cabinet(town, 1)
    cabinet.units[0].is_away = True
    cabinet.dso.read.clear()
    town.run(2)
    reports = [each.content for each in cabinet.dso.read if isinstance(each.content, DstatcomStatus)]
    assert {each.asset_id for each in reports} == {"unit-2"}
    assert cabinet.agent.counts["devices unavailable"] > 0


@dataclass(frozen=True)
class ControlRoom:
    """What a DSO's settings say of its D-STATCOMs."""

    dstatcoms: CoordinationSettings | None
    networks: tuple[Any, ...] = (NETWORK,)


class Operator:
    """The DSO's coordination with a cabinet that it may write to."""

    def __init__(self, town: Town, objective: DstatcomObjective = DstatcomObjective.UNBALANCE) -> None:
        self.town = town
        self.cabinet, self.stranger = (town.mailbox(name, Role.DSTATCOM) for name in ("cabinet", "stranger"))
        plan = CoordinationSettings(agent="cabinet@town", units=UNITS, objective=objective)
        self.agent = town.agent(
            "dso", Role.DSO, DstatcomCoordination, settings=ControlRoom(plan), signer=Signer(b"d" * 32)
        )

    def foresees(self, *load_w: float) -> list[DstatcomCommand]:
        """Let the DSO foresee a load of the three phases and return its commands."""
        power_w = np.tile(np.array(load_w) / 12, (2, 12, 1))
        (flow,) = PowerFlow([NETWORK]).solve(power_w, power_w * 0)
        coordination = self.agent.behaviour(DstatcomCoordination)
        return self.after(self.town.soon, coordination.foresee, NETWORK, flow, 0.015)

    def hears(self, *reports: Concept, sender: Mailbox | None = None) -> list[DstatcomCommand]:
        """Let the DSO hear reports and return its commands."""

        def tell() -> None:
            for report in reports:
                (sender or self.cabinet).send("dso@town", report, Performative.INFORM)

        return self.after(self.town.soon, tell)

    def after(self, do: Any, *arguments: Any) -> list[DstatcomCommand]:
        seen = len(self.cabinet.read)
        do(*arguments)
        contents = [letter.content for letter in self.cabinet.read[seen:]]
        return [each for each in contents if isinstance(each, DstatcomCommand)]


UNEVEN_W = (39_000, 23_400, 15_600)


def test_units_of_a_feeder_are_set_together_where_phases_will_be_uneven(town: Town) -> None:
    operator = Operator(town)
    assert operator.foresees(10_000, 10_000, 10_000) == []
    first, second = operator.foresees(*UNEVEN_W)
    assert [first.asset_id, second.asset_id] == ["unit-1", "unit-2"]
    assert first.mode is DstatcomMode.BALANCE
    assert first.power_w == second.power_w
    assert first.power_w[0] == pytest.approx(-4_955, abs=2)
    assert sum(first.power_w) == 0
    off = operator.foresees(10_000, 10_000, 10_000)
    assert [each.mode for each in off] == [DstatcomMode.OFF] * 2
    assert operator.foresees(10_000, 10_000, 10_000) == []


def test_units_that_work_although_nobody_here_remembers_are_switched_off(town: Town) -> None:
    operator = Operator(town)
    operator.hears(status("unit-1", 5, [-1_000, 500, 500]))
    assert [each.mode for each in operator.foresees(10_000, 10_000, 10_000)] == [DstatcomMode.OFF] * 2


def test_for_voltage_each_unit_holds_its_own(town: Town) -> None:
    commands = Operator(town, DstatcomObjective.VOLTAGE).foresees(*UNEVEN_W)
    assert [(each.mode, each.power_w) for each in commands] == [(DstatcomMode.VOLT, [])] * 2


def test_what_is_measured_corrects_units_at_work(town: Town) -> None:
    operator = Operator(town)
    measured = (status("unit-1", 5), status("unit-2", 5), head(5, [9_000, 3_000, 3_000]))
    assert operator.hears(*measured) == []
    operator.foresees(*UNEVEN_W)
    first, second = operator.hears(*measured)
    assert first.power_w == second.power_w == pytest.approx([-1_600, 800, 800], abs=1)
    done = [status(each.asset_id, 6, [-2_000, 1_000, 1_000]) for each in UNITS]
    assert operator.hears(*done, head(6, [5_000, 5_000, 5_000])) == []


def test_a_unit_that_falls_silent_leaves_its_part_to_the_others(town: Town) -> None:
    operator = Operator(town)
    operator.foresees(*UNEVEN_W)
    (only,) = operator.hears(status("unit-1", 5), status("unit-2", 6), head(6, [9_000, 3_000, 3_000]))
    assert only.asset_id == "unit-2"
    assert only.power_w == pytest.approx([-3_200, 1_600, 1_600], abs=1)


def test_what_a_stranger_reports_changes_nothing(town: Town) -> None:
    operator = Operator(town)
    operator.foresees(*UNEVEN_W)
    told = (status("unit-1", 5), head(5, [9_000, 3_000, 3_000]))
    assert operator.hears(*told, sender=operator.stranger) == []
    assert operator.agent.behaviour(DstatcomCoordination).statuses == {}


def test_alarms_are_counted(town: Town) -> None:
    operator = Operator(town)
    operator.hears(msgspec.structs.replace(status("unit-1", 5), alarms=["limited", "warm"]))
    assert operator.agent.counts["dstatcom alarms"] == 2
