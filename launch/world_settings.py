"""What a scenario means to the simulated world: kW become W, heat losses become resistances."""

from behaviours.decisions.dstatcom import Priority
from behaviours.decisions.grid import Thresholds
from behaviours.grid.dso_settings import Metering
from environments.simulation.world.settings import (
    BatterySettings,
    CompensatorSettings,
    EvSettings,
    FeederSettings,
    HeatPumpSettings,
    HotWaterSettings,
    LightingSettings,
    MonitoringSettings,
    PvSettings,
    SiteSettings,
    WorldSettings,
)
from launch.network_rules import local_s
from launch.population import all_sites
from launch.rules import span_s
from launch.schema import Battery, Dstatcom, Ev, HeatPump, HotWater, Lighting, Monitoring, Scenario, Site
from ontology.assets import Phases
from ontology.network_events import EventKind, NetworkEvent

__all__ = ["metering_of", "network_events", "sells_frequency", "thresholds", "world_settings"]

JOULES_PER_KWH = 3.6e6
FREQUENCY_EVENTS = 12
"""Disturbances a day where frequency reserves are sold: more than there are, so that a day shows some."""


def world_settings(scenario: Scenario) -> WorldSettings:
    """Return the settings of the world that a scenario describes, its population drawn."""
    location, grid = scenario.location, scenario.grid
    return WorldSettings(
        start_s=span_s(scenario)[0],
        step_s=scenario.step_s,
        frequency_events_a_day=FREQUENCY_EVENTS if sells_frequency(scenario) else 0,
        seed=scenario.seed,
        weather_year=scenario.weather.reference_year,
        latitude=None if location is None else location.latitude,
        longitude=None if location is None else location.longitude,
        feeder=FeederSettings(
            network=grid.network,
            sites_max=grid.sites_per_feeder,
            transformer_va=0 if grid.transformer_kva is None else _watts(grid.transformer_kva),
            source_pu=grid.source_pu,
            joint_spacing_m=grid.joint_spacing_m,
            four_wires=grid.four_wires,
            compensators=None if grid.dstatcoms is None else tuple(map(_compensator, grid.dstatcoms)),
            events=network_events(scenario),
        ),
        monitoring=None if grid.monitoring is None else _monitoring(grid.monitoring),
        sites=tuple(_site(site, scenario.zone) for site in all_sites(scenario)),
    )


def _monitoring(monitoring: Monitoring) -> MonitoringSettings:
    return MonitoringSettings(
        transformer=monitoring.transformer,
        share_of_sites=monitoring.share_of_sites,
        voltage_error=monitoring.voltage_error,
        power_error=monitoring.power_error,
        missing=monitoring.missing,
        period_s=monitoring.period_s,
    )


def _compensator(unit: Dstatcom) -> CompensatorSettings:
    return CompensatorSettings(
        segment_id=unit.segment,
        rated_va=_watts(unit.kva),
        neutral_a=unit.neutral_a,
        priority=Priority(unit.priority),
        site=unit.site,
    )


def network_events(scenario: Scenario) -> tuple[NetworkEvent, ...]:
    """Return what happens to the networks, at UTC times."""
    return tuple(
        NetworkEvent(
            event_id=f"event-{number:03d}",
            time_s=local_s(each.at, scenario.zone),
            segment_id=each.segment,
            kind=EventKind(each.kind),
            share=each.share,
            site=each.site,
            fed_from=each.fed_from,
            tie_m=each.tie_m,
        )
        for number, each in enumerate(scenario.grid.events, 1)
    )


def sells_frequency(scenario: Scenario) -> bool:
    """Tell whether frequency reserves are sold outside the community."""
    return any(name.startswith("fcr") for name in scenario.external_markets.products)


def metering_of(scenario: Scenario) -> Metering | None:
    """Return how well the DSO measures, as it knows from the class of its meters."""
    monitoring = scenario.grid.monitoring
    if monitoring is None:
        return None
    return Metering(
        voltage_error=monitoring.voltage_error,
        power_error=monitoring.power_error,
        period_s=monitoring.period_s,
        zone=scenario.zone,
    )


def thresholds(scenario: Scenario) -> Thresholds:
    """Return the traffic light's thresholds; a scenario gives voltages as deviations from nominal."""
    given = scenario.grid.thresholds
    return Thresholds(
        loading_yellow=given.loading_yellow,
        loading_red=given.loading_red,
        low_yellow_pu=1 - given.voltage_yellow_pu,
        low_red_pu=1 - given.voltage_red_pu,
        high_yellow_pu=1 + given.voltage_yellow_pu,
        high_red_pu=1 + given.voltage_red_pu,
        unbalance_yellow=given.unbalance_yellow,
        unbalance_red=given.unbalance_red,
        ratio_margin=given.ratio_margin,
        voltage_margin_pu=given.voltage_margin_pu,
        calm_intervals=given.calm_intervals,
        red_after_s=given.red_after_s,
    )


def _site(site: Site, zone: str) -> SiteSettings:
    return SiteSettings(
        id=site.id,
        annual_kwh=site.annual_kwh,
        profile=site.profile,
        zone=zone,
        csv=site.load_csv,
        csv_zone=zone if site.load_csv else None,
        phases=Phases(site.phase) if site.phase else None,
        node=site.node,
        pv=PvSettings(kwp=site.pv.kwp, tilt_deg=site.pv.tilt_deg, azimuth_deg=site.pv.azimuth_deg)
        if site.pv
        else None,
        battery=_battery(site.battery) if site.battery else None,
        ev=_ev(site.ev) if site.ev else None,
        heat_pump=_heat_pump(site.heat_pump) if site.heat_pump else None,
        hot_water=_hot_water(site.hot_water) if site.hot_water else None,
        lighting=_lighting(site.lighting) if site.lighting else None,
    )


def _battery(battery: Battery) -> BatterySettings:
    power_kw = battery.capacity_kwh / 2 if battery.power_kw is None else battery.power_kw
    return BatterySettings(
        capacity_wh=_watts(battery.capacity_kwh),
        power_w=_watts(power_kw),
        efficiency=battery.efficiency,
        minimum_state_of_charge=battery.minimum_state_of_charge,
        initial_state_of_charge=battery.initial_state_of_charge,
    )


def _ev(ev: Ev) -> EvSettings:
    return EvSettings(
        capacity_wh=_watts(ev.capacity_kwh),
        charger_w=_watts(ev.charger_kw),
        v2g=ev.v2g,
        efficiency=ev.efficiency,
        departure_hour=ev.departure_hour,
        arrival_hour=ev.arrival_hour,
        trip_wh=_watts(ev.trip_kwh),
        target_state_of_charge=ev.target_state_of_charge,
        minimum_state_of_charge=ev.minimum_state_of_charge,
    )


def _heat_pump(heat_pump: HeatPump) -> HeatPumpSettings:
    return HeatPumpSettings(
        power_w=_watts(heat_pump.power_kw),
        resistance_k_per_w=1 / heat_pump.heat_loss_w_per_k,
        capacity_j_per_k=heat_pump.capacity_kwh_per_k * JOULES_PER_KWH,
        set_degc=heat_pump.set_degc,
        comfort_k=heat_pump.comfort_k,
        solar_aperture_m2=heat_pump.solar_aperture_m2,
        internal_gain_w=heat_pump.internal_gain_w,
        minimum_share=heat_pump.minimum_share,
        sensor_noise_k=heat_pump.sensor_noise_k,
        overrides_a_week=heat_pump.overrides_a_week,
    )


def _hot_water(hot_water: HotWater) -> HotWaterSettings:
    return HotWaterSettings(
        power_w=_watts(hot_water.power_kw),
        cop=hot_water.cop,
        volume_l=hot_water.volume_l,
        loss_w_per_k=hot_water.loss_w_per_k,
        draw_l=hot_water.daily_l,
        minimum_degc=hot_water.minimum_degc,
        maximum_degc=hot_water.maximum_degc,
    )


def _lighting(lighting: Lighting) -> LightingSettings:
    return LightingSettings(
        power_w=_watts(lighting.power_kw),
        minimum_share=lighting.minimum_share,
        from_hour=lighting.from_hour,
        to_hour=lighting.to_hour,
    )


def _watts(kilo: float) -> int:
    """Return kW, kWh or kVA as whole W, Wh or VA, at least one."""
    return max(1, round(kilo * 1000)) if kilo else 0
