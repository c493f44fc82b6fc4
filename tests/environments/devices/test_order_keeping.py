"""Keeping a device to its orders, in virtual time: renewals, ends, absence."""

import asyncio

import pytest

from environments.devices.order_keeping import OrderKeeper
from environments.simulation.clock import VirtualClock
from environments.simulation.loop import VirtualLoop
from ontology.control import Instruction, InstructionState, Priority
from ontology.errors import Refused, Unavailable

START_S = 1_718_964_000
WATCHDOG_S = 60


class Inverter:
    """A device that obeys until its watchdog runs out, as real ones do, and can be away or unwilling."""

    def __init__(self, clock):
        self.clock, self.told, self.released = clock, [], 0
        self.until_s, self.power_w = 0.0, None
        self.is_away = self.is_unwilling = False

    async def obey(self, wanted, holds_s):
        self.fail()
        self.told.append(self.clock.now_s() - START_S)
        self.power_w = wanted.setpoint_w if wanted.setpoint_w is not None else wanted.power_min_w
        self.until_s = self.clock.now_s() + holds_s

    async def release(self):
        self.fail()
        self.released += 1
        self.power_w = None

    def fail(self):
        if self.is_away:
            raise Unavailable("away")
        if self.is_unwilling:
            raise Refused("no")

    @property
    def does_w(self):
        return self.power_w if self.clock.now_s() < self.until_s else None


class Bench:
    """A keeper and its device in virtual time."""

    def __init__(self):
        self.loop = VirtualLoop(START_S)
        self.clock = VirtualClock(self.loop)
        self.device = Inverter(self.clock)
        self.keeper = OrderKeeper("h001-bess", self.device, self.clock, watchdog_s=WATCHDOG_S)

    def instruct(self, begins_s=0, ends_s=900, **what):
        told = Instruction(
            instruction_id="i",
            asset_id="h001-bess",
            execution_time_s=START_S + begins_s,
            valid_until_s=START_S + ends_s,
            **what,
        )
        return self.run(self.keeper.instruct(told)).status

    def run(self, work):
        return self.loop.run_until_complete(work)

    def pass_until(self, after_s):
        self.clock.advance_to(START_S + after_s)


@pytest.fixture
def bench():
    bench = Bench()
    asyncio.set_event_loop(bench.loop)
    yield bench
    bench.run(bench.keeper.close())
    asyncio.set_event_loop(None)
    bench.loop.close()


def test_an_order_is_given_again_before_the_watchdog_runs_out_and_then_no_more(bench):
    assert bench.instruct(ends_s=120, setpoint_w=1_000) is InstructionState.STARTED
    for after_s in range(5, 120, 5):
        bench.pass_until(after_s)
        assert bench.device.does_w == 1_000
    bench.pass_until(2_000)
    assert bench.device.told == [0, 20, 40, 60, 80, 100]
    assert (bench.device.released, bench.device.does_w) == (1, None)


def test_when_the_process_is_gone_the_device_falls_back_by_itself(bench):
    bench.instruct(setpoint_w=1_000)
    bench.pass_until(50)
    bench.run(bench.keeper.close())
    bench.pass_until(40 + WATCHDOG_S - 1)
    assert bench.device.does_w == 1_000
    bench.pass_until(40 + WATCHDOG_S + 1)
    assert bench.device.does_w is None


def test_an_order_for_later_is_carried_out_in_its_time(bench):
    assert bench.instruct(begins_s=300, ends_s=330, setpoint_w=500) is InstructionState.ACCEPTED
    bench.pass_until(299)
    assert bench.device.told == []
    bench.pass_until(301)
    assert bench.device.does_w == 500
    bench.pass_until(331)
    assert bench.device.does_w is None


def test_when_a_higher_order_ends_the_lower_one_is_taken_up(bench):
    bench.instruct(setpoint_w=2_000)
    bench.instruct(ends_s=100, setpoint_w=0, priority=Priority.DSO_RED)
    bench.pass_until(99)
    assert bench.device.does_w == 0
    bench.instruct(begins_s=99, setpoint_w=3_000)
    assert bench.device.does_w == 0
    bench.pass_until(101)
    assert bench.device.does_w == 3_000


def test_a_device_that_will_not_keeps_what_it_was_told_before(bench):
    bench.instruct(setpoint_w=2_000)
    bench.device.is_unwilling = True
    assert bench.instruct(setpoint_w=9_000) is InstructionState.REJECTED
    bench.device.is_unwilling = False
    bench.pass_until(100)
    assert bench.device.does_w == 2_000


def test_a_set_point_that_could_not_be_delivered_is_not_carried_out_later_but_a_limit_is(bench):
    bench.device.is_away = True
    with pytest.raises(Unavailable):
        bench.instruct(setpoint_w=1_000)
    with pytest.raises(Unavailable):
        bench.instruct(ends_s=600, power_min_w=-500, priority=Priority.DSO_RED)
    bench.pass_until(100)
    bench.device.is_away = False
    bench.pass_until(106)
    assert bench.device.does_w == -500


def test_a_device_that_was_away_at_the_end_of_an_order_is_released_when_it_is_back(bench):
    bench.instruct(ends_s=90, setpoint_w=1_000)
    bench.pass_until(85)
    bench.device.is_away = True
    bench.pass_until(200)
    assert bench.device.does_w is None  # its own watchdog
    bench.device.is_away = False
    bench.pass_until(210)
    assert bench.device.released == 1


def test_releasing_gives_the_device_back_at_once(bench):
    bench.instruct(setpoint_w=1_000)
    assert bench.instruct(mode="auto") is InstructionState.STARTED
    assert (bench.device.released, bench.device.does_w) == (1, None)
    bench.pass_until(300)
    assert bench.device.told == [0]
