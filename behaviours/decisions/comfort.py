"""What people like, learnt from what they turned their thermostats to (SPEC 4.8)."""

from collections.abc import Sequence
from statistics import median

__all__ = ["learnt_band", "reliability_after_days", "reliability_after_override"]

LEAST_OVERRIDES = 3
"""How many wishes it takes to know a taste."""
REMEMBERED = 20
BAND_K = 1.0
NARROWEST_K = 1.0
TOLERABLE_DEGC = (16.0, 26.0)
"""What nobody's heating leaves."""
MEMORY = 0.9
"""Weight of the past in how far a site keeps to its plans, as in a member's reliability (SPEC 5.3 F)."""


def learnt_band(overrides_degc: Sequence[float], band_degc: tuple[float, float]) -> tuple[float, float]:
    """Return the comfort band: a kelvin either way of the median wish, never less wide than one.

    Args:
        overrides_degc: what people turned their thermostat to, the oldest first.
        band_degc: band that holds while nobody, or hardly anybody, has said anything else.
    """
    if len(overrides_degc) < LEAST_OVERRIDES:
        return band_degc
    liked = float(median(overrides_degc[-REMEMBERED:]))
    low = min(max(liked - BAND_K, TOLERABLE_DEGC[0]), TOLERABLE_DEGC[1] - NARROWEST_K)
    return low, max(min(liked + BAND_K, TOLERABLE_DEGC[1]), low + NARROWEST_K)


def reliability_after_override(kept: float) -> float:
    """Return how far a site keeps to its plans, after somebody has overridden one."""
    return MEMORY * kept


def reliability_after_days(kept: float, days: float) -> float:
    """Return how far a site keeps to its plans, after some days in which nobody overrode them."""
    return float(1.0 - (1.0 - kept) * MEMORY**days)
