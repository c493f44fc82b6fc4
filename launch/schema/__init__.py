"""The schema of a scenario file, one module a part of it."""

from launch.schema.dso_systems import Access, DsoSystems
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
from launch.schema.world import (
    Dstatcom,
    Grid,
    Location,
    Monitoring,
    NetworkEvent,
    Thresholds,
    Weather,
    WeatherProvider,
)

__all__ = [
    "SHORT_FORMS",
    "Access",
    "Agreement",
    "Battery",
    "Contract",
    "DsoSystems",
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
    "Monitoring",
    "NetworkEvent",
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
    "WeatherProvider",
    "Window",
]
