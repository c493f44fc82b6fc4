"""Interval readings from a meter that tells its power."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from behaviours.ports import Clock, Device
from ontology.base import INTERVAL_S, Concept
from ontology.control import Instruction, InstructionStatus
from ontology.errors import Unavailable
from ontology.measurements import IntervalReading, Measurement, Quality, Quantity

__all__ = ["IntervalMeter"]

WHOLE = 0.9
"""Share of an interval that must have been seen for its reading to be VALID."""
LONGEST_GAP_S = 120
"""Power is taken as constant for so long after a sample; then it is not known."""
WS_PER_WH = 3600


class _Sums(NamedTuple):
    """What was seen of an interval, in Ws, and for how many seconds."""

    taken_ws: float = 0.0
    given_ws: float = 0.0
    seen_s: float = 0.0


class IntervalMeter:
    """The `Device` port around another meter: adds up its power, and tells each interval's reading once.

    An interval of which less than nine tenths were seen (after a restart, or while the meter was away) is
    scaled up and flagged ESTIMATED; one of which nothing was seen has no reading.
    """

    def __init__(self, meter: Device, site: str, clock: Clock) -> None:
        """Read a meter of a site (its readings' subject)."""
        self.name = "meter"
        self._meter, self._site, self._clock = meter, site, clock
        self._last: tuple[float, float] | None = None
        self._sums: dict[int, _Sums] = {}
        self._told_s = 0

    async def percepts(self) -> Sequence[Concept]:
        """Return the present power, and the reading of the interval that has ended if it was not told yet.

        Raises: Unavailable when the meter does not answer and no reading is due.
        """
        now_s = self._clock.now_s()
        try:
            power = _power_of(await self._meter.percepts())
        except Unavailable:
            self._add(now_s)
            self._last = None
            reading = self._due(now_s)
            if reading is None:
                raise
            return [reading]
        self._add(now_s)
        self._last = (now_s, power.value)
        power = msgspec.structs.replace(power, subject=self._site)
        reading = self._due(now_s)
        return [power] if reading is None else [power, reading]

    async def instruct(self, instruction: Instruction) -> InstructionStatus:
        """Hand an instruction on; meters refuse them."""
        return await self._meter.instruct(instruction)

    def _add(self, now_s: float) -> None:
        """Add the energy since the last sample, interval by interval."""
        if self._last is None:
            return
        begin_s, power_w = self._last
        until_s = min(now_s, begin_s + LONGEST_GAP_S)
        while begin_s < until_s:
            start_s = int(begin_s // INTERVAL_S) * INTERVAL_S
            end_s = min(until_s, start_s + INTERVAL_S)
            span_s, sums = end_s - begin_s, self._sums.get(start_s, _Sums())
            self._sums[start_s] = _Sums(
                sums.taken_ws + max(power_w, 0.0) * span_s,
                sums.given_ws + max(-power_w, 0.0) * span_s,
                sums.seen_s + span_s,
            )
            begin_s = end_s

    def _due(self, now_s: float) -> IntervalReading | None:
        """Return the reading of the interval before the present one, once; older ones are let go."""
        start_s = (int(now_s) // INTERVAL_S - 1) * INTERVAL_S
        sums = self._sums.get(start_s)
        self._sums = {at_s: each for at_s, each in self._sums.items() if at_s > start_s}
        if start_s <= self._told_s or sums is None or sums.seen_s <= 0:
            return None
        self._told_s = start_s
        share = min(1.0, sums.seen_s / INTERVAL_S)
        taken_wh, given_wh = (each / WS_PER_WH / share for each in (sums.taken_ws, sums.given_ws))
        return IntervalReading(
            subject=self._site,
            start_s=start_s,
            consumed_wh=round(taken_wh),
            produced_wh=round(given_wh),
            consumed_w=round(taken_wh * WS_PER_WH / INTERVAL_S),
            produced_w=round(given_wh * WS_PER_WH / INTERVAL_S),
            quality=Quality.VALID if share >= WHOLE else Quality.ESTIMATED,
        )


def _power_of(percepts: Sequence[Concept]) -> Measurement:
    for each in percepts:
        if isinstance(each, Measurement) and each.quantity is Quantity.ACTIVE_POWER_W:
            return each
    raise Unavailable("the meter tells no power")
