"""Sites and sessions for tests of charging plans."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from behaviours.decisions.charging.terms import ChargingDemand, SiteTerms
from behaviours.decisions.series import FloatArray, IntArray

NOW_S = 1_750_000_500
QUARTER_S = 900


def quarters(number: int) -> IntArray:
    """Bounds of quarters of an hour from now on."""
    return NOW_S + QUARTER_S * np.arange(number + 1)


def site(
    limit_w: float | FloatArray, steps: IntArray, prices: float | Sequence[float] = 0.2, **other: Any
) -> SiteTerms:
    """A site with a limit and prices, where nobody else is expected."""
    nothing = np.zeros(len(steps) - 1)
    return SiteTerms(
        **{
            "starts_s": steps,
            "power_max_w": nothing + limit_w,
            "base_w": nothing,
            "expected_w": nothing,
            "reserved_w": nothing,
            "charge_price_per_kwh": nothing + np.asarray(prices),
            "discharge_price_per_kwh": nothing,
            **other,
        }
    )


def car(name: str, needs_wh: float, hours: float, power_w: float = 8_000.0, **other: Any) -> ChargingDemand:
    """A vehicle that stays for some hours."""
    return ChargingDemand(name, needs_wh, NOW_S + round(hours * 3600), power_w, **other)


def cars(rng: np.random.Generator, number: int, v2g: float = 0.0) -> list[ChargingDemand]:
    """Draw vehicles, some of which may give back."""
    found = []
    for index in range(number):
        gives = rng.random() < v2g
        found.append(
            car(
                f"s{index}",
                float(rng.uniform(0, 25_000)),
                float(rng.uniform(0.3, 5.5)),
                discharge_max_w=8_000.0 if gives else 0.0,
                spare_wh=float(rng.uniform(0, 20_000)) if gives else 0.0,
            )
        )
    return found
