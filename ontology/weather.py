"""The weather, observed and foreseen."""

from typing import Annotated

from ontology.base import (
    Concept,
    DegreesCelsius,
    Duration,
    EpochSeconds,
    Identifier,
    Label,
    Magnitude,
    Steps,
    require_aligned,
)
from ontology.measurements import Quality

__all__ = ["WeatherForecast", "WeatherObservation"]


class WeatherObservation(Concept, frozen=True, kw_only=True, tag="parity:WeatherObservation"):
    """The weather of a zone at one instant (D8.1 3.2; no standard class)."""

    zone: Identifier
    time_s: EpochSeconds
    outdoor_degc: DegreesCelsius
    ghi_w_per_m2: Magnitude
    dni_w_per_m2: Magnitude
    dhi_w_per_m2: Magnitude
    wind_m_per_s: Magnitude = 0.0


class WeatherForecast(Concept, frozen=True, kw_only=True, tag="parity:WeatherForecast"):
    """The weather of a zone as foreseen in equal steps (D8.1 3.2; no standard class)."""

    zone: Identifier
    issued_at_s: EpochSeconds
    start_s: EpochSeconds
    step_s: Duration = 900
    outdoor_degc: Annotated[list[DegreesCelsius], Steps]
    ghi_w_per_m2: Annotated[list[Magnitude], Steps]
    dni_w_per_m2: Annotated[list[Magnitude], Steps]
    dhi_w_per_m2: Annotated[list[Magnitude], Steps]
    wind_m_per_s: Annotated[list[Magnitude], Steps] = []
    quality: Quality = Quality.VALID
    """ESTIMATED is what is usual at this time of the year, SUBSTITUTED an older forecast carried on."""
    provider: Label = ""

    def __post_init__(self) -> None:
        require_aligned(
            self, "outdoor_degc", "ghi_w_per_m2", "dni_w_per_m2", "dhi_w_per_m2", optional=("wind_m_per_s",)
        )
