"""What devices are told to do and what became of it."""

from enum import IntEnum, StrEnum
from typing import Annotated

from msgspec import Meta

from ontology.base import (
    Concept,
    DegreesCelsius,
    EpochSeconds,
    Identifier,
    Label,
    Power,
    PowerMagnitude,
    Text,
    require,
)

__all__ = [
    "OVERRIDE_S",
    "Instruction",
    "InstructionBatch",
    "InstructionBatchStatus",
    "InstructionState",
    "InstructionStatus",
    "Priority",
    "UserOverride",
]

OVERRIDE_S = 7_200
"""For how long a person's will prevails over plans: two hours (SPEC 4.8)."""


class Priority(IntEnum):
    """Whose will prevails when instructions contradict; the higher one (SPEC 3.4, concept 20)."""

    LOCAL_OPT = 1
    MARKET = 2
    USER = 3
    CONTRACT = 4
    DSO_RED = 5


class InstructionState(StrEnum):
    """Where an instruction stands (S2 InstructionStatus)."""

    NEW = "NEW"
    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    REVOKED = "REVOKED"
    STARTED = "STARTED"
    SUCCEEDED = "SUCCEEDED"
    ABORTED = "ABORTED"


class Instruction(Concept, frozen=True, kw_only=True, tag="s2:Instruction"):
    """What a device shall do from one instant to another (S2 *.Instruction, OpenADR DISPATCH_SETPOINT)."""

    instruction_id: Identifier
    asset_id: Identifier
    execution_time_s: EpochSeconds
    valid_until_s: EpochSeconds
    setpoint_w: Power | None = None
    mode: Label = ""
    setpoint_degc: DegreesCelsius | None = None
    power_max_w: Power | None = None
    power_min_w: Power | None = None
    reason: Text = ""
    priority: Priority = Priority.LOCAL_OPT

    def __post_init__(self) -> None:
        require(
            self.valid_until_s > self.execution_time_s,
            "valid_until_s",
            self.valid_until_s,
            "later than execution_time_s",
        )
        require(
            self.setpoint_w is not None
            or self.mode != ""
            or self.setpoint_degc is not None
            or self.power_max_w is not None
            or self.power_min_w is not None,
            "setpoint_w",
            None,
            "a set-point, a mode or a limit of power",
        )
        if self.power_min_w is not None and self.power_max_w is not None:
            require(
                self.power_min_w <= self.power_max_w, "power_min_w", self.power_min_w, "at most power_max_w"
            )


class UserOverride(Concept, frozen=True, kw_only=True, tag="parity:UserOverride"):
    """What a person at the site wants of a device for the next two hours, whatever is planned (D8.1 3.1).

    No standard class; OpenADR's opt-out for a time is nearest. A set-point in degC is for what is heated, one
    in W for lights and boosts.
    """

    asset_id: Identifier
    time_s: EpochSeconds
    setpoint_degc: DegreesCelsius | None = None
    setpoint_w: PowerMagnitude | None = None

    def __post_init__(self) -> None:
        require(
            (self.setpoint_degc is None) != (self.setpoint_w is None),
            "setpoint_degc",
            self.setpoint_degc,
            "either a temperature or a power",
        )


class InstructionStatus(Concept, frozen=True, kw_only=True, tag="s2:InstructionStatus"):
    """What became of an instruction (S2 InstructionStatusUpdate)."""

    instruction_id: Identifier
    status: InstructionState
    time_s: EpochSeconds


class InstructionBatch(Concept, frozen=True, kw_only=True, tag="s2:InstructionBatch"):
    """All instructions for a site's devices in one letter (S2 *.Instruction)."""

    site: Identifier
    instructions: Annotated[list[Instruction], Meta(max_length=100)]


class InstructionBatchStatus(Concept, frozen=True, kw_only=True, tag="s2:InstructionBatchStatus"):
    """What became of a site's instructions, in one letter (S2 InstructionStatusUpdate)."""

    site: Identifier
    statuses: Annotated[list[InstructionStatus], Meta(max_length=100)]
