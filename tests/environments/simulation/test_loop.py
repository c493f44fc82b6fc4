"""Virtual time: order as in real time, without the waiting."""

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from post_office import START_S, some

from environments.simulation.clock import VirtualClock
from environments.simulation.loop import VirtualLoop


@pytest.fixture
def loop():
    loop = VirtualLoop(START_S)
    yield loop
    loop.close()


@pytest.fixture
def clock(loop):
    return VirtualClock(loop)


def outcome(loop, work, until_s=START_S + 1000):
    """Run a coroutine in virtual time and return (or raise) what came of it."""
    tasks = []
    loop.call_soon(lambda: tasks.append(loop.create_task(work)))
    loop.run_until_time(until_s)
    return tasks[0].result()


def test_a_day_of_sleep_takes_no_time(loop, clock):
    async def sleep_through_the_day():
        for minute in range(1, 24 * 60 + 1):
            await clock.sleep_until(START_S + 60 * minute)
        return loop.time()

    began_s = time.perf_counter()
    woke_s = outcome(loop, sleep_through_the_day(), START_S + 86_401)
    assert woke_s == pytest.approx(START_S + 86_400)
    assert time.perf_counter() - began_s < 60


def test_one_sleep_may_last_for_a_year(loop, clock):
    async def hibernate():
        await clock.sleep_until(START_S + 365 * 86_400)
        return loop.time() - START_S

    assert outcome(loop, hibernate(), START_S + 366 * 86_400) == pytest.approx(365 * 86_400)


def test_what_is_due_at_the_horizon_stays_for_the_next_call(loop):
    happened = []
    loop.call_at(START_S + 899, happened.append, "before")
    loop.call_at(START_S + 900, happened.append, "at")
    loop.run_until_time(START_S + 900)
    assert happened == ["before"]
    assert loop.time() == START_S + 900
    loop.run_until_time(START_S + 901)
    assert happened == ["before", "at"]


def test_time_stands_at_the_horizon_even_when_nothing_happens(loop):
    loop.run_until_time(START_S + 900)
    assert loop.time() == START_S + 900


def test_time_stands_still_while_there_is_work(loop):
    times = []

    def work(left):
        times.append(loop.time())
        if left:
            loop.call_soon(work, left - 1)

    loop.call_soon(work, 100)
    loop.run_until_time(START_S + 900)
    assert set(times) == {START_S}


def test_calls_happen_in_the_order_in_which_they_were_made(loop):
    happened = []
    for name in "abc":
        loop.call_soon(happened.append, name)
    loop.run_until_time(START_S + 1)
    assert happened == ["a", "b", "c"]


@some
@given(st.lists(st.integers(0, 100)))
def test_timers_go_off_in_order_of_time(delays_s):
    loop = VirtualLoop(START_S)
    happened = []
    for delay_s in delays_s:
        loop.call_at(START_S + delay_s, happened.append, delay_s)
    loop.run_until_time(START_S + 101)
    assert happened == sorted(delays_s)
    loop.close()


def test_timers_of_the_same_time_go_off_in_the_order_in_which_they_were_set(loop):
    happened = []
    for number in range(100):
        loop.call_at(START_S + 1, happened.append, number)
    loop.run_until_time(START_S + 2)
    assert happened == list(range(100))


def test_a_cancelled_timer_does_not_go_off(loop):
    happened = []
    loop.call_at(START_S + 1, happened.append, "never").cancel()
    loop.run_until_time(START_S + 900)
    assert happened == []


def test_a_thread_has_no_place_in_virtual_time(loop):
    async def block():
        await asyncio.to_thread(time.perf_counter)

    with pytest.raises(RuntimeError, match="virtual time has no threads"):
        outcome(loop, block())


def test_what_fails_in_a_task_is_raised_to_who_awaits_it(loop, clock):
    async def fail():
        await clock.sleep_until(START_S + 1)
        raise KeyError("late")

    async def await_it():
        with pytest.raises(KeyError):
            await asyncio.ensure_future(fail())
        return "went on"

    assert outcome(loop, await_it()) == "went on"


def test_a_task_that_never_waits_is_done_at_once(loop):
    async def think():
        return 42

    async def ask():
        return loop.create_task(think()).done()

    assert outcome(loop, ask()) is True


# -- what asyncio offers works in virtual time -----------------------------------------------------


async def after(clock, seconds, value):
    await clock.sleep_until(clock.now_s() + seconds)
    return value


def test_gather_takes_as_long_as_its_slowest_part(loop, clock):
    async def gather():
        values = await asyncio.gather(*(after(clock, seconds, seconds) for seconds in (3, 0, 2)))
        return values, clock.now_s() - START_S

    values, took_s = outcome(loop, gather())
    assert values == [3, 0, 2]
    assert took_s == pytest.approx(3)


def test_a_timeout_is_in_virtual_time(loop, clock):
    async def lose_patience():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(after(clock, 500, "late"), 100)
        return clock.now_s() - START_S

    assert outcome(loop, lose_patience()) == pytest.approx(100)


def test_a_task_can_be_cancelled(loop, clock):
    async def cancel():
        task = loop.create_task(after(clock, 500, "late"))
        await clock.sleep_until(START_S + 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return clock.now_s() - START_S

    assert outcome(loop, cancel()) == pytest.approx(1)


def test_an_event_wakes_who_waits_for_it(loop, clock):
    async def wait():
        event = asyncio.Event()
        loop.call_later(7, event.set)
        await event.wait()
        return clock.now_s() - START_S

    assert outcome(loop, wait()) == pytest.approx(7)


def test_ctrl_c_ends_the_run(loop):
    def interrupt():
        raise KeyboardInterrupt

    loop.call_at(START_S + 1, interrupt)
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_time(START_S + 900)


def test_ctrl_c_within_a_task_ends_the_run_too(loop):
    async def interrupt():
        raise KeyboardInterrupt

    loop.call_soon(lambda: loop.create_task(interrupt()))
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_time(START_S + 900)
