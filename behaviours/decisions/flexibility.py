"""How far a site, and a portfolio of them, could deviate from its plan."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np

from behaviours.decisions.series import IntArray
from ontology.base import require
from ontology.flexibility import CostStep, FlexEnvelope, FlexibilityForecast

__all__ = ["flexibility_of_plan", "flexibility_of_portfolio"]


def flexibility_of_plan(
    subject: str,
    envelopes: Sequence[FlexEnvelope],
    setpoints: Mapping[str, Sequence[int]],
    cost_ticks_per_kwh: int = 0,
    curves: tuple[list[list[CostStep]], list[list[CostStep]]] = ([], []),
) -> FlexibilityForecast | None:
    """Return how far a site could deviate from its plan in each single step; None without devices.

    Up is up-regulation (consuming less or giving more), down the opposite. A step's deviation keeps the
    power limits, and the content bounds at its end; it may have to be made up for later. What people would
    miss more than that costs is not offered.

    Args:
        subject: the site.
        envelopes: what each device could do.
        setpoints: planned power of each device.
        cost_ticks_per_kwh: what the site wants for a kWh of deviation, beside the energy.
        curves: what up- and down-regulation cost it in each step.

    Source: SPEC 4.5, 4.9 (flexibility estimation).
    """
    if not envelopes:
        return None
    first = envelopes[0]
    up = np.zeros(len(first.power_min_w), dtype=np.int64)
    down = np.zeros_like(up)
    for each in envelopes:
        if each.comfort_ticks_per_kwh > cost_ticks_per_kwh:
            continue
        less, more = deviations(each, setpoints[each.subject])
        up += less
        down += more
    return FlexibilityForecast(
        subject=subject,
        start_s=first.start_s,
        step_s=first.step_s,
        up_w=up.tolist(),
        down_w=down.tolist(),
        duration_max_s=[first.step_s] * up.size,
        cost_ticks_per_kwh=[cost_ticks_per_kwh] * up.size,
        rebound_factor=1.0,
        up_steps=curves[0],
        down_steps=curves[1],
    )


def deviations(envelope: FlexEnvelope, planned_w: Sequence[int]) -> tuple[IntArray, IntArray]:
    """Return by how many W a device could consume less and more in each step."""
    power = np.asarray(planned_w, dtype=np.int64)
    hours = envelope.step_s / 3600
    change = np.maximum(power, 0) * envelope.charge_efficiency
    change += np.minimum(power, 0) / envelope.discharge_efficiency
    content = change.cumsum() * hours
    spare = (content - np.asarray(envelope.energy_min_wh)) / hours * envelope.discharge_efficiency
    room = (np.asarray(envelope.energy_max_wh) - content) / hours / envelope.charge_efficiency
    less = np.minimum(power - np.asarray(envelope.power_min_w), np.maximum(spare, 0).astype(np.int64))
    more = np.minimum(np.asarray(envelope.power_max_w) - power, np.maximum(room, 0).astype(np.int64))
    return np.maximum(less, 0), np.maximum(more, 0)


def first_step(envelope: FlexEnvelope) -> FlexEnvelope:
    """Return the first step of an envelope."""
    return msgspec.structs.replace(
        envelope,
        power_min_w=envelope.power_min_w[:1],
        power_max_w=envelope.power_max_w[:1],
        energy_min_wh=envelope.energy_min_wh[:1],
        energy_max_wh=envelope.energy_max_wh[:1],
        preferred_w=envelope.preferred_w[:1],
    )


def flexibility_of_portfolio(
    subject: str, members: Iterable[FlexibilityForecast]
) -> FlexibilityForecast | None:
    """Return the sum of the members' flexibility, its cost the dearest of theirs; None without members.

    Raises: InvalidInput when the members' steps differ.
    """
    all_members = list(members)
    if not all_members:
        return None
    first = all_members[0]
    for each in all_members:
        same = (each.start_s, each.step_s, len(each.up_w)) == (first.start_s, first.step_s, len(first.up_w))
        require(same, each.subject, each.start_s, f"the same steps as {first.subject}")
    return FlexibilityForecast(
        subject=subject,
        start_s=first.start_s,
        step_s=first.step_s,
        up_w=[sum(column) for column in zip(*(each.up_w for each in all_members), strict=True)],
        down_w=[sum(column) for column in zip(*(each.down_w for each in all_members), strict=True)],
        duration_max_s=[
            min(column) for column in zip(*(each.duration_max_s for each in all_members), strict=True)
        ],
        cost_ticks_per_kwh=[
            max(column) for column in zip(*(each.cost_ticks_per_kwh for each in all_members), strict=True)
        ],
        rebound_factor=max(each.rebound_factor for each in all_members),
    )
