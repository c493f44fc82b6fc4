"""Charging by a rule, step by step: the fallback when no plan is at hand, and what plans are measured by."""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from math import inf
from typing import NamedTuple

from behaviours.decisions.dispatch import divide

__all__ = ["ChargingNeed", "Rule", "laxity_s", "least_laxity_powers", "powers_by_rule"]


class Rule(StrEnum):
    """In which order sessions are served."""

    UNCONTROLLED = "uncontrolled"
    """All at full power, whatever the limit."""
    FIRST_COME = "first come"
    EARLIEST_DEADLINE = "earliest deadline"
    LEAST_LAXITY = "least laxity"


class ChargingNeed(NamedTuple):
    """What a session still needs: energy in Wh, until when (epoch seconds), at what power at most (W)."""

    session_id: str
    remaining_wh: int
    departure_s: int
    power_max_w: int


def laxity_s(need: ChargingNeed, now_s: float) -> float:
    """Return how long a session could still wait and be served; negative when it cannot be any more.

    Source: SPEC 4.5 (flexibility forecasting).
    """
    if need.remaining_wh <= 0:
        return inf
    if need.power_max_w <= 0:
        return -inf
    return need.departure_s - now_s - need.remaining_wh * 3600 / need.power_max_w


def least_laxity_powers(
    needs: Iterable[ChargingNeed], now_s: float, limit_w: int, step_s: int = 900
) -> dict[str, int]:
    """Return the power of each session for one step: the most urgent first, until the limit is used up.

    A session gets no more than its power or what completes it within the step; equally urgent sessions
    share in proportion.

    Args:
        needs: the sessions plugged in.
        now_s: start of the step in epoch seconds.
        limit_w: power for all sessions together.
        step_s: length of the step in seconds.

    Source: SPEC 4.5 (fallback least-laxity-first).
    """
    wanted: dict[float, list[tuple[str, int]]] = {}
    powers: dict[str, int] = {}
    for need in needs:
        powers[need.session_id] = 0
        useful = -(-max(0, need.remaining_wh) * 3600 // step_s)
        power = min(max(0, need.power_max_w), useful) if need.departure_s > now_s else 0
        wanted.setdefault(laxity_s(need, now_s), []).append((need.session_id, power))
    left = max(0, limit_w)
    for laxity in sorted(wanted):
        equals = wanted[laxity]
        room = [power for _, power in equals]
        taken = min(left, sum(room))
        for (session, _), share in zip(equals, divide(taken, room), strict=True):
            powers[session] = share
        left -= taken
    return powers


def powers_by_rule(
    rule: Rule, needs: Sequence[ChargingNeed], now_s: float, limit_w: int, step_s: int = 900
) -> dict[str, int]:
    """Return the power of each session for one step by a rule.

    Args:
        rule: in which order sessions are served.
        needs: the sessions plugged in, in the order in which they came.
        now_s: start of the step in epoch seconds.
        limit_w: power for all sessions together.
        step_s: length of the step in seconds.
    """
    if rule is Rule.LEAST_LAXITY:
        return least_laxity_powers(needs, now_s, limit_w, step_s)
    if rule is Rule.EARLIEST_DEADLINE:
        needs = sorted(needs, key=lambda need: need.departure_s)
    left_w: float = inf if rule is Rule.UNCONTROLLED else max(0, limit_w)
    powers: dict[str, int] = {}
    for need in needs:
        useful_w = -(-max(0, need.remaining_wh) * 3600 // step_s)
        power_w = min(max(0, need.power_max_w), useful_w) if need.departure_s > now_s else 0
        powers[need.session_id] = int(min(power_w, left_w))
        left_w -= powers[need.session_id]
    return powers
