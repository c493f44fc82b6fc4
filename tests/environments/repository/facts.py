"""Facts in few words, and as a repository takes them."""

from typing import Any

import msgspec

from ontology.base import Concept
from ontology.forecasts import Forecast, ForecastKind
from ontology.measurements import IntervalReading, Measurement, Quantity

READING = "parity:IntervalReading"
MEASUREMENT = "parity:Measurement"
FORECAST = "parity:Forecast"


def reading(start_s: int, subject: str = "h001", consumed_wh: int = 100) -> IntervalReading:
    return IntervalReading(
        subject=subject, start_s=start_s, consumed_wh=consumed_wh, produced_wh=0, consumed_w=400, produced_w=0
    )


def measurement(
    time_s: int, subject: str = "m001", quantity: Quantity = Quantity.VOLTAGE_V, value: float = 230.0
) -> Measurement:
    return Measurement(subject=subject, quantity=quantity, time_s=time_s, value=value)


def forecast(start_s: int, kind: str = "NET", subject: str = "h001") -> Forecast:
    return Forecast(
        subject=subject, kind=ForecastKind(kind), issued_at_s=start_s, start_s=start_s, power_w=[1, 2, 3]
    )


def storable(fact: Concept) -> Any:
    """Return a fact without the character that PostgreSQL's text cannot hold, and without anybody's name."""
    nameless = {field: "" for field in ("name", "email") if field in fact.__struct_fields__}
    fact = msgspec.structs.replace(fact, **nameless) if type(fact).__name__ == "User" else fact
    return msgspec.json.decode(msgspec.json.encode(fact).replace(b"\\u0000", b"0"), type=type(fact))
