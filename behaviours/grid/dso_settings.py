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

__all__ = ["MARKET_STEPS", "OUTLOOK_STEPS", "DsoSettings", "Metering"]

OUTLOOK_STEPS = 4
"""Intervals that D-STATCOMs are foreseen in, unless flexibility is to be bought in more: an hour."""
MARKET_STEPS = 6
"""Where the aggregator sells outside: beyond the gate of every product."""
INTERVALS_A_DAY = 96


@dataclass(frozen=True, kw_only=True)
class Metering:
    """How well, and how often, the DSO measures its network; errors are standard deviations, as shares."""

    voltage_error: float = 0.003
    power_error: float = 0.01
    period_s: int = 60
    zone: str = "UTC"
    """By whose clocks people live, for the standard profile."""


@dataclass(frozen=True, kw_only=True)
class DsoSettings:
    """The networks that the DSO runs, and whom it works with."""

    networks: tuple[Network, ...]
    repository: str
    aggregator: str
    external_markets: str = ""
    """Where markets outside, and the TSO, are spoken with."""
    dstatcoms: CoordinationSettings | None = None
    """Its D-STATCOMs, where it has any."""
    thresholds: Thresholds = STANDARD
    outlook_steps: int = OUTLOOK_STEPS
    outlook_intervals: int = INTERVALS_A_DAY
    """How far the outlook that is published reaches, in intervals."""
    metering: Metering | None = None
    """Its own measurements, where it has a monitoring system."""
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
