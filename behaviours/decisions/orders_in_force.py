"""Which of a device's instructions hold now: by time, priority and arrival (SPEC 3.4, concept 20).

Set-points and limits are kept apart. A later instruction replaces an earlier one of the same or lower
priority; one of lower priority waits until the higher one is over.
"""

from collections.abc import Callable, Iterator
from math import inf
from typing import NamedTuple

from ontology.control import Instruction, InstructionState

__all__ = ["NO_ORDERS", "Orders", "Wanted", "next_change_s", "taken", "wanted_at"]

RELEASE_MODE = "auto"
ORDERS_MAX = 300
"""A device that has been told more than this ahead takes no more."""


class Wanted(NamedTuple):
    """What a device is to do now: W, consumption positive; None is its own choice."""

    setpoint_w: float | None = None
    power_min_w: float | None = None
    power_max_w: float | None = None
    until_s: float = inf
    """When the first part of it is over."""

    @property
    def is_free(self) -> bool:
        """Whether the device may do as it likes."""
        return self.setpoint_w is None and self.power_min_w is None and self.power_max_w is None


class _Order(NamedTuple):
    """One part of an instruction, from its time on and until before another."""

    start_s: float
    until_s: float
    rank: tuple[int, int]
    told: Instruction


class Orders(NamedTuple):
    """Instructions that hold or will hold: set-points, limits, and how many have come."""

    setpoints: tuple[_Order, ...] = ()
    limits: tuple[_Order, ...] = ()
    arrivals: int = 0


NO_ORDERS = Orders()


def taken(orders: Orders, told: Instruction, now_s: float) -> tuple[Orders, InstructionState]:
    """Take an instruction, and say what became of it.

    ACCEPTED is one that begins later or waits for a higher one to end, STARTED one that holds from now on,
    REJECTED one that is over, or says nothing about power.
    """
    setpoints, limits = (_still(part, now_s) for part in orders[:2])
    is_release = told.mode.lower() == RELEASE_MODE and not _has_setpoint(told) and not _has_limit(told)
    is_full = len(setpoints) + len(limits) >= ORDERS_MAX
    if told.valid_until_s <= now_s or is_full or not (is_release or _has_setpoint(told) or _has_limit(told)):
        return Orders(setpoints, limits, orders.arrivals), InstructionState.REJECTED
    order = _Order(
        max(told.execution_time_s, now_s), told.valid_until_s, (told.priority, orders.arrivals + 1), told
    )
    if is_release or _has_setpoint(told):
        setpoints = (*_given_way(setpoints, order), *([] if is_release else [order]))
    if _has_limit(told):
        limits = (*_given_way(limits, order), order)
    after = Orders(setpoints, limits, orders.arrivals + 1)
    if is_release:
        held = _in_force(setpoints, now_s)
        return after, InstructionState.REJECTED if held is not None else InstructionState.STARTED
    holds = order in (_in_force(setpoints, now_s), _in_force(limits, now_s))
    return after, InstructionState.STARTED if holds else InstructionState.ACCEPTED


def wanted_at(orders: Orders, now_s: float) -> Wanted:
    """Return what a device is to do at a time, its set-point within its limits."""
    setpoint, limit = _in_force(orders.setpoints, now_s), _in_force(orders.limits, now_s)
    until_s = min((each.until_s for each in (setpoint, limit) if each is not None), default=inf)
    low = high = power_w = None
    if limit is not None:
        low, high = limit.told.power_min_w, limit.told.power_max_w
    if setpoint is not None:
        power_w = setpoint.told.setpoint_w
    if power_w is not None:
        power_w = min(power_w, high) if high is not None else power_w
        power_w = max(power_w, low) if low is not None else power_w
    return Wanted(power_w, low, high, until_s)


def next_change_s(orders: Orders, now_s: float) -> float:
    """Return when, after now, what is wanted may change; infinity when it will not."""
    return min((when for when in _times(orders) if when > now_s), default=inf)


def _times(orders: Orders) -> Iterator[float]:
    for order in (*orders.setpoints, *orders.limits):
        yield order.start_s
        yield order.until_s


def _has_setpoint(told: Instruction) -> bool:
    return told.setpoint_w is not None


def _has_limit(told: Instruction) -> bool:
    return told.power_min_w is not None or told.power_max_w is not None


def _still(part: tuple[_Order, ...], now_s: float) -> tuple[_Order, ...]:
    return tuple(each for each in part if each.until_s > now_s)


def _given_way(part: tuple[_Order, ...], to: _Order) -> Iterator[_Order]:
    """Let those that have begun, and do not outrank another, end when that one begins."""
    for each in part:
        yields = each.rank[0] <= to.rank[0] and each.start_s <= to.start_s
        kept = each._replace(until_s=min(each.until_s, to.start_s)) if yields else each
        if kept.until_s > kept.start_s:
            yield kept


def _in_force(part: tuple[_Order, ...], now_s: float) -> _Order | None:
    holds: Callable[[_Order], bool] = lambda each: each.start_s <= now_s < each.until_s  # noqa: E731
    return max(filter(holds, part), key=lambda each: each.rank, default=None)
