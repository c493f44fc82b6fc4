"""The distribution grid: its segments, what is measured there and what state it is in."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from ontology.base import (
    MAX_MEMBERS,
    Amperes,
    Concept,
    DegreesCelsius,
    Duration,
    EpochSeconds,
    Factor,
    Identifier,
    IntervalStart,
    Label,
    Power,
    PowerMagnitude,
    Steps,
    Volts,
    require,
    require_aligned,
)

__all__ = [
    "DstatcomCommand",
    "DstatcomMode",
    "DstatcomObjective",
    "DstatcomStatus",
    "GridConstraint",
    "GridMeasurement",
    "GridMeasurementBatch",
    "GridOutlook",
    "GridSegment",
    "GridState",
    "GridStatusEvent",
]

ThreeVolts = Annotated[list[Volts], Meta(min_length=3, max_length=3)]
ThreePowers = Annotated[list[Power], Meta(min_length=3, max_length=3)]
MAX_MEASUREMENTS = 150
"""In one letter."""
FourAmperes = Annotated[list[Amperes], Meta(min_length=4, max_length=4)]


class GridState(StrEnum):
    """The traffic light (BDEW Smart Grids Ampelkonzept, SPEC 2.1)."""

    GREEN = "GREEN"
    YELLOW = "YELLOW"
    RED = "RED"

    @property
    def severity(self) -> int:
        """How grave the state is: 0 green, 1 yellow, 2 red."""
        return _SEVERITY[self]


_SEVERITY = {GridState.GREEN: 0, GridState.YELLOW: 1, GridState.RED: 2}


class DstatcomMode(StrEnum):
    """What a D-STATCOM is controlling (SPEC 4.11)."""

    OFF = "OFF"
    VOLT = "VOLT"
    BALANCE = "BALANCE"
    SETPOINT = "SETPOINT"


class DstatcomObjective(StrEnum):
    """What D-STATCOMs make small: unbalance (VUF), current in the neutral, or deviations of voltage."""

    UNBALANCE = "UNBALANCE"
    NEUTRAL = "NEUTRAL"
    VOLTAGE = "VOLTAGE"


class GridSegment(Concept, frozen=True, kw_only=True, tag="parity:GridSegment"):
    """A low-voltage feeder behind one transformer (CIM PowerTransformer, UFTP CongestionPoint)."""

    segment_id: Identifier
    transformer_id: Identifier
    rated_va: PowerMagnitude
    nodes: Annotated[list[Identifier], Meta(max_length=MAX_MEMBERS)]
    players: Annotated[list[Identifier], Meta(max_length=MAX_MEMBERS)]


class GridMeasurement(Concept, frozen=True, kw_only=True, tag="parity:GridMeasurement"):
    """What is measured at a node, phase by phase (CIM Analog, SAREF4GRID)."""

    node_id: Identifier
    time_s: EpochSeconds
    voltage_v: ThreeVolts
    current_a: FourAmperes
    power_w: ThreePowers
    reactive_var: ThreePowers
    voltage_distortion: Factor = 0.0


class GridMeasurementBatch(Concept, frozen=True, kw_only=True, tag="parity:GridMeasurementBatch"):
    """Measurements of many nodes and times in one letter, each stored by itself (CIM Analog)."""

    measurements: Annotated[list[GridMeasurement], Meta(max_length=MAX_MEASUREMENTS)]


class GridConstraint(Concept, frozen=True, kw_only=True, tag="oadr:GridConstraint"):
    """How much a segment may take and give in equal steps (OpenADR IMPORT_/EXPORT_CAPACITY_LIMIT)."""

    segment_id: Identifier
    start_s: EpochSeconds
    step_s: Duration = 900
    import_max_w: Annotated[list[PowerMagnitude], Steps]
    export_max_w: Annotated[list[PowerMagnitude], Steps]

    def __post_init__(self) -> None:
        require_aligned(self, "import_max_w", "export_max_w")


class GridStatusEvent(Concept, frozen=True, kw_only=True, tag="parity:GridStatusEvent"):
    """The traffic light of a segment in an interval, and why (SUPSI gridState, OpenADR SIMPLE)."""

    segment_id: Identifier
    start_s: IntervalStart
    end_s: EpochSeconds
    published_at_s: EpochSeconds
    state: GridState
    causes: Annotated[list[Label], Meta(max_length=100)]
    loading: Factor
    voltage_min_pu: Factor
    voltage_max_pu: Factor
    flagged: Label = ""
    places: Annotated[list[Label], Meta(max_length=100)] = []
    """Node or line where each cause is worst, in the order of the causes; empty where nobody can tell"""
    constraints: Annotated[list[GridConstraint], Meta(max_length=100)] = []
    """What the segment may take and give in the interval"""

    def __post_init__(self) -> None:
        require(self.end_s > self.start_s, "end_s", self.end_s, "later than start_s")
        require(
            self.voltage_min_pu <= self.voltage_max_pu,
            "voltage_min_pu",
            self.voltage_min_pu,
            "at most voltage_max_pu",
        )


class GridOutlook(Concept, frozen=True, kw_only=True, tag="parity:GridOutlook"):
    """How hard a segment is expected to be used in the steps of a day ahead (SPEC 2.1).

    States are the colour of the strain itself. What is only foreseen is announced as YELLOW at most, so RED
    here says how bad it would get if nobody did anything.
    """

    segment_id: Identifier
    start_s: IntervalStart
    published_at_s: EpochSeconds
    step_s: Duration = 900
    states: Annotated[list[GridState], Steps]
    causes: Annotated[list[Annotated[list[Label], Meta(max_length=10)]], Steps]
    loading: Annotated[list[Factor], Steps]
    voltage_min_pu: Annotated[list[Factor], Steps]
    voltage_max_pu: Annotated[list[Factor], Steps]
    unbalance: Annotated[list[Factor], Steps]

    def __post_init__(self) -> None:
        require_aligned(self, "states", "causes", "loading", "voltage_min_pu", "voltage_max_pu", "unbalance")


class DstatcomStatus(Concept, frozen=True, kw_only=True, tag="parity:DstatcomStatus"):
    """What a D-STATCOM does, phase by phase (D8.1 3.10)."""

    asset_id: Identifier
    time_s: EpochSeconds
    mode: DstatcomMode
    power_w: ThreePowers
    reactive_var: ThreePowers
    neutral_a: Amperes
    voltage_v: ThreeVolts
    rated_va: PowerMagnitude = 0
    """Of the whole unit; 0 is not told."""
    temperature_degc: DegreesCelsius | None = None
    """Of the heat sink, where it is measured."""
    alarms: Annotated[list[Label], Meta(max_length=100)] = []


class DstatcomCommand(Concept, frozen=True, kw_only=True, tag="parity:DstatcomCommand"):
    """What a D-STATCOM shall do, phase by phase (D8.1 3.10).

    BALANCE without powers leaves it to the unit to serve the objective by what it measures itself.
    """

    asset_id: Identifier
    mode: DstatcomMode
    objective: DstatcomObjective = DstatcomObjective.UNBALANCE
    voltage_reference_pu: Factor = 1.0
    power_w: Annotated[list[Power], Meta(max_length=3)] = []
    reactive_var: Annotated[list[Power], Meta(max_length=3)] = []

    def __post_init__(self) -> None:
        for field in ("power_w", "reactive_var"):
            length = len(getattr(self, field))
            require(length in (0, 3), field, length, "no values, or 3, one a phase")
