"""What stores energy, electrically or as heat."""

from operator import le
from typing import Annotated

from msgspec import Meta

from ontology.base import (
    Concept,
    DegreesCelsius,
    Energy,
    EpochSeconds,
    Fraction,
    Identifier,
    Magnitude,
    Power,
    PowerMagnitude,
    require,
    require_aligned,
)

__all__ = ["StorageModel", "StorageStatus", "ThermalModel", "ThermalStatus"]

Efficiency = Annotated[float, Meta(gt=0, le=1)]
Positive = Annotated[float, Meta(gt=0, le=1e15)]


class StorageModel(Concept, frozen=True, kw_only=True, tag="s2:StorageModel"):
    """What a storage can hold, take and give (S2 FRBC.SystemDescription)."""

    asset_id: Identifier
    capacity_wh: Energy
    fill_min_wh: Energy
    fill_max_wh: Energy
    charge_max_w: PowerMagnitude
    discharge_max_w: PowerMagnitude
    charge_efficiency: Efficiency
    discharge_efficiency: Efficiency
    leakage_w: PowerMagnitude

    def __post_init__(self) -> None:
        require(self.fill_min_wh <= self.fill_max_wh, "fill_min_wh", self.fill_min_wh, "at most fill_max_wh")
        require(self.fill_max_wh <= self.capacity_wh, "fill_max_wh", self.fill_max_wh, "at most capacity_wh")


class StorageStatus(Concept, frozen=True, kw_only=True, tag="s2:StorageStatus"):
    """How full a storage is and what it does (S2 FRBC.StorageStatus, OpenADR STORAGE_CHARGE_LEVEL)."""

    asset_id: Identifier
    time_s: EpochSeconds
    state_of_charge: Fraction
    power_w: Power
    state_of_health: Fraction = 1.0


class ThermalModel(Concept, frozen=True, kw_only=True, tag="parity:ThermalModel"):
    """A heated space or tank as one resistance and one capacity (virtual battery, SPEC 4.8).

    Where the COP depends on the outdoor temperature, points of it are given, the coldest first (EN 14511).
    """

    asset_id: Identifier
    resistance_k_per_w: Positive
    capacity_j_per_k: Positive
    cop: Positive
    temperature_min_degc: DegreesCelsius
    temperature_max_degc: DegreesCelsius
    cop_outdoor_degc: Annotated[list[DegreesCelsius], Meta(max_length=50)] = []
    cop_points: Annotated[list[Positive], Meta(max_length=50)] = []
    solar_aperture_m2: Magnitude = 0.0
    """Windows to the sun: heat in W by W/m² of global horizontal irradiance."""
    internal_gain_w: Magnitude = 0.0
    """Heat of people and appliances."""

    def __post_init__(self) -> None:
        require_aligned(self, "cop_outdoor_degc", "cop_points")
        require(
            all(map(le, self.cop_outdoor_degc, self.cop_outdoor_degc[1:])),
            "cop_outdoor_degc",
            self.cop_outdoor_degc,
            "ascending temperatures",
        )
        require(
            self.temperature_min_degc <= self.temperature_max_degc,
            "temperature_min_degc",
            self.temperature_min_degc,
            "at most temperature_max_degc",
        )


class ThermalStatus(Concept, frozen=True, kw_only=True, tag="parity:ThermalStatus"):
    """How warm a heated space or tank is and what its heater draws (SPEC 4.8)."""

    asset_id: Identifier
    time_s: EpochSeconds
    temperature_degc: DegreesCelsius
    power_w: Power
    outdoor_degc: DegreesCelsius
