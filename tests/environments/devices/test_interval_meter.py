"""Readings of intervals from a meter that tells nothing but its power."""

import asyncio

from environments.devices.interval_meter import IntervalMeter
from ontology.errors import Unavailable
from ontology.measurements import IntervalReading, Measurement, Quality, Quantity

BEGIN_S = 1_750_000_500
"""An interval's start."""


class Bench:
    """A meter with a power that a test sets (None: it is away), and the time."""

    name = "meter"

    def __init__(self) -> None:
        self.now, self.power_w = float(BEGIN_S), 0.0
        self.meter = IntervalMeter(self, "h001", self)

    def now_s(self) -> float:
        return self.now

    async def percepts(self):
        if self.power_w is None:
            raise Unavailable("away")
        told = Measurement(
            subject="h001-meter", quantity=Quantity.ACTIVE_POWER_W, time_s=int(self.now), value=self.power_w
        )
        return [told]

    def read(self):
        try:
            return list(asyncio.run(self.meter.percepts()))
        except Unavailable:
            return None

    def pass_time(self, seconds, power_w):
        """Read every ten seconds for a while; return the readings of intervals that were told."""
        self.power_w = power_w
        told = []
        for _ in range(seconds // 10):
            told += [each for each in self.read() or [] if isinstance(each, IntervalReading)]
            self.now += 10
        return told


def test_an_interval_is_told_once_with_what_was_taken_and_given_apart():
    bench = Bench()
    assert bench.pass_time(600, 1_200) == []
    assert bench.pass_time(300, -3_600) == []
    (reading,) = bench.pass_time(900, 0)
    assert (reading.start_s, reading.subject) == (BEGIN_S, "h001")
    assert (reading.consumed_wh, reading.produced_wh) == (200, 300)
    assert (reading.consumed_w, reading.produced_w) == (800, 1_200)
    assert reading.quality is Quality.VALID


def test_power_is_told_in_the_name_of_the_site():
    (told,) = Bench().read()
    assert told.subject == "h001"


def test_an_interval_that_was_half_seen_is_scaled_and_flagged():
    bench = Bench()
    bench.now += 450
    bench.pass_time(450, 1_000)
    (reading,) = bench.pass_time(10, 0)
    assert reading.consumed_wh == 250
    assert reading.quality is Quality.ESTIMATED


def test_what_a_meter_did_while_it_was_away_is_not_made_up():
    bench = Bench()
    bench.pass_time(300, 1_000)
    bench.pass_time(600, None)
    (reading,) = bench.pass_time(10, 0)
    assert reading.quality is Quality.ESTIMATED
    assert reading.consumed_w == 1_000


def test_of_an_interval_that_nobody_saw_there_is_no_reading():
    bench = Bench()
    bench.pass_time(100, 1_000)
    bench.now += 3_600
    assert bench.pass_time(20, 1_000) == []


def test_a_meter_that_is_away_still_has_the_reading_that_is_due():
    bench = Bench()
    bench.pass_time(900, 1_000)
    (reading,) = bench.pass_time(10, None)
    assert (reading.consumed_wh, reading.quality) == (250, Quality.VALID)
    assert bench.read() is None
