"""A D-STATCOM that is commanded by wire takes each once, while it is fresh, or falls back."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit_helpers import At, command, guarded

from environments.devices.dstatcom_unit import GuardedUnit
from ontology.base import Concept
from ontology.errors import Refused, Unavailable
from ontology.grid import DstatcomCommand, DstatcomMode


def take(unit: GuardedUnit, raw: bytes):
    return asyncio.run(unit.take(raw))


def mode_of(unit: GuardedUnit) -> DstatcomMode:
    return asyncio.run(unit.status()).mode


def test_a_command_is_acknowledged_and_carried_out() -> None:
    unit = guarded(clock := At())
    assert take(unit, command(clock, "SETPOINT")).accepted
    status = asyncio.run(unit.status())
    assert (status.mode, status.command, status.valid_until) == (
        DstatcomMode.SETPOINT,
        "c1",
        "2024-01-10T17:16:00Z",
    )
    assert status.p_w == pytest.approx([2_000, -1_000, -1_000], abs=60)
    assert status.i_n_a > 5
    assert status.head is not None


def test_the_same_command_again_is_answered_as_before_and_done_once() -> None:
    unit = guarded(clock := At())
    first = take(unit, command(clock))
    assert take(unit, command(clock, "OFF", command_id="c2")).accepted
    assert take(unit, command(clock)) == first
    assert mode_of(unit) is DstatcomMode.OFF
    assert unit.counts == {"taken": 2, "repeated": 1}


@pytest.mark.parametrize("fallback", [DstatcomMode.OFF, DstatcomMode.BALANCE, DstatcomMode.VOLT])
def test_a_unit_that_is_told_nothing_more_falls_back(fallback: DstatcomMode) -> None:
    unit = guarded(clock := At(), fallback=fallback)
    take(unit, command(clock, "SETPOINT", valid_s=60))
    clock.value_s += 59
    assert mode_of(unit) is DstatcomMode.SETPOINT
    clock.value_s += 1
    assert mode_of(unit) is fallback
    assert asyncio.run(unit.status()).command == ""
    assert unit.counts["fallbacks"] == 1


def test_a_command_given_again_goes_on_and_none_holds_longer_than_the_watchdog() -> None:
    unit = guarded(clock := At(), watchdog_s=100)
    take(unit, command(clock, valid_s=80_000))
    clock.value_s += 99
    assert take(unit, command(clock, command_id="c2")).accepted
    clock.value_s += 50
    assert mode_of(unit) is DstatcomMode.BALANCE
    clock.value_s += 51
    assert mode_of(unit) is DstatcomMode.OFF


def test_what_was_on_its_way_for_too_long_or_was_overtaken_is_not_done() -> None:
    unit = guarded(clock := At())
    late = command(clock, "SETPOINT", command_id="late", valid_s=60)
    slow = command(clock, "SETPOINT", command_id="slow", valid_s=600)
    clock.value_s += 60
    assert take(unit, command(clock, command_id="new")).accepted
    for raw, path in ((late, "valid_s"), (slow, "time"), (command(At(clock.value_s + 600)), "time")):
        answer = take(unit, raw)
        assert not answer.accepted
        assert [each.path for each in answer.problems] == [path]
    assert mode_of(unit) is DstatcomMode.BALANCE


def test_a_command_that_is_none_is_answered_with_all_that_is_wrong() -> None:
    unit = guarded(clock := At())
    answer = take(unit, command(clock, p=[1, 2], v_ref=230, valid_s=0, speed=9))
    assert not answer.accepted
    assert answer.is_malformed
    assert answer.id == "c1"
    assert [each.path for each in answer.problems] == ["v_ref", "p", "valid_s", "speed"]
    assert not take(unit, command(clock, "SETPOINT", p=None)).accepted
    assert mode_of(unit) is DstatcomMode.OFF


class Stuck:
    """A converter that carries nothing out."""

    asset_id = "stuck"

    async def percepts(self) -> list[Concept]:
        raise Unavailable("no answer")

    async def command(self, command: DstatcomCommand) -> None:
        raise Refused("the breaker is open")


def test_a_converter_that_carries_nothing_out_is_no_acknowledgement() -> None:
    unit = GuardedUnit(Stuck(), clock := At())
    answer = take(unit, command(clock))
    assert not answer.accepted
    assert "breaker" in answer.problems[0].expected
    assert unit.counts == {"not carried out": 1}


@given(st.binary(max_size=80))
def test_nothing_that_comes_ends_it(raw: bytes) -> None:
    assert not take(UNIT, raw).accepted


UNIT = guarded(At())
