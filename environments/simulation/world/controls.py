"""What devices of one kind have been told: set-points and limits, each with its time and priority."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ontology.control import Instruction, InstructionState

__all__ = ["Controls"]

Array = NDArray[np.float64]

NEVER_S = -1.0


class Controls:
    """The set-points and limits of a kind of device at all sites; nan where there is none.

    A set-point and a limit are kept apart, so that a limit with priority (the grid's) holds whatever is
    planned. The newer prevails over the older unless the older is valid and has a higher priority. What
    is not valid any more is gone: the device falls back to what it does uncontrolled.
    """

    def __init__(self, sites: int) -> None:
        self.setpoint_w = np.full(sites, np.nan)
        self.setpoint_degc = np.full(sites, np.nan)
        self.power_min_w = np.full(sites, np.nan)
        self.power_max_w = np.full(sites, np.nan)
        self._setpoint_until_s = np.full(sites, NEVER_S)
        self._limit_until_s = np.full(sites, NEVER_S)
        self._setpoint_priority = np.zeros(sites, dtype=np.int64)
        self._limit_priority = np.zeros(sites, dtype=np.int64)
        self._next_end_s = float("inf")
        self._waiting: list[tuple[int, int, Instruction]] = []
        self._arrivals = 0

    def take(self, site: int, instruction: Instruction, now_s: float) -> InstructionState:
        """Put an instruction into effect, or keep it until its time."""
        if instruction.valid_until_s <= now_s:
            return InstructionState.REJECTED
        if instruction.execution_time_s > now_s:
            self._arrivals += 1
            self._waiting.append((self._arrivals, site, instruction))
            return InstructionState.ACCEPTED
        return (
            InstructionState.STARTED if self._apply(site, instruction, now_s) else InstructionState.REJECTED
        )

    def begin_step(self, start_s: int, end_s: int) -> None:
        """Drop what is over at the start of a step and apply what begins before its end."""
        if self._next_end_s <= start_s:
            self._expire(start_s)
        if self._waiting:
            due = [each for each in self._waiting if each[2].execution_time_s < end_s]
            self._waiting = [each for each in self._waiting if each[2].execution_time_s >= end_s]
            for _, site, instruction in sorted(due, key=lambda each: (each[2].execution_time_s, each[0])):
                if instruction.valid_until_s > start_s:
                    self._apply(site, instruction, start_s)

    def release(self, site: int) -> None:
        """Forget a device's set-point and what was to hold later, as when what it was told for is over."""
        self._clear_setpoints(np.array([site]))
        self._waiting = [each for each in self._waiting if each[1] != site]

    def limited(self, power_w: Array) -> Array:
        """Return powers within the limits that hold."""
        within: Array = np.fmax(np.fmin(power_w, self.power_max_w), self.power_min_w)
        return within

    def _apply(self, site: int, told: Instruction, now_s: float) -> bool:
        done = False
        if told.setpoint_w is not None or told.setpoint_degc is not None:
            free = self._setpoint_until_s[site] <= now_s or told.priority >= self._setpoint_priority[site]
            if free:
                self.setpoint_w[site] = _number(told.setpoint_w)
                self.setpoint_degc[site] = _number(told.setpoint_degc)
                self._setpoint_until_s[site] = told.valid_until_s
                self._setpoint_priority[site] = told.priority
                done = True
        elif told.mode and told.power_min_w is None and told.power_max_w is None:
            done = self._release(site, told, now_s)
        if told.power_min_w is not None or told.power_max_w is not None:
            free = self._limit_until_s[site] <= now_s or told.priority >= self._limit_priority[site]
            if free:
                self.power_min_w[site] = _number(told.power_min_w)
                self.power_max_w[site] = _number(told.power_max_w)
                self._limit_until_s[site] = told.valid_until_s
                self._limit_priority[site] = told.priority
                done = True
        if done:
            self._next_end_s = min(self._next_end_s, told.valid_until_s)
        return done

    def _release(self, site: int, told: Instruction, now_s: float) -> bool:
        """Obey a bare mode: `auto` gives the device back to itself; others are not known."""
        held = self._setpoint_until_s[site] > now_s and told.priority < self._setpoint_priority[site]
        if told.mode.lower() != "auto" or held:
            return False
        self._clear_setpoints(np.array([site]))
        return True

    def _expire(self, now_s: float) -> None:
        self._clear_setpoints(np.flatnonzero(self._setpoint_until_s <= now_s))
        over = np.flatnonzero(self._limit_until_s <= now_s)
        self.power_min_w[over] = self.power_max_w[over] = np.nan
        self._limit_until_s[over] = NEVER_S
        pending = np.concatenate([self._setpoint_until_s, self._limit_until_s])
        pending = pending[pending > now_s]
        self._next_end_s = float(pending.min()) if len(pending) else float("inf")

    def _clear_setpoints(self, sites: NDArray[np.int64] | Sequence[int]) -> None:
        self.setpoint_w[sites] = self.setpoint_degc[sites] = np.nan
        self._setpoint_until_s[sites] = NEVER_S


def _number(value: float | None) -> float:
    return np.nan if value is None else value
