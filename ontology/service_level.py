"""Service-level agreements and the indicators that they are judged by."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from ontology.base import Concept, Count, EpochSeconds, Fraction, Identifier, Label, Real, require

__all__ = ["KpiFeature", "KpiMeasure", "KpiRule", "Sla", "SlaState"]


class KpiRule(StrEnum):
    """When an indicator is violated: above or below its limit (SPEC 2.9)."""

    ABOVE = "gt"
    BELOW = "lt"


class SlaState(StrEnum):
    """What a measure of an agreement comes to (SPEC 2.9)."""

    OK = "OK"
    VIOLATED = "VIOLATED"
    NOT_EVALUABLE = "NOT_EVALUABLE"


class Sla(Concept, frozen=True, kw_only=True, tag="parity:Sla"):
    """An agreement between parties for a period (D8.1 3.4.3, SUPSI sla)."""

    sla_id: Identifier
    parties: Annotated[list[Identifier], Meta(max_length=100)]
    start_s: EpochSeconds
    end_s: EpochSeconds
    kpis: Annotated[list[Identifier], Meta(max_length=100)] = []
    signatures: Annotated[list[Label], Meta(max_length=100)] = []

    def __post_init__(self) -> None:
        require(self.end_s > self.start_s, "end_s", self.end_s, "later than start_s")


class KpiFeature(Concept, frozen=True, kw_only=True, tag="parity:KpiFeature"):
    """One indicator of an agreement, its limit and what a violation costs (SUPSI kpiFeatures).

    With a most, the penalty grows with the excess over the tolerance, up to it (SPEC 2.9).
    """

    kpi_id: Identifier
    sla_id: Identifier
    function: Identifier = "K_ENERGY"
    rule: KpiRule
    limit: Real
    unit: Label
    penalty_tokens: Count
    players: Annotated[list[Identifier], Meta(max_length=1000)]
    tolerance: Fraction = 0.0
    most_tokens: Count = 0


class KpiMeasure(Concept, frozen=True, kw_only=True, tag="parity:KpiMeasure"):
    """The value of an indicator for a player at the end of its interval (SUPSI kpiMeasure)."""

    kpi_id: Identifier
    player: Identifier
    time_s: EpochSeconds
    value: Real
    unit: Label
    completeness: Fraction = 1.0
    source_hash: Label = ""
