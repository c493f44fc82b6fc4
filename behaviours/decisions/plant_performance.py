"""Whether a plant gives what it should: its performance ratio over the last hours of daylight."""

from dataclasses import dataclass

import msgspec

from ontology.base import INTERVAL_S
from ontology.control import Instruction

__all__ = ["FAULT_RATIO", "PerformanceWatch", "binds", "cap_of", "exceeds_cap"]

FAULT_RATIO, HEALTHY_RATIO = 0.7, 0.85
"""Below the one a plant is at fault, from the other on it is well again."""
WATCHED_INTERVALS = 4 * 3600 // INTERVAL_S
DAYLIGHT_SHARE = 0.01
"""Of the peak: with less expected, nothing can be told."""
CAP_TOLERANCE = 0.02
"""By how much a plant may exceed what it was curtailed to, as a share of its peak power."""


@dataclass(frozen=True, slots=True)
class PerformanceWatch:
    """Power measured and expected in W over the last four hours of daylight, and what follows from it."""

    measured_w: tuple[float, ...] = ()
    expected_w: tuple[float, ...] = ()
    is_faulty: bool = False

    @classmethod
    def recalled(cls, kept: bytes | None) -> "PerformanceWatch":
        """Return the watch of a plant at fault that was kept over a restart, or a new one."""
        if kept is None:
            return cls()
        measured, expected = msgspec.json.decode(kept, type=tuple[tuple[float, ...], tuple[float, ...]])
        return cls(measured, expected, True)

    def kept(self) -> bytes | None:
        """Return what a restart must not forget: all of it while the plant is at fault, else nothing."""
        return msgspec.json.encode((self.measured_w, self.expected_w)) if self.is_faulty else None

    @property
    def ratio(self) -> float:
        """The performance ratio against what was expected, 1 while nothing is known."""
        expected = sum(self.expected_w)
        return sum(self.measured_w) / expected if expected > 0 else 1.0

    def after(self, measured_w: float, expected_w: float, peak_w: int) -> "PerformanceWatch":
        """Return the watch after an interval; the night and the dusk tell nothing.

        Args:
            measured_w: what the plant gave, not negative; curtailed intervals must be left out.
            expected_w: what a healthy plant would have given under the weather as known.
            peak_w: the plant's peak power.

        Source: SPEC 4.6 (a fault is a ratio below 0.7 over four hours of daylight).
        """
        if expected_w < DAYLIGHT_SHARE * peak_w:
            return self
        measured = (*self.measured_w, measured_w)[-WATCHED_INTERVALS:]
        expected = (*self.expected_w, expected_w)[-WATCHED_INTERVALS:]
        ratio = sum(measured) / sum(expected)
        faulty = ratio < (HEALTHY_RATIO if self.is_faulty else FAULT_RATIO)
        return PerformanceWatch(measured, expected, faulty and len(measured) == WATCHED_INTERVALS)


def exceeds_cap(measured_w: float, cap_w: float, peak_w: int) -> bool:
    """Tell whether a plant gave more than it was curtailed to (W, not negative), beyond 2 % of its peak.

    Source: SPEC 4.6 (curtailment respected within 2 %).
    """
    return measured_w > cap_w + CAP_TOLERANCE * peak_w


def binds(cap_w: float, measured_w: float, peak_w: int) -> bool:
    """Tell whether a cap held a plant back: what gives clearly less than its cap gives all that it can."""
    return measured_w >= cap_w - CAP_TOLERANCE * peak_w


def cap_of(instruction: Instruction) -> float | None:
    """Return to how many W (not negative) an instruction curtails a plant, whichever sign it is written with.

    Nothing for an instruction that does not limit production.
    """
    low, high = instruction.power_min_w, instruction.power_max_w
    limits = (instruction.setpoint_w, low if low is not None or high is None else -abs(high))
    caps = [abs(limit) for limit in limits if limit is not None]
    return float(min(caps)) if caps else None
