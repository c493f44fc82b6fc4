"""What a simulated world is made of: sites, their devices, weather and feeders, and what is wrong with it."""

from collections.abc import Iterator
from zoneinfo import ZoneInfo

import msgspec

from behaviours.decisions.dstatcom import Priority
from behaviours.decisions.grid.network import MAX_SITES
from environments.networks import FEEDERS, is_imported
from ontology.assets import Phases
from ontology.base import INTERVAL_S
from ontology.errors import Problem, problem
from ontology.network_events import NetworkEvent

__all__ = [
    "BatterySettings",
    "CompensatorSettings",
    "EvSettings",
    "FeederSettings",
    "HeatPumpSettings",
    "HotWaterSettings",
    "LightingSettings",
    "MonitoringSettings",
    "PvSettings",
    "SiteSettings",
    "WorldSettings",
    "problems",
]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of the world's description."""


class PvSettings(Settings, frozen=True, kw_only=True):
    """A photovoltaic plant: peak power in kWp, tilt from horizontal, azimuth clockwise from north."""

    kwp: float
    tilt_deg: float = 35.0
    azimuth_deg: float = 180.0


class BatterySettings(Settings, frozen=True, kw_only=True):
    """A stationary battery; the efficiency is that of a round trip, AC to AC."""

    capacity_wh: int
    power_w: int
    efficiency: float = 0.90
    minimum_state_of_charge: float = 0.05
    initial_state_of_charge: float = 0.30


class EvSettings(Settings, frozen=True, kw_only=True):
    """A car and its charger: when it usually comes and goes (local hours) and what a day's driving takes."""

    capacity_wh: int
    charger_w: int = 11_000
    v2g: bool = False
    efficiency: float = 0.92
    """AC to battery, one way."""
    departure_hour: float = 7.5
    arrival_hour: float = 17.5
    trip_wh: int = 7_000
    """Taken from the battery on a day of driving, on average."""
    target_state_of_charge: float = 0.90
    minimum_state_of_charge: float = 0.20


class HeatPumpSettings(Settings, frozen=True, kw_only=True):
    """A heat pump and the house that it heats, as one resistance and one capacity; power is electrical."""

    power_w: int = 3_000
    resistance_k_per_w: float = 0.0065
    capacity_j_per_k: float = 45e6
    set_degc: float = 21.0
    comfort_k: float = 1.5
    """How far from the set-point the room may be."""
    solar_aperture_m2: float = 2.5
    internal_gain_w: float = 350.0
    minimum_share: float = 0.0
    """Of its power, below which a compressor cannot run; then it keeps runs and rests of ten minutes."""
    sensor_noise_k: float = 0.0
    """Standard deviation of what the thermometer says."""
    overrides_a_week: float = 0.0
    """How often somebody turns the thermostat by hand, on average."""


class LightingSettings(Settings, frozen=True, kw_only=True):
    """Lights that can be dimmed, to a level of their power while somebody is there (local hours)."""

    power_w: int = 500
    minimum_share: float = 0.4
    from_hour: float = 7.0
    to_hour: float = 19.0


class HotWaterSettings(Settings, frozen=True, kw_only=True):
    """A hot-water tank and its heater; `cop` is 1 for a heating element, more for a heat pump."""

    power_w: int = 2_000
    cop: float = 1.0
    volume_l: float = 200.0
    loss_w_per_k: float = 1.8
    draw_l: float = 110.0
    """Drawn a day at 45 degC, on average."""
    minimum_degc: float = 46.0
    maximum_degc: float = 56.0


class SiteSettings(Settings, frozen=True, kw_only=True):
    """A site: its own demand (standard profile or meter readings) and its devices."""

    id: str
    annual_kwh: float = 3_500.0
    profile: str = "household"
    """Of its own demand: `household` (BDEW H25) or `commerce` (G25)."""
    zone: str = "Europe/Berlin"
    csv: str | None = None
    """A file of meter readings that replaces the standard profile; see `meter_csv`."""
    csv_zone: str | None = None
    """The zone of timestamps without one in that file."""
    phases: Phases | None = None
    """Unnamed phases alternate along the street."""
    node: str | None = None
    """Where in a known network it is connected; without it sites are spread in their order."""
    pv: PvSettings | None = None
    battery: BatterySettings | None = None
    ev: EvSettings | None = None
    heat_pump: HeatPumpSettings | None = None
    hot_water: HotWaterSettings | None = None
    lighting: LightingSettings | None = None


class CompensatorSettings(Settings, frozen=True, kw_only=True):
    """A four-leg D-STATCOM: its feeder by segment, and the joint of the site that it stands at."""

    segment_id: str
    rated_va: int = 30_000
    neutral_a: float | None = None
    """Of the neutral leg; by default twice a phase leg's current."""
    priority: Priority = Priority.ACTIVE
    site: str = ""
    """Without one it stands at the far end of the feeder."""


STREET = "street"
"""The network that is laid out for its sites; others are built in."""


class FeederSettings(Settings, frozen=True, kw_only=True):
    """How low-voltage feeders are built; a rating of 0 VA is the usual one for the number of sites.

    A network other than the street is taken as it is: transformer, cables and voltage are its own.
    """

    network: str = STREET
    sites_max: int = MAX_SITES
    transformer_va: int = 0
    source_pu: float = 1.01
    joint_spacing_m: float = 35.0
    compensators: tuple[CompensatorSettings, ...] | None = None
    """None is one at the far end of every feeder."""
    four_wires: bool = False
    """Whether the neutral is solved as a conductor of its own, beside the phases."""
    events: tuple[NetworkEvent, ...] = ()
    """What happens to the networks."""


class MonitoringSettings(Settings, frozen=True, kw_only=True):
    """What the DSO measures in the network, and how well: standard deviations are shares of the value."""

    transformer: bool = True
    """Whether every transformer station is metered."""
    share_of_sites: float = 0.0
    """Sites of a feeder whose smart meter tells the DSO voltages and powers; drawn by the seed."""
    voltage_error: float = 0.003
    power_error: float = 0.01
    missing: float = 0.0
    """Readings that do not come, as a share of all."""
    period_s: int = 60


class WorldSettings(Settings, frozen=True, kw_only=True):
    """A simulated world; times are epoch seconds UTC."""

    start_s: int
    sites: tuple[SiteSettings, ...]
    step_s: int = INTERVAL_S
    frequency_events_a_day: float = 0
    """Disturbances of the grid's frequency beyond 0.1 Hz."""
    seed: int = 1
    weather_year: int = 4
    """A German reference year (DWD TRY 2010), 1 to 15; 4 is north-eastern Germany, Potsdam."""
    latitude: float | None = None
    longitude: float | None = None
    """Where the sun is seen from; without them the reference year's own station."""
    feeder: FeederSettings = FeederSettings()
    monitoring: MonitoringSettings | None = None
    """None: the DSO measures nothing itself."""
    collect: bool = False
    """Whether Mesa's DataCollector runs; the tables of the world do not need it."""


def problems(settings: WorldSettings) -> list[Problem]:
    """Return everything that is wrong with the settings of a world, with the path of each value."""
    return [
        *_world_problems(settings),
        *_feeder_problems(settings.feeder),
        *_compensator_problems(settings),
        *_monitoring_problems(settings.monitoring),
        *_site_problems(settings.sites),
    ]


def _world_problems(world: WorldSettings) -> Iterator[Problem]:
    if world.start_s % INTERVAL_S:
        yield problem("start_s", world.start_s, "a multiple of 900 s")
    if not 1 <= world.step_s <= INTERVAL_S or INTERVAL_S % world.step_s:
        yield problem("step_s", world.step_s, "1 to 900 s and a divisor of 900")
    if world.seed < 0:
        yield problem("seed", world.seed, "must not be negative")
    if not 1 <= world.weather_year <= 15:
        yield problem("weather_year", world.weather_year, "reference years are named 1 to 15")
    if world.latitude is not None and not -66 <= world.latitude <= 66:
        yield problem("latitude", world.latitude, "-66 to 66 degrees")
    if world.longitude is not None and not -180 <= world.longitude <= 180:
        yield problem("longitude", world.longitude, "-180 to 180 degrees")
    if not world.sites:
        yield problem("sites", "none", "at least one site")


def _feeder_problems(feeder: FeederSettings) -> Iterator[Problem]:
    if feeder.network not in (STREET, *FEEDERS) and not is_imported(feeder.network):
        known = ", ".join((STREET, *FEEDERS))
        expected = f"one of {known}, simbench:CODE, or a file of pandapower (.json) or OpenDSS (.dss)"
        yield problem("feeder.network", feeder.network, expected)
    yield from _ranges(
        "feeder",
        feeder,
        sites_max=(1, MAX_SITES),
        transformer_va=(0, 2_500_000),
        source_pu=(0.9, 1.1),
        joint_spacing_m=(1, 1_000),
    )


def _compensator_problems(settings: WorldSettings) -> Iterator[Problem]:
    names, most = [site.id for site in settings.sites], max(1, settings.feeder.sites_max)
    for index, unit in enumerate(settings.feeder.compensators or ()):
        path = f"feeder.compensators[{index}]"
        yield from _ranges(path, unit, rated_va=(100, 10**7))
        if unit.neutral_a is not None:
            yield from _ranges(path, unit, neutral_a=(0.1, 10**5))
        number = segment_number(unit.segment_id, len(names), most)
        if number is None:
            yield problem(f"{path}.segment_id", unit.segment_id, "a segment of the world")
        elif unit.site and unit.site not in names[(number - 1) * most : number * most]:
            yield problem(f"{path}.site", unit.site, f"a site of {unit.segment_id}")


def _monitoring_problems(monitoring: MonitoringSettings | None) -> Iterator[Problem]:
    if monitoring is None:
        return
    yield from _ranges(
        "monitoring",
        monitoring,
        share_of_sites=(0, 1),
        voltage_error=(0, 0.2),
        power_error=(0, 0.5),
        missing=(0, 1),
        period_s=(1, INTERVAL_S),
    )
    if monitoring.period_s > 0 and INTERVAL_S % monitoring.period_s:
        yield problem("monitoring.period_s", monitoring.period_s, "a divisor of 900")


def segment_number(segment_id: str, sites: int, sites_max: int) -> int | None:
    """Return which feeder, from 1, a segment names; None where there is none of that name."""
    numbers = {f"segment-{number:03d}": number for number in range(1, -(-sites // sites_max) + 1)}
    return numbers.get(segment_id)


def _site_problems(sites: tuple[SiteSettings, ...]) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for index, site in enumerate(sites):
        path = f"sites[{index}]"
        if not site.id:
            yield problem(f"{path}.id", site.id, "must not be empty")
        if site.id in first:
            yield problem(f"{path}.id", site.id, f"already used by sites[{first[site.id]}]")
        first.setdefault(site.id, index)
        yield from _ranges(path, site, annual_kwh=(0, 1_000_000))
        yield from _zone_problem(f"{path}.zone", site.zone)
        if site.csv_zone is not None:
            yield from _zone_problem(f"{path}.csv_zone", site.csv_zone)
        yield from _device_problems(path, site)


def _zone_problem(path: str, zone: str) -> Iterator[Problem]:
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        yield problem(path, zone, "a time zone such as Europe/Berlin")


def _device_problems(path: str, site: SiteSettings) -> Iterator[Problem]:
    if site.pv is not None:
        yield from _ranges(f"{path}.pv", site.pv, kwp=(0.01, 10_000), tilt_deg=(0, 90), azimuth_deg=(0, 360))
    if site.battery is not None:
        yield from _ranges(
            f"{path}.battery",
            site.battery,
            capacity_wh=(1, 10**8),
            power_w=(1, 10**7),
            efficiency=(0.1, 1),
            minimum_state_of_charge=(0, 0.9),
            initial_state_of_charge=(site.battery.minimum_state_of_charge, 1),
        )
    if site.ev is not None:
        yield from _ranges(
            f"{path}.ev",
            site.ev,
            capacity_wh=(1_000, 10**6),
            charger_w=(1, 350_000),
            efficiency=(0.1, 1),
            departure_hour=(0, 23),
            arrival_hour=(site.ev.departure_hour + 1, 24),
            trip_wh=(0, 10**6),
            target_state_of_charge=(0.1, 1),
            minimum_state_of_charge=(0, site.ev.target_state_of_charge),
        )
    if site.heat_pump is not None:
        yield from _ranges(
            f"{path}.heat_pump",
            site.heat_pump,
            power_w=(1, 10**6),
            resistance_k_per_w=(1e-6, 1),
            capacity_j_per_k=(1e5, 1e12),
            set_degc=(5, 30),
            comfort_k=(0.1, 10),
            solar_aperture_m2=(0, 10_000),
            internal_gain_w=(0, 10**6),
            minimum_share=(0, 1),
            sensor_noise_k=(0, 5),
            overrides_a_week=(0, 100),
        )
    if site.hot_water is not None:
        yield from _ranges(
            f"{path}.hot_water",
            site.hot_water,
            power_w=(1, 10**6),
            cop=(0.1, 10),
            volume_l=(5, 10**6),
            loss_w_per_k=(0, 1_000),
            draw_l=(0, 10**6),
            minimum_degc=(20, 60),
            maximum_degc=(site.hot_water.minimum_degc + 1, 75),
        )
    if site.lighting is not None:
        yield from _ranges(
            f"{path}.lighting",
            site.lighting,
            power_w=(1, 10**6),
            minimum_share=(0, 1),
            from_hour=(0, 23.75),
            to_hour=(site.lighting.from_hour + 0.25, 24),
        )


def _ranges(path: str, settings: Settings, **ranges: tuple[float, float]) -> Iterator[Problem]:
    for name, (low, high) in ranges.items():
        value = getattr(settings, name)
        if not low <= value <= high:
            positive = "must be positive, " if low > 0 and value <= 0 else ""
            yield problem(f"{path}.{name}", value, f"{positive}{low:g} to {high:g}")
