"""The scenario: everything that decides how a run goes, as frozen structs with units in the key names."""

from typing import Annotated, Literal

from msgspec import Meta

from launch.schema.flexibility import FlexibilityMarket
from launch.schema.interface import Api
from launch.schema.markets import Agreement, Contract, ExternalMarkets, Product, Tariffs
from launch.schema.platform import Faults, Ledger, Planning, Registry, Repository, Server
from launch.schema.section import Section
from launch.schema.sites import Population, Site
from launch.schema.watch import Watch
from launch.schema.world import Grid, Location, Weather

__all__ = ["SHORT_FORMS", "Scenario"]


class Scenario(Section, frozen=True, kw_only=True):
    """A community, its market and grid, and the days that a run covers."""

    name: Annotated[
        str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$", description="names the run folder")
    ] = "community"
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1, description="another seed gives another day")] = 1
    start: Annotated[
        str,
        Meta(description="ISO 8601 date, or date and time, in the scenario's zone; on a quarter of an hour"),
    ]
    zone: Annotated[str, Meta(description="IANA time zone, such as `Europe/Zurich`")]
    days: Annotated[int, Meta(ge=1, le=366, description="calendar days from the start")] = 1
    intervals: Annotated[
        Annotated[int, Meta(ge=1, le=36_000)] | None,
        Meta(description="15 minutes each; instead of days"),
    ] = None
    step_s: Annotated[
        int, Meta(ge=1, le=900, description="step of the simulated world, seconds; divides 900")
    ] = 900
    pace_s: Annotated[
        float, Meta(ge=0, le=900, description="live: real seconds an interval takes at least; 0 = no waiting")
    ] = 0
    location: Annotated[
        Location | None, Meta(description="where the sun is seen from; by default the weather station")
    ] = None
    weather: Annotated[Weather, Meta(description="reference year")] = Weather()
    tariffs: Annotated[Tariffs, Meta(description="prices by grid state")] = Tariffs()
    settlement: Annotated[
        Literal["interval", "hourly", "daily"], Meta(description="how often tokens move on the ledger")
    ] = "interval"
    tokens_per_currency: Annotated[
        int, Meta(ge=1, le=10**9, description="tokens for one unit of currency")
    ] = 10_000
    initial_tokens: Annotated[
        int, Meta(ge=0, le=10**15, description="in each site's account at the start")
    ] = 1_000_000
    minimum_tokens: Annotated[int, Meta(ge=0, le=10**15, description="below it a site does not trade")] = (
        1_000
    )
    grid: Annotated[Grid, Meta(description="transformer, cable, traffic light")] = Grid()
    sites: Annotated[tuple[Site, ...], Meta(description="listed one by one")] = ()
    population: Annotated[Population | None, Meta(description="drawn from the seed")] = None
    products: Annotated[
        tuple[Product, ...], Meta(description="flexibility wanted each day, for virtual power plants")
    ] = ()
    plants_for: Annotated[
        tuple[Literal["external", "demand-response"], ...],
        Meta(description="more demand for which plants are formed: intraday sales, the DSO's DR signals"),
    ] = ()
    flexibility_market: Annotated[
        FlexibilityMarket, Meta(description="explicit trade of flexibility between DSO and aggregator")
    ] = FlexibilityMarket()
    contracts: Annotated[
        tuple[Contract, ...],
        Meta(description="of DSO and aggregator for RED; none = limits are served and nothing is paid"),
    ] = ()
    external_markets: Annotated[
        ExternalMarkets,
        Meta(description="what is sold outside; energy only where plants deliver it (`plants_for`)"),
    ] = ExternalMarkets()
    agreements: Annotated[
        tuple[Agreement, ...], Meta(description="service levels, judged and paid on the ledger")
    ] = ()
    server: Annotated[Server, Meta(description="XMPP server of a live run")] = Server()
    api: Annotated[Api, Meta(description="REST interface of `parity-mas serve`")] = Api()
    watch: Annotated[Watch, Meta(description="letters of a live run for those who look on")] = Watch()
    ledger: Annotated[Ledger, Meta(description="chain of the settlement")] = Ledger()
    registry: Annotated[Registry, Meta(description="of the people behind the sites")] = Registry()
    repository: Annotated[Repository, Meta(description="database of the community's facts")] = Repository()
    control: Annotated[
        bool,
        Meta(description="false: agents read the meters only, devices run by themselves, batteries idle"),
    ] = True
    planning: Annotated[Planning, Meta(description="of each site's devices")] = Planning()
    faults: Annotated[Faults, Meta(description="of an offline run's post")] = Faults()
    record: Annotated[bool, Meta(description="write every letter to messages.sqlite")] = True


SHORT_FORMS: dict[type, dict[type, str]] = {
    Weather: {int: "reference_year"},
    Server: {str: "kind"},
    Ledger: {str: "url"},
    Registry: {str: "folder"},
    Repository: {str: "url"},
    FlexibilityMarket: {bool: "active"},
    Planning: {str: "solver"},
}
"""Sections that may be written as one value, and the key that the value then stands for."""
