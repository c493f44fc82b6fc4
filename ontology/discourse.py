"""What agents say about saying: questions, subscriptions and the answers that every agent may give."""

from typing import Annotated, TypeAlias

from msgspec import Meta

from ontology.alarms import AssetAlarm
from ontology.assets import Asset, AssetType, Building, BuildingType, UsagePoint
from ontology.base import MAX_MEMBERS, Concept, EpochSeconds, Identifier, Label, Text, require
from ontology.charging import (
    ChargingSchedule,
    EvConnectionEvent,
    EvDisconnectionEvent,
    EvSession,
    EvSocUpdate,
    EvUserInput,
)
from ontology.coalition import VppPayoff
from ontology.control import Instruction, InstructionBatch, InstructionBatchStatus, InstructionStatus
from ontology.errors import Problem
from ontology.flexibility import FlexEnvelope, FlexibilityForecast
from ontology.flexibility_trading import (
    DPrognosis,
    DRSignal,
    FlexMetering,
    FlexOffer,
    FlexOrder,
    FlexRequest,
    FlexReservation,
    FlexSettlement,
)
from ontology.forecasts import Forecast
from ontology.grid import (
    DstatcomCommand,
    DstatcomStatus,
    GridConstraint,
    GridMeasurement,
    GridOutlook,
    GridSegment,
    GridStatusEvent,
)
from ontology.ledger import LedgerEntry, Wallet
from ontology.market import (
    ExternalBid,
    ExternalBidResult,
    ExternalBidWithdrawal,
    Lem,
    LemDataset,
    LemParameters,
    LemResult,
    PriceProfile,
)
from ontology.marketplace import (
    AcquiredFlexibility,
    EmergencyCall,
    FlexibilityContract,
    MarketplaceState,
)
from ontology.measurements import IntervalReading, Measurement, Sensor, SensorType
from ontology.privacy import PseudonymRecord
from ontology.registration import Consent
from ontology.service_level import KpiFeature, KpiMeasure, Sla
from ontology.storage import StorageModel, StorageStatus, ThermalModel, ThermalStatus
from ontology.users import Player, Registration, User, UserRole
from ontology.vpp import ProsumerMetrics, Vpp
from ontology.weather import WeatherForecast, WeatherObservation

__all__ = [
    "Acknowledgement",
    "AnyConcept",
    "FailureReport",
    "Problem",
    "Query",
    "QueryResult",
    "Refusal",
    "Registration",
    "Rejection",
    "Subscription",
]

AnyConcept: TypeAlias = (
    User
    | UserRole
    | Player
    | Building
    | BuildingType
    | UsagePoint
    | AssetType
    | Asset
    | AssetAlarm
    | SensorType
    | Sensor
    | Measurement
    | IntervalReading
    | WeatherObservation
    | WeatherForecast
    | Forecast
    | FlexibilityForecast
    | FlexEnvelope
    | StorageModel
    | StorageStatus
    | ThermalModel
    | ThermalStatus
    | Instruction
    | InstructionStatus
    | InstructionBatch
    | InstructionBatchStatus
    | EvConnectionEvent
    | EvUserInput
    | EvSocUpdate
    | EvDisconnectionEvent
    | EvSession
    | ChargingSchedule
    | GridSegment
    | GridMeasurement
    | GridOutlook
    | GridStatusEvent
    | GridConstraint
    | DstatcomStatus
    | DstatcomCommand
    | LemParameters
    | Lem
    | LemDataset
    | LemResult
    | PriceProfile
    | ExternalBid
    | ExternalBidResult
    | ExternalBidWithdrawal
    | DPrognosis
    | FlexRequest
    | FlexOffer
    | FlexOrder
    | FlexSettlement
    | FlexReservation
    | FlexMetering
    | DRSignal
    | AcquiredFlexibility
    | EmergencyCall
    | FlexibilityContract
    | MarketplaceState
    | Sla
    | KpiFeature
    | KpiMeasure
    | Wallet
    | LedgerEntry
    | PseudonymRecord
    | Consent
    | Vpp
    | ProsumerMetrics
    | VppPayoff
)
"""Everything that can be stored and asked for: all concepts but those of this module."""


class Query(Concept, frozen=True, kw_only=True, tag="parity:Query"):
    """Asks for the facts of a type about a subject in [start_s, end_s), or the newest (FIPA query-ref).

    An empty subject means every subject; `subjects` asks about several at once instead.
    """

    entity: Identifier
    subject: Label = ""
    subjects: Annotated[list[Identifier], Meta(max_length=MAX_MEMBERS)] = []
    start_s: EpochSeconds = 0
    end_s: EpochSeconds = 0
    latest: bool = False

    def __post_init__(self) -> None:
        require(self.end_s >= self.start_s, "end_s", self.end_s, "not before start_s")
        require(not (self.subject and self.subjects), "subjects", self.subjects, "none besides subject")


class QueryResult(Concept, frozen=True, kw_only=True, tag="parity:QueryResult"):
    """The facts that were asked for, ascending in time (FIPA inform-ref)."""

    entity: Identifier
    items: Annotated[list[AnyConcept], Meta(max_length=MAX_MEMBERS)]


class Subscription(Concept, frozen=True, kw_only=True, tag="parity:Subscription"):
    """Asks to be told of a message type from now on (FIPA SC00035 Subscribe)."""

    topic: Identifier
    subject: Label = ""


class Acknowledgement(Concept, frozen=True, kw_only=True, tag="parity:Acknowledgement"):
    """Confirms a message by its id (FIPA agree, confirm; S2 ReceptionStatus OK)."""

    of: Label


class Refusal(Concept, frozen=True, kw_only=True, tag="parity:Refusal"):
    """Says why something is not done (FIPA refuse)."""

    reason: Text


class FailureReport(Concept, frozen=True, kw_only=True, tag="parity:FailureReport"):
    """Says why something that was begun went wrong (FIPA failure)."""

    reason: Text


class Rejection(Concept, frozen=True, kw_only=True, tag="parity:Rejection"):
    """Says what could not be understood, problem by problem (FIPA not-understood)."""

    problems: Annotated[list[Problem], Meta(max_length=100)]
