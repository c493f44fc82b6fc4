"""The ports through which agents reach their world; live and offline runs implement each once.

```
Clock       what time it is, and waking up later
Transport   carries envelopes between addresses
Device      percepts in, instructions out
Monitoring  what the DSO measures in its network
Events      what happens to its network
Repository  stores and answers for measurements, forecasts and events
Samples     raw values of sensors, on their way to the repository
Ledger      settles tokens between accounts
Register    what everyone may read of grid and markets
Exchange    documents of the flexibility trade, to and from a participant outside
AgentStore  keeps an agent's state over a restart
Weather     forecasts for a zone
Recorder    writes down every letter for the console and the run folder
```
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from behaviours.repository_port import Repository
from ontology.base import Concept
from ontology.control import Instruction, InstructionStatus
from ontology.grid import DstatcomCommand, GridConstraint, GridMeasurement, GridState, GridStatusEvent
from ontology.ledger import SettlementKind
from ontology.letter import Envelope
from ontology.market import LemParameters, LemState
from ontology.network_events import NetworkEvent
from ontology.performatives import Performative
from ontology.samples import SampleBatch, SampleReceipt
from ontology.service_level import KpiFeature, KpiMeasure, Sla, SlaState
from ontology.weather import WeatherForecast

__all__ = [
    "AgentStore",
    "Attestor",
    "Barrier",
    "Cancellable",
    "Clock",
    "Device",
    "FlexibilityExchange",
    "Heard",
    "Ledger",
    "MarketRegister",
    "MonitoringSystem",
    "NetworkEvents",
    "PhaseCompensator",
    "Presence",
    "Recorder",
    "RegisteredInterval",
    "RegisteredMarket",
    "Repository",
    "SampleIntake",
    "SampleSource",
    "ServiceLevels",
    "SettlementReceipt",
    "Transport",
    "WeatherService",
]


NO_ATTESTATIONS: Mapping[str, str] = {}


class Cancellable(Protocol):
    """A call that is due later and can be called off."""

    def cancel(self) -> object:
        """Call it off."""


class Clock(Protocol):
    """Tells the time in epoch seconds and wakes callers up; the only source of time for agents."""

    def now_s(self) -> float:
        """Return the present time in epoch seconds (UTC)."""

    def call_at(self, when_s: float, callback: Callable[[], object]) -> Cancellable:
        """Call back at an epoch second, or at once when it has passed."""

    async def sleep_until(self, when_s: float) -> None:
        """Return at an epoch second, or at once when it has passed."""


class Barrier(Protocol):
    """Is told of every letter on its way, so that a clock can wait for it."""

    def sent(self, to: str) -> None:
        """Note a letter on its way to an address."""

    def handled(self, to: str) -> None:
        """Note that a letter to an address has been dealt with."""


class Transport(Protocol):
    """Carries envelopes between addresses; knows nothing of what they say."""

    def send(self, envelope: Envelope) -> None:
        """Hand an envelope over; returns at once.

        Raises: Unavailable when the receiver can never be reached from here (unknown domain).
        """

    def deliver_to(self, address: str, receive: Callable[[Envelope], None]) -> None:
        """Deliver what arrives for an address to a callable from now on."""

    def forget(self, address: str) -> None:
        """Deliver nothing to an address any more."""


class Presence(Protocol):
    """Hears of agents that come and go, where the server tells; nothing depends on its doing so."""

    def watch(self, watcher: str, address: str, changed: Callable[[str, bool], None]) -> None:
        """Tell from now on when an address comes (True) or is gone (False), to one that is connected here."""


class Device(Protocol):
    """A physical or simulated device of a site: percepts in, instructions out."""

    name: str

    async def percepts(self) -> Sequence[Concept]:
        """Return what the device reports now, as typed concepts of the ontology.

        Raises: Unavailable when the device does not answer.
        """

    async def instruct(self, instruction: Instruction) -> InstructionStatus:
        """Put an instruction into effect and say what became of it."""


class PhaseCompensator(Protocol):
    """A D-STATCOM: moves power between phases and gives reactive power, as commanded."""

    asset_id: str

    async def percepts(self) -> Sequence[Concept]:
        """Return the unit's state, and what it measures at the head of its feeder where it can.

        Raises: Unavailable when the unit does not answer.
        """

    async def command(self, command: DstatcomCommand) -> None:
        """Put a command into effect, within what the unit can carry; returns when the unit has it.

        Raises: Unavailable when the unit does not acknowledge, Refused when it says that it will not.
        """


class MonitoringSystem(Protocol):
    """The DSO's measurements of its network, beyond what the sites' meters say (D8.1 3.9)."""

    async def measurements(self, since_s: int) -> Sequence[GridMeasurement]:
        """Return what was measured at metered nodes from a time on, ascending.

        Raises: Unavailable when the system does not answer.
        """


class NetworkEvents(Protocol):
    """What happens to the DSO's network: switching, and equipment that carries less (SCADA)."""

    async def events(self, until_s: int) -> Sequence[NetworkEvent]:
        """Return all that has happened up to a time.

        Raises: Unavailable when the control system does not answer.
        """


class SampleIntake(Protocol):
    """Takes raw samples of sites' sensors, and tells the repository what they come to (D8.1 3.1)."""

    async def take(self, site: str, batch: SampleBatch) -> SampleReceipt:
        """Store a batch that a site's gateway sent, and say so; storing it again changes nothing.

        Raises: Refused when it is of another site, Unavailable when it cannot be stored.
        """

    async def forward(self) -> int:
        """Tell the repository the live values that it does not have yet, and return how many.

        Raises: Unavailable when it is away; then they wait.
        """

    async def close_intervals(self) -> int:
        """Make the intervals that have ended, tell the repository, and return how many changed.

        Raises: Unavailable when it is away; then they wait.
        """


class SampleSource(Protocol):
    """A gateway's samples that nobody has acknowledged yet."""

    def next_batch(self) -> SampleBatch | None:
        """Return the oldest samples that wait, as many as go into a batch; None when there are none."""

    def settle(self, receipt: SampleReceipt) -> bool:
        """Let go of what was acknowledged; tell whether the batch was the one sent last."""

    def count(self) -> int:
        """Return how many samples wait."""


class WeatherService(Protocol):
    """Forecasts the weather of a zone."""

    async def forecast(self, zone: str) -> WeatherForecast:
        """Return the present forecast for the next day and more.

        Raises: Unavailable when no provider answers.
        """


class SettlementReceipt(Protocol):
    """What the ledger says of a settlement that it holds."""

    key: str
    transaction: str
    entries: Mapping[str, int]
    receivables: Mapping[str, int]
    fresh: bool


class Attestor(Protocol):
    """Vouches for settlements with one key of the ledger's configured set."""

    address: str

    async def attest(self, key: str, entries: Mapping[str, int], kind: SettlementKind, result: str) -> str:
        """Return a signature of a batch: its key, its changes, what it is for and its result's hash."""

    async def object(self, key: str, result: str) -> None:
        """Say in public that the result under a key should be another one.

        Raises: Unavailable when the chain cannot be reached.
        """


class Ledger(Protocol):
    """Moves tokens between accounts in zero-sum batches, each settled exactly once.

    `attestors` are the addresses whose signatures it asks for; a `quorum` of them must agree to each batch.
    """

    attestors: Sequence[str]
    quorum: int

    async def open_accounts(self, accounts: Mapping[str, int]) -> None:
        """Open accounts (pseudonym to initial tokens) that do not exist yet."""

    async def settle(
        self,
        key: str,
        entries: Mapping[str, int],
        time_s: int,
        *,
        kind: SettlementKind = SettlementKind.LEM,
        result: str = "",
        attestations: Mapping[str, str] = NO_ATTESTATIONS,
    ) -> SettlementReceipt:
        """Settle a batch of signed token changes under a key; a known key changes nothing.

        A debit above the balance is capped and becomes a receivable, funded from the
        aggregator's account in the same batch. `result` is the hash of what the changes carry out,
        `attestations` are signatures by attestor; one that the ledger holds itself need not be given.

        Raises: InvalidInput when the entries do not sum to zero or name unknown accounts, Refused when the
        attestations are no quorum, Unavailable when the chain cannot be reached.
        """

    async def settlement(self, key: str) -> SettlementReceipt | None:
        """Return the settlement held under a key, if any."""

    async def balances(self, accounts: Iterable[str]) -> Mapping[str, int]:
        """Return the tokens of each account."""


class RegisteredMarket(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in the register of a segment's market in an interval; hashes are hexadecimal, or empty.

    `players` is of who could take part, `datasets` the root of commitments to what they brought.
    """

    start_s: int
    end_s: int
    segment_id: str
    grid_state: GridState
    state: LemState = LemState.ACTIVE
    players: str = ""
    datasets: str = ""
    result: str = ""


class RegisteredInterval(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in the register of a segment in an interval; None where nothing was written.

    `constraint` is the one in force, `parameters` the tariff that held when the market was opened.
    """

    start_s: int
    segment_id: str
    grid_state: GridState | None = None
    constraint: GridConstraint | None = None
    parameters: LemParameters | None = None
    market: RegisteredMarket | None = None


class MarketRegister(Protocol):
    """What a community writes down of grid and markets for all to read (D8.1 3.3.3, 3.9.3).

    Whoever writes what is there already changes nothing. `time_s` is when, in the community's time.

    Writing raises: Refused when it is not the writer's to write, Unavailable when the chain is away.
    """

    async def set_grid_states(self, events: Sequence[GridStatusEvent], time_s: int) -> None:
        """Write down the states of segments in intervals, as the DSO."""

    async def set_constraint(self, constraint: GridConstraint, time_s: int) -> None:
        """Write down what a segment may take and give from a time on, as the DSO; the first step counts."""

    async def set_parameters(self, parameters: LemParameters, time_s: int) -> None:
        """Write down the tariff of a state of the grid, as the market operator."""

    async def open_markets(self, markets: Sequence[RegisteredMarket], time_s: int) -> None:
        """Write down that markets are open, as the aggregator."""

    async def close_markets(self, markets: Sequence[RegisteredMarket], time_s: int) -> None:
        """Write down that markets are closed, all with one root of datasets, as the aggregator."""

    async def settle_markets(self, markets: Sequence[RegisteredMarket], time_s: int) -> None:
        """Write down what markets came to, and that they are closed, as the aggregator."""

    async def grid_state(self, segment_id: str, start_s: int) -> GridState | None:
        """Return the state of a segment in an interval, if one was written down."""

    async def constraint(self, segment_id: str) -> GridConstraint | None:
        """Return what a segment may take and give, if that was written down."""

    async def parameters(self, state: GridState) -> LemParameters | None:
        """Return the tariff of a state of the grid, if one was written down."""

    async def market(self, start_s: int, end_s: int, segment_id: str) -> RegisteredMarket | None:
        """Return what is known of a market but its players, if it was ever opened."""

    async def history(
        self, segments: Sequence[str], start_s: int, end_s: int
    ) -> Sequence[RegisteredInterval]:
        """Return what stands in it of segments, and of each interval that begins in a time, in this order."""


class ServiceLevels(Protocol):
    """Agreements, their indicators and verdicts on a ledger that all parties read."""

    async def write_agreement(self, sla: Sla) -> None:
        """Write an agreement down; one that is there stays."""

    async def write_indicator(self, feature: KpiFeature) -> None:
        """Write an indicator of an agreement down; one that is there stays."""

    async def judge(self, measure: KpiMeasure) -> int:
        """Have a measure judged, once, and return the penalty in tokens.

        Raises: Refused when the measure does not belong to an agreement that holds.
        """

    async def state_of(self, kpi_id: str, player: str, time_s: int) -> tuple[SlaState | None, int]:
        """Return the verdict on a measure, if there is one, and its penalty in tokens."""


class Heard(NamedTuple):
    """What a participant outside said, as an agent would: act and content, and where it belongs.

    `in_reply_to` is the id of the letter that it answers or builds on, or empty.
    """

    act: Performative
    content: Concept
    message_id: str
    conversation: str
    in_reply_to: str


class FlexibilityExchange(Protocol):
    """Brings documents of the flexibility trade to one participant outside, and theirs here.

    What is said is brought again until it is taken; where that fails, `hear` tells it as a failure.
    """

    def say(self, content: Concept, *, message_id: str, conversation: str, in_reply_to: str = "") -> None:
        """Say what a letter says; returns at once, and what was said survives a restart.

        Raises: InvalidInput with everything that cannot be said outside, or when the id is taken;
            Unavailable when it cannot be written down.
        """

    def has_said(self, message_id: str) -> bool:
        """Tell whether a letter of an id was said before."""

    async def hear(self) -> Heard:
        """Return the oldest message that nobody has dealt with; waits for one."""

    def dealt_with(self, heard: Heard) -> None:
        """Let go of the message that was heard last: it does not come again."""


class AgentStore(Protocol):
    """Keeps the agents' state; what is committed together survives together."""

    def load(self, agent: str) -> dict[str, bytes]:
        """Return all that is kept for an agent, by name."""

    def commit(self, agent: str, changes: Mapping[str, bytes | None]) -> None:
        """Write (or, with None, delete) values of an agent in one transaction."""


class Recorder(Protocol):
    """Writes down letters and what became of them, off the hot path."""

    def record(self, envelope: Envelope, outcome: str, time_s: float) -> None:
        """Note an envelope and its outcome (`sent`, `handled`, `refused`, `duplicate`, ...)."""
