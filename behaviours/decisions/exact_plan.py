"""The best plan of a site by linear programming: what the fast plan is measured against."""

from collections.abc import Iterable, Sequence
from functools import lru_cache

import cvxpy as cp
import numpy as np

from behaviours.decisions.pricing import FlowCharge
from behaviours.decisions.series import FloatArray
from behaviours.decisions.site_plan import (
    WEAR_TICKS_PER_KWH,
    Limit,
    Series,
    SitePlan,
    Terms,
    is_storage,
    kept_value,
    listed,
    terms_of,
)
from ontology.errors import Failed
from ontology.flexibility import FlexEnvelope

__all__ = ["exact_site_plan"]

KILO = 1000.0
OVERLOAD_TICKS_PER_KWH = 100_000.0
UNLIMITED_KW = 10_000.0
UNLIMITED_KWH = 1_000.0


class Flow:
    """Power one way at the meter, in kW, and what it costs: a price and, where flow is charged, more.

    The charge rises with the power from one cap (minus the price) to the other (the price), so there are
    three parts: power charged the lower cap, power whose charge rises, power charged the upper cap.
    """

    def __init__(self, steps: int, *, charged: bool) -> None:
        """Write the variables, the costs and the bounds of the parts down."""
        self.price, self.charge, self.cap = cp.Parameter(steps), cp.Parameter(steps), cp.Parameter(steps)
        self.low_length, self.rising_length = (
            cp.Parameter(steps, nonneg=True),
            cp.Parameter(steps, nonneg=True),
        )
        self.root_slope = cp.Parameter(nonneg=True)
        low, rising, high = (cp.Variable(steps, nonneg=True) for _ in range(3))
        self.power = low + rising + high if charged else high
        self.cost = self.price @ self.power
        self.bounds: list[cp.Constraint] = []
        if charged:
            self.cost += self.cap @ (high - low) + self.charge @ rising
            self.cost += cp.sum_squares(self.root_slope * rising) / 2
            self.bounds = [low <= self.low_length, rising <= self.rising_length]

    def set(
        self, price: FloatArray, charge: FloatArray | None = None, slope: float = 0.0, hours: float = 1.0
    ) -> None:
        """Set prices in the direction of the flow, the charge at no power and its rise a kW, in ticks."""
        self.price.value = price * hours
        if charge is None:
            return
        cap = np.abs(price)
        begin = np.clip(charge, -cap, cap)
        length = np.full(price.size, UNLIMITED_KW) if slope <= 0 else (cap - begin) / slope
        self.cap.value, self.charge.value = cap * hours, begin * hours
        self.low_length.value = np.maximum(0.0, -cap - charge) / slope if slope > 0 else 0 * cap
        self.rising_length.value = np.minimum(length, UNLIMITED_KW)
        self.root_slope.value = np.sqrt(slope * hours)


class Programme:
    """A site's programme: built once for a number of devices and steps, solved again by parameters.

    Powers in kW, contents in kWh, costs in ticks. Prices that make simultaneous charging and discharging
    pay (negative ones) are outside its scope. Linear, but for a flow charge that rises with the flow.
    """

    def __init__(self, devices: int, steps: int, *, charged: bool) -> None:
        """Write the programme down."""
        shape = (devices, steps)
        self.base = cp.Parameter(steps)
        self.imported, self.exported = Flow(steps, charged=charged), Flow(steps, charged=charged)
        self.import_max, self.export_max = cp.Parameter(steps), cp.Parameter(steps)
        self.low, self.high = cp.Parameter(shape), cp.Parameter(shape)
        self.content_low, self.content_high = cp.Parameter(shape), cp.Parameter(shape)
        self.charging, self.losing = cp.Parameter(shape, nonneg=True), cp.Parameter(shape, nonneg=True)
        self.wear = cp.Parameter(shape, nonneg=True)
        self.end_value = cp.Parameter(devices)
        self.preferred = cp.Parameter(shape)
        self.comfort = cp.Parameter(shape, nonneg=True)
        taken, given = cp.Variable(shape, nonneg=True), cp.Variable(shape, nonneg=True)
        imported, exported = self.imported.power, self.exported.power
        over = cp.Variable(steps, nonneg=True)
        content = cp.Variable(shape)
        missed = cp.Variable(shape, nonneg=True)
        self.power = taken - given
        change = cp.multiply(self.charging, taken) - cp.multiply(self.losing, given)
        cost = self.imported.cost + self.exported.cost + cp.sum(cp.multiply(self.wear, given))
        cost += cp.sum(cp.multiply(self.comfort, missed))
        cost += OVERLOAD_TICKS_PER_KWH * cp.sum(over) - self.end_value @ content[:, -1]
        self.problem = cp.Problem(
            cp.Minimize(cost),
            [
                self.power >= self.low,
                self.power <= self.high,
                missed >= self.preferred - self.power,
                content[:, 0] == change[:, 0],
                content[:, 1:] == content[:, :-1] + change[:, 1:],
                content >= self.content_low,
                content <= self.content_high,
                self.base + cp.sum(self.power, axis=0) == imported - exported,
                imported <= self.import_max + over,
                exported <= self.export_max + over,
                *self.imported.bounds,
                *self.exported.bounds,
            ],
        )


@lru_cache(maxsize=16)
def programme(devices: int, steps: int, charged: bool) -> Programme:
    """Return the programme of a size, built once."""
    return Programme(devices, steps, charged=charged)


def exact_site_plan(
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
    """Plan all devices of a site at once with least cost; arguments as `plan_site`.

    Powers are rounded to whole watts, so content bounds hold to a few Wh only.

    Raises: InvalidInput when a series has another length than `base_w`; Failed when no plan keeps the
    envelopes.
    """
    devices, steps = list(envelopes), len(base_w)
    terms = terms_of(steps, buy_ticks, sell_ticks, import_max_w, export_max_w, curtailable=False)
    if not devices:
        return SitePlan({}, listed(base_w))
    model = programme(len(devices), steps, flow is not None)
    hours = devices[0].step_s / 3600.0
    storage = np.array([is_storage(each) for each in devices], dtype=np.float64)
    model.base.value = np.asarray(base_w) / KILO
    set_prices(model, terms, flow, hours)
    model.import_max.value = np.minimum(np.asarray(terms.net_max_w), UNLIMITED_KW * KILO) / KILO
    model.export_max.value = np.minimum(-np.asarray(terms.net_min_w), UNLIMITED_KW * KILO) / KILO
    model.low.value = table([each.power_min_w for each in devices])
    model.high.value = table([each.power_max_w for each in devices])
    model.content_low.value = table([each.energy_min_wh for each in devices]) - UNLIMITED_KWH * plants(
        devices
    )
    model.content_high.value = table([each.energy_max_wh for each in devices])
    every_step = np.ones((1, steps))
    model.charging.value = hours * column([each.charge_efficiency for each in devices]) * every_step
    model.losing.value = hours / column([each.discharge_efficiency for each in devices]) * every_step
    model.wear.value = hours * wear_ticks_per_kwh * column(storage) * every_step
    model.end_value.value = storage * [kept_value(terms, each.charge_efficiency) for each in devices]
    model.preferred.value = table([each.preferred_w or [0] * steps for each in devices])
    model.comfort.value = hours * column([each.comfort_ticks_per_kwh for each in devices]) * every_step
    model.problem.solve(solver=cp.CLARABEL)
    if model.problem.status not in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE):
        raise Failed(f"no plan keeps the envelopes: {model.problem.status}")
    powers = np.rint(model.power.value * KILO).astype(np.int64)
    net = np.asarray(base_w, dtype=np.int64) + powers.sum(axis=0)
    setpoints = {each.subject: row.tolist() for each, row in zip(devices, powers, strict=True)}
    return SitePlan(setpoints, net.tolist())


def plants(devices: Iterable[FlexEnvelope]) -> FloatArray:
    """Return a column that marks devices that only give, to which no content sets a bound."""
    return column([float(max(each.power_max_w) <= 0 and min(each.power_min_w) < 0) for each in devices])


def set_prices(model: Programme, terms: Terms, flow: FlowCharge | None, hours: float) -> None:
    """Set what power costs both ways; an export earns its price and is charged against the flow."""
    buy, sell = np.asarray(terms.buy, dtype=np.float64), np.asarray(terms.sell, dtype=np.float64)
    if flow is None:
        model.imported.set(buy, hours=hours)
        model.exported.set(-sell, hours=hours)
        return
    slope = flow.ticks_per_kwh_and_kw
    charge = np.array([flow.at(step, 0.0) for step in range(len(buy))])
    model.imported.set(buy, charge, slope, hours)
    model.exported.set(-sell, -charge, slope, hours)


def table(series: Sequence[Sequence[int]]) -> FloatArray:
    """Return one row a device, in thousands."""
    return np.asarray(series, dtype=np.float64) / KILO


def column(values: Iterable[float]) -> FloatArray:
    """Return one value a device as a column."""
    return np.asarray(list(values), dtype=np.float64).reshape(-1, 1)
