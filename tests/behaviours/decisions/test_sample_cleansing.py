"""What raw samples are believed: noise and steps are, spikes, runaways and frozen sensors are not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from post_office import some

from behaviours.decisions.sample_cleansing import SampleRules, cleanse_samples, frozen_since, spikes
from environments.simulation.appliance_load import appliance_load_w
from ontology.measurements import Quantity

POWER = SampleRules(Quantity.ACTIVE_POWER_W, -43_000, 43_000, resolution=1, period_s=10, frozen_after_s=3600)
REGISTER = SampleRules(Quantity.ENERGY_WH, 0, 1e9, resolution=1, period_s=60)


def noise(samples, seed=1, mean=500.0, sigma=20.0):
    return mean + sigma * np.random.default_rng(seed).standard_normal(samples)


def with_spikes(values, at, height):
    spiked = values.copy()
    spiked[at] += height
    return spiked


def test_a_spike_is_found_and_only_it():
    assert np.flatnonzero(spikes(with_spikes(noise(200), 100, 400.0))).tolist() == [100]


@pytest.mark.parametrize("minutes", [2, 5, 30])
def test_a_kettle_is_no_spike(minutes):
    load = noise(600, sigma=5)
    load[200 : 200 + minutes * 6] += 2_000
    assert not spikes(load)[195 : 205 + minutes * 6].any()


def test_what_comes_again_within_the_window_is_a_cycle():
    drum = noise(300, sigma=3)
    drum[100:200:5] += 250
    assert spikes(drum)[100:195:5].mean() <= 0.1


def test_an_edge_caught_in_the_middle_is_no_spike():
    load = noise(100, sigma=3)
    load[50] += 900
    load[51:] += 2_000
    assert not spikes(load)[45:56].any()


def test_a_spike_on_a_plateau_between_steps_is_found():
    load = noise(300, sigma=5)
    load[100:200] += 1_800
    assert spikes(with_spikes(load, 150, -600.0))[150]


@some
@given(st.integers(0, 1000), st.floats(-1e4, 1e4), st.floats(0.1, 1e3))
def test_level_and_unit_do_not_matter(seed, level, scale):
    shape = with_spikes(noise(120, seed, 0.0, 1.0), 60, 12.0)
    assert (spikes(shape) == spikes(level + scale * shape)).mean() > 0.98


@some
@given(st.integers(0, 10_000))
def test_stationary_noise_keeps_99_of_100_samples_and_spikes_are_found(seed):
    rng = np.random.default_rng(seed)
    clean = noise(4_000, seed)
    at = rng.choice(4_000, 40, replace=False)
    height = 8 * np.median(np.abs(clean - np.median(clean))) * rng.uniform(1.5, 4, 40)
    found = spikes(with_spikes(clean, at, height * rng.choice([-1, 1], 40)))
    assert found[at].mean() >= 0.85
    assert np.delete(found, at).mean() <= 0.01


@pytest.mark.parametrize("period_s", [1, 10, 60])
def test_appliances_are_not_taken_for_spikes_nor_hide_them(period_s):
    rng = np.random.default_rng(period_s)
    load = appliance_load_w(rng, 86_400 if period_s == 60 else 21_600)[::period_s]
    at = rng.choice(load.size, load.size // 100, replace=False)
    height = 8 * np.median(np.abs(load - np.median(load))) * rng.uniform(1, 3, at.size)
    found = spikes(with_spikes(load, at, height * rng.choice([-1, 1], at.size)), resolution=1.0)
    assert found[at].mean() >= 0.9
    assert np.delete(found, at).mean() <= 0.02


def test_implausible_values_are_not_believed_nor_do_they_hide_others():
    times = np.arange(200) * 10
    load = with_spikes(noise(200), [20, 21, 22], 1e6)
    assert np.flatnonzero(~cleanse_samples(times, load, POWER).believed).tolist() == [20, 21, 22]


def test_a_frozen_sensor_is_believed_for_an_hour():
    times = np.arange(0, 10_800, 60)
    stuck = np.where(times < 3_600, noise(len(times)), 512.0)
    believed = cleanse_samples(times, stuck, POWER._replace(period_s=60)).believed
    assert believed[times == 7_200].all()
    assert not believed[times > 7_260].any()


@pytest.mark.parametrize("value", [0.0, 5.0])
def test_zero_may_last_for_ever_and_so_may_everything_where_nothing_freezes(value):
    times = np.arange(0, 86_400, 600)
    assert not frozen_since(times, np.full(len(times), 0.0), 3_600).any()
    assert not frozen_since(times, np.full(len(times), value), 0).any()


@some
@given(st.lists(st.integers(0, 100), min_size=2, max_size=60))
def test_a_register_never_goes_back(steps):
    counted = np.cumsum(steps) + 10_000.0
    astray = counted.copy()
    astray[len(steps) // 2] = 5.0
    believed = cleanse_samples(np.arange(len(steps)) * 60, astray, REGISTER).believed
    assert np.all(np.diff(astray[believed]) >= 0)
    assert believed.sum() >= len(steps) - 1


@pytest.mark.parametrize("samples", [0, 1, 5])
def test_few_samples_judge_nobody(samples):
    assert not spikes(np.arange(samples) * 1e3).any()
