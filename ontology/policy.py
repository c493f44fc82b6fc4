"""Who may say what to whom: one table of role × message type × right, default deny.

`Post` asks it for every letter, the REST interface for every read and write, and the repository for
every query. A row names message types, the acts that they are sent with, who sends, who receives,
and who else may read (receivers always may) or write them over REST or in the repository.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple, get_args

from ontology.alarms import AssetAlarm
from ontology.assets import Asset, AssetType, Building, BuildingType, UsagePoint
from ontology.attestation import Attestation, AttestationRequest, DatasetProof, ProofRequest
from ontology.base import Concept
from ontology.charging import (
    ChargingSchedule,
    EvConnectionEvent,
    EvDisconnectionEvent,
    EvSession,
    EvSocUpdate,
    EvUserInput,
)
from ontology.coalition import (
    CoalitionBid,
    CoalitionInvitation,
    DeliveryReport,
    FlexProduct,
    ScheduleCommitment,
    SelectionReport,
    SelectionRun,
    SelectionTurn,
    SelectionUpdate,
    VppPayoff,
)
from ontology.codec import message_type_of
from ontology.control import (
    Instruction,
    InstructionBatch,
    InstructionBatchStatus,
    InstructionStatus,
    UserOverride,
)
from ontology.delegation import ProxyAnswer, ProxyRequest
from ontology.directory import DirectoryEntry, DirectoryListing, DirectoryNotice, DirectorySearch
from ontology.discourse import (
    Acknowledgement,
    AnyConcept,
    FailureReport,
    Query,
    QueryResult,
    Refusal,
    Rejection,
    Subscription,
)
from ontology.flexibility import FlexEnvelope, FlexibilityForecast
from ontology.flexibility_trading import (
    DemandResponseReport,
    DPrognosis,
    DRSignal,
    FlexMetering,
    FlexOffer,
    FlexOfferRevocation,
    FlexOrder,
    FlexRequest,
    FlexReservation,
    FlexResponse,
    FlexSettlement,
    FlexSettlementResponse,
)
from ontology.forecasts import Forecast
from ontology.grid import (
    DstatcomCommand,
    DstatcomStatus,
    GridConstraint,
    GridMeasurement,
    GridMeasurementBatch,
    GridOutlook,
    GridSegment,
    GridStatusEvent,
)
from ontology.grid_coordination import ActivationLimits, ActivationPlan
from ontology.ledger import LedgerEntry, PaymentOrder, Wallet
from ontology.letter_record import RecordedLetters, RecordSubscription
from ontology.market import (
    ExternalActivation,
    ExternalBid,
    ExternalBidResult,
    ExternalBidWithdrawal,
    ExternalDelivery,
    ExternalSettlement,
    Lem,
    LemDataset,
    LemOrder,
    LemParameters,
    LemResult,
    PriceProfile,
    ReserveAssignment,
    ReserveOffer,
)
from ontology.marketplace import AcquiredFlexibility, EmergencyCall, FlexibilityContract, MarketplaceState
from ontology.measurements import IntervalReading, Measurement, Sensor, SensorType
from ontology.performatives import Performative as Act
from ontology.privacy import PseudonymRecord
from ontology.registration import (
    Consent,
    ErasureRequest,
    IssuedPseudonym,
    Onboarding,
    PseudonymRequest,
)
from ontology.roles import Role
from ontology.samples import SampleBatch, SampleReceipt
from ontology.service_level import KpiFeature, KpiMeasure, Sla
from ontology.storage import StorageModel, StorageStatus, ThermalModel, ThermalStatus
from ontology.users import Player, User, UserRole
from ontology.vpp import ProsumerMetrics, Vpp
from ontology.weather import WeatherForecast, WeatherObservation

__all__ = ["SIGNED_TYPES", "Right", "is_allowed", "may_read", "may_receive", "may_send", "may_write"]


class Right(StrEnum):
    """What a role may do with a message type."""

    SEND = "send"
    RECEIVE = "receive"
    READ = "read"
    WRITE = "write"


class Row(NamedTuple):
    """One row of the table: message types, and who may do what with them."""

    types: tuple[type[Concept], ...]
    acts: tuple[Act, ...]
    senders: tuple[Role, ...]
    receivers: tuple[Role, ...]
    readers: tuple[Role, ...] = ()
    writers: tuple[Role, ...] = ()


EVERYONE = tuple(Role)
ADMINISTRATOR = Role.REPOSITORY
"""Whoever runs the repository restores and corrects what is in it: reads and writes every stored type."""
MANAGERS = (Role.PV, Role.BESS, Role.EV, Role.P2H)
SITE = (Role.PROSUMER, Role.GATEWAY, *MANAGERS)
OPERATORS = (Role.AGGREGATOR, Role.DSO, Role.MARKET_OPERATOR)
TELL = (Act.INFORM, Act.REQUEST)
PRINCIPALS = (
    Role.DSO,
    Role.AGGREGATOR,
    Role.MARKET_OPERATOR,
    Role.PROSUMER,
    Role.ORACLE,
    Role.EXTERNAL_MARKETS,
)
"""Roles whose agents speak for their own people and programs outside."""
PORTALS = (Role.UI, *OPERATORS, Role.EXTERNAL_MARKETS)
COALITION = (Role.AGGREGATOR, Role.PROSUMER)
EDGE = Role.FLEXIBILITY_GATEWAY
"""Stands for an aggregator or a DSO outside, and may say in their trade what either may."""
ASK = (Act.REQUEST, Act.QUERY_REF, Act.QUERY_IF)
TRADE = (Act.PROPOSE, Act.ACCEPT_PROPOSAL, Act.REJECT_PROPOSAL, Act.CANCEL, Act.INFORM)

TABLE: tuple[Row, ...] = (
    # -- conversations: every agent may ask, subscribe and answer -------------------------------
    Row((Query,), ASK, EVERYONE, EVERYONE),
    Row((QueryResult,), (Act.INFORM, Act.INFORM_REF), EVERYONE, EVERYONE),
    Row((Subscription,), (Act.SUBSCRIBE, Act.CANCEL), EVERYONE, EVERYONE),
    Row(
        (Acknowledgement,),
        (Act.AGREE, Act.CONFIRM, Act.INFORM, Act.ACCEPT_PROPOSAL, Act.CANCEL),
        EVERYONE,
        EVERYONE,
    ),
    Row((Refusal,), (Act.REFUSE, Act.REJECT_PROPOSAL, Act.DISCONFIRM, Act.FAILURE), EVERYONE, EVERYONE),
    Row((FailureReport,), (Act.FAILURE, Act.REFUSE), EVERYONE, EVERYONE),
    Row((Rejection,), (Act.NOT_UNDERSTOOD,), EVERYONE, EVERYONE),
    # -- portals: what is wanted from outside; the agent asked decides, and its own rights hold -------
    Row((ProxyRequest,), (Act.REQUEST,), PORTALS, PRINCIPALS),
    Row((ProxyAnswer,), (Act.INFORM,), PRINCIPALS, PORTALS),
    # -- records of letters: a host's keeper decides whom it shows what -----------------------------------
    Row((RecordSubscription,), (Act.SUBSCRIBE, Act.CANCEL), (Role.UI,), (Role.UI,)),
    Row((RecordedLetters,), (Act.INFORM,), (Role.UI,), (Role.UI,)),
    # -- the directory ---------------------------------------------------------------------------
    Row((DirectoryEntry,), (Act.REQUEST, Act.CANCEL), EVERYONE, (Role.MARKET_OPERATOR,), readers=EVERYONE),
    Row((DirectorySearch,), ASK, EVERYONE, (Role.MARKET_OPERATOR,)),
    Row((DirectoryListing,), (Act.INFORM, Act.INFORM_REF), (Role.MARKET_OPERATOR,), EVERYONE),
    Row((DirectoryNotice,), (Act.INFORM,), (Role.MARKET_OPERATOR,), EVERYONE),
    # -- the site: device → gateway → managers → prosumer → gateway → device -------------------
    Row(
        (IntervalReading,),
        TELL,
        (Role.GATEWAY, Role.PROSUMER, Role.REPOSITORY, Role.ORACLE, Role.AGGREGATOR),
        (*SITE, Role.REPOSITORY, Role.ORACLE, Role.BLOCKCHAIN, Role.AGGREGATOR, Role.DSO),
        readers=(Role.UI,),
        writers=(Role.GATEWAY,),
    ),
    Row((SampleBatch,), (Act.REQUEST,), (Role.GATEWAY,), (Role.REPOSITORY,), writers=(Role.GATEWAY,)),
    Row((SampleReceipt,), (Act.INFORM,), (Role.REPOSITORY,), (Role.GATEWAY,)),
    Row(
        (StorageModel, ThermalModel, ThermalStatus),
        TELL,
        (Role.GATEWAY, Role.PROSUMER, *MANAGERS, Role.REPOSITORY),
        (*SITE, Role.REPOSITORY, Role.AGGREGATOR),
        readers=(Role.ORACLE, Role.DSO, Role.UI),
        writers=(Role.GATEWAY, *MANAGERS),
    ),
    Row(  # the DSO hears of what it controls directly
        (Measurement, StorageStatus),
        TELL,
        (Role.GATEWAY, Role.PROSUMER, *MANAGERS, Role.REPOSITORY),
        (*SITE, Role.REPOSITORY, Role.AGGREGATOR, Role.DSO),
        readers=(Role.ORACLE, Role.UI),
        writers=(Role.GATEWAY, *MANAGERS),
    ),
    Row(
        (EvConnectionEvent, EvSocUpdate, EvDisconnectionEvent),
        TELL,
        (Role.GATEWAY, Role.EV, Role.REPOSITORY),
        (Role.EV, Role.PROSUMER, Role.REPOSITORY),
        readers=(Role.UI,),
        writers=(Role.GATEWAY, Role.EV),
    ),
    Row(
        (EvUserInput,),
        TELL,
        (Role.GATEWAY, Role.UI, Role.PROSUMER, Role.EV, Role.REPOSITORY),
        (Role.EV, Role.PROSUMER, Role.REPOSITORY, Role.GATEWAY),
        readers=(Role.UI,),
        writers=(Role.GATEWAY, Role.EV, Role.PROSUMER, Role.UI),
    ),
    Row(
        (EvSession, ChargingSchedule),
        TELL,
        (Role.EV, Role.PROSUMER, Role.REPOSITORY),
        (Role.EV, Role.PROSUMER, Role.REPOSITORY, Role.AGGREGATOR),
        readers=(Role.ORACLE, Role.UI),
        writers=(Role.EV,),
    ),
    Row(
        (WeatherObservation, WeatherForecast),
        TELL,
        (Role.GATEWAY, Role.REPOSITORY, Role.DSO, Role.AGGREGATOR),
        (*SITE, Role.REPOSITORY, Role.ORACLE, Role.AGGREGATOR, Role.DSO),
        readers=(Role.UI,),
        writers=(Role.GATEWAY,),
    ),
    Row(
        (FlexEnvelope, FlexibilityForecast),
        (Act.INFORM, Act.PROPOSE),
        (*MANAGERS, Role.PROSUMER, Role.REPOSITORY),
        (Role.PROSUMER, Role.AGGREGATOR, Role.REPOSITORY),
        readers=(*MANAGERS, Role.ORACLE, Role.UI),
        writers=(*MANAGERS, Role.PROSUMER),
    ),
    Row(
        (Forecast,),
        TELL,
        (*MANAGERS, Role.PROSUMER, Role.AGGREGATOR, Role.DSO, Role.REPOSITORY, Role.ORACLE),
        (*SITE, Role.REPOSITORY, Role.ORACLE, Role.BLOCKCHAIN, Role.AGGREGATOR, Role.DSO),
        readers=(Role.UI,),
        writers=(*MANAGERS, Role.PROSUMER, Role.AGGREGATOR, Role.DSO),
    ),
    Row(
        (Instruction,),
        (Act.REQUEST, Act.CANCEL, Act.INFORM),
        (Role.PROSUMER, Role.BESS, Role.EV, Role.AGGREGATOR, Role.DSO, Role.UI, Role.GATEWAY),
        (Role.GATEWAY, Role.PROSUMER, Role.BESS, Role.EV, Role.PV, Role.P2H),
        readers=(Role.REPOSITORY, Role.UI),
        writers=(Role.UI,),
    ),
    Row(
        (InstructionBatch,),
        (Act.REQUEST, Act.CANCEL),
        (Role.PROSUMER, Role.BESS, Role.EV, Role.P2H, Role.AGGREGATOR, Role.UI),
        (Role.GATEWAY, Role.PROSUMER, Role.BESS, Role.EV, Role.PV, Role.P2H),
        readers=(Role.REPOSITORY, Role.UI),
        writers=(Role.UI,),
    ),
    Row(
        (AssetAlarm,),
        TELL,
        MANAGERS,
        (Role.PROSUMER, Role.REPOSITORY),
        readers=(Role.AGGREGATOR, Role.UI),
        writers=MANAGERS,
    ),
    Row(
        (UserOverride,),
        TELL,
        (Role.GATEWAY, Role.UI, Role.PROSUMER, Role.P2H),
        (Role.PROSUMER, Role.P2H),
        readers=(Role.UI,),
        writers=(Role.UI,),
    ),
    Row(
        (InstructionStatus, InstructionBatchStatus),
        (Act.INFORM, Act.AGREE),
        (Role.GATEWAY, Role.PROSUMER, *MANAGERS),
        (Role.PROSUMER, *MANAGERS, Role.AGGREGATOR, Role.DSO, Role.REPOSITORY, Role.UI),
    ),
    # -- the local market ----------------------------------------------------------------------
    Row(
        (Player,),
        TELL,
        EVERYONE,
        (Role.REPOSITORY, Role.BLOCKCHAIN, *OPERATORS),
        readers=(Role.ORACLE, Role.UI),
        writers=(Role.MARKET_OPERATOR, Role.DSO),
    ),
    Row(
        (LemDataset,),
        TELL,
        (Role.ORACLE, Role.BLOCKCHAIN),
        (Role.BLOCKCHAIN,),
        readers=(Role.MARKET_OPERATOR,),
    ),
    Row((LemOrder,), (Act.INFORM,), (Role.PROSUMER,), (Role.ORACLE,)),
    Row((ProofRequest,), ASK, (Role.BLOCKCHAIN,), (Role.BLOCKCHAIN,)),
    Row((DatasetProof,), (Act.INFORM, Act.INFORM_REF), (Role.BLOCKCHAIN,), (Role.BLOCKCHAIN,)),
    Row((AttestationRequest,), (Act.REQUEST,), (Role.BLOCKCHAIN,), (Role.BLOCKCHAIN,)),
    Row((Attestation,), (Act.INFORM,), (Role.BLOCKCHAIN,), (Role.BLOCKCHAIN,), readers=(Role.UI,)),
    Row(
        (LemParameters,),
        TELL,
        (Role.MARKET_OPERATOR, Role.DSO),
        (Role.AGGREGATOR, Role.BLOCKCHAIN, Role.REPOSITORY, Role.MARKET_OPERATOR),
        readers=(Role.PROSUMER, Role.UI),
        writers=(Role.MARKET_OPERATOR, Role.DSO),
    ),
    Row(
        (Lem,),
        TELL,
        (Role.AGGREGATOR, Role.BLOCKCHAIN, Role.REPOSITORY),
        (Role.BLOCKCHAIN, Role.MARKET_OPERATOR, Role.PROSUMER, Role.AGGREGATOR, Role.REPOSITORY),
        readers=(Role.ORACLE, Role.DSO, Role.UI),
    ),
    Row(
        (LemResult,),
        TELL,
        (Role.BLOCKCHAIN, Role.AGGREGATOR, Role.REPOSITORY),
        (Role.BLOCKCHAIN, Role.PROSUMER, Role.ORACLE, Role.REPOSITORY, *OPERATORS),
        readers=(Role.UI,),
    ),
    Row(
        (PriceProfile,),
        (Act.INFORM,),
        (Role.BLOCKCHAIN, Role.AGGREGATOR, Role.EXTERNAL_MARKETS, Role.REPOSITORY),
        (*SITE, Role.AGGREGATOR, Role.BLOCKCHAIN, Role.MARKET_OPERATOR, Role.REPOSITORY),
        readers=(Role.UI,),
    ),
    Row(
        (Wallet, LedgerEntry),
        TELL,
        (Role.BLOCKCHAIN,),
        (Role.BLOCKCHAIN, Role.PROSUMER, Role.AGGREGATOR, Role.MARKET_OPERATOR, Role.REPOSITORY),
        readers=(Role.UI,),
    ),
    Row(
        (PaymentOrder,),
        (Act.REQUEST,),
        (Role.AGGREGATOR, Role.DSO, Role.PROSUMER),
        (Role.BLOCKCHAIN,),
        readers=(Role.UI,),
    ),
    # -- the grid ------------------------------------------------------------------------------
    Row(
        (GridStatusEvent,),
        TELL,
        (Role.DSO, Role.ORACLE, Role.BLOCKCHAIN, Role.AGGREGATOR, Role.REPOSITORY),
        (Role.PROSUMER, Role.ORACLE, Role.BLOCKCHAIN, Role.REPOSITORY, Role.EXTERNAL_MARKETS, *OPERATORS),
        readers=(Role.UI,),
        writers=(Role.DSO,),
    ),
    Row(
        (GridSegment, GridConstraint),
        TELL,
        (Role.DSO, Role.ORACLE, Role.REPOSITORY),
        (
            Role.AGGREGATOR,
            Role.MARKET_OPERATOR,
            Role.BLOCKCHAIN,
            Role.REPOSITORY,
            Role.DSO,
            Role.ORACLE,
        ),
        readers=(Role.UI,),
        writers=(Role.DSO,),
    ),
    Row(
        (GridMeasurement, DstatcomStatus),
        (Act.INFORM,),
        (Role.DSTATCOM, Role.GATEWAY, Role.DSO, Role.REPOSITORY),
        (Role.DSO, Role.DSTATCOM, Role.REPOSITORY),
        readers=(Role.UI,),
        writers=(Role.DSTATCOM, Role.DSO),
    ),
    Row((GridMeasurementBatch,), (Act.REQUEST,), (Role.DSO,), (Role.REPOSITORY,)),
    Row(
        (GridOutlook,),
        (Act.INFORM,),
        (Role.DSO, Role.REPOSITORY),
        (Role.REPOSITORY, *OPERATORS),
        readers=(Role.UI,),
    ),
    Row((DstatcomCommand,), (Act.REQUEST,), (Role.DSO,), (Role.DSTATCOM,), readers=(Role.REPOSITORY,)),
    # -- flexibility: contracts, trade, external markets -----------------------------------------
    Row(
        (DRSignal,),
        (Act.REQUEST, Act.CANCEL),
        (Role.DSO, Role.AGGREGATOR),
        (Role.AGGREGATOR, Role.PROSUMER),
        readers=(Role.REPOSITORY, Role.UI),
    ),
    Row(
        (DPrognosis, FlexMetering),
        TELL,
        (Role.AGGREGATOR, EDGE),
        (Role.DSO, EDGE, Role.REPOSITORY),
        readers=(Role.UI,),
    ),
    Row(
        (FlexResponse,),
        (Act.INFORM, Act.AGREE, Act.FAILURE),
        (Role.DSO, Role.AGGREGATOR, EDGE),
        (Role.DSO, Role.AGGREGATOR, EDGE),
    ),
    Row(
        (FlexOfferRevocation,),
        (Act.CANCEL,),
        (Role.AGGREGATOR, Role.PROSUMER, EDGE),
        (Role.DSO, Role.AGGREGATOR, EDGE),
    ),
    Row(
        (FlexRequest,),
        (Act.CFP, Act.INFORM),
        (Role.DSO, Role.AGGREGATOR, EDGE),
        (Role.AGGREGATOR, Role.PROSUMER, EDGE, Role.REPOSITORY),
        readers=(Role.UI, Role.DSO),
    ),
    Row(
        (FlexOffer,),
        (Act.PROPOSE, Act.CANCEL),
        (Role.AGGREGATOR, Role.PROSUMER, EDGE),
        (Role.DSO, Role.AGGREGATOR, EDGE),
    ),
    Row(
        (FlexOrder,),
        (Act.ACCEPT_PROPOSAL, Act.REQUEST, Act.INFORM),
        (Role.DSO, Role.AGGREGATOR, EDGE),
        (Role.AGGREGATOR, Role.PROSUMER, EDGE, Role.REPOSITORY),
        readers=(Role.UI, Role.DSO),
    ),
    Row(
        (FlexSettlement,),
        (Act.PROPOSE, Act.ACCEPT_PROPOSAL, Act.REJECT_PROPOSAL, Act.INFORM),
        (Role.DSO, Role.AGGREGATOR, EDGE),
        (Role.AGGREGATOR, Role.DSO, Role.PROSUMER, EDGE, Role.REPOSITORY),
        readers=(Role.UI,),
    ),
    Row(
        (FlexSettlementResponse,),
        (Act.ACCEPT_PROPOSAL, Act.REJECT_PROPOSAL),
        (Role.AGGREGATOR, EDGE),
        (Role.DSO, EDGE, Role.REPOSITORY),
        readers=(Role.UI,),
    ),
    Row(
        (AcquiredFlexibility, EmergencyCall),
        (Act.INFORM,),
        (Role.DSO,),
        (Role.REPOSITORY,),
        readers=(Role.DSO, Role.MARKET_OPERATOR, Role.UI),
    ),
    Row(  # answered by the DSO, who shows an aggregator what is its own
        (FlexibilityContract, MarketplaceState),
        (),
        (),
        (),
        readers=(Role.DSO, Role.MARKET_OPERATOR, Role.UI),
    ),
    Row((ActivationPlan,), (Act.REQUEST,), (Role.EXTERNAL_MARKETS,), (Role.DSO,), readers=(Role.UI,)),
    Row((ActivationLimits,), (Act.INFORM,), (Role.DSO,), (Role.EXTERNAL_MARKETS,), readers=(Role.UI,)),
    Row((FlexReservation,), TELL, (Role.DSO, EDGE), (Role.AGGREGATOR, EDGE)),
    Row(
        (ExternalBid,),
        (Act.PROPOSE, Act.REQUEST),
        (Role.AGGREGATOR,),
        (Role.EXTERNAL_MARKETS,),
        readers=(Role.AGGREGATOR,),
    ),
    Row(
        (ExternalBidResult,),
        (Act.INFORM, Act.REQUEST, Act.ACCEPT_PROPOSAL, Act.REJECT_PROPOSAL),
        (Role.EXTERNAL_MARKETS,),
        (Role.AGGREGATOR,),
    ),
    Row((ExternalActivation,), (Act.REQUEST,), (Role.EXTERNAL_MARKETS,), (Role.AGGREGATOR,)),
    Row((ExternalDelivery,), (Act.REQUEST,), (Role.AGGREGATOR,), (Role.EXTERNAL_MARKETS,)),
    Row((ExternalSettlement,), (Act.INFORM,), (Role.EXTERNAL_MARKETS,), (Role.AGGREGATOR,)),
    Row((ReserveOffer,), (Act.INFORM,), (Role.BESS, Role.PROSUMER), (Role.PROSUMER, Role.AGGREGATOR)),
    Row((ReserveAssignment,), (Act.REQUEST,), (Role.AGGREGATOR, Role.PROSUMER), (Role.PROSUMER, Role.BESS)),
    Row(
        (DemandResponseReport,),
        TELL,
        (Role.PROSUMER, Role.AGGREGATOR),
        (Role.AGGREGATOR, Role.DSO),
    ),
    Row(
        (ExternalBidWithdrawal,),
        (Act.CANCEL, Act.REQUEST),
        (Role.AGGREGATOR,),
        (Role.EXTERNAL_MARKETS,),
    ),
    Row(
        (Vpp, ProsumerMetrics),
        TRADE,
        (Role.AGGREGATOR, Role.PROSUMER),
        (Role.AGGREGATOR, Role.PROSUMER, Role.REPOSITORY),
        readers=(Role.ORACLE, Role.UI),
        writers=(Role.AGGREGATOR,),
    ),
    Row((FlexProduct,), (Act.CFP, Act.CANCEL), COALITION, COALITION, readers=(Role.UI,)),
    Row((CoalitionBid,), (Act.PROPOSE,), COALITION, COALITION),
    Row((CoalitionInvitation,), (Act.ACCEPT_PROPOSAL, Act.REQUEST), COALITION, COALITION),
    Row((SelectionUpdate, SelectionReport), (Act.INFORM,), COALITION, COALITION),
    Row((SelectionRun, SelectionTurn), (Act.INFORM,), COALITION, COALITION),
    Row((ScheduleCommitment,), (Act.INFORM,), COALITION, COALITION, readers=(Role.UI,)),
    Row((DeliveryReport,), (Act.INFORM,), (*COALITION, Role.BESS), COALITION, readers=(Role.UI,)),
    Row(
        (VppPayoff,),
        (Act.INFORM,),
        COALITION,
        (*COALITION, Role.REPOSITORY),
        readers=(Role.ORACLE, Role.UI),
    ),
    # -- agreements and their indicators ---------------------------------------------------------
    Row(
        (Sla, KpiFeature),
        TRADE,
        (*OPERATORS, Role.PROSUMER, Role.REPOSITORY),
        (*OPERATORS, Role.PROSUMER, Role.ORACLE, Role.BLOCKCHAIN, Role.REPOSITORY),
        readers=(Role.UI,),
        writers=OPERATORS,
    ),
    Row(
        (KpiMeasure,),
        TELL,
        (Role.ORACLE, Role.BLOCKCHAIN),
        (Role.BLOCKCHAIN, Role.REPOSITORY),
        readers=(*OPERATORS, Role.UI),
        writers=(Role.ORACLE,),
    ),
    # -- who and what there is -------------------------------------------------------------------
    Row((User,), TELL, (Role.REPOSITORY,), (Role.MARKET_OPERATOR,), readers=(Role.REPOSITORY,)),
    Row(
        (UserRole,),
        TELL,
        (Role.UI, Role.MARKET_OPERATOR),
        (Role.REPOSITORY,),
        readers=(Role.MARKET_OPERATOR,),
        writers=(Role.MARKET_OPERATOR,),
    ),
    Row((Onboarding, ErasureRequest), (Act.REQUEST,), (Role.MARKET_OPERATOR,), (Role.REPOSITORY,)),
    Row(
        (Consent,),
        TELL,
        (Role.PROSUMER, Role.MARKET_OPERATOR, Role.REPOSITORY),
        (Role.PROSUMER, Role.REPOSITORY, Role.AGGREGATOR, Role.MARKET_OPERATOR),
        writers=(Role.PROSUMER, Role.MARKET_OPERATOR),
    ),
    Row(
        (Building, BuildingType, UsagePoint, AssetType, Asset, SensorType, Sensor),
        TELL,
        (Role.UI, Role.MARKET_OPERATOR, Role.GATEWAY, Role.REPOSITORY),
        (Role.REPOSITORY, Role.AGGREGATOR, *SITE),
        readers=(Role.ORACLE, Role.DSO, Role.MARKET_OPERATOR, Role.UI),
        writers=(Role.MARKET_OPERATOR,),
    ),
    Row(
        (PseudonymRecord,),
        TELL,
        (Role.REPOSITORY, Role.ORACLE),
        (Role.ORACLE, Role.BLOCKCHAIN, Role.REPOSITORY),
        writers=(Role.REPOSITORY,),
    ),
    Row((PseudonymRequest,), ASK, (Role.ORACLE, Role.BLOCKCHAIN), (Role.REPOSITORY,)),
    Row((IssuedPseudonym,), (Act.INFORM,), (Role.REPOSITORY,), (Role.ORACLE, Role.BLOCKCHAIN)),
)

SIGNED_TYPES: frozenset[str] = frozenset(
    message_type_of(cls)
    for cls in (
        Instruction,
        InstructionBatch,
        DstatcomCommand,
        LemDataset,
        Attestation,
        DRSignal,
        FlexOrder,
        FlexSettlement,
        FlexSettlementResponse,
        ExternalBid,
        ExternalBidWithdrawal,
        ExternalActivation,
        ActivationPlan,
        ActivationLimits,
        ExternalDelivery,
        ExternalSettlement,
        ReserveAssignment,
        DemandResponseReport,
        ProxyRequest,
        Sla,
        KpiMeasure,
        CoalitionInvitation,
        ScheduleCommitment,
        VppPayoff,
        PaymentOrder,
        Onboarding,
        ErasureRequest,
        Consent,
    )
)
"""Message types that are read only when signed: orders, DR, settlements, ledger (SPEC 3.2)."""


def _acts(rows: Iterable[Row]) -> frozenset[tuple[Role, str, StrEnum]]:
    return frozenset(
        (role, message_type_of(cls), act)
        for row in rows
        for cls in row.types
        for role in row.senders
        for act in row.acts
    )


def _rights(rows: Iterable[Row]) -> frozenset[tuple[Role, str, StrEnum]]:
    return frozenset(
        (role, message_type_of(cls), right)
        for row in rows
        for cls in row.types
        for right, roles in (
            (Right.SEND, row.senders),
            (Right.RECEIVE, row.receivers),
            (Right.READ, (*row.receivers, *row.readers)),
            (Right.WRITE, row.writers),
        )
        for role in roles
    )


_SENDABLE = _acts(TABLE)
_GRANTED = _rights(TABLE) | {
    (ADMINISTRATOR, message_type_of(cls), right)
    for cls in get_args(AnyConcept)
    for right in (Right.READ, Right.WRITE)
}
_RECEIVABLE = frozenset((role, message_type) for role, message_type, right in _GRANTED if right == "receive")
"""Asked for every letter, so kept apart."""


def may_send(role: Role, message_type: str, performative: Act | str) -> bool:
    """Whether a role may send a message type with a speech act."""
    return (role, message_type, performative) in _SENDABLE


def may_receive(role: Role, message_type: str) -> bool:
    """Whether a role is to receive a message type."""
    return (role, message_type) in _RECEIVABLE


def may_read(role: Role, message_type: str) -> bool:
    """Whether a role may read facts of a message type, by query or over REST."""
    return (role, message_type, Right.READ) in _GRANTED


def may_write(role: Role, message_type: str) -> bool:
    """Whether a role may write facts of a message type over REST."""
    return (role, message_type, Right.WRITE) in _GRANTED


def is_allowed(role: Role, message_type: str, right: Right) -> bool:
    """Whether a role has a right on a message type; what the table does not grant is denied."""
    return (role, message_type, right) in _GRANTED
