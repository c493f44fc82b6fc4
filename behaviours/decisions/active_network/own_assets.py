"""Assets that the grid operator controls directly: what each can do now, and what it is told (D8.1 3.9)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from behaviours.decisions.active_network.means import Lever, Stage, one_site
from ontology.base import INTERVAL_S

__all__ = ["AssetKind", "AssetState", "OwnAsset", "after_interval", "lever_of", "restoring_w"]

INTERVAL_H = INTERVAL_S / 3600
READY = 0.8
"""State of charge at which a battery waits: room either way, and more to give than to take."""
DEADBAND = 0.05
"""Of the capacity: nearer than this to where it waits a battery is left alone."""


class AssetKind(StrEnum):
    """How an asset is steered: a battery by set-points, plants and loads by limits."""

    BATTERY = "battery"
    PLANT = "plant"
    LOAD = "load"


@dataclass(frozen=True, kw_only=True)
class OwnAsset:
    """An asset that the operator may steer, and at what price a kWh of change counts for it."""

    asset_id: str
    site: str
    segment_id: str
    gateway: str
    """Whom instructions go to"""
    kind: AssetKind
    power_max_w: int
    shares: tuple[float, float, float]
    """Of its phases"""
    eur_per_kwh: float
    capacity_wh: int = 0
    floor_wh: int = 0
    efficiency: float = 1.0
    """One way"""


@dataclass(frozen=True)
class AssetState:
    """What an asset reported: what it draws (W), and for a battery what is stored (Wh)."""

    time_s: int
    power_w: float
    stored_wh: float = 0.0


def lever_of(asset: OwnAsset, state: AssetState, sites: Sequence[str]) -> Lever:
    """Return how far an asset can change what it draws for an interval.

    A battery that is not told anything is idle, so its changes are its set-points; a plant or a load goes
    on as reported, and can be limited.
    """
    pattern = one_site(len(sites), list(sites).index(asset.site), asset.shares)
    match asset.kind:
        case AssetKind.BATTERY:
            down_w, up_w = -_can_give_w(asset, state), _can_take_w(asset, state)
        case AssetKind.PLANT:
            down_w, up_w = 0.0, max(0.0, -state.power_w)
        case AssetKind.LOAD:
            down_w, up_w = -max(0.0, state.power_w), 0.0
    return Lever(asset.asset_id, Stage.OWN_ASSETS, pattern, down_w, up_w, asset.eur_per_kwh)


def after_interval(asset: OwnAsset, state: AssetState, changes_w: Mapping[str, float]) -> AssetState:
    """Return an asset's state when an interval of some changes is over."""
    if asset.kind is not AssetKind.BATTERY:
        return state
    change_w = changes_w.get(asset.asset_id, 0.0)
    factor = asset.efficiency if change_w > 0 else 1 / asset.efficiency
    return AssetState(state.time_s, state.power_w, state.stored_wh + change_w * INTERVAL_H * factor)


def restoring_w(asset: OwnAsset, state: AssetState) -> float:
    """Return the power that brings a battery back to where it waits within an interval; 0 if it is there."""
    if asset.kind is not AssetKind.BATTERY:
        return 0.0
    missing_wh = READY * asset.capacity_wh - state.stored_wh
    if abs(missing_wh) <= DEADBAND * asset.capacity_wh:
        return 0.0
    if missing_wh > 0:
        return min(missing_wh / INTERVAL_H / asset.efficiency, _can_take_w(asset, state))
    return -min(-missing_wh / INTERVAL_H * asset.efficiency, _can_give_w(asset, state))


def _can_give_w(asset: OwnAsset, state: AssetState) -> float:
    free_wh = max(0.0, state.stored_wh - asset.floor_wh)
    return min(float(asset.power_max_w), free_wh / INTERVAL_H * asset.efficiency)


def _can_take_w(asset: OwnAsset, state: AssetState) -> float:
    free_wh = max(0.0, asset.capacity_wh - state.stored_wh)
    return min(float(asset.power_max_w), free_wh / INTERVAL_H / asset.efficiency)
