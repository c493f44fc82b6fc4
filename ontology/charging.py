"""Electric vehicles at their chargers."""

from enum import StrEnum
from typing import Annotated

from ontology.base import (
    Concept,
    Duration,
    Energy,
    EpochSeconds,
    Fraction,
    Identifier,
    Label,
    Power,
    PowerMagnitude,
    Steps,
    require,
)

__all__ = [
    "ChargingSchedule",
    "EvConnectionEvent",
    "EvDisconnectionEvent",
    "EvSession",
    "EvSessionState",
    "EvSocUpdate",
    "EvUserInput",
]


class EvSessionState(StrEnum):
    """Where a charging session stands (SPEC 4.5, usage monitoring)."""

    PLUGGED = "PLUGGED"
    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    COMPLETED = "COMPLETED"


class EvConnectionEvent(Concept, frozen=True, kw_only=True, tag="parity:EvConnectionEvent"):
    """A vehicle was plugged in (OCPP StartTransaction, StatusNotification)."""

    asset_id: Identifier
    session_id: Identifier
    time_s: EpochSeconds
    vehicle: Identifier
    power_max_w: PowerMagnitude


class EvUserInput(Concept, frozen=True, kw_only=True, tag="parity:EvUserInput"):
    """What the driver wants of a session (D8.1 user preferences)."""

    session_id: Identifier
    time_s: EpochSeconds
    requested_energy_wh: Energy
    departure_s: EpochSeconds
    minimum_state_of_charge: Fraction = 0.0
    v2g_allowed: bool = False

    def __post_init__(self) -> None:
        require(self.departure_s >= self.time_s, "departure_s", self.departure_s, "not before time_s")


class EvSocUpdate(Concept, frozen=True, kw_only=True, tag="parity:EvSocUpdate"):
    """How far a session has got (OCPP MeterValues)."""

    session_id: Identifier
    time_s: EpochSeconds
    state_of_charge: Fraction
    energy_delivered_wh: Energy
    power_w: Power


class EvDisconnectionEvent(Concept, frozen=True, kw_only=True, tag="parity:EvDisconnectionEvent"):
    """A vehicle was unplugged (OCPP StopTransaction)."""

    session_id: Identifier
    time_s: EpochSeconds
    energy_delivered_wh: Energy
    reason: Label = ""


class EvSession(Concept, frozen=True, kw_only=True, tag="parity:EvSession"):
    """A vehicle's stay at a charger, known and estimated (ACN-Data session)."""

    session_id: Identifier
    asset_id: Identifier
    arrival_s: EpochSeconds
    departure_s: EpochSeconds
    initial_state_of_charge: Fraction
    requested_energy_wh: Energy
    capacity_wh: Energy
    delivered_energy_wh: Energy = 0
    state: EvSessionState
    vehicle: Label = ""
    """Whose session it was, by which later ones are foreseen; empty where nobody registered."""

    def __post_init__(self) -> None:
        require(self.departure_s >= self.arrival_s, "departure_s", self.departure_s, "not before arrival_s")


class ChargingSchedule(Concept, frozen=True, kw_only=True, tag="parity:ChargingSchedule"):
    """The power planned for a session in equal steps (OCPP ChargingProfile)."""

    session_id: Identifier
    start_s: EpochSeconds
    step_s: Duration = 900
    power_w: Annotated[list[Power], Steps]
