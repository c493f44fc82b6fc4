"""What sensors and meters report."""

from enum import StrEnum

from ontology.base import (
    Concept,
    Duration,
    Energy,
    EpochSeconds,
    Identifier,
    IntervalStart,
    Label,
    Magnitude,
    PowerMagnitude,
    Real,
    require,
)

__all__ = ["IntervalReading", "Measurement", "Quality", "Quantity", "Sensor", "SensorType"]


class Quality(StrEnum):
    """How far a value can be trusted (CIM ReadingQuality, OpenADR DATA_QUALITY)."""

    VALID = "VALID"
    ESTIMATED = "ESTIMATED"
    SUBSTITUTED = "SUBSTITUTED"
    MISSING = "MISSING"


class Quantity(StrEnum):
    """What is measured, with its unit (S2 CommodityQuantity, saref:Property)."""

    ACTIVE_POWER_W = "ACTIVE_POWER_W"
    REACTIVE_POWER_VAR = "REACTIVE_POWER_VAR"
    ENERGY_WH = "ENERGY_WH"
    VOLTAGE_V = "VOLTAGE_V"
    CURRENT_A = "CURRENT_A"
    FREQUENCY_HZ = "FREQUENCY_HZ"
    TEMPERATURE_DEGC = "TEMPERATURE_DEGC"
    IRRADIANCE_W_PER_M2 = "IRRADIANCE_W_PER_M2"
    WIND_SPEED_M_PER_S = "WIND_SPEED_M_PER_S"
    STATE_OF_CHARGE = "STATE_OF_CHARGE"
    RATIO = "RATIO"
    DURATION_S = "DURATION_S"


class SensorType(Concept, frozen=True, kw_only=True, tag="parity:SensorType"):
    """A kind of sensor in the catalogue (saref:Property, S2 CommodityQuantity)."""

    sensor_type_id: Identifier
    quantity: Quantity
    unit: Label
    resolution: Magnitude
    range_min: Real
    range_max: Real

    def __post_init__(self) -> None:
        require(self.range_min <= self.range_max, "range_min", self.range_min, "at most range_max")


class Sensor(Concept, frozen=True, kw_only=True, tag="parity:Sensor"):
    """One sensor and what it observes (saref:Sensor)."""

    sensor_id: Identifier
    sensor_type_id: Identifier
    asset_id: Label = ""
    building_id: Label = ""
    sampling_period_s: Duration


class Measurement(Concept, frozen=True, kw_only=True, tag="parity:Measurement"):
    """One value at one instant (S2 PowerMeasurement, CIM Reading, OpenADR READING)."""

    subject: Identifier
    quantity: Quantity
    time_s: EpochSeconds
    value: Real
    quality: Quality = Quality.VALID


class IntervalReading(Concept, frozen=True, kw_only=True, tag="parity:IntervalReading"):
    """What a site's meter took and gave in one interval (CIM IntervalBlock, UFTP Metering)."""

    subject: Identifier
    start_s: IntervalStart
    consumed_wh: Energy
    produced_wh: Energy
    consumed_w: PowerMagnitude
    produced_w: PowerMagnitude
    quality: Quality = Quality.VALID
