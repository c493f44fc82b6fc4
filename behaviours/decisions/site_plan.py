"""One plan for a site: when its devices run in the steps ahead so that its bill is least.

Devices are planned one after the other, each exactly (`cheapest_path`) against what the others leave: first
the loads that must have their energy, cheapest steps first, own sun counting as what it would have earned;
then the storages, which shift what is left; then all of them once more, now that each knows of the others;
then what people would miss, dimmed only where energy is dearer still; last the plants, curtailed only where
exporting is forbidden or costs money. `exact_plan` gives the optimum of all together, for comparison and for
sites that have the time.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil, inf
from operator import add, sub
from statistics import median
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from behaviours.decisions.cheapest_path import Piece, cheapest_path
from behaviours.decisions.pricing import FlowCharge
from ontology.base import require
from ontology.flexibility import FlexEnvelope

__all__ = ["WEAR_TICKS_PER_KWH", "SitePlan", "Terms", "bill_ticks", "plan_site"]

WEAR_TICKS_PER_KWH = 100
"""What a kWh given by a battery costs it in life: 0.01 EUR."""
LEANING_TICKS_PER_KWH = 5
"""How much dearer a kWh counts beyond a device's preferred power, and how much cheaper below it."""
HASTE_TICKS_PER_KWH = 0.01
"""How much less a kWh given is worth a step later: of equal chances the first is taken, else each new plan
would put it off again."""
OVERLOAD_TICKS_PER_KWH = 1_000_000
"""What a kWh beyond a limit counts in planning, so that limits are kept while anything can be moved."""

Series = Sequence[int] | npt.NDArray[np.int64]
Limit = int | Series | None
SECONDS_AN_HOUR = 3600
UNLIMITED_W = 1 << 40
ROUNDING_W = 1e-6
FLOW_BLOCK_W = 1_000
"""In what blocks of power the flow charge rises."""


@dataclass(frozen=True, slots=True)
class SitePlan:
    """Power in W of each asset and at the meter in every step, consumption positive."""

    setpoints: dict[str, list[int]]
    net_w: list[int]


class Terms(NamedTuple):
    """What a step ahead costs: prices in ticks per kWh and limits of the net in W, a value a step."""

    buy: list[int]
    sell: list[int]
    net_max_w: list[int]
    net_min_w: list[int]
    limited: bool
    """Whether any limit was given."""
    curtailable: bool
    """Whether what may not be exported can be turned down."""


def plan_site(
    base_w: Series,
    buy_ticks: Series,
    sell_ticks: Series,
    envelopes: Iterable[FlexEnvelope],
    *,
    import_max_w: Limit = None,
    export_max_w: Limit = None,
    flow: FlowCharge | None = None,
    wear_ticks_per_kwh: int = WEAR_TICKS_PER_KWH,
) -> SitePlan:
    """Plan all devices of a site; every set-point lies within its device's envelope.

    Limits at the meter (GridConstraint, DRSignal) are kept wherever the envelopes leave room.

    Args:
        base_w: expected power of everything that cannot be moved, in W.
        buy_ticks: price of a kWh imported in each step, in ticks.
        sell_ticks: price of a kWh exported; where it exceeds the buying price that one is taken.
        envelopes: what each device could do, all over the same steps as `base_w`.
        import_max_w: most that the site may import, a value or one a step.
        export_max_w: most that the site may export, a value or one a step.
        flow: what each kWh is charged beside its price while the grid is congested, and how that rises.
        wear_ticks_per_kwh: what a kWh given by a storage costs it.

    Raises: InvalidInput when a series has another length than `base_w`.
    Source: SPEC 4.9 (prosumer flexibility manager).
    """
    net = listed(base_w)
    plants, loads, storages = sorted_out(envelopes, len(net))
    terms = terms_of(len(net), buy_ticks, sell_ticks, import_max_w, export_max_w, curtailable=bool(plants))
    dimmable = [each for each in loads if each.comfort_ticks_per_kwh and each.preferred_w]
    loads = [each for each in loads if each not in dimmable]
    look = turns(loads, storages, terms, flow, wear_ticks_per_kwh)
    setpoints: dict[str, list[int]] = {}
    for plant in plants:
        net = added(net, plant.power_min_w)
    for each in dimmable:
        net = added(net, each.preferred_w)
    for planned, each in look:
        net = lessened(net, setpoints.get(each.subject))
        setpoints[each.subject] = power = planned(each, net)
        net = added(net, power)
    for each in dimmable:
        net = lessened(net, each.preferred_w)
        setpoints[each.subject] = power = plan_load(each, net, terms, UNLIMITED_W, flow)
        net = added(net, power)
    for plant in plants:
        setpoints[plant.subject] = power = curtailed(plant, net, terms)
        if power is not plant.power_min_w:
            net = added(net, lessened(power, plant.power_min_w))
    return SitePlan(setpoints, net)


def turns(
    loads: list[FlexEnvelope],
    storages: list[FlexEnvelope],
    terms: Terms,
    flow: FlowCharge | None,
    wear: int,
) -> Sequence[tuple[Callable[[FlexEnvelope, list[int]], list[int]], FlexEnvelope]]:
    """Return who is planned when and how: loads, then storages, then, where there are several, all again."""
    eased_w = -sum(min(each.power_min_w) for each in storages) if storages else UNLIMITED_W
    first = partial(plan_load, terms=terms, eased_w=eased_w, flow=flow)
    again = partial(plan_load, terms=terms, flow=flow)
    shift = partial(plan_storage, terms=terms, wear=wear, flow=flow)
    shifted = [(shift, each) for each in storages]
    look = [(first, each) for each in loads] + shifted
    return look + [(again, each) for each in loads] + shifted if len(look) > 1 else look


def plan_load(
    load: FlexEnvelope,
    net: list[int],
    terms: Terms,
    eased_w: int = UNLIMITED_W,
    flow: FlowCharge | None = None,
) -> list[int]:
    """Return when a load runs: its energy from the cheapest steps within its bounds.

    Of steps that cost the same those are preferred in which the net stays below what the site's storages
    can give (`eased_w`), so that they can serve it later, and powers near those that the device prefers.
    """
    low, high = in_watt_steps(load, load.charge_efficiency)
    if flow is not None:
        offered = charged_pieces(load, net, terms, flow)
        return in_whole_watts(load, cheapest_path(load.power_min_w, offered, low, high))
    pieces: list[Sequence[Piece]] = []
    rows = zip(net, load.power_min_w, load.power_max_w, *terms[:4], strict=True)
    for n, a, b, buy, sell, net_max, net_min in rows:
        least, most = n + a, n + b
        if least >= 0 and least >= net_min and most <= eased_w and most <= net_max:
            pieces.append(((buy, b - a),))
        elif net_min <= least and most <= 0 and most <= net_max:
            pieces.append(((sell, b - a),))
        elif a == b:
            pieces.append(())
        elif most > net_max or least < net_min:
            pieces.append(rungs(n, a, b, (buy, sell, net_max, net_min), terms.curtailable))
        elif most <= eased_w:
            pieces.append(((sell, -least), (buy, most)))
        elif least >= eased_w:
            pieces.append(((buy + 1, b - a),))
        elif least >= 0:
            pieces.append(((buy, eased_w - least), (buy + 1, most - eased_w)))
        else:
            pieces.append(((sell, -least), (buy, eased_w), (buy + 1, most - eased_w)))
    if load.preferred_w:
        beyond = map(sub, load.preferred_w, load.power_min_w)
        comfort = load.comfort_ticks_per_kwh
        pieces = [
            comforted(leaning(of_step, towards), towards, comfort)
            for of_step, towards in zip(pieces, beyond, strict=True)
        ]
    return in_whole_watts(load, cheapest_path(load.power_min_w, pieces, low, high))


def in_whole_watts(load: FlexEnvelope, powers: list[float]) -> list[int]:
    """Return powers in whole watts that draw no less energy than planned, and hardly more, at any time."""
    if load.charge_efficiency == 1.0:
        return list(map(int, powers))
    whole: list[int] = []
    owed = 0.0
    for power, a, b in zip(powers, load.power_min_w, load.power_max_w, strict=True):
        owed += power
        whole.append(min(b, max(a, ceil(owed - ROUNDING_W))))
        owed -= whole[-1]
    return whole


def charged_pieces(load: FlexEnvelope, net: list[int], terms: Terms, flow: FlowCharge) -> list[list[Piece]]:
    """Return what a load's power costs in each step where flow is charged beside the prices."""
    preferred_w = load.preferred_w or [0] * len(net)
    rows = zip(net, load.power_min_w, load.power_max_w, preferred_w, *terms[:4], strict=True)
    offered = []
    for step, (n, a, b, preferred, *prices) in enumerate(rows):
        pieces: Sequence[Piece] = rungs(n, a, b, prices, terms.curtailable)
        pieces = leaning(pieces, preferred - a) if load.preferred_w else pieces
        pieces = charged(pieces, n + a, step, flow)
        offered.append(list(comforted(pieces, preferred - a, load.comfort_ticks_per_kwh)))
    return offered


def charged(pieces: Iterable[Piece], least_w: int, step: int, flow: FlowCharge) -> list[Piece]:
    """Return a step's pieces, from a net power on, in blocks, with the flow charge of each added.

    The charge is capped at the price itself, as it is settled (c = 1).
    """
    blocks: list[Piece] = []
    at_w = float(least_w)
    for price, amount in pieces:
        end_w = at_w + amount
        while at_w < end_w:
            part = min(FLOW_BLOCK_W, end_w - at_w)
            charge = flow.at(step, at_w + part / 2)
            blocks.append((price + max(-abs(price), min(abs(price), charge)), part))
            at_w += part
    return blocks


def comforted(pieces: Sequence[Piece], towards: int, comfort_ticks: int) -> Sequence[Piece]:
    """Return a step's pieces, cheaper up to a power by what people would miss without it."""
    return leaning(pieces, towards, comfort_ticks, 0) if comfort_ticks else pieces


def leaning(
    pieces: Sequence[Piece],
    towards: int,
    less: int = LEANING_TICKS_PER_KWH,
    more: int = LEANING_TICKS_PER_KWH,
) -> list[Piece]:
    """Return a step's pieces, a little cheaper up to a power and a little dearer beyond it.

    Without it a heater would take the first of equal steps: every house of a street at once.
    """
    if towards <= 0:
        return [(price + more, amount) for price, amount in pieces]
    leaned: list[Piece] = []
    for price, amount in pieces:
        if amount <= towards:
            leaned.append((price - less, amount))
        elif towards <= 0:
            leaned.append((price + more, amount))
        else:
            leaned += ((price - less, towards), (price + more, amount - towards))
        towards -= int(amount)
    return leaned


def plan_storage(
    storage: FlexEnvelope, net: list[int], terms: Terms, wear: int, flow: FlowCharge | None = None
) -> list[int]:
    """Return how a storage runs: surplus is kept for later need, the grid's energy only where it pays."""
    low, high = in_watt_steps(storage)
    end_value = kept_value(terms, storage.charge_efficiency)
    pieces_of = storage_pieces if flow is None else partial(charged_storage_pieces, flow=flow)
    least, pieces = pieces_of(storage, net, terms, wear, end_value)
    return whole_watts(storage, cheapest_path(least, pieces, low, high, end_value))


def storage_pieces(
    storage: FlexEnvelope, net: list[int], terms: Terms, wear: int, end_value: float
) -> tuple[list[float], list[list[Piece]]]:
    """Return the least content that each step can add to a storage, and what more of it costs.

    Giving serves the site's need first and the grid last; taking uses the surplus first. Pieces that no
    optimum takes are left out: charging dearer than any use, giving to the grid cheaper than keeping.
    """
    charging, discharging = storage.charge_efficiency, storage.discharge_efficiency
    worth = max(end_value, (max(terms.buy) - wear) * discharging) * charging
    keeps = (max(terms.sell) - wear) * discharging <= end_value
    if max(storage.energy_min_wh) > 0:
        worth, keeps = inf, False
    least: list[float] = []
    pieces: list[list[Piece]] = []
    later = 0.0
    rows = zip(net, storage.power_min_w, storage.power_max_w, *terms[:4], strict=True)
    for n, a, b, buy, sell, net_max, net_min in rows:
        later += HASTE_TICKS_PER_KWH
        if n + b > net_max or n + a < net_min or a > 0 or b < 0:
            prices = (buy, sell, net_max, net_min)
            giving = rungs(n, a, min(b, 0), prices, terms.curtailable)
            taking = rungs(n, max(a, 0), b, prices, terms.curtailable)
            offered = [((price - wear) * discharging - later, w / discharging) for price, w in giving]
            offered += [(price / charging, w * charging) for price, w in taking]
        elif n >= 0:
            own = (buy - wear) * discharging - later
            if n + a >= 0:
                offered = [(own, -a / discharging)]
            elif keeps:
                a = -n
                offered = [(own, n / discharging)]
            else:
                offered = [
                    ((sell - wear) * discharging - later, (-n - a) / discharging),
                    (own, n / discharging),
                ]
            if buy < worth:
                offered.append((buy / charging, b * charging))
        else:
            if keeps:
                a = 0
                offered = []
            else:
                offered = [((sell - wear) * discharging - later, -a / discharging)]
            if n + b <= 0:
                offered.append((sell / charging, b * charging))
            else:
                offered.append((sell / charging, -n * charging))
                if buy < worth:
                    offered.append((buy / charging, (n + b) * charging))
        least.append(a / discharging if a < 0 else a * charging)
        pieces.append(offered)
    return least, pieces


def charged_storage_pieces(
    storage: FlexEnvelope, net: list[int], terms: Terms, wear: int, end_value: float, flow: FlowCharge
) -> tuple[list[float], list[list[Piece]]]:
    """Return what `storage_pieces` does where flow is charged beside the prices."""
    charging, discharging = storage.charge_efficiency, storage.discharge_efficiency
    least: list[float] = []
    pieces: list[list[Piece]] = []
    rows = enumerate(zip(net, storage.power_min_w, storage.power_max_w, *terms[:4], strict=True))
    for step, (n, a, b, *prices) in rows:
        later = HASTE_TICKS_PER_KWH * (step + 1)
        giving = charged(rungs(n, a, min(b, 0), prices, terms.curtailable), n + a, step, flow)
        taking = charged(rungs(n, max(a, 0), b, prices, terms.curtailable), n + max(a, 0), step, flow)
        offered = [((price - wear) * discharging - later, w / discharging) for price, w in giving]
        offered += [(price / charging, w * charging) for price, w in taking]
        least.append(a / discharging if a < 0 else a * charging)
        pieces.append(offered)
    return least, pieces


def whole_watts(storage: FlexEnvelope, content: list[float]) -> list[int]:
    """Turn changes of content into whole watts, carrying what rounding leaves over into the next step."""
    charging, discharging = storage.charge_efficiency, storage.discharge_efficiency
    left_over = 0.0
    powers = []
    for change, a, b in zip(content, storage.power_min_w, storage.power_max_w, strict=True):
        wanted = change + left_over
        power = round(wanted / charging if wanted > 0 else wanted * discharging)
        if power < a:
            power = a
        elif power > b:
            power = b
        left_over = wanted - (power * charging if power > 0 else power / discharging)
        powers.append(power)
    return powers


def curtailed(plant: FlexEnvelope, net: list[int], terms: Terms) -> list[int]:
    """Return a plant's power: all that there is, but for what may not or better not be exported."""
    if not terms.limited and min(terms.sell) >= 0:
        return plant.power_min_w
    rows = zip(net, plant.power_min_w, plant.power_max_w, terms.sell, terms.net_min_w, strict=True)
    return [min(p + max(0, (0 if sell < 0 else net_min) - n), most) for n, p, most, sell, net_min in rows]


def rungs(n: int, a: int, b: int, prices: Sequence[int], curtailable: bool) -> list[Piece]:
    """Return the price pieces of a device between a and b W beside a net of n W, with limits in reach.

    Beyond a limit energy counts so much that whatever can be moved is; beyond the limit of export it
    counts nothing where a plant can be turned down instead.
    """
    buy, sell, net_max, net_min = prices
    beyond = min(sell, 0) if curtailable and net_min <= 0 else sell - OVERLOAD_TICKS_PER_KWH
    ladder: tuple[tuple[float, int], ...] = (
        (beyond, min(net_min, 0)),
        (buy - OVERLOAD_TICKS_PER_KWH, net_min if net_min > 0 else -UNLIMITED_W),
        (sell, min(0, net_max)),
        (sell + OVERLOAD_TICKS_PER_KWH, 0),
        (buy, net_max),
        (buy + OVERLOAD_TICKS_PER_KWH, UNLIMITED_W),
    )
    pieces: list[Piece] = []
    for price, until in ladder:
        amount = min(until - n, b) - a
        if amount > 0:
            pieces.append((price, amount))
            a += amount
    return pieces


def kept_value(terms: Terms, charge_efficiency: float) -> float:
    """Return what stored energy is worth at the end: a little more than the surplus that it came from."""
    return max(0.0, median(terms.sell) / charge_efficiency + 1)


def sorted_out(
    envelopes: Iterable[FlexEnvelope], steps: int
) -> tuple[list[FlexEnvelope], list[FlexEnvelope], list[FlexEnvelope]]:
    """Return plants (only give), loads (only take) and storages (give and take).

    Raises: InvalidInput when an envelope has another number of steps.
    """
    plants, loads, storages = [], [], []
    for each in envelopes:
        require(len(each.power_min_w) == steps, each.subject, len(each.power_min_w), f"{steps} steps")
        if min(each.power_min_w, default=0) >= 0:
            loads.append(each)
        elif max(each.power_max_w) > 0:
            storages.append(each)
        else:
            plants.append(each)
    return plants, loads, storages


def terms_of(
    steps: int, buy: Series, sell: Series, import_max_w: Limit, export_max_w: Limit, *, curtailable: bool
) -> Terms:
    """Bring prices and limits into one form, a value a step.

    Raises: InvalidInput when a series has another length.
    """
    buying, selling = listed(buy), listed(sell)
    require(len(buying) == steps, "buy_ticks", len(buying), f"{steps} values")
    require(len(selling) == steps, "sell_ticks", len(selling), f"{steps} values")
    selling = list(map(min, selling, buying))
    net_max = (
        [UNLIMITED_W] * steps if import_max_w is None else each_step(import_max_w, steps, "import_max_w")
    )
    net_min = [-UNLIMITED_W] * steps
    if export_max_w is not None:
        net_min = [-limit for limit in each_step(export_max_w, steps, "export_max_w")]
    limited = import_max_w is not None or export_max_w is not None
    return Terms(buying, selling, net_max, net_min, limited, curtailable)


def each_step(limit: int | Series, steps: int, name: str) -> list[int]:
    """Return a limit as one value a step.

    Raises: InvalidInput when it has another length.
    """
    values = [limit] * steps if isinstance(limit, int) else listed(limit)
    require(len(values) == steps, name, len(values), f"{steps} values")
    return values


def in_watt_steps(device: FlexEnvelope, efficiency: float = 1.0) -> tuple[Sequence[float], Sequence[float]]:
    """Return the bounds of content, as drawn at an efficiency, in the unit that power adds up in."""
    step_s = device.step_s
    if efficiency == 1.0 and SECONDS_AN_HOUR % step_s == 0:
        scale = SECONDS_AN_HOUR // step_s
        return [e * scale for e in device.energy_min_wh], [e * scale for e in device.energy_max_wh]
    ratio = SECONDS_AN_HOUR / step_s / efficiency
    return [e * ratio for e in device.energy_min_wh], [e * ratio for e in device.energy_max_wh]


def bill_ticks(net_w: Series, buy_ticks: Series, sell_ticks: Series, step_s: int = 900) -> float:
    """Return what a net power costs at given prices, in ticks; negative when it earns."""
    net_kwh = np.asarray(net_w, dtype=np.float64) * (step_s / 3.6e6)
    prices = np.where(net_kwh > 0, np.asarray(buy_ticks), np.asarray(sell_ticks))
    return float(net_kwh @ prices)


def is_storage(device: FlexEnvelope) -> bool:
    """Tell whether a device can give back what it took."""
    return min(device.power_min_w, default=0) < 0 < max(device.power_max_w, default=0)


def added(net: list[int], power: list[int]) -> list[int]:
    """Return the sum of two series."""
    return list(map(add, net, power))


def lessened(net: list[int], power: list[int] | None) -> list[int]:
    """Return a series less another, if there is one."""
    return net if power is None else list(map(sub, net, power))


def listed(series: Series) -> list[int]:
    """Return a series as Python integers, which loops are fastest with."""
    if isinstance(series, np.ndarray):
        integers: list[int] = series.tolist()
        return integers
    return list(series)
