"""The scenario: everything that decides how a run goes, as frozen structs with units in the key names."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

__all__ = [
    "Battery",
    "Cable",
    "Ev",
    "Faults",
    "Grid",
    "HeatPump",
    "HotWater",
    "Ledger",
    "Location",
    "Population",
    "Pv",
    "Scenario",
    "Server",
    "Shares",
    "Site",
    "Tariff",
    "Tariffs",
    "Thresholds",
    "Weather",
]

Share = Annotated[float, Meta(ge=0, le=1)]
JabberId = Annotated[str, Meta(pattern=r"^[^@/\s\"&':<>]+@[^@/\s]+$")]
Price = Annotated[float, Meta(ge=0, le=10)]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mapping of the scenario file; its keys are the field names."""


class Location(Section, frozen=True, kw_only=True):
    """Where the community stands; the sun follows from it."""

    latitude: Annotated[float, Meta(ge=-66, le=66, description="degrees north")] = 46.00
    longitude: Annotated[float, Meta(ge=-180, le=180, description="degrees east")] = 8.95
    altitude_m: Annotated[float, Meta(ge=-400, le=4500, description="above sea level")] = 270


class Weather(Section, frozen=True, kw_only=True):
    """The weather: a DWD test reference year, or a file of one's own. Short form: the number or the file."""

    reference_year: Annotated[
        int, Meta(ge=1, le=15, description="DWD test reference region; ships with demandlib")
    ] = 12
    file: Annotated[
        str | None,
        Meta(description="instead of a reference year: a file, looked up from the scenario's folder"),
    ] = None


class Tariff(Section, frozen=True, kw_only=True):
    """Prices of one grid state, EUR/kWh: sell_usual ≤ sell_peer ≤ buy_peer ≤ buy_usual (SPEC 2.2)."""

    buy_usual: Annotated[Price, Meta(description="EUR/kWh paid to the supplier (pbBAU)")]
    sell_usual: Annotated[Price, Meta(description="EUR/kWh paid by the supplier (psBAU)")]
    buy_peer: Annotated[Price, Meta(description="EUR/kWh paid inside the community (pbP2P)")]
    sell_peer: Annotated[Price, Meta(description="EUR/kWh received inside the community (psP2P)")]
    beta: Annotated[Price, Meta(description="EUR/kWh², on the community's net flow (implicit flexibility)")]


GREEN = Tariff(buy_usual=0.20, sell_usual=0.065, buy_peer=0.14, sell_peer=0.08, beta=0.0)
YELLOW = Tariff(buy_usual=0.24, sell_usual=0.063, buy_peer=0.14, sell_peer=0.08, beta=0.025)


class Tariffs(Section, frozen=True, kw_only=True):
    """The LEM parameters of each grid state; in RED the market is paused and GREEN's usual prices hold."""

    green: Annotated[Tariff, Meta(description="no stress on the grid")] = GREEN
    yellow: Annotated[Tariff, Meta(description="violations foreseen")] = YELLOW


class Cable(Section, frozen=True, kw_only=True):
    """The feeder's low-voltage cable; defaults are NAYY 4×150 mm²."""

    r_ohm_per_km: Annotated[float, Meta(gt=0, le=10, description="resistance of one conductor")] = 0.206
    x_ohm_per_km: Annotated[float, Meta(gt=0, le=10, description="reactance of one conductor")] = 0.080
    rated_a: Annotated[float, Meta(gt=0, le=2000, description="rated current of a phase")] = 270
    spacing_m: Annotated[float, Meta(gt=0, le=1000, description="cable between neighbouring sites")] = 30


class Thresholds(Section, frozen=True, kw_only=True):
    """When the traffic light leaves GREEN (yellow) and YELLOW (red); SPEC 2.1."""

    loading_yellow: Annotated[float, Meta(gt=0, le=3, description="of the rated power or current")] = 0.80
    loading_red: Annotated[float, Meta(gt=0, le=3, description="of the rated power or current")] = 1.00
    voltage_yellow_pu: Annotated[float, Meta(gt=0, le=0.5, description="deviation from nominal, p.u.")] = 0.05
    voltage_red_pu: Annotated[float, Meta(gt=0, le=0.5, description="deviation from nominal, p.u.")] = 0.10
    unbalance_yellow: Annotated[float, Meta(gt=0, le=1, description="voltage unbalance factor")] = 0.015
    unbalance_red: Annotated[float, Meta(gt=0, le=1, description="voltage unbalance factor")] = 0.02


class Grid(Section, frozen=True, kw_only=True):
    """The low-voltage grid: one transformer with one feeder for every `sites_per_feeder` sites."""

    transformer_kva: Annotated[float, Meta(gt=0, le=5000, description="rated power of each transformer")] = (
        250
    )
    sites_per_feeder: Annotated[int, Meta(ge=1, le=60, description="at most so many sites on one feeder")] = (
        60
    )
    cable: Annotated[Cable, Meta(description="the feeder's cable")] = Cable()
    thresholds: Annotated[Thresholds, Meta(description="of the traffic light")] = Thresholds()
    dstatcom_kva: Annotated[
        float, Meta(ge=0, le=500, description="D-STATCOM at the far end of each feeder; 0 = none")
    ] = 10


class Pv(Section, frozen=True, kw_only=True):
    """A photovoltaic system."""

    kwp: Annotated[float, Meta(gt=0, le=1000, description="peak power, kWp")]
    tilt_deg: Annotated[float, Meta(ge=0, le=90, description="0 = flat, 90 = on the wall")] = 30
    azimuth_deg: Annotated[float, Meta(ge=0, lt=360, description="0 = north, 90 = east, 180 = south")] = 180


class Battery(Section, frozen=True, kw_only=True):
    """A stationary battery."""

    capacity_kwh: Annotated[float, Meta(gt=0, le=10_000, description="usable capacity, kWh")]
    power_kw: Annotated[
        Annotated[float, Meta(gt=0, le=10_000)] | None,
        Meta(description="charging and discharging power, kW; half the capacity by default"),
    ] = None
    efficiency: Annotated[float, Meta(gt=0.5, le=1, description="of charging, and of discharging")] = 0.96
    state_of_charge: Annotated[float, Meta(ge=0, le=1, description="at the start")] = 0.5


class Ev(Section, frozen=True, kw_only=True):
    """An electric vehicle and its charger at home; arrivals and departures are drawn from the seed."""

    capacity_kwh: Annotated[float, Meta(gt=0, le=500, description="of the vehicle's battery, kWh")] = 60
    charger_kw: Annotated[float, Meta(gt=0, le=350, description="of the charge point, kW")] = 11
    v2g: Annotated[bool, Meta(description="the vehicle may feed in")] = False
    daily_kwh: Annotated[
        float, Meta(ge=0, le=200, description="mean energy used on a day of driving, kWh")
    ] = 8


class HeatPump(Section, frozen=True, kw_only=True):
    """A heat pump and the building that it heats (1R1C)."""

    power_kw: Annotated[float, Meta(gt=0, le=100, description="electrical power, kW")] = 2.5
    heat_loss_w_per_k: Annotated[float, Meta(gt=0, le=10_000, description="of the building, W/K")] = 150
    capacity_kwh_per_k: Annotated[float, Meta(gt=0, le=1000, description="of the building, kWh/K")] = 6
    temperature_min_degc: Annotated[float, Meta(ge=5, le=30, description="comfort, °C")] = 20
    temperature_max_degc: Annotated[float, Meta(ge=5, le=30, description="comfort, °C")] = 23


class HotWater(Section, frozen=True, kw_only=True):
    """A hot-water tank with an electric heater."""

    volume_l: Annotated[float, Meta(gt=0, le=10_000, description="litres")] = 200
    power_kw: Annotated[float, Meta(gt=0, le=100, description="of the heater, kW")] = 2.0
    daily_l: Annotated[float, Meta(ge=0, le=10_000, description="drawn on a mean day, litres at 45 °C")] = 120


class Site(Section, frozen=True, kw_only=True):
    """A household with its meter and devices; a device that is not named is not there."""

    id: Annotated[
        str,
        Meta(
            pattern=r"^[a-z0-9][a-z0-9-]{0,39}$",
            description="unique; lower-case letters, digits, hyphens; names its agents (`<id>-prosumer`)",
        ),
    ]
    address: Annotated[
        JabberId | None,
        Meta(description="of the prosumer agent, instead of the default"),
    ] = None
    annual_kwh: Annotated[
        float, Meta(gt=0, le=10_000_000, description="household demand without the devices below, kWh a year")
    ] = 3500
    load_csv: Annotated[
        str | None,
        Meta(description="meter readings instead of the standard profile (a file)"),
    ] = None
    pv: Annotated[Pv | None, Meta(description="photovoltaics")] = None
    battery: Annotated[Battery | None, Meta(description="stationary battery")] = None
    ev: Annotated[Ev | None, Meta(description="electric vehicle at home")] = None
    heat_pump: Annotated[HeatPump | None, Meta(description="space heating")] = None
    hot_water: Annotated[HotWater | None, Meta(description="hot-water tank")] = None
    phase: Annotated[
        Literal["a", "b", "c", "abc"] | None, Meta(description="of the connection; by default dealt in turn")
    ] = None


class Shares(Section, frozen=True, kw_only=True):
    """The share of a population's sites that own each device, 0 to 1."""

    pv: Annotated[Share, Meta(description="photovoltaics")] = 0.4
    battery: Annotated[Share, Meta(description="stationary battery (owners of PV first)")] = 0.25
    ev: Annotated[Share, Meta(description="electric vehicle")] = 0.3
    heat_pump: Annotated[Share, Meta(description="heat pump")] = 0.35
    hot_water: Annotated[Share, Meta(description="electric hot-water tank")] = 0.4


class Population(Section, frozen=True, kw_only=True):
    """Sites drawn from the seed, beside those that are listed."""

    sites: Annotated[int, Meta(ge=1, le=10_000, description="how many")]
    shares: Annotated[Shares, Meta(description="who owns what")] = Shares()


class Server(Section, frozen=True, kw_only=True):
    """The XMPP server of a live run. Short form: its kind."""

    kind: Annotated[
        Literal["embedded", "prosody", "external"],
        Meta(description="`embedded` and `prosody` are started by the run, `external` is there already"),
    ] = "embedded"
    host: Annotated[str, Meta(description="of an external server")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535, description="of an external server; 0 = any free one")] = 0
    domain: Annotated[str, Meta(pattern=r"^[^@/\s]+$", description="of the agents' addresses")] = "localhost"
    ca_file: Annotated[str | None, Meta(description="certificates to trust, PEM")] = None


class Ledger(Section, frozen=True, kw_only=True):
    """Where tokens are settled. Short form: the URL."""

    url: Annotated[str, Meta(description="`embedded`, or the JSON-RPC address of an EVM node")] = "embedded"
    key_file: Annotated[str | None, Meta(description="of the submitter, for a node")] = None


class Faults(Section, frozen=True, kw_only=True):
    """What the in-process post does to letters of an offline run."""

    delay_s: Annotated[float, Meta(ge=0, le=900, description="mean delay of a letter, virtual seconds")] = 0
    loss: Annotated[float, Meta(ge=0, lt=1, description="share of letters lost")] = 0


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
    location: Annotated[Location, Meta(description="where")] = Location()
    weather: Annotated[Weather, Meta(description="reference year or file")] = Weather()
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
    server: Annotated[Server, Meta(description="XMPP server of a live run")] = Server()
    ledger: Annotated[Ledger, Meta(description="chain of the settlement")] = Ledger()
    faults: Annotated[Faults, Meta(description="of an offline run's post")] = Faults()
    record: Annotated[bool, Meta(description="write every letter to messages.sqlite")] = True


SHORT_FORMS: dict[type, dict[type, str]] = {
    Weather: {int: "reference_year", str: "file"},
    Server: {str: "kind"},
    Ledger: {str: "url"},
}
"""Sections that may be written as one value, and the key that the value then stands for."""
