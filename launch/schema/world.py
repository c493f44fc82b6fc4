"""The world of a scenario: where it is, and the feeders."""

from typing import Annotated, Literal

from msgspec import Meta

from launch.schema.dso_systems import Access, DsoSystems
from launch.schema.section import Section

__all__ = [
    "Dstatcom",
    "Grid",
    "Location",
    "Monitoring",
    "NetworkEvent",
    "Thresholds",
    "Weather",
    "WeatherProvider",
]


class Location(Section, frozen=True, kw_only=True):
    """Where the sun is seen from; without it the station of the reference year."""

    latitude: Annotated[float, Meta(ge=-66, le=66, description="degrees north")]
    longitude: Annotated[float, Meta(ge=-180, le=180, description="degrees east")]


class WeatherProvider(Section, frozen=True, kw_only=True):
    """Who foresees the weather of a live run."""

    kind: Annotated[
        Literal["open-meteo", "file", "reference-year"],
        Meta(description="by HTTP in Open-Meteo's form, a CSV, or what is usual"),
    ]
    name: Annotated[str, Meta(description="in logs and forecasts; empty: its kind")] = ""
    url: Annotated[
        str, Meta(description="of the HTTP interface, such as `https://api.open-meteo.com/v1`")
    ] = ""
    token_file: Annotated[str | None, Meta(description="a bearer token, where the service asks for one")] = (
        None
    )
    ca_file: Annotated[str | None, Meta(description="certificates to trust, PEM")] = None
    file: Annotated[str | None, Meta(description="the CSV")] = None


class Weather(Section, frozen=True, kw_only=True):
    """A DWD test reference year, which ships with demandlib. Short form: its number."""

    reference_year: Annotated[
        int, Meta(ge=1, le=15, description="test reference region, such as 4 Potsdam, 12 Mannheim")
    ] = 4
    providers: Annotated[
        tuple[WeatherProvider, ...],
        Meta(description="of a live run's forecasts, in the order of asking; none: the simulated world's"),
    ] = ()


class Thresholds(Section, frozen=True, kw_only=True):
    """When the traffic light leaves GREEN (yellow) and YELLOW (red); SPEC 2.1."""

    loading_yellow: Annotated[float, Meta(gt=0, le=3, description="of the rated power or current")] = 0.80
    loading_red: Annotated[float, Meta(gt=0, le=3, description="of the rated power or current")] = 1.00
    voltage_yellow_pu: Annotated[float, Meta(gt=0, le=0.5, description="deviation from nominal, p.u.")] = 0.05
    voltage_red_pu: Annotated[float, Meta(gt=0, le=0.5, description="deviation from nominal, p.u.")] = 0.10
    unbalance_yellow: Annotated[float, Meta(gt=0, le=1, description="voltage unbalance factor")] = 0.015
    unbalance_red: Annotated[float, Meta(gt=0, le=1, description="voltage unbalance factor")] = 0.02
    ratio_margin: Annotated[
        float, Meta(ge=0, le=0.5, description="how far loading and unbalance must fall below, share of them")
    ] = 0.025
    voltage_margin_pu: Annotated[
        float, Meta(ge=0, le=0.1, description="how far a voltage must come back inside, p.u.")
    ] = 0.012
    calm_intervals: Annotated[
        int, Meta(ge=1, le=96, description="intervals without violation before the light goes down")
    ] = 2
    red_after_s: Annotated[
        int,
        Meta(ge=0, le=900, description="how long red must be measured for the running interval to be, s"),
    ] = 120


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
    address: Annotated[
        str,
        Meta(description="of the unit: `http://…/dstatcoms/ID` or `mqtt://…/prefix`; empty = simulated"),
    ] = ""
    access: Annotated[Access, Meta(description="to the unit at an address")] = Access()


class Monitoring(Section, frozen=True, kw_only=True):
    """What the grid operator measures itself, each minute, beside the sites' meter readings."""

    transformer: Annotated[bool, Meta(description="every transformer station is metered, phase by phase")] = (
        True
    )
    share_of_sites: Annotated[
        float,
        Meta(ge=0, le=1, description="sites whose smart meters tell voltages and powers; drawn by the seed"),
    ] = 0.0
    voltage_error: Annotated[
        float, Meta(ge=0, le=0.2, description="standard deviation of a measured voltage, share of it")
    ] = 0.003
    power_error: Annotated[
        float, Meta(ge=0, le=0.5, description="standard deviation of a measured power, share of it")
    ] = 0.01
    missing: Annotated[float, Meta(ge=0, le=1, description="share of measurements that do not come")] = 0.0
    period_s: Annotated[
        int, Meta(ge=10, le=900, description="how often it measures, seconds; at most once a `step_s`")
    ] = 60
    source: Annotated[
        str,
        Meta(description="where measurements come from: `world`, or `http://…` or `mqtt://host:port/prefix`"),
    ] = "world"
    access: Annotated[Access, Meta(description="to the source")] = Access()


class NetworkEvent(Section, frozen=True, kw_only=True):
    """Something that happens to the network, which the grid operator must react to at once."""

    at: Annotated[str, Meta(description="when, local date and time, such as `2024-01-11T18:07`")]
    segment: Annotated[str, Meta(description="where, such as `segment-001`")]
    kind: Annotated[
        Literal["transformer", "cable", "line-opened"],
        Meta(
            description="transformer: its rating falls to a share; cable: of several parallel ones in the "
            "street that lead to a site's joint a share is left; line-opened: that cable is opened, and what "
            "is behind is fed by a tie from another site's joint"
        ),
    ]
    share: Annotated[float, Meta(ge=0.05, lt=1, description="what is left (transformer, cable)")] = 0.5
    site: Annotated[str, Meta(description="the cable in the street is the one that leads to this site")] = ""
    fed_from: Annotated[str, Meta(description="the tie begins at this site's joint (line-opened)")] = ""
    tie_m: Annotated[float, Meta(ge=1, le=2000, description="length of the tie, metres")] = 100.0


class Grid(Section, frozen=True, kw_only=True):
    """The low-voltage grid: one transformer with one feeder for every `sites_per_feeder` sites."""

    network: Annotated[
        str,
        Meta(
            description="street is laid out for its sites; ieee-european-lv, cigre-lv-residential, "
            "cigre-lv-industrial and cigre-lv-commercial are known networks, with a transformer, cables and "
            "a voltage of their own, on whose connection points a feeder's sites are spread; or a file "
            "(pandapower .json, OpenDSS .dss) with one transformer, or simbench:CODE"
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
    four_wires: Annotated[
        bool, Meta(description="solve the neutral as a conductor of its own: its voltages in the results")
    ] = False
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
    monitoring: Annotated[
        Monitoring | None,
        Meta(description="network monitoring; without it the light knows meter readings and forecasts only"),
    ] = None
    systems: Annotated[
        DsoSystems | None, Meta(description="systems of the grid operator on sockets, in live runs")
    ] = None
    outlook_intervals: Annotated[
        int, Meta(ge=1, le=96, description="how far ahead the network is solved and the outlook published")
    ] = 96
    events: Annotated[
        tuple[NetworkEvent, ...], Meta(max_length=1000, description="what happens to the network, and when")
    ] = ()
    thresholds: Annotated[Thresholds, Meta(description="of the traffic light")] = Thresholds()
