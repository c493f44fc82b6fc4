"""JSON frames of a D-STATCOM: its status, commands and what became of them (SPEC 4.11)."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from environments.monitoring.frames import MeasurementFrame, Three, frame_from, measurement_from
from environments.wire.frames import Instant, Watts, frame_of, iso, read_frame, seconds_of
from ontology.base import Amperes, Concept, DegreesCelsius, Identifier, Label, PowerMagnitude, Volts
from ontology.errors import InvalidInput, Problem, problem
from ontology.grid import DstatcomCommand, DstatcomMode, DstatcomObjective, DstatcomStatus, GridMeasurement

__all__ = [
    "LONGEST_VALID_S",
    "AcknowledgementFrame",
    "CommandFrame",
    "StatusFrame",
    "command_frame",
    "commanded",
    "percepts_from",
    "status_frame",
]

LONGEST_VALID_S = 86_400

Powers = Annotated[list[Watts], Three]
CommandId = Annotated[
    str, Meta(min_length=1, max_length=64, description="unique; the same again is the same command")
]


class StatusFrame(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a unit does: powers per phase (consumption positive), voltages to neutral, its neutral leg."""

    asset: Identifier
    time: Instant
    mode: DstatcomMode
    p_w: Powers
    q_var: Powers
    i_n_a: Amperes
    v_v: Annotated[list[Volts], Three]
    s_max_va: PowerMagnitude
    temperature: DegreesCelsius | None = None
    """Of the heat sink, °C."""
    alarms: Annotated[list[Label], Meta(max_length=100)] = []
    command: str = ""
    """Id of the command in force; empty when it does what its own control says."""
    valid_until: str = ""
    """When that command runs out unless it is given again."""
    head: dict[str, Any] | None = None
    """What it measures at the head of its feeder, as a measurement's frame."""


class CommandFrame(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a unit shall do from now on, and for how long unless it is told again."""

    id: CommandId
    time: Instant
    mode: DstatcomMode
    objective: DstatcomObjective = DstatcomObjective.UNBALANCE
    v_ref: Annotated[float, Meta(ge=0.5, le=1.5, description="p.u.")] = 1.0
    p: Powers | None = None
    """W of each phase; the unit shifts them so that they sum to nothing."""
    q: Powers | None = None
    """var of each phase"""
    valid_s: Annotated[int, Meta(ge=1, le=LONGEST_VALID_S)]

    def __post_init__(self) -> None:
        if self.mode is DstatcomMode.SETPOINT and self.p is None and self.q is None:
            raise InvalidInput(problem("p", None, "three powers, or q: SETPOINT needs some"))


class AcknowledgementFrame(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of a command: taken, or why not."""

    id: str
    time: Instant
    accepted: bool
    is_malformed: bool = False
    """Whether it could not be read, other than not being taken now."""
    problems: list[Problem] = []


def status_frame(
    status: DstatcomStatus, head: GridMeasurement | None, command: str = "", valid_until_s: float = 0.0
) -> StatusFrame:
    """Return a unit's state as a frame."""
    return StatusFrame(
        asset=status.asset_id,
        time=iso(status.time_s),
        mode=status.mode,
        p_w=list(map(float, status.power_w)),
        q_var=list(map(float, status.reactive_var)),
        i_n_a=status.neutral_a,
        v_v=status.voltage_v,
        s_max_va=status.rated_va,
        temperature=status.temperature_degc,
        alarms=status.alarms,
        command=command,
        valid_until=iso(valid_until_s) if command else "",
        head=msgspec.to_builtins(frame_from(head)) if head else None,
    )


def percepts_from(raw: bytes | object, asset_id: str) -> list[Concept]:
    """Return what a status frame of a unit says: its state, and what it measures at the head where it does.

    Raises: InvalidInput with everything that is wrong, a frame of another unit included.
    """
    frame = read_frame(StatusFrame, raw) if isinstance(raw, bytes) else frame_of(StatusFrame, raw)
    if frame.asset != asset_id:
        raise InvalidInput(problem("asset", frame.asset, asset_id))
    percepts: list[Concept] = [
        DstatcomStatus(
            asset_id=frame.asset,
            time_s=seconds_of(frame.time),
            mode=frame.mode,
            power_w=list(map(round, frame.p_w)),
            reactive_var=list(map(round, frame.q_var)),
            neutral_a=frame.i_n_a,
            voltage_v=frame.v_v,
            rated_va=frame.s_max_va,
            temperature_degc=frame.temperature,
            alarms=frame.alarms,
        )
    ]
    if frame.head is not None:
        percepts.append(measurement_from(frame_of(MeasurementFrame, frame.head)))
    return percepts


def command_frame(command: DstatcomCommand, command_id: str, now_s: float, valid_s: int) -> CommandFrame:
    """Return a command as a frame."""
    return CommandFrame(
        id=command_id,
        time=iso(now_s),
        mode=command.mode,
        objective=command.objective,
        v_ref=command.voltage_reference_pu,
        p=list(map(float, command.power_w)) or None,
        q=list(map(float, command.reactive_var)) or None,
        valid_s=valid_s,
    )


def commanded(frame: CommandFrame, asset_id: str) -> DstatcomCommand:
    """Return what a frame commands."""
    return DstatcomCommand(
        asset_id=asset_id,
        mode=frame.mode,
        objective=frame.objective,
        voltage_reference_pu=frame.v_ref,
        power_w=list(map(round, frame.p or [])),
        reactive_var=list(map(round, frame.q or [])),
    )
