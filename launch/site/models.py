"""What managers need to know of a site's assets, from what the installer wrote in the site file."""

from math import ceil

from behaviours.decisions.photovoltaics import PvArray
from launch.site.schema import (
    ChargePointDevice,
    HeatPumpDevice,
    HotWaterDevice,
    PvDevice,
    SiteLocation,
    StorageDevice,
)
from ontology.storage import StorageModel, ThermalModel

__all__ = ["array_of", "battery_model", "building_model", "car_model", "least_w", "tank_model"]

WATER_J_PER_L_K = 4186.0
J_PER_KWH = 3.6e6
CARNOT_SHARE, SUPPLY_DEGC, COP_RANGE = 0.42, 37.0, (1.8, 5.5)
"""A usual air-to-water heat pump (EN 14511): until the manager has learnt the real one."""
OUTDOOR_DEGC = tuple(float(each) for each in range(-20, 31, 2))


def array_of(plant: PvDevice, at: SiteLocation) -> PvArray:
    """Return a plant's panels under the sun."""
    return PvArray(
        peak_w=round(plant.kwp * 1000),
        tilt_deg=plant.tilt_deg,
        azimuth_deg=plant.azimuth_deg,
        latitude_deg=at.latitude,
        longitude_deg=at.longitude,
    )


def battery_model(battery: StorageDevice, asset_id: str) -> StorageModel:
    """Return a battery's capacity, powers and efficiencies."""
    capacity_wh = round(battery.capacity_kwh * 1000)
    power_w = round((battery.power_kw or battery.capacity_kwh / 2) * 1000)
    one_way = battery.efficiency**0.5
    return StorageModel(
        asset_id=asset_id,
        capacity_wh=capacity_wh,
        fill_min_wh=ceil(capacity_wh * battery.minimum_state_of_charge),
        fill_max_wh=capacity_wh,
        charge_max_w=power_w,
        discharge_max_w=power_w,
        charge_efficiency=one_way,
        discharge_efficiency=one_way,
        leakage_w=0,
    )


def car_model(car: ChargePointDevice, asset_id: str) -> StorageModel:
    """Return a car's battery and charge point; discharging only where the car allows it."""
    capacity_wh, power_w = round(car.capacity_kwh * 1000), round(car.charger_kw * 1000)
    return StorageModel(
        asset_id=asset_id,
        capacity_wh=capacity_wh,
        fill_min_wh=ceil(capacity_wh * car.minimum_state_of_charge),
        fill_max_wh=capacity_wh,
        charge_max_w=power_w,
        discharge_max_w=power_w if car.v2g else 0,
        charge_efficiency=car.efficiency,
        discharge_efficiency=car.efficiency,
        leakage_w=0,
    )


def building_model(heating: HeatPumpDevice, asset_id: str) -> ThermalModel:
    """Return a house as one resistance and one capacity, with a usual heat pump's COP by the weather."""
    points = [_cop(each) for each in OUTDOOR_DEGC]
    return ThermalModel(
        asset_id=asset_id,
        resistance_k_per_w=1 / heating.heat_loss_w_per_k,
        capacity_j_per_k=heating.capacity_kwh_per_k * J_PER_KWH,
        cop=_cop(7.0),
        temperature_min_degc=heating.set_degc - heating.comfort_k,
        temperature_max_degc=heating.set_degc + heating.comfort_k,
        cop_outdoor_degc=list(OUTDOOR_DEGC),
        cop_points=points,
        solar_aperture_m2=heating.solar_aperture_m2,
        internal_gain_w=heating.internal_gain_w,
    )


def tank_model(tank: HotWaterDevice, asset_id: str) -> ThermalModel:
    """Return a tank as one resistance and one capacity."""
    return ThermalModel(
        asset_id=asset_id,
        resistance_k_per_w=1 / max(tank.loss_w_per_k, 1e-3),
        capacity_j_per_k=tank.volume_l * WATER_J_PER_L_K,
        cop=tank.cop,
        temperature_min_degc=tank.minimum_degc,
        temperature_max_degc=tank.maximum_degc,
    )


def least_w(heating: HeatPumpDevice) -> int:
    """Return the least power that a compressor runs at; 0 where any is possible."""
    return ceil(heating.power_kw * 1000 * heating.minimum_share)


def _cop(outdoor_degc: float) -> float:
    """Return a share of Carnot's coefficient at an outdoor temperature."""
    lift_k = max(SUPPLY_DEGC - outdoor_degc, 5.0)
    low, high = COP_RANGE
    return min(high, max(low, CARNOT_SHARE * (SUPPLY_DEGC + 273.15) / lift_k))
