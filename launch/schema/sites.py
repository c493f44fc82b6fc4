"""The sites of a scenario and their devices."""

from typing import Annotated, Literal

from msgspec import Meta

from launch.schema.section import JabberId, Price, Section, Share

__all__ = ["Battery", "Ev", "HeatPump", "HotWater", "Lighting", "Population", "Pv", "Shares", "Site"]

Controller = Literal["site", "dso"]


class Pv(Section, frozen=True, kw_only=True):
    """A photovoltaic plant."""

    kwp: Annotated[float, Meta(ge=0.01, le=10_000, description="peak power, kWp")]
    tilt_deg: Annotated[float, Meta(ge=0, le=90, description="0 = flat, 90 = on the wall")] = 35.0
    azimuth_deg: Annotated[float, Meta(ge=0, le=360, description="0 = north, 90 = east, 180 = south")] = 180.0
    controlled_by: Annotated[
        Controller, Meta(description="dso: the grid operator may curtail it directly")
    ] = "site"


class Battery(Section, frozen=True, kw_only=True):
    """A stationary battery."""

    capacity_kwh: Annotated[float, Meta(gt=0, le=100_000, description="kWh")]
    power_kw: Annotated[
        Annotated[float, Meta(gt=0, le=10_000)] | None,
        Meta(description="charging and discharging, kW; by default half the capacity an hour"),
    ] = None
    efficiency: Annotated[float, Meta(ge=0.1, le=1, description="of a round trip, AC to AC")] = 0.90
    minimum_state_of_charge: Annotated[float, Meta(ge=0, le=0.9, description="kept at all times")] = 0.05
    initial_state_of_charge: Annotated[float, Meta(ge=0, le=1, description="at the start")] = 0.30
    wear: Annotated[Price, Meta(description="EUR that a kWh given costs it in life")] = 0.01
    mode: Annotated[
        Literal["least-cost", "peak-shaving"],
        Meta(description="what it is there for; peak-shaving offers only what that leaves"),
    ] = "least-cost"
    shaves: Annotated[
        Literal["site", "feeder"],
        Meta(description="whose peaks: of its site, or (a community battery) of all sites on its feeder"),
    ] = "site"
    controlled_by: Annotated[
        Controller, Meta(description="dso: the grid operator's own, which nobody else steers")
    ] = "site"


class Ev(Section, frozen=True, kw_only=True):
    """A car and its charger at home; each day's times and trips are drawn from the seed around these."""

    capacity_kwh: Annotated[float, Meta(ge=1, le=1000, description="of the car's battery, kWh")] = 55.0
    charger_kw: Annotated[float, Meta(gt=0, le=350, description="of the charge point, kW")] = 11.0
    v2g: Annotated[bool, Meta(description="the car may feed in")] = False
    efficiency: Annotated[float, Meta(ge=0.1, le=1, description="AC to battery, one way")] = 0.92
    departure_hour: Annotated[float, Meta(ge=0, le=23, description="usual, local time")] = 7.5
    arrival_hour: Annotated[float, Meta(ge=1, le=24, description="usual, local time")] = 17.5
    trip_kwh: Annotated[float, Meta(ge=0, le=1000, description="a mean day's driving, kWh")] = 7.0
    target_state_of_charge: Annotated[float, Meta(ge=0.1, le=1, description="wanted at departure")] = 0.90
    minimum_state_of_charge: Annotated[float, Meta(ge=0, le=1, description="charged for at once")] = 0.20
    controlled_by: Annotated[
        Controller, Meta(description="dso: the grid operator may limit its charging directly")
    ] = "site"


class HeatPump(Section, frozen=True, kw_only=True):
    """A heat pump and the house that it heats, as one resistance and one capacity."""

    power_kw: Annotated[float, Meta(gt=0, le=1000, description="electrical, kW")] = 3.0
    heat_loss_w_per_k: Annotated[float, Meta(gt=0, le=100_000, description="of the house, W/K")] = 150.0
    capacity_kwh_per_k: Annotated[float, Meta(gt=0, le=10_000, description="of the house, kWh/K")] = 12.5
    set_degc: Annotated[float, Meta(ge=5, le=30, description="wanted indoors, °C")] = 21.0
    comfort_k: Annotated[float, Meta(ge=0.1, le=10, description="how far from it the room may be, K")] = 1.5
    solar_aperture_m2: Annotated[float, Meta(ge=0, le=10_000, description="windows to the sun, m²")] = 2.5
    internal_gain_w: Annotated[float, Meta(ge=0, le=1_000_000, description="people and appliances, W")] = (
        350.0
    )
    minimum_share: Annotated[
        Share,
        Meta(description="of its power, the least that a compressor runs at, ten minutes on and off; 0: any"),
    ] = 0.0
    sensor_noise_k: Annotated[
        float, Meta(ge=0, le=5, description="of the room's thermometer, standard deviation, K")
    ] = 0.0
    overrides_a_week: Annotated[
        float, Meta(ge=0, le=100, description="how often somebody turns the thermostat by hand, on average")
    ] = 0.0


class HotWater(Section, frozen=True, kw_only=True):
    """A hot-water tank and its heater."""

    power_kw: Annotated[float, Meta(gt=0, le=1000, description="of the heater, kW")] = 2.0
    cop: Annotated[
        float, Meta(ge=0.1, le=10, description="1 for a heating element, more for a heat pump")
    ] = 1.0
    volume_l: Annotated[float, Meta(ge=5, le=1_000_000, description="litres")] = 200.0
    daily_l: Annotated[float, Meta(ge=0, le=1_000_000, description="drawn a mean day, at 45 °C")] = 110.0
    loss_w_per_k: Annotated[float, Meta(ge=0, le=1000, description="of the tank, W/K")] = 1.8
    minimum_degc: Annotated[float, Meta(ge=20, le=60, description="°C")] = 46.0
    maximum_degc: Annotated[float, Meta(ge=21, le=75, description="°C")] = 56.0


class Lighting(Section, frozen=True, kw_only=True):
    """Lights that can be switched and dimmed."""

    power_kw: Annotated[float, Meta(gt=0, le=1000, description="when full on, kW")] = 0.5
    minimum_share: Annotated[Share, Meta(description="least share of it while somebody is there")] = 0.4
    from_hour: Annotated[float, Meta(ge=0, le=23.75, description="somebody comes, local time")] = 7.0
    to_hour: Annotated[float, Meta(ge=0.25, le=24, description="everybody has left, local time")] = 19.0


class Site(Section, frozen=True, kw_only=True):
    """A household with its meter and devices; a device not named is not there, `{}` is a usual one."""

    id: Annotated[
        str,
        Meta(
            pattern=r"^[a-z0-9][a-z0-9-]{0,39}$",
            description="unique; lower-case letters, digits, hyphens; names its agents (`<id>-prosumer`)",
        ),
    ]
    address: Annotated[JabberId | None, Meta(description="of the prosumer agent, instead of the default")] = (
        None
    )
    annual_kwh: Annotated[
        float, Meta(gt=0, le=1_000_000, description="own demand without the devices below, kWh a year")
    ] = 3500.0
    profile: Annotated[
        Literal["household", "commerce"],
        Meta(description="standard profile of that demand: BDEW's H25 (homes) or G25 (business, schools)"),
    ] = "household"
    load_csv: Annotated[
        str | None, Meta(description="meter readings instead of the standard profile (a file)")
    ] = None
    phase: Annotated[
        Literal["L1", "L2", "L3", "3P"] | None,
        Meta(description="of the connection; by default alternating along the street"),
    ] = None
    connection_kw: Annotated[
        Annotated[float, Meta(gt=0, le=10_000)] | None,
        Meta(description="that its connection carries each way, kW; by default 63 A on each of its phases"),
    ] = None
    node: Annotated[
        str | None,
        Meta(description="where in the network (`grid.network`) it is connected; by default spread in order"),
    ] = None
    prefers: Annotated[
        tuple[str, ...],
        Meta(max_length=100, description="ids of sites to buy from first (mechanism `pay-as-bid`)"),
    ] = ()
    pv: Annotated[Pv | None, Meta(description="photovoltaics")] = None
    battery: Annotated[Battery | None, Meta(description="stationary battery")] = None
    ev: Annotated[Ev | None, Meta(description="electric vehicle at home")] = None
    heat_pump: Annotated[HeatPump | None, Meta(description="space heating")] = None
    hot_water: Annotated[HotWater | None, Meta(description="hot-water tank")] = None
    lighting: Annotated[Lighting | None, Meta(description="lights that can be dimmed")] = None


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
