"""A four-leg converter: how fast it follows, that it does not wind up, and what it loses."""

import numpy as np
import pytest

from behaviours.decisions.dstatcom import phase_voltages, rating_of
from environments.simulation.world.converter import FourLegConverter

VOLTS = phase_voltages()
SHIFT_VA = np.array([-6_000, 3_000, 3_000]) + 2_000j


def unit() -> FourLegConverter:
    return FourLegConverter(rating_of(30_000))


def follow(converter: FourLegConverter, wanted_va: np.ndarray, seconds: float) -> None:
    for _ in range(round(seconds / 0.001)):
        converter.follow(wanted_va, VOLTS, 0.001)


def test_it_follows_a_step_within_a_tenth_of_a_second() -> None:
    converter = unit()
    follow(converter, SHIFT_VA, 0.03)
    assert np.abs(converter.power_va[0]) < 0.7 * np.abs(SHIFT_VA[0])
    follow(converter, SHIFT_VA, 0.07)
    assert converter.power_va == pytest.approx(SHIFT_VA, rel=0.05)


def test_the_step_of_the_clock_does_not_matter() -> None:
    fine, coarse = unit(), unit()
    follow(fine, SHIFT_VA, 0.05)
    coarse.follow(SHIFT_VA, VOLTS, 0.05)
    assert coarse.power_va == pytest.approx(fine.power_va)


def test_nothing_winds_up_while_it_is_at_its_limit() -> None:
    asked_for_much, asked_for_enough = unit(), unit()
    follow(asked_for_much, 100 * SHIFT_VA.real + 0j, 2)
    follow(asked_for_enough, np.array([-9_910, 4_955, 4_955]) + 0j, 2)
    assert asked_for_much.alarms() == ["limited"]
    for converter in (asked_for_much, asked_for_enough):
        follow(converter, -SHIFT_VA, 0.05)
    assert asked_for_much.power_va == pytest.approx(asked_for_enough.power_va, abs=1)
    assert asked_for_much.alarms() == []


def test_its_losses_are_drawn_from_all_phases_alike() -> None:
    converter = unit()
    converter.follow(SHIFT_VA, VOLTS, 1)
    assert converter.drawn_va - converter.power_va == pytest.approx(np.full(3, converter.losses_w / 3))
    assert 60 < converter.losses_w <= 0.01 * 30_000
    converter.follow(None, VOLTS, 1)
    assert converter.drawn_va.tolist() == [0, 0, 0]


def test_it_gets_warm_by_its_losses_and_says_so() -> None:
    converter = unit()
    converter.follow(10 * SHIFT_VA, VOLTS, 1)
    converter.warm(20, 600)
    first = converter.temperature_degc
    converter.warm(20, 36_000)
    assert 20 < first < converter.temperature_degc < 80
    converter.warm(45, 36_000)
    assert "warm" in converter.alarms()
