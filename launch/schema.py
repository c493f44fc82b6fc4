"""The scenario: everything that decides how a run goes, as frozen structs with units in the key names."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

__all__ = [
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
    "Population",
    "Product",
    "Pv",
    "Scenario",
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

Share = Annotated[float, Meta(ge=0, le=1)]
JabberId = Annotated[str, Meta(pattern=r"^[^@/\s\"&':<>]+@[^@/\s]+$")]
Price = Annotated[float, Meta(ge=0, le=10)]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mapping of the scenario file; its keys are the field names."""


class Location(Section, frozen=True, kw_only=True):
    """Where the sun is seen from; without it the station of the reference year."""

    latitude: Annotated[float, Meta(ge=-66, le=66, description="degrees north")]
    longitude: Annotated[float, Meta(ge=-180, le=180, description="degrees east")]


class Weather(Section, frozen=True, kw_only=True):
    """A DWD test reference year, which ships with demandlib. Short form: its number."""

    reference_year: Annotated[
        int, Meta(ge=1, le=15, description="test reference region, such as 4 Potsdam, 12 Mannheim")
    ] = 4


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

    mechanism: Annotated[
        Literal["community", "mid-market", "supply-demand", "pay-as-bid", "pay-as-clear"],
        Meta(description="how prices are found; the last two are double auctions"),
    ] = "community"

    flow: Annotated[
        Literal["per-player", "community"],
        Meta(description="what beta is multiplied with: the net flow a player, or (as published) of all"),
    ] = "per-player"
    green: Annotated[Tariff, Meta(description="no stress on the grid")] = GREEN
    yellow: Annotated[Tariff, Meta(description="violations foreseen")] = YELLOW


class Thresholds(Section, frozen=True, kw_only=True):
    """When the traffic light leaves GREEN (yellow) and YELLOW (red); SPEC 2.1."""

    loading_yellow: Annotated[float, Meta(gt=0, le=3, description="of the rated power or current")] = 0.80
    loading_red: Annotated[float, Meta(gt=0, le=3, description="of the rated power or current")] = 1.00
    voltage_yellow_pu: Annotated[float, Meta(gt=0, le=0.5, description="deviation from nominal, p.u.")] = 0.05
    voltage_red_pu: Annotated[float, Meta(gt=0, le=0.5, description="deviation from nominal, p.u.")] = 0.10
    unbalance_yellow: Annotated[float, Meta(gt=0, le=1, description="voltage unbalance factor")] = 0.015
    unbalance_red: Annotated[float, Meta(gt=0, le=1, description="voltage unbalance factor")] = 0.02


class Dstatcom(Section, frozen=True, kw_only=True):
    """A four-leg D-STATCOM of the grid operator."""

    segment: Annotated[str, Meta(description="its feeder, such as `segment-001`")]
    kva: Annotated[float, Meta(ge=0.1, le=10_000, description="rating of the three legs together, kVA")] = (
        30.0
    )
    neutral_a: Annotated[
        Annotated[float, Meta(gt=0, le=100_000)] | None,
        Meta(description="rating of the neutral leg, A; by default twice a phase leg's"),
    ] = None
    site: Annotated[
        str, Meta(description="it stands at this site's joint in the street; empty = far end of the feeder")
    ] = ""
    priority: Annotated[
        Literal["active", "reactive"], Meta(description="power that a leg keeps when asked for too much")
    ] = "active"


class Grid(Section, frozen=True, kw_only=True):
    """The low-voltage grid: one transformer with one feeder for every `sites_per_feeder` sites."""

    network: Annotated[
        Literal[
            "street",
            "ieee-european-lv",
            "cigre-lv-residential",
            "cigre-lv-industrial",
            "cigre-lv-commercial",
        ],
        Meta(
            description="street is laid out for its sites; the others are known networks with a transformer, "
            "cables and a voltage of their own, on whose connection points a feeder's sites are spread"
        ),
    ] = "street"
    transformer_kva: Annotated[
        Annotated[float, Meta(gt=0, le=2500)] | None,
        Meta(description="rated power of each transformer, kVA; by default the usual one for its sites"),
    ] = None
    sites_per_feeder: Annotated[int, Meta(ge=1, le=60, description="the most on one feeder")] = 60
    source_pu: Annotated[float, Meta(ge=0.9, le=1.1, description="voltage at the busbar, p.u.")] = 1.01
    joint_spacing_m: Annotated[
        float, Meta(ge=1, le=1000, description="cable (NAYY 4×150) between joints, metres")
    ] = 35.0
    dstatcoms: Annotated[
        tuple[Dstatcom, ...] | None,
        Meta(description="D-STATCOMs; by default one of 30 kVA at the far end of each feeder"),
    ] = None
    dstatcom_objective: Annotated[
        Literal["unbalance", "neutral", "voltage"],
        Meta(description="what they make small: voltage unbalance, neutral current, deviations of voltage"),
    ] = "unbalance"
    dstatcom_status_s: Annotated[
        int,
        Meta(ge=1, le=900, description="how often they report, seconds; up to 60 they are corrected at once"),
    ] = 900
    thresholds: Annotated[Thresholds, Meta(description="of the traffic light")] = Thresholds()


class Pv(Section, frozen=True, kw_only=True):
    """A photovoltaic plant."""

    kwp: Annotated[float, Meta(ge=0.01, le=10_000, description="peak power, kWp")]
    tilt_deg: Annotated[float, Meta(ge=0, le=90, description="0 = flat, 90 = on the wall")] = 35.0
    azimuth_deg: Annotated[float, Meta(ge=0, le=360, description="0 = north, 90 = east, 180 = south")] = 180.0


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


class Server(Section, frozen=True, kw_only=True):
    """The XMPP server of a live run. Short form: its kind."""

    kind: Annotated[
        Literal["embedded", "prosody", "external"],
        Meta(description="`embedded` and `prosody` are started by the run, `external` is there already"),
    ] = "embedded"
    connection: Annotated[
        Literal["accounts", "component"],
        Meta(description="`accounts`: one for each agent; `component`: all on one (prosody), for thousands"),
    ] = "accounts"
    host: Annotated[str, Meta(description="of an external server")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535, description="of an external server; 0 = any free one")] = 0
    domain: Annotated[str, Meta(pattern=r"^[^@/\s]+$", description="of the agents' addresses")] = "localhost"
    ca_file: Annotated[str | None, Meta(description="certificates to trust, PEM")] = None


class Ledger(Section, frozen=True, kw_only=True):
    """Where tokens are settled. Short form: the URL."""

    url: Annotated[str, Meta(description="`embedded`, or the JSON-RPC address of an EVM node")] = "embedded"
    file: Annotated[
        str | None, Meta(description="of the embedded chain, taken up again when it is there; none: memory")
    ] = None
    key_file: Annotated[
        str | None, Meta(description="of the submitter, for a node: hexadecimal, or an encrypted keystore")
    ] = None
    password_file: Annotated[str | None, Meta(description="of the keystore")] = None
    chain_id: Annotated[int, Meta(ge=0, le=2**53 - 1, description="that a node must be of; 0 = any")] = 0
    contract: Annotated[str, Meta(description="address of a settlement contract; empty: a new one")] = ""
    journal_file: Annotated[
        str | None,
        Meta(description="for a node: what was sent, to give back what it loses, and where contracts are"),
    ] = None
    attestors: Annotated[
        int, Meta(ge=1, le=16, description="who vouch for each settlement: aggregator, DSO, then sites")
    ] = 1
    register: Annotated[
        Literal["none", "memory", "chain"],
        Meta(description="where grid states, tariffs and markets are written down for all to read"),
    ] = "none"
    registry: Annotated[str, Meta(description="address of a register's contract; empty: a new one")] = ""
    dso_key_file: Annotated[
        str | None, Meta(description="of who writes grid states on a node; none: the submitter does")
    ] = None
    market_key_file: Annotated[
        str | None, Meta(description="of who writes tariffs on a node; none: the submitter does")
    ] = None
    balances: Annotated[
        Literal["accounts", "roots"],
        Meta(
            description="on the chain: everybody's, or one root over all, with proofs, for large communities"
        ),
    ] = "accounts"
    balances_file: Annotated[
        str | None,
        Meta(description="what the roots stand for; none: `file` with `.balances`, or memory"),
    ] = None
    challenge_window_s: Annotated[
        int, Meta(ge=900, le=2_592_000, description="seconds in which a root can be challenged")
    ] = 86_400


class Product(Section, frozen=True, kw_only=True):
    """Flexibility that somebody wants each day, for which a virtual power plant is formed."""

    id: Annotated[
        str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$", description="unique; names the plants with the date")
    ]
    kind: Annotated[
        Literal["flex-request", "external", "demand-response", "local-market"],
        Meta(description="where the demand comes from"),
    ] = "flex-request"
    initiator: Annotated[
        str, Meta(description="who forms the plant: `aggregator`, or the id of a site's prosumer")
    ] = "aggregator"
    segment: Annotated[str, Meta(description="feeder that its members are on; empty = any")] = ""
    hour: Annotated[float, Meta(ge=0, lt=24, description="when delivery begins, local time")]
    hours: Annotated[float, Meta(ge=0.25, le=24, description="how long it lasts")] = 1.0
    power_kw: Annotated[
        float,
        Meta(ge=-100_000, le=100_000, description="kW; negative = consume less or give more than planned"),
    ]
    price: Annotated[Price, Meta(description="EUR/kWh that the buyer pays for what is delivered")] = 0.15
    lead_hours: Annotated[float, Meta(ge=0.25, le=12, description="negotiation begins this long before")] = (
        0.5
    )


class ExternalMarkets(Section, frozen=True, kw_only=True):
    """Where the aggregator sells flexibility outside the community, emulated."""

    products: Annotated[
        tuple[Literal["intraday", "mfrr", "fcr-d-up", "fcr-d-down"], ...],
        Meta(description="intraday energy and reserves; FCR-D needs a step_s of 60 or less"),
    ] = ("intraday",)
    scale: Annotated[
        float,
        Meta(gt=0, le=1, description="of the markets' 0.1 MW at least and by steps; 0.001 is 100 W"),
    ] = 0.001


class Window(Section, frozen=True, kw_only=True):
    """When a contract holds, in the scenario's local time; what is not said is always."""

    from_hour: Annotated[float, Meta(ge=0, lt=24, description="begins each day")] = 0
    to_hour: Annotated[float, Meta(gt=0, le=24, description="ends each day")] = 24
    weekdays: Annotated[
        tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...],
        Meta(description="empty = every day"),
    ] = ()
    months: Annotated[
        tuple[Annotated[int, Meta(ge=1, le=12)], ...], Meta(description="1 to 12; empty = every month")
    ] = ()


class Contract(Section, frozen=True, kw_only=True):
    """Power that the aggregator holds ready for the DSO's emergencies (RED)."""

    id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$", description="unique")]
    power_kw: Annotated[float, Meta(gt=0, le=100_000, description="reserved, kW")]
    availability: Annotated[Price, Meta(description="EUR for each kW and hour that it is held ready")] = 0
    activation: Annotated[Price, Meta(description="EUR/kWh for what is delivered")] = 0
    members: Annotated[
        float, Meta(ge=0, le=1, description="share of the payment for energy that the aggregator hands on")
    ] = 0.8
    response_s: Annotated[int, Meta(ge=1, le=900, description="it is there after so many seconds")] = 60
    activations_a_day: Annotated[int, Meta(ge=1, le=96, description="at most")] = 4
    segment: Annotated[str, Meta(description="feeder that it is for; empty = any")] = ""
    windows: Annotated[tuple[Window, ...], Meta(description="when it holds; none = always")] = ()


class Indicator(Section, frozen=True, kw_only=True):
    """An indicator of an agreement; the rule says when it is violated."""

    id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$", description="unique")]
    function: Annotated[
        Literal[
            "K_PMAX",
            "K_SCR",
            "K_SSR",
            "K_TMAX",
            "K_TMIN",
            "K_FDR",
            "K_BLE",
            "K_FCE",
            "K_RESP",
            "K_EVS",
            "K_AVAIL",
            "K_ENERGY",
        ],
        Meta(description="what is measured, in W, Wh, °C, s or as a ratio; see service-levels.md"),
    ]
    rule: Annotated[Literal["gt", "lt"], Meta(description="violated above (gt) or below (lt) the limit")]
    limit: Annotated[float, Meta(ge=-1e9, le=1e9, description="in the function's unit")]
    penalty_tokens: Annotated[int, Meta(ge=0, le=10**12, description="that a violation costs")] = 0
    tolerance: Annotated[
        float, Meta(ge=0, le=1, description="share of the limit that a graded penalty forgives")
    ] = 0
    most_tokens: Annotated[
        int, Meta(ge=0, le=10**12, description="makes the penalty grow with the excess, up to this; 0 = flat")
    ] = 0
    sites: Annotated[tuple[str, ...], Meta(description="whom it is about; empty = every site")] = ()


class Agreement(Section, frozen=True, kw_only=True):
    """A service-level agreement between the aggregator and sites, for some hours of the run."""

    id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$", description="unique")]
    after_hours: Annotated[float, Meta(ge=0, le=8784, description="begins this long after the run's start")]
    hours: Annotated[float, Meta(ge=0.25, le=8784, description="how long it lasts")]
    indicators: Annotated[tuple[Indicator, ...], Meta(min_length=1, description="what it is judged by")]


class UftpPoint(Section, frozen=True, kw_only=True):
    """What a segment is called outside."""

    segment: Annotated[str, Meta(description="of the grid, such as `segment-001`")]
    address: Annotated[
        str, Meta(description="entity address of the congestion point: `ean.…` or `ea1.yyyy-mm.domain:name`")
    ]
    meter: Annotated[
        str,
        Meta(description="EAN of its meter, E and digits; an `ean.` address of 16 or 18 needs none"),
    ] = ""


class UftpCounterparty(Section, frozen=True, kw_only=True):
    """A participant outside: an aggregator where `role` is dso, a DSO where it is agr."""

    domain: Annotated[str, Meta(description="its Internet domain, which names it")]
    endpoint: Annotated[
        str, Meta(description="where its messages are posted to: https, or http on this machine")
    ]
    public_key_file: Annotated[str, Meta(description="its Ed25519 key in base64 (a file)")]
    segments: Annotated[
        tuple[str, ...], Meta(description="where it trades; empty = at all `congestion_points`")
    ] = ()


class Uftp(Section, frozen=True, kw_only=True):
    """Trade with participants outside by UFTP, in live runs; see uftp.md."""

    role: Annotated[
        Literal["dso", "agr"],
        Meta(description="who trades outside: `dso` buys there too, `agr` sells to DSOs there"),
    ]
    domain: Annotated[str, Meta(description="own Internet domain, which names the party outside")]
    key_file: Annotated[
        str, Meta(description="own Ed25519 key in base64 (a file that only its owner may read)")
    ]
    listen: Annotated[
        str, Meta(description="host and port that take messages; behind a proxy for TLS; port 0 = any")
    ] = "127.0.0.1:8080"
    zone: Annotated[
        str, Meta(description="IANA zone of a continent, whose days are periods; by default the scenario's")
    ] = ""
    congestion_points: Annotated[
        tuple[UftpPoint, ...], Meta(min_length=1, description="segments that are traded at outside")
    ]
    counterparties: Annotated[
        tuple[UftpCounterparty, ...], Meta(min_length=1, description="with whom; nobody else is heard")
    ]


class FlexibilityMarket(Section, frozen=True, kw_only=True):
    """The explicit flexibility market: the DSO asks, aggregators offer, it orders and pays (UFTP)."""

    active: Annotated[
        bool, Meta(description="whether the DSO buys flexibility where congestion is foreseen")
    ] = False
    willingness: Annotated[Price, Meta(description="EUR/kWh that the DSO pays at most")] = 0.30
    penalty: Annotated[Price, Meta(description="EUR/kWh for what was ordered and is missing")] = 0.20
    loading: Annotated[
        float, Meta(gt=0, le=1, description="of the rated power or current, that requests aim at")
    ] = 0.95
    baseline: Annotated[
        Literal["d-prognosis", "same-slot-7d", "high-5-of-10", "mbma", "control-group"],
        Meta(description="what a deviation is measured from"),
    ] = "d-prognosis"
    request_minutes: Annotated[int, Meta(ge=30, le=120, description="before delivery requests are made")] = 90
    offer_minutes: Annotated[int, Meta(ge=25, le=120, description="before delivery offers are due")] = 60
    order_minutes: Annotated[int, Meta(ge=20, le=120, description="before delivery orders are placed")] = 45
    reserved_kw: Annotated[
        float, Meta(ge=0, le=100_000, description="kept ready by contract on each feeder, kW")
    ] = 0.0
    uftp: Annotated[Uftp | None, Meta(description="trade with participants outside the community")] = None


class Planning(Section, frozen=True, kw_only=True):
    """How a site plans its devices. Short form: the solver."""

    solver: Annotated[
        Literal["fast", "exact"],
        Meta(description="`fast`: within a hundredth of the optimum; `exact`: a programme for all at once"),
    ] = "fast"
    intervals: Annotated[
        int, Meta(ge=1, le=96, description="from one plan to the next, unless something happens before")
    ] = 4


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
    ledger: Annotated[Ledger, Meta(description="chain of the settlement")] = Ledger()
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
    FlexibilityMarket: {bool: "active"},
    Planning: {str: "solver"},
}
"""Sections that may be written as one value, and the key that the value then stands for."""
