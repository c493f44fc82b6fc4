"""What each device could do in the steps ahead: bounds of power and of cumulated content.

The content of a device is what it has taken since the start of the envelope, charging and discharging
losses included: the sum of `charge_efficiency · power` while it consumes and of `power /
discharge_efficiency` while it gives. Energy bounds hold at the end of each step. Whatever keeps the
bounds up to a step can keep them in all later steps, unless the device cannot keep them at all: then
the lower bound is what full power reaches.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from behaviours.decisions.series import FloatArray, aligned
from behaviours.decisions.virtual_battery import virtual_battery
from ontology.base import INTERVAL_S, INTERVALS_A_DAY
from ontology.charging import EvSocUpdate, EvUserInput
from ontology.flexibility import FlexEnvelope
from ontology.storage import StorageModel, StorageStatus, ThermalModel, ThermalStatus
from ontology.weather import WeatherForecast

__all__ = [
    "LEGIONELLA_DEGC",
    "advanced",
    "battery_envelope",
    "building_envelope",
    "photovoltaic_envelope",
    "pinned",
    "tank_envelope",
    "vehicle_envelope",
]

LEGIONELLA_DEGC = 60.0
"""Temperature that a hot-water tank reaches once a week (SPEC 4.8)."""
SECONDS_AN_HOUR = 3600.0
SLACK_WH = 1e-6


def battery_envelope(
    model: StorageModel,
    status: StorageStatus,
    start_s: int,
    *,
    reserve_wh: int = 0,
    steps: int = INTERVALS_A_DAY,
    step_s: int = INTERVAL_S,
) -> FlexEnvelope:
    """Return how a battery may run; a reserve above its lowest fill stays untouched.

    Args:
        model: capacity and limits of the battery.
        status: how full it is; its state of health scales the capacity.
        start_s: start of the first step in epoch seconds.
        reserve_wh: energy kept for other duties, such as frequency reserve or peak shaving.
        steps: number of steps.
        step_s: length of a step in seconds.
    """
    capacity_wh = model.capacity_wh * status.state_of_health
    stored_wh = status.state_of_charge * capacity_wh
    leaked_wh = model.leakage_w * hours(steps, step_s)
    low = model.fill_min_wh + reserve_wh - stored_wh + leaked_wh
    high = min(model.fill_max_wh, capacity_wh) - stored_wh + leaked_wh
    return bounded(
        model.asset_id,
        start_s,
        step_s,
        np.full(steps, -float(model.discharge_max_w)),
        np.full(steps, float(model.charge_max_w)),
        low,
        high,
        efficiencies=(model.charge_efficiency, model.discharge_efficiency),
        stored_wh=round(stored_wh),
    )


def vehicle_envelope(
    asset_id: str,
    wish: EvUserInput,
    progress: EvSocUpdate,
    power_max_w: int,
    start_s: int,
    *,
    capacity_wh: int = 0,
    efficiencies: tuple[float, float] = (1.0, 1.0),
    first: EvSocUpdate | None = None,
    steps: int = INTERVALS_A_DAY,
    step_s: int = INTERVAL_S,
) -> FlexEnvelope:
    """Return how a plugged-in vehicle may charge so that it leaves with the energy requested.

    The lower energy bound charges as late as possible, the upper as soon as possible. A vehicle may give
    energy back when its driver allows it and its capacity is known, never below the driver's minimum.

    Args:
        asset_id: the charger.
        wish: energy requested, departure, and what the driver allows.
        progress: energy delivered so far and state of charge.
        power_max_w: limit of charger and vehicle.
        start_s: start of the first step in epoch seconds.
        capacity_wh: capacity of the vehicle's battery, 0 when unknown.
        efficiencies: of charging and discharging: energies are asked for, and delivered, at the charger.
        first: the session's first reading, by which what was given back is regained with its losses.
        steps: number of steps.
        step_s: length of a step in seconds.

    Source: SPEC 4.5.
    """
    present = max(0, min(steps, (wish.departure_s - start_s) // step_s))
    if present == 0 and wish.departure_s > start_s:
        present = 1
    gives_back = wish.v2g_allowed and capacity_wh > 0
    remaining_wh = (wish.requested_energy_wh - progress.energy_delivered_wh) * efficiencies[0]
    if gives_back and first is not None:
        lost_wh = (first.state_of_charge - progress.state_of_charge) * capacity_wh
        remaining_wh = lost_wh + (wish.requested_energy_wh - first.energy_delivered_wh) * efficiencies[0]
    remaining_wh = max(0.0, remaining_wh)
    power_max = np.zeros(steps)
    power_max[:present] = power_max_w
    power_min = -power_max if gives_back else np.zeros(steps)
    spare_wh = (progress.state_of_charge - wish.minimum_state_of_charge) * capacity_wh if gives_back else 0.0
    low = np.full(steps, -max(0.0, spare_wh))
    if present > 0 and wish.departure_s <= start_s + steps * step_s:
        low[present - 1 :] = remaining_wh
    return bounded(
        asset_id,
        start_s,
        step_s,
        power_min,
        power_max,
        low,
        np.full(steps, remaining_wh),
        efficiencies=efficiencies,
        stored_wh=round(progress.state_of_charge * capacity_wh),
    )


def building_envelope(
    model: ThermalModel,
    status: ThermalStatus,
    weather: WeatherForecast,
    power_max_w: int,
    start_s: int,
    *,
    steps: int = INTERVALS_A_DAY,
    step_s: int = INTERVAL_S,
) -> FlexEnvelope:
    """Return how a heat pump may run while its building stays within the comfort band.

    The building is a virtual battery around the power that holds the middle of the band, with what sun and
    people give and the COP that each step's outdoor temperature brings; at the end of the horizon it is back
    in the middle. Its content is its fill level above the coldest that is comfortable.

    Args:
        model: resistance, capacity, COP, gains and comfort band of the building.
        status: indoor temperature now.
        weather: outdoor temperatures and irradiance; their ends are prolonged.
        power_max_w: electric limit of the heat pump.
        start_s: start of the first step in epoch seconds.
        steps: number of steps.
        step_s: length of a step in seconds.

    Source: SPEC 4.8 (generalised battery model: Hao, Sanandaji, Poolla, Vincent).
    """
    battery = virtual_battery(
        model,
        aligned(weather.outdoor_degc, weather.start_s, start_s, steps, step_s),
        aligned(weather.ghi_w_per_m2, weather.start_s, start_s, steps, step_s),
    )
    baseline = np.minimum(np.maximum(battery.holding_w, 0.0), power_max_w)
    left = fading(model.resistance_k_per_w * model.capacity_j_per_k, steps, step_s)
    above_k = status.temperature_degc - battery.middle_degc
    need = cumulated(baseline, step_s) - battery.wh_per_k * above_k * left
    low = need - battery.half_wh
    low[-1] = need[-1]
    return bounded(
        model.asset_id,
        start_s,
        step_s,
        np.zeros(steps),
        np.full(steps, float(power_max_w)),
        low,
        need + battery.half_wh,
        preferred=baseline,
        stored_wh=round(battery.half_wh + battery.wh_per_k * above_k),
    )


def tank_envelope(
    model: ThermalModel,
    status: ThermalStatus,
    draw_w: npt.ArrayLike,
    power_max_w: int,
    start_s: int,
    *,
    legionella_due_s: int | None = None,
    steps: int = INTERVALS_A_DAY,
    step_s: int = INTERVAL_S,
) -> FlexEnvelope:
    """Return how a hot-water heater may run while its tank stays warm enough for what is drawn.

    At the end of the horizon the tank is in the middle of its band; at the legionella time it has 60 °C.

    Args:
        model: loss resistance, capacity, COP (or efficiency) and band of the tank.
        status: temperature of the tank, and of its surroundings as outdoor temperature.
        draw_w: heat drawn in each step, in W, or one value for all.
        power_max_w: electric limit of the heater.
        start_s: start of the first step in epoch seconds.
        legionella_due_s: when the tank must have had 60 °C, in epoch seconds; past means at once.
        steps: number of steps.
        step_s: length of a step in seconds.

    Source: SPEC 4.8 (one-node tank, legionella).
    """
    middle_degc = (model.temperature_min_degc + model.temperature_max_degc) / 2
    wh_per_k = model.capacity_j_per_k / model.cop / SECONDS_AN_HOUR
    loss_w = max(0.0, middle_degc - status.outdoor_degc) / model.resistance_k_per_w
    baseline = (np.broadcast_to(np.asarray(draw_w, dtype=np.float64), steps) + loss_w) / model.cop
    need = cumulated(baseline, step_s) - wh_per_k * status.temperature_degc
    low = need + wh_per_k * model.temperature_min_degc
    low[-1] = need[-1] + wh_per_k * middle_degc
    high = need + wh_per_k * model.temperature_max_degc
    if legionella_due_s is not None:
        due = max(0, (legionella_due_s - start_s) // step_s - 1)
        if due < steps:
            low[due] = max(low[due], need[due] + wh_per_k * LEGIONELLA_DEGC)
            np.maximum(high, need + wh_per_k * LEGIONELLA_DEGC, out=high)
    return bounded(
        model.asset_id,
        start_s,
        step_s,
        np.zeros(steps),
        np.full(steps, float(power_max_w)),
        low,
        high,
        preferred=np.minimum(baseline, power_max_w),
    )


def photovoltaic_envelope(
    subject: str,
    power_w: Sequence[int],
    start_s: int,
    *,
    curtailable: bool = True,
    step_s: int = INTERVAL_S,
) -> FlexEnvelope:
    """Return how a photovoltaic plant may run: from its forecast power (negative) up to nothing.

    Args:
        subject: the plant.
        power_w: forecast power, negative while it produces.
        start_s: start of the first step in epoch seconds.
        curtailable: whether less than the forecast can be ordered.
        step_s: length of a step in seconds.
    """
    produced = np.minimum(np.asarray(power_w, dtype=np.float64), 0.0)
    most = np.zeros(produced.size) if curtailable else produced
    energy = cumulated(produced, step_s)
    return bounded(
        subject, start_s, step_s, produced, most, energy, cumulated(most, step_s), preferred=produced
    )


def advanced(envelope: FlexEnvelope, powers_w: Sequence[int]) -> FlexEnvelope:
    """Return an envelope some steps later, after its device has run at the powers of those steps.

    The horizon keeps its length: the last step's bounds hold on.

    Args:
        envelope: what the device could do.
        powers_w: what it did in the first steps, in W.
    """
    steps = len(powers_w)
    if steps == 0:
        return envelope
    hours_a_step = envelope.step_s / SECONDS_AN_HOUR
    charged_w = sum(w for w in powers_w if w > 0) * envelope.charge_efficiency
    given_w = sum(w for w in powers_w if w < 0) / envelope.discharge_efficiency
    moved_wh = round((charged_w + given_w) * hours_a_step)

    def later(values: Sequence[int], less: int = 0) -> list[int]:
        kept = [value - less for value in values[steps:]] or [values[-1] - less]
        return kept + kept[-1:] * (len(values) - len(kept))

    return FlexEnvelope(
        subject=envelope.subject,
        start_s=envelope.start_s + steps * envelope.step_s,
        step_s=envelope.step_s,
        power_min_w=later(envelope.power_min_w),
        power_max_w=later(envelope.power_max_w),
        energy_min_wh=later(envelope.energy_min_wh, moved_wh),
        energy_max_wh=later(envelope.energy_max_wh, moved_wh),
        preferred_w=later(envelope.preferred_w) if envelope.preferred_w else [],
        charge_efficiency=envelope.charge_efficiency,
        discharge_efficiency=envelope.discharge_efficiency,
        stored_wh=max(0, envelope.stored_wh + moved_wh),
        comfort_ticks_per_kwh=envelope.comfort_ticks_per_kwh,
    )


def pinned(envelope: FlexEnvelope, powers_w: Mapping[int, int]) -> FlexEnvelope:
    """Return an envelope that leaves no choice in some steps, as far as the device can keep to it.

    Args:
        envelope: what the device could do.
        powers_w: the power of a step by its start in epoch seconds; those outside the horizon are ignored.
    """
    steps = {
        (start_s - envelope.start_s) // envelope.step_s: power_w
        for start_s, power_w in powers_w.items()
        if 0 <= start_s - envelope.start_s < envelope.step_s * len(envelope.power_min_w)
    }
    if not steps:
        return envelope
    low = np.asarray(envelope.power_min_w, dtype=np.float64)
    high = np.asarray(envelope.power_max_w, dtype=np.float64)
    for step, power_w in steps.items():
        low[step] = high[step] = min(max(power_w, low[step]), high[step])
    return bounded(
        envelope.subject,
        envelope.start_s,
        envelope.step_s,
        low,
        high,
        np.asarray(envelope.energy_min_wh, dtype=np.float64),
        np.asarray(envelope.energy_max_wh, dtype=np.float64),
        efficiencies=(envelope.charge_efficiency, envelope.discharge_efficiency),
        stored_wh=envelope.stored_wh,
        preferred=np.asarray(envelope.preferred_w, dtype=np.float64) if envelope.preferred_w else None,
        comfort_ticks_per_kwh=envelope.comfort_ticks_per_kwh,
    )


def bounded(
    subject: str,
    start_s: int,
    step_s: int,
    power_min: FloatArray,
    power_max: FloatArray,
    low: FloatArray,
    high: FloatArray,
    *,
    efficiencies: tuple[float, float] = (1.0, 1.0),
    stored_wh: int = 0,
    preferred: FloatArray | None = None,
    comfort_ticks_per_kwh: int = 0,
) -> FlexEnvelope:
    """Return an envelope whose content bounds (Wh) are tightened to what power can reach and keep."""
    most = cumulated(through(power_max, efficiencies), step_s)
    least = cumulated(through(power_min, efficiencies), step_s)
    floor = np.minimum(most + from_the_end(np.maximum, low - most), most)
    ceiling = np.maximum(least + from_the_end(np.minimum, high - least), least)
    floor = np.maximum(floor, least)
    ceiling = np.maximum(np.minimum(ceiling, most), floor)
    return FlexEnvelope(
        subject=subject,
        start_s=start_s,
        step_s=step_s,
        power_min_w=whole(np.ceil(power_min)),
        power_max_w=whole(np.floor(power_max)),
        energy_min_wh=whole(np.floor(floor + SLACK_WH)),
        energy_max_wh=whole(np.ceil(ceiling - SLACK_WH)),
        preferred_w=[] if preferred is None else whole(np.rint(preferred)),
        charge_efficiency=efficiencies[0],
        discharge_efficiency=efficiencies[1],
        stored_wh=max(0, stored_wh),
        comfort_ticks_per_kwh=comfort_ticks_per_kwh,
    )


def through(power: FloatArray, efficiencies: tuple[float, float]) -> FloatArray:
    """Return the change of content per hour that a power brings about."""
    if efficiencies == (1.0, 1.0):
        return power
    return np.maximum(power, 0.0) * efficiencies[0] + np.minimum(power, 0.0) / efficiencies[1]


def cumulated(power: FloatArray, step_s: int) -> FloatArray:
    """Return the energy in Wh at the end of each step."""
    energy: FloatArray = power.cumsum()
    energy *= step_s / SECONDS_AN_HOUR
    return energy


def from_the_end(extreme: np.ufunc, values: FloatArray) -> FloatArray:
    """Return the running extreme of what is still to come."""
    sofar: FloatArray = extreme.accumulate(values[::-1])
    return sofar[::-1]


def whole(values: FloatArray) -> list[int]:
    """Return integers as Python's own."""
    integers: list[int] = values.astype(np.int64).tolist()
    return integers


@lru_cache(maxsize=64)
def hours(steps: int, step_s: int) -> FloatArray:
    """Return the hours from the start to the end of each step."""
    return frozen(np.arange(1, steps + 1, dtype=np.float64) * (step_s / SECONDS_AN_HOUR))


@lru_cache(maxsize=4096)
def fading(time_constant_s: float, steps: int, step_s: int) -> FloatArray:
    """Return what is left of an initial deviation at the end of each step."""
    return frozen(np.exp(-hours(steps, step_s) * SECONDS_AN_HOUR / time_constant_s))


def frozen(values: FloatArray) -> FloatArray:
    """Make a cached array unchangeable."""
    values.flags.writeable = False
    return values
