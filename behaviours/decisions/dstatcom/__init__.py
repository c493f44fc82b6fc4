"""Four-leg D-STATCOMs: what they can carry, what they aim at, and how several share one feeder."""

from behaviours.decisions.dstatcom.coordination import Unit, corrected, planned
from behaviours.decisions.dstatcom.laws import (
    balancing_va,
    compensating_va,
    supporting_va,
)
from behaviours.decisions.dstatcom.least_neutral import least_neutral_va
from behaviours.decisions.dstatcom.rating import (
    Priority,
    Rating,
    limited,
    neutral_current_a,
    phase_voltages,
    rating_of,
)

__all__ = [
    "Priority",
    "Rating",
    "Unit",
    "balancing_va",
    "compensating_va",
    "corrected",
    "least_neutral_va",
    "limited",
    "neutral_current_a",
    "phase_voltages",
    "planned",
    "rating_of",
    "supporting_va",
]
