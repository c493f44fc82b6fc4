"""A home's power second by second: appliances as meters see them, with edges, cycles and noise.

Where the world's households are quarter-hours that add up to a profile, this is for what looks at samples:
cleansing, aggregation, meters.
"""

from collections.abc import Iterator

import numpy as np

from behaviours.decisions.series import FloatArray

__all__ = ["appliance_load_w"]

STANDBY_W = 90.0
FRIDGE_W, FRIDGE_S = 80.0, (1_100, 3_000)
"""On for so long of so long."""
HEAT_PUMP_W, HEAT_PUMP_S = 1_800.0, (1_500, 3_600)
KETTLE_W, KETTLE_S, KETTLES_A_DAY = 2_000.0, (90, 240), 6
WASHING_HEAT_W, WASHING_HEAT_S = 2_050.0, 1_200
DRUM_W, DRUM_S, DRUM_CYCLE_S = 250.0, 3_000, (10, 15)
SPIN_W, SPIN_S = 350.0, 600
HOB_W, HOB_S, HOB_CYCLE_S = 1_800.0, 1_800, (18, 40)
CAR_W, CAR_S = 7_400.0, 10_800
DAY_S = 86_400


def appliance_load_w(rng: np.random.Generator, seconds: int, noise_w: float = 8.0) -> FloatArray:
    """Return the power of a home in W, second by second: fridge, heat pump, kettles, washing, hob, a car.

    Args:
        rng: draws when things are switched on, and the noise.
        seconds: how many.
        noise_w: standard deviation of what many small things do, drawn anew each second.
    """
    time_s = np.arange(seconds, dtype=np.float64)
    load_w = STANDBY_W + noise_w * rng.standard_normal(seconds)
    load_w += FRIDGE_W * cycling(time_s + rng.uniform(0, FRIDGE_S[1]), FRIDGE_S)
    warm = 1 + 0.03 * np.sin(time_s / 300)
    load_w += HEAT_PUMP_W * warm * cycling(time_s + rng.uniform(0, HEAT_PUMP_S[1]), HEAT_PUMP_S)
    for begin_s, lasting_s in switched_on(rng, seconds, KETTLES_A_DAY, KETTLE_S):
        load_w += KETTLE_W * within(time_s, begin_s, lasting_s)
    for begin_s, _ in switched_on(rng, seconds, 2, (1, 2)):
        load_w += washing_w(rng, time_s - begin_s)
    for begin_s, _ in switched_on(rng, seconds, 2, (1, 2)):
        load_w += HOB_W * within(time_s, begin_s, HOB_S) * cycling(time_s, HOB_CYCLE_S)
    for begin_s, _ in switched_on(rng, seconds, 1, (1, 2)):
        load_w += CAR_W * within(time_s, begin_s, CAR_S)
    return load_w


def cycling(time_s: FloatArray, cycle_s: tuple[int, int]) -> FloatArray:
    """Return 1 while something that is on for so long of so long is on."""
    return np.asarray(time_s % cycle_s[1] < cycle_s[0], dtype=np.float64)


def within(time_s: FloatArray, begin_s: float, lasting_s: float) -> FloatArray:
    """Return 1 from a time on for a while."""
    return np.asarray((time_s >= begin_s) & (time_s < begin_s + lasting_s), dtype=np.float64)


def switched_on(
    rng: np.random.Generator, seconds: int, a_day: int, lasting_s: tuple[int, int]
) -> Iterator[tuple[float, float]]:
    """Yield when something is switched on, and for how long."""
    for _ in range(max(1, a_day * seconds // DAY_S)):
        yield float(rng.uniform(0, seconds)), float(rng.uniform(*lasting_s))


def washing_w(rng: np.random.Generator, since_s: FloatArray) -> FloatArray:
    """Return what a washing machine draws by seconds since its start: heating, turning, spinning."""
    turning = within(since_s, WASHING_HEAT_S, DRUM_S)
    spinning = within(since_s, WASHING_HEAT_S + DRUM_S, SPIN_S)
    return (
        WASHING_HEAT_W * within(since_s, 0, WASHING_HEAT_S)
        + turning * (60 + DRUM_W * cycling(since_s, DRUM_CYCLE_S))
        + spinning * (SPIN_W + 50 * rng.standard_normal(since_s.size))
    )
