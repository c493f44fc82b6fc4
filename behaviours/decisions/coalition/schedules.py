"""What a site could do otherwise over the period of a product: the set that never leaves it (SPEC 5.3 C).

Each deviation comes with the set-points of every device up to the end of the plan, what is made up for
afterwards included, so that the one that is chosen can be carried out as it is.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from behaviours.decisions.series import FloatArray, IntArray
from ontology.flexibility import FlexEnvelope

__all__ = ["Deviations", "feasible_deviations"]

SCHEDULES = 60
"""How many deviations a site chooses among; SPEC 5.3 asks for 20 to 200."""


class Deviations(NamedTuple):
    """K deviations over the T steps of a product; the first is to do nothing.

    `power_w` (K × T, W against the plan), `cost_ticks` (K), and for each asset its set-points from the
    start of the plan on (K × steps of the plan, W).
    """

    power_w: IntArray
    cost_ticks: IntArray
    setpoints_w: Mapping[str, IntArray]


def feasible_deviations(
    planned_w: Mapping[str, Sequence[int]],
    envelopes: Sequence[FlexEnvelope],
    target_w: Sequence[int],
    first_step: int,
    prices_ticks_per_kwh: Sequence[int],
    *,
    wear_ticks_per_kwh: int,
    price_max_ticks_per_kwh: int,
    seed: int,
    count: int = SCHEDULES,
) -> Deviations:
    """Return deviations towards a target that every device can carry out, none dearer than it may be.

    Costs are against doing nothing, the first row, which is the plan as far as it can still be kept.

    Args:
        planned_w: power of each asset by step of the plan.
        envelopes: of the assets, beginning with the plan.
        target_w: deviation wanted in each step of the product.
        first_step: the step of the plan at which the product begins.
        prices_ticks_per_kwh: what a kWh more or less at the meter costs, by step of the plan.
        wear_ticks_per_kwh: wanted for each kWh of deviation within the product.
        price_max_ticks_per_kwh: what the product pays.
        seed: of the variety.
        count: most deviations, doing nothing included.
    """
    target = np.asarray(target_w, dtype=np.float64)
    period = slice(first_step, first_step + target.size)
    rng = np.random.default_rng(seed)
    setpoints: dict[str, IntArray] = {}
    change = np.zeros((count, len(prices_ticks_per_kwh)), dtype=np.int64)
    missed = np.zeros(count)
    for envelope in envelopes:
        planned = np.asarray(planned_w[envelope.subject], dtype=np.int64)
        wanted = np.zeros((count, planned.size))
        wanted[:, period] = _wishes(target, envelope, count, rng)
        powers = _carried_out(envelope, planned, wanted, first_step)
        setpoints[envelope.subject] = powers
        change += powers - planned
        missed += np.maximum(planned - powers, 0).sum(axis=1) * envelope.comfort_ticks_per_kwh
    power = change[:, period]
    change -= change[0]
    cost = _costs(change, power, prices_ticks_per_kwh, wear_ticks_per_kwh, missed)
    worth = np.abs(power).sum(axis=1) * _HOURS * price_max_ticks_per_kwh / 1000
    affordable = cost <= worth
    affordable[0] = True
    _, first = np.unique(power[affordable], axis=0, return_index=True)
    rows = np.flatnonzero(affordable)[np.sort(first)]
    return Deviations(power[rows], cost[rows], {name: each[rows] for name, each in setpoints.items()})


_HOURS = 0.25


def _wishes(target: FloatArray, envelope: FlexEnvelope, count: int, rng: np.random.Generator) -> FloatArray:
    """Draw by how much a device shall deviate: none, all it can, then parts of it in windows of time."""
    span = float(max(envelope.power_max_w) - min(envelope.power_min_w))
    share = rng.uniform(0, 1, count) * (rng.random(count) < 0.7)
    share[:5] = (0, 1, 0.75, 0.5, 0.25)[:count]
    begin = rng.integers(0, target.size, count)
    length = rng.integers(1, target.size + 1, count)
    steps = np.arange(target.size)
    window = (steps >= begin[:, None]) & (steps < begin[:, None] + length[:, None])
    window[:5] = True
    window |= (rng.random(count) < 0.3)[:, None]
    wish: FloatArray = np.sign(target) * span * share[:, None] * window
    return wish


def _carried_out(envelope: FlexEnvelope, planned: IntArray, wanted: FloatArray, first: int) -> IntArray:
    """Return set-points as near to plan and wish as power and content allow, back to the plan afterwards."""
    powers = np.tile(planned, (len(wanted), 1))
    gain, loss = envelope.charge_efficiency, envelope.discharge_efficiency
    per_hour = np.where(planned > 0, planned * gain, planned / loss)
    planned_wh = per_hour.cumsum() * _HOURS
    content = np.full(len(wanted), planned_wh[first - 1] if first else 0.0)
    storing = min(envelope.energy_min_wh) < max(envelope.energy_max_wh)
    for step in range(first, planned.size):
        wish = planned[step] + wanted[:, step]
        if storing and not wanted[:, step].any():
            wish = _power((planned_wh[step] - content) / _HOURS, gain, loss)
        low = _power((envelope.energy_min_wh[step] - content) / _HOURS, gain, loss)
        high = _power((envelope.energy_max_wh[step] - content) / _HOURS, gain, loss)
        low = np.ceil(np.maximum(low, envelope.power_min_w[step]) - 1e-6)
        high = np.floor(np.minimum(high, envelope.power_max_w[step]) + 1e-6)
        power = np.rint(np.maximum(np.minimum(wish, high), np.minimum(low, high)))
        power = np.clip(power, envelope.power_min_w[step], envelope.power_max_w[step])
        content = content + np.where(power > 0, power * gain, power / loss) * _HOURS
        powers[:, step] = power
    return powers


def _power(content_per_hour: FloatArray, gain: float, loss: float) -> FloatArray:
    """Return the power that changes the content at a rate."""
    power: FloatArray = np.where(content_per_hour > 0, content_per_hour / gain, content_per_hour * loss)
    return power


def _costs(
    change: IntArray, power: IntArray, prices: Sequence[int], wear: int, missed: FloatArray
) -> IntArray:
    """Return what each deviation costs the site: energy made up for at its prices, wear, what is missed."""
    energy = change @ np.asarray(prices, dtype=np.float64)
    total = (energy + np.abs(power).sum(axis=1) * wear + missed) * _HOURS / 1000
    costs: IntArray = np.maximum(0, np.ceil(total)).astype(np.int64)
    return costs
