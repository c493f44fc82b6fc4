"""Who is at a site: prosumer, oracle, blockchain agent, gateway and a manager for each asset."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from agents.battery_manager import BatteryManager
from agents.blockchain_agent import ProsumerBlockchainAgent
from agents.ev_manager import EvManager
from agents.gateway import Gateway
from agents.heat_manager import HeatManager
from agents.oracle import ProsumerOracle
from agents.prosumer import Prosumer
from agents.pv_manager import PvManager
from behaviours.agent import Agent
from behaviours.decisions.photovoltaics import PvArray
from behaviours.decisions.site_planners import PlanSolver
from behaviours.information.delivery import OracleSettings
from behaviours.market.blockchain_settings import BlockchainSettings
from behaviours.site.battery_settings import BatterySettings
from behaviours.site.contacts import SiteContacts
from behaviours.site.ev_management import EvSettings
from behaviours.site.heat_settings import HeatSettings, LightingSettings
from behaviours.site.metering import GatewaySettings
from behaviours.site.prosumer_settings import ProsumerSettings
from behaviours.site.pv_management import PvSettings
from behaviours.vpp.initiation import FLEXIBILITY
from environments.simulation.world import LightingSettings as WorldLighting
from environments.simulation.world import SiteSettings, World
from environments.simulation.world.devices import SiteDevice
from environments.simulation.world.feeder import is_single_phase
from environments.simulation.world.hot_water import COLD_DEGC, DRAW_HOURS, USE_DEGC, WATER_J_PER_L_K
from environments.simulation.world.households import profile_day
from launch.agreements import metrics_of
from launch.own_assets import controlled_by_dso, of_dso
from launch.parts import AddressBook, Part, attesting_sites, attestor_addresses, payer_of, real_time_step_s
from launch.products import products_of
from launch.pseudonyms import Pseudonyms
from launch.scenario import Scenario
from launch.schema import Battery
from launch.world_settings import sells_frequency
from ontology.base import INTERVAL_S, INTERVALS_A_DAY, TICKS_PER_CURRENCY
from ontology.storage import StorageModel, ThermalModel

__all__ = ["site_parts"]

FLEXIBLE = ("bess", "ev", "heat_pump", "dhw", "lighting")
"""Devices that can deviate from their plan."""
FUSE_A, PHASE_V = 63, 230
"""What a household's connection is fused with, on each of its phases."""


def site_parts(
    scenario: Scenario, world: World, site: SiteSettings, at: AddressBook, names: Pseudonyms
) -> Iterator[Part]:
    """Cast the agents of a site: prosumer, oracle, blockchain agent, gateway and a manager for each asset."""
    devices = {
        device.name: device for device in world.devices(site.id) if scenario.control or device.name == "meter"
    }
    # who manages the site's assets does not know those that only the DSO steers
    kept = {name: each for name, each in devices.items() if each.asset_id not in of_dso(scenario, site.id)}
    battery = battery_of(scenario, site.id) if "bess" in kept else None
    shaves = battery is not None and battery.mode == "peak-shaving"
    meters = (
        (world.import_meter(site.id, of_feeder=battery.shaves == "feeder"),) if battery and shaves else ()
    )
    contacts = _contacts(site.id, kept, at)
    segment_id, players = world.feeder_of(site.id).segment_id, names.players(site.id)

    def part(agent: type[Agent], name: str, settings: Any, **ports: Any) -> Part:
        return Part(agent, at[f"{site.id}-{name}"], settings, site.id, ports)

    yield part(
        Gateway,
        "gateway",
        GatewaySettings(
            site=site.id,
            contacts=contacts,
            import_max_w=connection_w(scenario, site),
            export_max_w=connection_w(scenario, site),
            real_time_s=world.settings.step_s if world.settings.step_s < 900 else 0,
            reports=metrics_of(scenario, site.id),
            controlled_by_dso=controlled_by_dso(scenario, site.id),
            of_dso=of_dso(scenario, site.id),
        ),
        devices=(*devices.values(), *meters),
    )
    for manager in _managers(scenario, world, site, kept, contacts):
        every = msgspec.structs.replace(manager.settings, planning_intervals=scenario.planning.intervals)
        yield replace(manager, settings=every)
    yield part(
        Prosumer,
        "prosumer",
        ProsumerSettings(
            site=site.id,
            segment_id=segment_id,
            contacts=contacts,
            import_max_w=connection_w(scenario, site),
            export_max_w=connection_w(scenario, site),
            planning_intervals=scenario.planning.intervals,
            solver=PlanSolver(scenario.planning.solver),
            real_time_s=real_time_step_s(world),
            usual_load_w=usual_load_w(site, world.settings.start_s),
            directory=at["market"],
            offers=(FLEXIBILITY,) if any(name in FLEXIBLE for name in kept) else (),
            products=products_of(scenario, site.id),
            partners=next((each.prefers for each in scenario.sites if each.id == site.id), ()),
            payer=payer_of(scenario, at, players, attesting_sites(world)),
            heeds_consent=bool(scenario.registry.folder),
            reports=metrics_of(scenario, site.id),
            wear_ticks_per_kwh=round((battery or Battery(capacity_kwh=1)).wear * TICKS_PER_CURRENCY),
            led_by={f"{site.id}-bess": contacts.bess} if shaves else {},
        ),
    )
    yield part(
        ProsumerOracle,
        "oracle",
        OracleSettings(
            subject=site.id,
            contacts=contacts,
            pseudonym_keys=names.keys.of(site.id),
            subject_key=names.subject_keys[site.id],
            has_agreements=bool(scenario.agreements),
        ),
    )
    yield part(
        ProsumerBlockchainAgent,
        "blockchain",
        BlockchainSettings(
            contacts=contacts,
            segment_id=segment_id,
            players=players,
            attestors=attestor_addresses(scenario, at, attesting_sites(world)),
            has_register=scenario.ledger.register != "none",
        ),
        register=...,
    )


def _managers(
    scenario: Scenario,
    world: World,
    site: SiteSettings,
    devices: Mapping[str, SiteDevice],
    contacts: SiteContacts,
) -> Iterator[Part]:
    """Cast the managers of the assets that a site has."""
    models = {name: device.describe() for name, device in devices.items()}
    battery, charger = models.get("bess"), models.get("ev")
    if site.pv is not None and "pv" in devices:
        array = PvArray(
            peak_w=round(site.pv.kwp * 1000),
            tilt_deg=site.pv.tilt_deg,
            azimuth_deg=site.pv.azimuth_deg,
            latitude_deg=world.weather.latitude,
            longitude_deg=world.weather.longitude,
        )
        settings = PvSettings(site=site.id, contacts=contacts, asset_id=f"{site.id}-pv", array=array)
        yield Part(PvManager, contacts.pv, settings, site.id)
    if isinstance(battery, StorageModel):
        yield Part(
            BatteryManager,
            contacts.bess,
            _battery_settings(scenario, world, site, battery, contacts),
            site.id,
        )
    if isinstance(charger, StorageModel):
        ev = EvSettings(
            site=site.id,
            contacts=contacts,
            asset_id=charger.asset_id,
            capacity_wh=charger.capacity_wh,
            power_max_w=charger.charge_max_w,
            charge_efficiency=charger.charge_efficiency,
            discharge_efficiency=charger.discharge_efficiency,
            zone=site.zone,
            reports=metrics_of(scenario, site.id),
        )
        yield Part(EvManager, contacts.ev, ev, site.id)
    if contacts.p2h:
        yield Part(HeatManager, contacts.p2h, _heat_settings(world, site, models, contacts), site.id)


def connection_w(scenario: Scenario, site: SiteSettings) -> int:
    """Return what a site's connection carries: as its scenario says, or 63 A on each of its phases."""
    given = next((each.connection_kw for each in scenario.sites if each.id == site.id), None)
    if given is not None:
        return round(given * 1000)
    return FUSE_A * PHASE_V * (1 if is_single_phase(site) else 3)


def battery_of(scenario: Scenario, site: str) -> Battery | None:
    """Return what a scenario says of a site's battery; nothing where it was drawn."""
    return next((each.battery for each in scenario.sites if each.id == site), None)


def _battery_settings(
    scenario: Scenario, world: World, site: SiteSettings, model: StorageModel, contacts: SiteContacts
) -> BatterySettings:
    """Return a battery manager's settings; one that shaves peaks offers no frequency reserve."""
    said = battery_of(scenario, site.id)
    settings = BatterySettings(
        site=site.id,
        contacts=contacts,
        model=model,
        real_time_s=real_time_step_s(world),
        import_max_w=connection_w(scenario, site),
        offers_reserve=sells_frequency(scenario),
        zone=scenario.zone,
    )
    if said is None or said.mode != "peak-shaving":
        return settings
    feeder = world.feeder_of(site.id).segment
    shaved = set(feeder.players) if said.shaves == "feeder" else {site.id}
    usual_w = [
        usual_load_w(each, world.settings.start_s) for each in world.settings.sites if each.id in shaved
    ]
    return msgspec.structs.replace(
        settings,
        shaves=feeder.segment_id if said.shaves == "feeder" else site.id,
        offers_reserve=False,
        usual_load_w=tuple(map(sum, zip(*usual_w, strict=True))),
    )


def _heat_settings(
    world: World, site: SiteSettings, models: Mapping[str, Any], contacts: SiteContacts
) -> HeatSettings:
    building, tank = models.get("heat_pump"), models.get("dhw")
    return HeatSettings(
        site=site.id,
        contacts=contacts,
        building=building if isinstance(building, ThermalModel) else None,
        building_power_max_w=site.heat_pump.power_w if site.heat_pump else 0,
        building_power_min_w=ceil(site.heat_pump.power_w * site.heat_pump.minimum_share)
        if site.heat_pump
        else 0,
        tank=tank if isinstance(tank, ThermalModel) else None,
        tank_power_max_w=site.hot_water.power_w if site.hot_water else 0,
        draw_w=(
            usual_draw_w(site.hot_water.draw_l, site.zone, world.settings.start_s) if site.hot_water else ()
        ),
        lighting=_lights(site) if site.lighting and "lighting" in models else None,
        real_time_s=real_time_step_s(world),
    )


def _lights(site: SiteSettings) -> LightingSettings:
    lights = site.lighting or WorldLighting()
    return LightingSettings(
        asset_id=f"{site.id}-lighting",
        power_w=lights.power_w,
        minimum_share=lights.minimum_share,
        hours=(lights.from_hour, lights.to_hour),
        zone=site.zone,
    )


def _contacts(site: str, devices: Mapping[str, SiteDevice], at: AddressBook) -> SiteContacts:
    def manager(name: str, *assets: str) -> str:
        return at[f"{site}-{name}"] if any(asset in devices for asset in assets) else ""

    return SiteContacts(
        gateway=at[f"{site}-gateway"],
        prosumer=at[f"{site}-prosumer"],
        oracle=at[f"{site}-oracle"],
        blockchain=at[f"{site}-blockchain"],
        pv=manager("pv", "pv"),
        bess=manager("bess", "bess"),
        ev=manager("ev", "ev"),
        p2h=manager("p2h", "heat_pump", "dhw", "lighting"),
        aggregator=at["aggregator"],
        market_engine=at["aggregator-blockchain"],
        repository=at["repository"],
        dso=at["dso"],
    )


def usual_load_w(site: SiteSettings, start_s: int) -> tuple[int, ...]:
    """Return the standard profile of a household in W, by step of a UTC day."""
    mean_w = site.annual_kwh * 1000 / 8760
    profile = profile_day(site.zone, start_s // 86_400 * 86_400, site.profile)
    return tuple(round(float(share) * mean_w) for share in profile)


def usual_draw_w(draw_l: float, zone: str, start_s: int) -> tuple[float, ...]:
    """Return the heat usually drawn from a tank in W, by step of a UTC day, drawn by the zone's clocks."""
    heat_j = draw_l * WATER_J_PER_L_K * (USE_DEGC - COLD_DEGC)
    ahead = datetime.fromtimestamp(start_s, UTC).astimezone(ZoneInfo(zone)).utcoffset() or timedelta()
    ahead_s = int(ahead.total_seconds())
    hours = ((step * INTERVAL_S + ahead_s) // 3600 % 24 for step in range(INTERVALS_A_DAY))
    return tuple(float(heat_j * DRAW_HOURS[hour] / DRAW_HOURS.sum() / 3600) for hour in hours)
