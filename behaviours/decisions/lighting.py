"""Lights as a flexible load: off when nobody is there; dimmed, at a price in comfort, while somebody is."""

import numpy as np

from behaviours.decisions.envelopes import bounded, cumulated
from behaviours.decisions.local_time import local_hours
from ontology.base import INTERVAL_S, INTERVALS_A_DAY
from ontology.flexibility import FlexEnvelope

__all__ = ["DIMMING_TICKS_PER_KWH", "lighting_envelope", "lighting_power_w"]

DIMMING_TICKS_PER_KWH = 5_000
"""What people would pay for a kWh of the light that they want: more than it ever costs on a usual day."""


def lighting_envelope(
    asset_id: str,
    power_w: int,
    minimum_share: float,
    hours: tuple[float, float],
    zone: str,
    start_s: int,
    *,
    steps: int = INTERVALS_A_DAY,
    step_s: int = INTERVAL_S,
) -> FlexEnvelope:
    """Return how lights may run: as wanted, or dimmed to a level that one can still work at.

    What is dimmed is not made up for later; that is why its comfort has a price.

    Args:
        asset_id: the lights.
        power_w: what they draw when wanted.
        minimum_share: of that, the least while somebody is there.
        hours: local hours from which and to which somebody is.
        zone: whose clocks are meant.
        start_s: start of the first step in epoch seconds.
        steps: number of steps.
        step_s: length of a step in seconds.
    """
    at = local_hours(zone, start_s, steps, step_s)
    wanted = np.where((at >= hours[0]) & (at < hours[1]), float(power_w), 0.0)
    least = np.ceil(wanted * minimum_share)
    return bounded(
        asset_id,
        start_s,
        step_s,
        least,
        wanted,
        cumulated(least, step_s),
        cumulated(wanted, step_s),
        preferred=wanted,
        comfort_ticks_per_kwh=DIMMING_TICKS_PER_KWH,
    )


def lighting_power_w(
    told_w: int, power_w: int, minimum_share: float, hours: tuple[float, float], zone: str, now_s: int
) -> int:
    """Return what lights are set to: what they are told, but never too dark while somebody is there."""
    hour = local_hours(zone, now_s)[0]
    least_w = int(np.ceil(power_w * minimum_share)) if hours[0] <= hour < hours[1] else 0
    return max(least_w, min(told_w, power_w))
