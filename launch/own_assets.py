"""What the grid operator of a scenario controls directly."""

from collections.abc import Iterator

from behaviours.decisions.active_network.own_assets import AssetKind, OwnAsset
from behaviours.decisions.grid.network import SINGLE_PHASE_MOST_W
from environments.simulation.world import World
from launch.parts import AddressBook
from launch.scenario import Scenario
from launch.schema import Site
from ontology.storage import StorageModel

__all__ = ["controlled_by_dso", "of_dso", "own_assets"]

DEVICE = {"battery": "bess", "pv": "pv", "ev": "ev"}
"""The devices that can be controlled directly, by their keys in a scenario."""
EUR_PER_KWH = {"bess": 0.05, "pv": 0.12, "ev": 0.10}
"""What a kWh of change counts as: wear, what is not fed in, and what a driver must wait for."""
THREE = (1 / 3, 1 / 3, 1 / 3)


def controlled_by_dso(scenario: Scenario, site: str) -> tuple[str, ...]:
    """Return the assets of a site that the DSO may steer directly."""
    said = _said(scenario, site)
    if said is None:
        return ()
    found = ((key, getattr(said, key)) for key in DEVICE)
    return tuple(f"{site}-{DEVICE[key]}" for key, each in found if each and each.controlled_by == "dso")


def of_dso(scenario: Scenario, site: str) -> tuple[str, ...]:
    """Return those that nobody else steers: its own batteries."""
    return tuple(each for each in controlled_by_dso(scenario, site) if each == f"{site}-bess")


def own_assets(scenario: Scenario, world: World, at: AddressBook) -> tuple[OwnAsset, ...]:
    """Return all assets that the DSO controls directly."""
    return tuple(_assets(scenario, world, at))


def _assets(scenario: Scenario, world: World, at: AddressBook) -> Iterator[OwnAsset]:
    for site in scenario.sites:
        devices = {device.asset_id: device for device in world.devices(site.id)}
        for asset_id in controlled_by_dso(scenario, site.id):
            device = devices[asset_id]
            model = device.describe()
            storage = model if isinstance(model, StorageModel) else None
            kind = {"bess": AssetKind.BATTERY, "pv": AssetKind.PLANT}.get(device.name, AssetKind.LOAD)
            power_w = storage.charge_max_w if storage else round((site.pv.kwp if site.pv else 0) * 1000)
            yield OwnAsset(
                asset_id=asset_id,
                site=site.id,
                segment_id=world.feeder_of(site.id).segment_id,
                gateway=at[f"{site.id}-gateway"],
                kind=kind,
                power_max_w=power_w,
                shares=_shares(world, site.id, power_w),
                eur_per_kwh=EUR_PER_KWH[device.name],
                capacity_wh=storage.capacity_wh if storage else 0,
                floor_wh=storage.fill_min_wh if storage else 0,
                efficiency=storage.charge_efficiency if storage else 1.0,
            )


def _shares(world: World, site: str, power_w: int) -> tuple[float, float, float]:
    """Return on which phases an asset is: small ones on that of their site, others on all three."""
    network = world.feeder_of(site).network
    phase = int(network.site_phase[network.sites.index(site)])
    if power_w > SINGLE_PHASE_MOST_W or phase > 2:
        return THREE
    own = [0.0, 0.0, 0.0]
    own[phase] = 1.0
    return own[0], own[1], own[2]


def _said(scenario: Scenario, site: str) -> Site | None:
    return next((each for each in scenario.sites if each.id == site), None)
