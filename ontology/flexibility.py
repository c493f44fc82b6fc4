"""What a device or a site could do otherwise."""

from typing import Annotated

from msgspec import Meta

from ontology.base import (
    Concept,
    Count,
    Duration,
    Energy,
    EpochSeconds,
    Factor,
    Identifier,
    Part,
    Power,
    PowerMagnitude,
    SignedEnergy,
    Steps,
    Ticks,
    require_aligned,
    require_ordered,
)

__all__ = ["CostStep", "FlexEnvelope", "FlexibilityForecast"]

Efficiency = Annotated[float, Meta(gt=0, le=1)]


class CostStep(Part, frozen=True, kw_only=True):
    """Power that could be had at one cost (a slice of a FlexOffer)."""

    power_w: PowerMagnitude
    cost_ticks_per_kwh: Ticks


class FlexibilityForecast(Concept, frozen=True, kw_only=True, tag="parity:FlexibilityForecast"):
    """How far one could go up or down, how long, at what cost (OpenADR UP_/DOWN_REGULATION_AVAILABLE)."""

    subject: Identifier
    start_s: EpochSeconds
    step_s: Duration = 900
    up_w: Annotated[list[PowerMagnitude], Steps]
    down_w: Annotated[list[PowerMagnitude], Steps]
    duration_max_s: Annotated[list[Count], Steps]
    cost_ticks_per_kwh: Annotated[list[Ticks], Steps]
    rebound_factor: Factor = 0.0
    up_steps: Annotated[list[list[CostStep]], Steps] = []
    """What up-regulation costs in each step, cheapest first, energy made up for later included."""
    down_steps: Annotated[list[list[CostStep]], Steps] = []

    def __post_init__(self) -> None:
        steps = ("up_steps", "down_steps")
        require_aligned(self, "up_w", "down_w", "duration_max_s", "cost_ticks_per_kwh", optional=steps)


class FlexEnvelope(Concept, frozen=True, kw_only=True, tag="s2:FlexEnvelope"):
    """Bounds of power, and of energy since the start (S2 PEBC.PowerConstraints, EnergyConstraint)."""

    subject: Identifier
    start_s: EpochSeconds
    step_s: Duration = 900
    power_min_w: Annotated[list[Power], Steps]
    power_max_w: Annotated[list[Power], Steps]
    energy_min_wh: Annotated[list[SignedEnergy], Steps]
    energy_max_wh: Annotated[list[SignedEnergy], Steps]
    preferred_w: Annotated[list[Power], Steps] = []
    charge_efficiency: Efficiency = 1.0
    discharge_efficiency: Efficiency = 1.0
    stored_wh: Energy = 0
    comfort_ticks_per_kwh: Ticks = 0
    """What a kWh less than preferred costs people in comfort; 0 where it is made up for later."""

    def __post_init__(self) -> None:
        require_aligned(
            self, "power_min_w", "power_max_w", "energy_min_wh", "energy_max_wh", optional=("preferred_w",)
        )
        require_ordered(self, "power_min_w", "power_max_w")
        require_ordered(self, "energy_min_wh", "energy_max_wh")
