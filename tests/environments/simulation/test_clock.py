"""Three clocks that agents cannot tell apart, and the barrier that keeps letters and time together."""

import asyncio
import time

import pytest
from post_office import START_S

from environments.simulation.clock import ScaledClock, VirtualClock, WallClock
from environments.simulation.loop import VirtualLoop

QUARTER_S = 900


# -- virtual ---------------------------------------------------------------------------------------


@pytest.fixture
def virtual():
    loop = VirtualLoop(START_S)
    yield VirtualClock(loop)
    loop.close()


def test_virtual_time_begins_at_the_scenarios_start(virtual):
    assert virtual.now_s() == START_S


def test_virtual_time_advances_when_told(virtual):
    rung = []
    virtual.call_at(START_S + 60, lambda: rung.append(virtual.now_s()))
    virtual.advance_to(START_S + QUARTER_S)
    assert rung == [pytest.approx(START_S + 60)]
    assert virtual.now_s() == START_S + QUARTER_S


def test_a_virtual_call_in_the_past_comes_at_once(virtual):
    rung = []
    virtual.call_at(START_S - 60, lambda: rung.append(virtual.now_s()))
    virtual.advance_to(START_S + 1)
    assert rung == [START_S]


def test_a_virtual_call_can_be_called_off(virtual):
    rung = []
    virtual.call_at(START_S + 60, lambda: rung.append("never")).cancel()
    virtual.advance_to(START_S + QUARTER_S)
    assert rung == []


# -- scaled, with a barrier ------------------------------------------------------------------------


@pytest.fixture
def scaled():
    """A clock that runs as fast as letters go, and waits for each longer than a slow machine takes."""
    return ScaledClock(START_S, patience_s=30)


@pytest.fixture
def impatient():
    """A clock that soon gives up a letter."""
    return ScaledClock(START_S, patience_s=0.05)


def test_scaled_time_advances_when_told(scaled):
    rung = []
    scaled.call_at(START_S + 60, lambda: rung.append(scaled.now_s()))
    asyncio.run(scaled.advance_to(START_S + QUARTER_S))
    assert rung == [START_S + 60]
    assert scaled.now_s() == START_S + QUARTER_S


def test_what_is_due_at_the_horizon_of_scaled_time_stays_for_the_next_call(scaled):
    rung = []
    scaled.call_at(START_S + QUARTER_S, lambda: rung.append("at"))
    asyncio.run(scaled.advance_to(START_S + QUARTER_S))
    assert rung == []
    asyncio.run(scaled.advance_to(START_S + QUARTER_S + 1))
    assert rung == ["at"]


def test_scaled_timers_go_off_in_order_of_time_and_then_of_asking(scaled):
    rung = []
    for name, due_s in (("late", 60), ("early", 30), ("late too", 60), ("past", -5)):
        scaled.call_at(START_S + due_s, lambda name=name: rung.append(name))
    asyncio.run(scaled.advance_to(START_S + QUARTER_S))
    assert rung == ["past", "early", "late", "late too"]


def test_a_scaled_call_can_be_called_off(scaled):
    rung = []
    scaled.call_at(START_S + 60, lambda: rung.append("never")).cancel()
    asyncio.run(scaled.advance_to(START_S + QUARTER_S))
    assert rung == []


def test_scaled_time_never_runs_backwards(scaled):
    asyncio.run(scaled.advance_to(START_S + 60))
    asyncio.run(scaled.advance_to(START_S))
    assert scaled.now_s() == START_S + 60


def test_sleepers_wake_in_scaled_time(scaled):
    async def day():
        sleeper = asyncio.create_task(sleep_and_look())
        await scaled.advance_to(START_S + QUARTER_S)
        return await sleeper

    async def sleep_and_look():
        await scaled.sleep_until(START_S + 100)
        await scaled.sleep_until(START_S + 200)
        return scaled.now_s()

    assert asyncio.run(day()) == START_S + 200


def test_an_interval_lasts_as_long_as_its_pace_says():
    clock = ScaledClock(START_S, real_seconds_an_interval=0.05)
    began_s = time.perf_counter()
    asyncio.run(clock.advance_to(START_S + 2 * QUARTER_S))
    assert time.perf_counter() - began_s >= 0.1


class Courier:
    """Carries a letter in real time while the clock is told of it."""

    def __init__(self, clock, to="bess@town", takes_s=0.02):
        self.clock = clock
        self.to = to
        self.takes_s = takes_s
        self.arrived_s = None

    def send(self):
        self.clock.sent(self.to)
        asyncio.get_running_loop().call_later(self.takes_s, self.arrive)

    def arrive(self):
        self.arrived_s = self.clock.now_s()
        self.clock.handled(self.to)


def test_time_does_not_pass_while_a_letter_is_on_its_way(scaled):
    scaled.expect("bess@town")
    courier = Courier(scaled)
    scaled.call_at(START_S + 60, courier.send)
    asyncio.run(scaled.advance_to(START_S + QUARTER_S))
    assert courier.arrived_s == START_S + 60
    assert scaled.missed == 0


def test_an_answer_to_a_letter_is_waited_for_too(scaled):
    scaled.expect("bess@town")
    scaled.expect("gateway@town")
    question, answer = Courier(scaled), Courier(scaled, to="gateway@town")

    def answer_at_once():
        answer.send()
        Courier.arrive(question)

    question.arrive = answer_at_once
    scaled.call_at(START_S + 60, question.send)
    asyncio.run(scaled.advance_to(START_S + QUARTER_S))
    assert answer.arrived_s == START_S + 60


def test_the_dead_are_not_waited_for(scaled):
    courier = Courier(scaled, takes_s=60)
    scaled.call_at(START_S + 60, courier.send)
    asyncio.run(scaled.advance_to(START_S + QUARTER_S))
    assert courier.arrived_s is None
    assert scaled.missed == 0


def test_who_dies_is_waited_for_no_longer():
    clock = ScaledClock(START_S, patience_s=30)
    clock.expect("bess@town")

    async def die_with_a_letter_on_its_way():
        clock.sent("bess@town")
        asyncio.get_running_loop().call_later(0.01, clock.forget, "bess@town")
        await clock.advance_to(START_S + QUARTER_S)

    began_s = time.perf_counter()
    asyncio.run(die_with_a_letter_on_its_way())
    assert time.perf_counter() - began_s < 20
    assert clock.missed == 0


def test_a_letter_that_never_arrives_is_given_up_and_counted_as_missed(impatient):
    impatient.expect("bess@town")
    for _ in range(2):
        impatient.sent("bess@town")
    asyncio.run(impatient.advance_to(START_S + QUARTER_S))
    assert impatient.missed == 2
    assert impatient.now_s() == START_S + QUARTER_S


def test_after_a_missed_letter_the_next_is_waited_for_again(impatient):
    impatient.expect("bess@town")
    impatient.sent("bess@town")
    asyncio.run(impatient.advance_to(START_S + 60))
    courier = Courier(impatient)
    impatient.call_at(START_S + 120, courier.send)
    asyncio.run(impatient.advance_to(START_S + QUARTER_S))
    assert courier.arrived_s == START_S + 120


def test_a_letter_handled_twice_does_not_hide_another(scaled):
    scaled.expect("bess@town")
    scaled.handled("bess@town")
    courier = Courier(scaled)
    scaled.call_at(START_S + 60, courier.send)
    asyncio.run(scaled.advance_to(START_S + QUARTER_S))
    assert courier.arrived_s == START_S + 60


@pytest.mark.parametrize("steps", [1, 3, 10, 50])
def test_time_does_not_pass_while_a_task_is_ready(scaled, steps):
    """Work that goes from task to task without a letter still belongs to its second."""
    finished_s = []

    async def work(left):
        if left:
            await asyncio.create_task(work(left - 1))

    async def working():
        await work(steps)
        finished_s.append(scaled.now_s())

    async def day():
        tasks = set()
        scaled.call_at(START_S + 60, lambda: tasks.add(asyncio.create_task(working())))
        await scaled.advance_to(START_S + QUARTER_S)

    asyncio.run(day())
    assert finished_s == [START_S + 60]


# -- the wall's ------------------------------------------------------------------------------------


def test_the_wall_clock_tells_the_real_time():
    clock = WallClock()
    assert clock.now_s() > START_S
    assert clock.now_s() <= clock.now_s()


def test_the_wall_clock_wakes_sleepers_in_real_time():
    clock = WallClock()

    async def nap():
        began_s = clock.now_s()
        await clock.sleep_until(began_s + 0.02)
        return clock.now_s() - began_s

    assert 0.015 < asyncio.run(nap()) < 5


def test_the_wall_clock_calls_back_at_once_what_is_past():
    clock = WallClock()

    async def wait():
        called = asyncio.Event()
        clock.call_at(clock.now_s() - 60, called.set)
        await asyncio.wait_for(called.wait(), 5)

    asyncio.run(wait())


def test_a_call_of_the_wall_clock_can_be_called_off():
    clock = WallClock()

    async def wait():
        called = asyncio.Event()
        clock.call_at(clock.now_s() + 0.01, called.set).cancel()
        await clock.sleep_until(clock.now_s() + 0.03)
        return called.is_set()

    assert asyncio.run(wait()) is False


@pytest.mark.parametrize("clock", [ScaledClock(START_S), WallClock()], ids=["scaled", "wall"])
def test_who_sleeps_until_the_past_wakes_at_once(clock):
    asyncio.run(asyncio.wait_for(clock.sleep_until(START_S - 60), 1))
