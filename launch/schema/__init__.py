"""The schema of a scenario file, one module a part of it."""

from launch.schema.flexibility import FlexibilityMarket, Uftp, UftpCounterparty, UftpPoint
from launch.schema.markets import (
    Agreement,
    Contract,
    ExternalMarkets,
    Indicator,
    Product,
    Tariff,
    Tariffs,
    Window,
)
from launch.schema.platform import Faults, Ledger, Planning, Registry, Repository, Server
from launch.schema.scenario import SHORT_FORMS, Scenario
from launch.schema.section import Section
from launch.schema.sites import Battery, Ev, HeatPump, HotWater, Lighting, Population, Pv, Shares, Site
from launch.schema.world import Dstatcom, Grid, Location, Thresholds, Weather

__all__ = [
    "SHORT_FORMS",
    "Agreement",
    "Battery",
    "Contract",
    "Dstatcom",
    "Ev",
    "ExternalMarkets",
    "Faults",
    "FlexibilityMarket",
    "Grid",
    "HeatPump",
    "HotWater",
    "Indicator",
    "Ledger",
    "Lighting",
    "Location",
    "Planning",
    "Population",
    "Product",
    "Pv",
    "Registry",
    "Repository",
    "Scenario",
    "Section",
    "Server",
    "Shares",
    "Site",
    "Tariff",
    "Tariffs",
    "Thresholds",
    "Uftp",
    "UftpCounterparty",
    "UftpPoint",
    "Weather",
    "Window",
]
