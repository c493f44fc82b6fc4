"""What would have been drawn without an order: the baselines that a deviation is measured from (SPEC 2.5).

Powers are means of intervals in W, by start of interval. A baseline is None where what it needs is not known.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import TypeAlias

from ontology.base import INTERVAL_S, require

__all__ = [
    "Baseline",
    "control_group",
    "high_5_of_10",
    "mean_before_and_after",
    "normalised_error",
    "same_slot_7d",
]

Powers: TypeAlias = Mapping[int, int]

DAY_S = 86_400
DAYS, HIGHEST = 10, 5
ADJACENT_S = 1800


class Baseline(StrEnum):
    """How a baseline is found (SPEC 2.5)."""

    D_PROGNOSIS = "D_PROGNOSIS"
    """What the aggregator foresaw before it was asked (UFTP)."""
    SAME_SLOT_7D = "SAME_SLOT_7D"
    """The same slot a week earlier (PYFM)."""
    HIGH_5_OF_10 = "HIGH_5_OF_10"
    """The mean of the same slot on the five days of the highest demand among the last ten (NYISO)."""
    MBMA = "MBMA"
    """The mean of the half hours before and after (meter before, meter after)."""
    CONTROL_GROUP = "CONTROL_GROUP"
    """What comparable sites without an order did in the meantime."""


def same_slot_7d(metered_w: Powers, start_s: int) -> int | None:
    """Return the mean power in the same slot seven days earlier."""
    return metered_w.get(start_s - 7 * DAY_S)


def high_5_of_10(metered_w: Powers, start_s: int, events: Collection[int] = ()) -> int | None:
    """Return the mean of a slot on the five days of the highest demand among the last ten without an event.

    Days are those of 24 hours that end with the slot's; demand is that of the day as far as it is known.

    Args:
        metered_w: measured power.
        start_s: the slot.
        events: starts of intervals in which flexibility was ordered.

    Returns: None with fewer than ten such days in the last 45.
    """
    eventful = {(start_s - event_s) // DAY_S for event_s in events}
    days = [day for day in range(1, 46) if day not in eventful and start_s - day * DAY_S in metered_w][:DAYS]
    if len(days) < DAYS:
        return None
    highest = sorted(days, key=lambda day: (-_demand_w(metered_w, start_s - day * DAY_S), day))[:HIGHEST]
    return _mean([metered_w[start_s - day * DAY_S] for day in highest])


def mean_before_and_after(metered_w: Powers, first_s: int, end_s: int) -> int | None:
    """Return the mean power of the half hour before an event and the half hour after it.

    Args:
        metered_w: measured power.
        first_s: when the event began.
        end_s: when it ended.
    """
    around = [
        *range(first_s - ADJACENT_S, first_s, INTERVAL_S),
        *range(end_s, end_s + ADJACENT_S, INTERVAL_S),
    ]
    known = [metered_w[start_s] for start_s in around if start_s in metered_w]
    return _mean(known) if len(known) == len(around) else None


def control_group(metered_w: Powers, control_w: Powers, start_s: int, reference: Iterable[int]) -> int | None:
    """Return a control group's power in a slot, scaled by what both drew in intervals without an event.

    Args:
        metered_w: measured power of those who got the order.
        control_w: measured power of those who did not.
        start_s: the slot.
        reference: starts of the intervals in which the two are compared.
    """
    compared = [each for each in reference if each in metered_w and each in control_w]
    drawn_w = sum(control_w[each] for each in compared)
    if start_s not in control_w or drawn_w == 0:
        return None
    return round(control_w[start_s] * sum(metered_w[each] for each in compared) / drawn_w)


def normalised_error(baseline_w: Sequence[int], actual_w: Sequence[int]) -> float:
    """Return the mean absolute error of a baseline as a share of the mean absolute power (nMAE).

    Raises: InvalidInput when the two differ in length, are empty, or nothing was drawn.
    """
    require(len(baseline_w) == len(actual_w), "baseline_w", len(baseline_w), f"{len(actual_w)} values")
    total_w = sum(map(abs, actual_w))
    require(total_w > 0, "actual_w", total_w, "some power")
    return sum(abs(b - a) for b, a in zip(baseline_w, actual_w, strict=True)) / total_w


def _demand_w(metered_w: Powers, start_s: int) -> float:
    """Return the mean power of the 24 hours that end with a slot."""
    day = range(start_s - DAY_S + INTERVAL_S, start_s + INTERVAL_S, INTERVAL_S)
    known = [metered_w[each] for each in day if each in metered_w]
    return sum(known) / len(known)


def _mean(powers_w: Sequence[int]) -> int:
    return round(sum(powers_w) / len(powers_w))
