"""What a DSO's behaviours are told at the start."""

from collections.abc import Mapping
from dataclasses import dataclass

from behaviours.decisions.active_network.own_assets import OwnAsset
from behaviours.decisions.bilateral_contract import BilateralContract
from behaviours.decisions.flexibility_market.terms import ProcurementTerms
from behaviours.decisions.grid.network import Network
from behaviours.decisions.grid.traffic_light import STANDARD, Thresholds
from behaviours.grid.dstatcom_coordination import CoordinationSettings
from behaviours.market.payments import PayerSettings

__all__ = ["OUTLOOK_STEPS", "DsoSettings"]

OUTLOOK_STEPS = 4
"""Intervals that are looked at ahead, unless flexibility is to be bought: an hour."""


@dataclass(frozen=True, kw_only=True)
class DsoSettings:
    """The networks that the DSO runs, and whom it works with."""

    networks: tuple[Network, ...]
    repository: str
    aggregator: str
    dstatcoms: CoordinationSettings | None = None
    """Its D-STATCOMs, where it has any."""
    thresholds: Thresholds = STANDARD
    outlook_steps: int = OUTLOOK_STEPS
    reactive_share: float = 0.2
    """var of reactive power that a consumed W brings with it (power factor 0.98)."""
    contract_id: str = "bilateral"
    """Of the standing agreement where no contracts were made."""
    contracts: tuple[BilateralContract, ...] = ()
    own_assets: tuple[OwnAsset, ...] = ()
    """What it controls directly; nothing else takes its instructions."""
    watch_events_s: int = 0
    """How often it looks for events in its network, s; 0 is never."""
    payer: PayerSettings | None = None
    flexibility: ProcurementTerms | None = None
    """Of the explicit flexibility market, where there is one."""
    sellers: Mapping[str, tuple[str, ...]] | None = None
    """Whom it asks for flexibility, by segment; nobody where none is named, None is the aggregator always."""
