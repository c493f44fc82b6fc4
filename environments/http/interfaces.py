"""The interfaces between D8.1's components, one row each: who may call it, what is said to which agent.

A row is a FIPA conversation: `act` with `concept` to the agent `to`. The caller's portal says it or, where
only one agent is listened to, that agent, the `speaker`, in its own name. Names in braces come from the path.
A row with `asks` puts a question for facts of that type.
"""

from typing import NamedTuple

from ontology.base import Concept
from ontology.charging import EvUserInput
from ontology.control import Instruction, InstructionBatch, UserOverride
from ontology.directory import DirectorySearch
from ontology.discourse import Query
from ontology.flexibility_trading import DRSignal, FlexOrder, FlexRequest
from ontology.grid import DstatcomCommand, DstatcomStatus, GridConstraint, GridSegment, GridStatusEvent
from ontology.market import (
    ExternalActivation,
    ExternalBid,
    ExternalBidWithdrawal,
    LemDataset,
    LemParameters,
    LemResult,
)
from ontology.measurements import Measurement
from ontology.performatives import Performative as Act
from ontology.roles import Role
from ontology.service_level import KpiMeasure, Sla
from ontology.vpp import ProsumerMetrics, Vpp

__all__ = ["INTERFACES", "Interface"]


class Interface(NamedTuple):
    """One interface of D8.1 as a route: its path below `/api/v1`, and the conversation behind it."""

    path: str
    section: str
    summary: str
    callers: tuple[Role, ...]
    to: str
    concept: type[Concept] = Query
    act: Act = Act.QUERY_REF
    asks: type[Concept] | None = None
    speaker: str = ""
    until_agreed: bool = False

    @property
    def method(self) -> str:
        """The HTTP method: GET puts a question, POST says something."""
        return "GET" if self.asks is not None else "POST"


_OPERATORS = (Role.AGGREGATOR, Role.DSO, Role.MARKET_OPERATOR)
_PEOPLE = (Role.PROSUMER, Role.UI)
_SITE = "{site}-prosumer"

INTERFACES: tuple[Interface, ...] = (
    # -- 3.1 IML cloud: control signals down to the devices ---
    Interface(
        "/iml/{site}/overrides",
        "3.1",
        "The BaaB app overrides the plan of a heat pump, hot water or lights",
        (Role.UI,),
        _SITE,
        UserOverride,
        Act.REQUEST,
    ),
    Interface(
        "/iml/{site}/instructions",
        "3.1",
        "The BaaB app, or a prosumer flexibility manager outside, steers devices through the gateway",
        _PEOPLE,
        "{site}-gateway",
        InstructionBatch,
        Act.REQUEST,
    ),
    Interface(
        "/iml/{site}/devices",
        "3.1",
        "What each device of a site drew, by the interval, as its gateway has it",
        _PEOPLE,
        "{site}-gateway",
        asks=Measurement,
        speaker=_SITE,
    ),
    # -- 3.3, 3.4 oracle and blockchain agent ---
    Interface(
        "/blockchain/{site}/datasets",
        "3.3, 3.4",
        "An oracle outside brings reading and forecast of an interval, under the site's pseudonym",
        (Role.ORACLE,),
        "{site}-blockchain",
        LemDataset,
        Act.REQUEST,
        speaker="{site}-oracle",
    ),
    Interface(
        "/blockchain/{site}/measures",
        "3.3, 3.4",
        "An oracle outside brings what an indicator came to",
        (Role.ORACLE,),
        "{site}-blockchain",
        KpiMeasure,
        Act.REQUEST,
        speaker="{site}-oracle",
    ),
    Interface(
        "/blockchain/results",
        "3.3",
        "How markets were cleared; a prosumer is shown its own row",
        (*_OPERATORS, *_PEOPLE),
        "repository",
        asks=LemResult,
    ),
    Interface(
        "/market/tariffs",
        "3.3",
        "The tariff in a state of the grid (subject=GREEN, YELLOW or RED)",
        (Role.AGGREGATOR, Role.MARKET_OPERATOR, *_PEOPLE),
        "market",
        asks=LemParameters,
    ),
    Interface(
        "/market/directory",
        "3.2",
        "Who offers what, as agents have registered it",
        _OPERATORS,
        "market",
        DirectorySearch,
        Act.REQUEST,
    ),
    # -- 3.5 EV profiling and smart charging ---
    Interface(
        "/ev/{site}/load-management",
        "3.5",
        "The aggregator's DER dispatch limits a charger's power",
        (Role.AGGREGATOR,),
        "{site}-ev",
        Instruction,
        Act.REQUEST,
        speaker="aggregator",
    ),
    Interface(
        "/ev/{site}/wishes",
        "3.5",
        "A driver says what a session is for",
        _PEOPLE,
        "{site}-ev",
        EvUserInput,
        Act.INFORM,
    ),
    # -- 3.7, 3.8 aggregator toolset ---
    Interface(
        "/dispatch/{site}/instructions",
        "3.7, 3.8",
        "The aggregator dispatches a site's devices beyond what they promised to a plant",
        (Role.AGGREGATOR,),
        _SITE,
        InstructionBatch,
        Act.REQUEST,
        speaker="aggregator",
    ),
    Interface(
        "/aggregator/dr-events",
        "3.8",
        "The DSO publishes a demand response event; answered as soon as the aggregator agrees",
        (Role.DSO,),
        "aggregator",
        DRSignal,
        Act.REQUEST,
        speaker="dso",
        until_agreed=True,
    ),
    Interface(
        "/aggregator/flexibility-requests",
        "3.8, 3.9",
        "The DSO asks for flexibility and is answered with an offer",
        (Role.DSO,),
        "aggregator",
        FlexRequest,
        Act.CFP,
        speaker="dso",
    ),
    Interface(
        "/aggregator/flexibility-orders",
        "3.8, 3.9",
        "The DSO orders what was offered",
        (Role.DSO,),
        "aggregator",
        FlexOrder,
        Act.REQUEST,
        speaker="dso",
    ),
    Interface(
        "/aggregator/vpps",
        "3.8",
        "Properties of dynamic virtual power plants (Table 4, test 2)",
        (Role.AGGREGATOR, *_PEOPLE),
        "aggregator",
        asks=Vpp,
    ),
    Interface(
        "/aggregator/metrics",
        "3.8",
        "How prosumers behaved in a window (Table 4, test 3); a prosumer is told of itself",
        (Role.AGGREGATOR, *_PEOPLE),
        "aggregator",
        asks=ProsumerMetrics,
    ),
    # -- 3.8.2 BRP and TSO ---
    Interface(
        "/external-markets/bids",
        "3.8.2",
        "The aggregator bids in a market outside",
        (Role.AGGREGATOR,),
        "external-markets",
        ExternalBid,
        Act.REQUEST,
        speaker="aggregator",
    ),
    Interface(
        "/external-markets/withdrawals",
        "3.8.2",
        "The aggregator takes a bid back",
        (Role.AGGREGATOR,),
        "external-markets",
        ExternalBidWithdrawal,
        Act.REQUEST,
        speaker="aggregator",
    ),
    Interface(
        "/aggregator/activations",
        "3.8.2",
        "A BRP or TSO calls for energy of a reserve that it bought",
        (Role.EXTERNAL_MARKETS,),
        "aggregator",
        ExternalActivation,
        Act.REQUEST,
        speaker="external-markets",
    ),
    # -- 3.9 DSO toolset ---
    Interface(
        "/dso/grid-states",
        "3.9",
        "States of the grid by segment: the traffic light and its causes",
        (*_OPERATORS, *_PEOPLE),
        "repository",
        asks=GridStatusEvent,
    ),
    Interface(
        "/dso/constraints",
        "3.9",
        "What segments may take and give",
        (*_OPERATORS, Role.UI),
        "repository",
        asks=GridConstraint,
    ),
    Interface(
        "/dso/segments",
        "3.9",
        "Segments of the network, with their transformers and players",
        _OPERATORS,
        "repository",
        asks=GridSegment,
    ),
    Interface(
        "/dso/agreements",
        "3.9",
        "Service level agreements",
        (*_OPERATORS, *_PEOPLE),
        "repository",
        asks=Sla,
    ),
    # -- 3.10 D-STATCOM ---
    Interface(
        "/dstatcom/status",
        "3.10",
        "The working status of the DSO's units",
        (Role.DSO, Role.DSTATCOM),
        "dstatcom",
        asks=DstatcomStatus,
    ),
    Interface(
        "/dstatcom/commands",
        "3.10",
        "The DSO commands a unit",
        (Role.DSO,),
        "dstatcom",
        DstatcomCommand,
        Act.REQUEST,
        speaker="dso",
    ),
)
"""D8.1's tables of interfaces (§3.1.2–3.10.2), but for those of the repository, which are facts.py's."""
