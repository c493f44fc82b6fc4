"""What a site's plan costs, and what its devices would do if nobody planned them."""

from collections.abc import Iterable, Sequence

import numpy as np

from behaviours.decisions.pricing import FlowCharge
from behaviours.decisions.site_plan import (
    WEAR_TICKS_PER_KWH,
    Series,
    SitePlan,
    Terms,
    added,
    bill_ticks,
    is_storage,
    kept_value,
    listed,
)
from ontology.flexibility import FlexEnvelope

__all__ = ["overload_wh", "plan_cost_ticks", "uncontrolled_plan"]

WH_PER_KWH = 1000
CHARGE_POINTS = 65
"""Enough to sum a charge that is straight but for two bends."""


def plan_cost_ticks(
    plan: SitePlan,
    envelopes: Iterable[FlexEnvelope],
    terms: Terms,
    flow: FlowCharge | None = None,
    wear_ticks_per_kwh: int = WEAR_TICKS_PER_KWH,
) -> float:
    """Return what a plan costs: its bill, the wear of storages, less the worth of what they hold at the end.

    Args:
        plan: powers of the devices and at the meter, in W.
        envelopes: the devices planned.
        terms: prices in ticks per kWh, a value a step.
        flow: what flow is charged beside the prices, at most the price itself.
        wear_ticks_per_kwh: what a kWh given by a storage costs it.
    """
    devices = list(envelopes)
    step_s = devices[0].step_s if devices else 900
    cost = bill_ticks(plan.net_w, terms.buy, terms.sell, step_s)
    if flow is not None:
        cost += flow_charge_ticks(plan.net_w, terms, flow, step_s)
    for each in filter(is_storage, devices):
        powers = plan.setpoints[each.subject]
        given_wh = -sum(w for w in powers if w < 0) * step_s / 3600
        taken_wh = sum(w for w in powers if w > 0) * step_s / 3600
        kept_wh = taken_wh * each.charge_efficiency - given_wh / each.discharge_efficiency
        cost += wear_ticks_per_kwh * given_wh / WH_PER_KWH
        cost -= kept_value(terms, each.charge_efficiency) * kept_wh / WH_PER_KWH
    return cost


def flow_charge_ticks(net_w: Sequence[int], terms: Terms, flow: FlowCharge, step_s: int = 900) -> float:
    """Return what the flow of a plan is charged, summed from no power on, each kWh at most its price."""
    total = 0.0
    for step, net in enumerate(net_w):
        cap = abs(terms.buy[step] if net > 0 else terms.sell[step])
        watts = np.linspace(0.0, net, CHARGE_POINTS)
        charge = np.clip(flow.at(step, 0.0) + flow.ticks_per_kwh_and_kw * watts / WH_PER_KWH, -cap, cap)
        total += float(np.trapezoid(charge, watts)) * step_s / 3.6e6
    return total


def overload_wh(plan: SitePlan, terms: Terms, step_s: int = 900) -> float:
    """Return the energy in Wh by which a plan goes beyond the limits at the meter."""
    rows = zip(plan.net_w, terms.net_min_w, terms.net_max_w, strict=True)
    return sum(max(0, net - most, least - net) for net, least, most in rows) * step_s / 3600


def uncontrolled_plan(base_w: Series, envelopes: Iterable[FlexEnvelope]) -> SitePlan:
    """Return what devices would do by themselves.

    Vehicles charge at once, heaters hold their temperature, storages idle, plants give all they can.
    """
    net_w = listed(base_w)
    setpoints = {}
    for each in envelopes:
        setpoints[each.subject] = powers_w = _by_itself(each)
        net_w = added(net_w, powers_w)
    return SitePlan(setpoints, net_w)


def _by_itself(device: FlexEnvelope) -> list[int]:
    if is_storage(device) and not any(device.energy_min_wh):
        return [0] * len(device.power_min_w)
    return list(device.preferred_w) or _at_once(device)


def _at_once(device: FlexEnvelope) -> list[int]:
    """Return the powers of a device that takes all that it may as early as it can."""
    hours = device.step_s / 3600
    powers_w: list[int] = []
    content_wh = 0.0
    rows: Iterable[Sequence[int]] = zip(
        device.power_min_w, device.power_max_w, device.energy_max_wh, strict=True
    )
    for least_w, most_w, room_wh in rows:
        wanted_w = (room_wh - content_wh) / hours / device.charge_efficiency
        power_w = int(max(least_w, min(most_w, wanted_w)))
        content_wh += power_w * hours * (device.charge_efficiency if power_w > 0 else 1.0)
        powers_w.append(power_w)
    return powers_w
