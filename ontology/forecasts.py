"""What is expected to be consumed, produced or paid."""

from enum import StrEnum
from typing import Annotated

from ontology.base import Concept, Duration, EpochSeconds, Identifier, Power, Steps, require_aligned
from ontology.measurements import Quality

__all__ = ["Forecast", "ForecastKind"]


class ForecastKind(StrEnum):
    """What a forecast is about."""

    LOAD = "LOAD"
    PV = "PV"
    EV = "EV"
    NET = "NET"
    PRICE = "PRICE"


class Forecast(Concept, frozen=True, kw_only=True, tag="parity:Forecast"):
    """Expected power in equal steps with 10 and 90 % quantiles (S2 PowerForecast, OADR USAGE_FORECAST)."""

    subject: Identifier
    kind: ForecastKind
    issued_at_s: EpochSeconds
    start_s: EpochSeconds
    step_s: Duration = 900
    power_w: Annotated[list[Power], Steps]
    low_w: Annotated[list[Power], Steps] = []
    high_w: Annotated[list[Power], Steps] = []
    quality: Quality = Quality.VALID
    """Of what it is made from: an old weather forecast makes it SUBSTITUTED."""

    def __post_init__(self) -> None:
        require_aligned(self, "power_w", optional=("low_w", "high_w"))
