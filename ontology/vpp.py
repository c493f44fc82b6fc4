"""Virtual power plants that form and dissolve, and how their members have proved themselves."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from ontology.base import (
    Concept,
    Duration,
    Energy,
    EpochSeconds,
    Factor,
    Fraction,
    Identifier,
    Label,
    Magnitude,
    Part,
    Power,
    Real,
    Steps,
    require,
)

__all__ = ["ProsumerMetrics", "Vpp", "VppMember", "VppMetric", "VppState"]


class VppState(StrEnum):
    """Where a virtual power plant stands (SPEC 5.3)."""

    FORMING = "FORMING"
    ACTIVE = "ACTIVE"
    SETTLING = "SETTLING"
    DISSOLVED = "DISSOLVED"


class VppMember(Part, frozen=True, kw_only=True):
    """One member, its share and the schedule that it committed to."""

    agent: Identifier
    share: Fraction
    schedule_w: Annotated[list[Power], Steps] = []


class VppMetric(Part, frozen=True, kw_only=True):
    """One figure about a virtual power plant."""

    name: Identifier
    value: Real
    unit: Label = ""


class Vpp(Concept, frozen=True, kw_only=True, tag="parity:Vpp"):
    """A coalition that delivers a product (DELTA VirtualNode, Cluster)."""

    vpp_id: Identifier
    product: Identifier
    members: Annotated[list[VppMember], Meta(max_length=1000)]
    valid_from_s: EpochSeconds
    valid_to_s: EpochSeconds
    step_s: Duration = 900
    target_w: Annotated[list[Power], Steps]
    state: VppState
    metrics: Annotated[list[VppMetric], Meta(max_length=100)] = []

    def __post_init__(self) -> None:
        require(self.valid_to_s > self.valid_from_s, "valid_to_s", self.valid_to_s, "later than valid_from_s")


class ProsumerMetrics(Concept, frozen=True, kw_only=True, tag="parity:ProsumerMetrics"):
    """How a prosumer behaved over a window (D8.1 Table 4 test 3)."""

    player: Identifier
    start_s: EpochSeconds
    end_s: EpochSeconds
    peak_w: Power
    load_factor: Factor
    flexibility_up_wh: Energy
    flexibility_down_wh: Energy
    reliability: Fraction
    response_time_s: Magnitude
    forecast_error: Factor
    self_sufficiency: Fraction
    self_consumption: Fraction

    def __post_init__(self) -> None:
        require(self.end_s > self.start_s, "end_s", self.end_s, "later than start_s")
