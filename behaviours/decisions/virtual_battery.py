"""A heated building as a battery: how much electricity its comfort band holds (SPEC 4.8)."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from behaviours.decisions.heat_pump import cop_at
from behaviours.decisions.series import FloatArray
from ontology.storage import StorageModel, ThermalModel

__all__ = ["VirtualBattery", "held_power_w", "storage_of", "virtual_battery"]

SECONDS_AN_HOUR = 3600.0


class VirtualBattery(NamedTuple):
    """What a building holds, in electrical Wh, around the power in W that keeps it in its middle.

    `half_wh` is counted with the best COP ahead: so much is there at any time. `holding_w` is negative where
    sun and people alone are too much.
    """

    middle_degc: float
    half_wh: float
    wh_per_k: float
    holding_w: FloatArray
    leaking: float
    """Share of a deviation that is lost in an hour."""


def virtual_battery(
    model: ThermalModel, outdoor_degc: npt.ArrayLike, ghi_w_per_m2: npt.ArrayLike
) -> VirtualBattery:
    """Return a building as a battery over some steps.

    Args:
        model: the building, as known or identified.
        outdoor_degc: outdoor temperature of each step.
        ghi_w_per_m2: global horizontal irradiance of each step.

    Source: generalised battery model, x' = -a x + u with a = 1 / (R C), |x| <= C half-band / COP.
    """
    outdoor = np.asarray(outdoor_degc, dtype=np.float64)
    cop = cop_at(model, outdoor)
    middle_degc = (model.temperature_min_degc + model.temperature_max_degc) / 2
    half_k = (model.temperature_max_degc - model.temperature_min_degc) / 2
    gains_w = model.internal_gain_w + model.solar_aperture_m2 * np.asarray(ghi_w_per_m2, dtype=np.float64)
    heat_wh_per_k = model.capacity_j_per_k / SECONDS_AN_HOUR
    return VirtualBattery(
        middle_degc,
        float(heat_wh_per_k * half_k / cop.max()),
        float(heat_wh_per_k / cop.mean()),
        ((middle_degc - outdoor) / model.resistance_k_per_w - gains_w) / cop,
        SECONDS_AN_HOUR / (model.resistance_k_per_w * model.capacity_j_per_k),
    )


def storage_of(model: ThermalModel, battery: VirtualBattery, power_max_w: int) -> StorageModel:
    """Return a virtual battery as the storage that it is to S2's fill-rate control (FRBC.SystemDescription).

    Charging is drawing more than what holds the middle, discharging is drawing less; it leaks as the
    building does when half of the band is filled above the middle.
    """
    holding_w = float(np.clip(battery.holding_w, 0.0, power_max_w).mean())
    capacity_wh = max(0, round(2 * battery.half_wh))
    return StorageModel(
        asset_id=model.asset_id,
        capacity_wh=capacity_wh,
        fill_min_wh=0,
        fill_max_wh=capacity_wh,
        charge_max_w=round(power_max_w - holding_w),
        discharge_max_w=round(holding_w),
        charge_efficiency=1.0,
        discharge_efficiency=1.0,
        leakage_w=round(battery.leaking * battery.half_wh / 2),
    )


def held_power_w(
    model: ThermalModel,
    target_degc: float,
    start_degc: float,
    outdoor_degc: FloatArray,
    ghi_w_per_m2: FloatArray,
    power_max_w: int,
    step_s: int,
) -> list[int]:
    """Return what a heater draws, step by step in W, that brings a space to a temperature and holds it.

    Args:
        model: the building or tank.
        target_degc: what its people want.
        start_degc: what it has.
        outdoor_degc: temperature around it in each step.
        ghi_w_per_m2: irradiance in each step.
        power_max_w: electric limit of the heater.
        step_s: length of a step in seconds.
    """
    gains_w = model.internal_gain_w + model.solar_aperture_m2 * ghi_w_per_m2
    cop = cop_at(model, outdoor_degc)
    powers, now_degc = [], start_degc
    for outdoor, gain_w, factor in zip(outdoor_degc, gains_w, cop, strict=True):
        loss_w = (now_degc - outdoor) / model.resistance_k_per_w - gain_w
        wanted_w = loss_w + (target_degc - now_degc) * model.capacity_j_per_k / step_s
        power_w = float(np.clip(wanted_w / factor, 0.0, power_max_w))
        now_degc += (power_w * factor - loss_w) * step_s / model.capacity_j_per_k
        powers.append(round(power_w))
    return powers
