"""What deviating from a plan costs a site: a few price steps for each interval, the cheapest device first."""

from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import NamedTuple

import numpy as np

from behaviours.decisions.flexibility import deviations
from behaviours.decisions.series import FloatArray
from behaviours.decisions.site_plan import WEAR_TICKS_PER_KWH, is_storage
from ontology.flexibility import CostStep, FlexEnvelope

__all__ = ["Curves", "DeviationCosts", "cost_steps", "deviation_costs"]

MOST_STEPS = 5
Curves = tuple[list[list[CostStep]], list[list[CostStep]]]
"""What consuming less and consuming more cost, for each interval the steps of rising cost."""


class DeviationCosts(NamedTuple):
    """What a kWh less and a kWh more than planned cost a device in each step, in ticks."""

    less: FloatArray
    more: FloatArray


def deviation_costs(
    envelope: FlexEnvelope,
    planned_w: Sequence[int],
    price_ticks: Sequence[int],
    wear_ticks_per_kwh: int = WEAR_TICKS_PER_KWH,
) -> DeviationCosts:
    """Return what a device loses by consuming a kWh less, or more, in a step than planned.

    What is not taken now is made up for in the cheapest later step that has room; what is taken now is saved
    in the dearest. Where no later step is left it counts at the dearest price ahead, and is worth nothing.
    A storage loses energy on the way, and what it gives wears it.

    Args:
        envelope: what the device could do.
        planned_w: what it will do, in W.
        price_ticks: what a kWh costs or earns at the meter in each step.
        wear_ticks_per_kwh: what a kWh given by a storage costs it.
    """
    power = np.asarray(planned_w)
    price = np.asarray(price_ticks, dtype=np.float64)
    has_room = power < np.asarray(envelope.power_max_w)
    has_spare = power > np.asarray(envelope.power_min_w)
    made_up = later(np.minimum, np.where(has_room, price, np.inf))
    saved = later(np.maximum, np.where(has_spare, price, -np.inf))
    made_up[np.isinf(made_up)] = price.max()
    saved[np.isinf(saved)] = 0.0
    if not is_storage(envelope):
        return DeviationCosts(np.maximum(made_up - price, 0), np.maximum(price - saved, 0))
    round_trip = envelope.charge_efficiency * envelope.discharge_efficiency
    wear = np.where(power <= 0, wear_ticks_per_kwh, 0)
    less = np.where(power <= 0, made_up / round_trip, made_up) - price + wear
    more = price - np.where(power >= 0, saved * round_trip, saved)
    return DeviationCosts(np.maximum(less, 0), np.maximum(more, 0))


def later(extreme: np.ufunc, values: FloatArray) -> FloatArray:
    """Return the extreme of all later steps, infinite or zero after the last."""
    ahead: FloatArray = np.empty_like(values)
    ahead[-1] = np.inf if extreme is np.minimum else -np.inf
    ahead[:-1] = extreme.accumulate(values[:0:-1])[::-1]
    return ahead


def cost_steps(
    envelopes: Iterable[FlexEnvelope],
    setpoints: Mapping[str, Sequence[int]],
    price_ticks: Sequence[int],
    steps: int,
    fee_ticks_per_kwh: int = 0,
) -> Curves:
    """Return what consuming less, and more, than planned costs a site in its first steps.

    Args:
        envelopes: what each device could do.
        setpoints: what each will do, in W.
        price_ticks: what a kWh costs or earns at the meter in each step.
        steps: for how many steps from the first.
        fee_ticks_per_kwh: what the site wants beside its costs.

    Returns: up (less consumption) and down, a list of at most five steps of rising cost for each interval.
    Source: SPEC 4.9 (FlexEnvelope with marginal cost curve of 3 to 5 price steps).
    """
    up: list[list[CostStep]] = [[] for _ in range(steps)]
    down: list[list[CostStep]] = [[] for _ in range(steps)]
    for each in envelopes:
        less_w, more_w = deviations(each, setpoints[each.subject])
        costs = deviation_costs(each, setpoints[each.subject], price_ticks)
        for curve, able_w, ticks in ((up, less_w, costs.less), (down, more_w, costs.more)):
            for step in np.flatnonzero(able_w[:steps]).tolist():
                unit = ceil(ticks[step]) + fee_ticks_per_kwh
                curve[step].append(CostStep(power_w=int(able_w[step]), cost_ticks_per_kwh=unit))
    return [merged(curve) for curve in up], [merged(curve) for curve in down]


def merged(curve: list[CostStep]) -> list[CostStep]:
    """Return a curve in the order of its costs, equal ones as one, and no more steps than are told."""
    ordered: list[CostStep] = []
    for each in sorted(curve, key=lambda step: step.cost_ticks_per_kwh):
        dearest = ordered[-1] if ordered else None
        full = len(ordered) == MOST_STEPS
        if dearest and (full or dearest.cost_ticks_per_kwh == each.cost_ticks_per_kwh):
            together_w = dearest.power_w + each.power_w
            ordered[-1] = CostStep(power_w=together_w, cost_ticks_per_kwh=each.cost_ticks_per_kwh)
        else:
            ordered.append(each)
    return ordered
