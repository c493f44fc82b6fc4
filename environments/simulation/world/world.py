"""The physical world as a Mesa model: time, weather, sites, devices and feeders, step by step."""

from collections.abc import Sequence

import mesa
import numpy as np
from numpy.typing import NDArray

from behaviours.decisions.grid.network import Network
from behaviours.decisions.grid.power_flow import FlowResult
from environments.simulation.world.battery import Batteries
from environments.simulation.world.buildings import Buildings
from environments.simulation.world.compensators import Compensator
from environments.simulation.world.controls import Controls
from environments.simulation.world.devices import (
    Battery,
    Charger,
    FeederMonitor,
    FrequencyMeter,
    HeatPump,
    HotWater,
    ImportMeter,
    Lighting,
    Meter,
    Plant,
    SiteDevice,
)
from environments.simulation.world.energy import DEVICES, IntervalEnergy, Meters
from environments.simulation.world.feeder import Feeders
from environments.simulation.world.frequency import GridFrequency
from environments.simulation.world.hot_water import Tanks
from environments.simulation.world.households import Household, Households
from environments.simulation.world.lighting import Lights
from environments.simulation.world.meter_csv import MeterReadings, read_meter_csv
from environments.simulation.world.network_meters import NetworkMeters
from environments.simulation.world.neutrals import Neutral
from environments.simulation.world.occupants import Occupants
from environments.simulation.world.photovoltaics import Plants
from environments.simulation.world.settings import SiteSettings, WorldSettings, problems
from environments.simulation.world.vehicles import Vehicles
from environments.simulation.world.weather import Weather
from ontology.base import INTERVAL_S
from ontology.errors import InvalidInput, Problem, problem
from ontology.grid import GridSegment

__all__ = ["Feeder", "Site", "WeatherStation", "World"]

Array = NDArray[np.float64]

HOUR_S = 3_600
SETTLING_ROUNDS = 30
"""Flows solved at most until D-STATCOMs that control by themselves have settled."""


class Site(mesa.Agent):  # type: ignore[misc]
    """A site of the world, as a view on its arrays."""

    def __init__(self, model: "World", index: int) -> None:
        super().__init__(model)
        self.index = index

    @property
    def settings(self) -> SiteSettings:
        """What the site is made of."""
        found: SiteSettings = self.model.settings.sites[self.index]
        return found

    @property
    def power_w(self) -> float:
        """Its mean net power in the last step, consumption positive."""
        return float(self.model.power_w[:, self.index].sum())

    @property
    def state_of_charge(self) -> float:
        """Of its battery; nan without one."""
        return float(self.model.batteries.state_of_charge[self.index])


class Feeder(mesa.Agent):  # type: ignore[misc]
    """A low-voltage feeder of the world."""

    def __init__(self, model: "World", index: int) -> None:
        super().__init__(model)
        self.index = index

    @property
    def segment(self) -> GridSegment:
        """What the DSO knows of it: name, rating, nodes and sites."""
        found: GridSegment = self.model.grid.segments[self.index]
        return found

    @property
    def segment_id(self) -> str:
        """Its name, such as `segment-001`."""
        return self.segment.segment_id

    @property
    def rated_va(self) -> int:
        """The rating of its transformer."""
        return self.segment.rated_va

    @property
    def network(self) -> Network:
        """Its nodes and cables."""
        found: Network = self.model.grid.networks[self.index]
        return found

    @property
    def flow(self) -> FlowResult | None:
        """The flow of the last interval, or None before the first has ended."""
        return self.model.flows[self.index] if self.model.flows else None


class WeatherStation(mesa.Agent):  # type: ignore[misc]
    """The weather of the world."""

    @property
    def outdoor_degc(self) -> float:
        """The mean temperature of the last step."""
        return float(self.model.outdoor_degc)

    @property
    def ghi_w_per_m2(self) -> float:
        """The mean horizontal irradiance of the last step."""
        return float(self.model.ghi_w_per_m2)


class World(mesa.Model):  # type: ignore[misc]
    """Sites and feeders under the weather, advanced by `step()`; everything follows from the settings.

    Raises: InvalidInput with every problem of the settings and of the CSV files that they name.
    """

    def __init__(self, settings: WorldSettings) -> None:
        found = problems(settings)
        if found:
            raise InvalidInput(found)
        super().__init__(rng=settings.seed)
        self.settings = settings
        self.now_s = settings.start_s
        self._index = {site.id: index for index, site in enumerate(settings.sites)}
        self._build(settings)
        self.grid = Feeders(settings.sites, settings.feeder)
        self.flows: list[FlowResult] = []
        self.power_w = np.zeros((len(DEVICES), len(settings.sites)))
        self.last_interval: IntervalEnergy | None = None
        self._meters = Meters(len(settings.sites))
        self._history: list[tuple[int, IntervalEnergy, list[Array], list[tuple[float, ...]]]] = []
        self._block_s = -1
        self._load_block()
        self.station = WeatherStation(self)
        self.feeders = [Feeder(self, index) for index in range(len(self.grid.networks))]
        self.sites = [Site(self, index) for index in range(len(settings.sites))]
        self._devices = [self._devices_of(index) for index in range(len(settings.sites))]
        self._monitors = [FeederMonitor(self, index) for index in range(len(self.feeders))]
        self._compensators = [
            Compensator(self, self.grid.index(unit.segment_id), position)
            for position, unit in enumerate(self.grid.compensators)
        ]
        self._flows_now: tuple[tuple[int, int], list[FlowResult]] = ((-1, -1), [])
        self.network_meters = NetworkMeters(self, settings.monitoring) if settings.monitoring else None
        """What the DSO measures; None where it measures nothing itself."""
        self.datacollector = _collector() if settings.collect else None

    def _build(self, settings: WorldSettings) -> None:
        sites, seed, start_s = settings.sites, settings.seed, settings.start_s
        names, zones = [site.id for site in sites], [site.zone for site in sites]
        self.weather = Weather(settings.weather_year, seed, settings.latitude, settings.longitude)
        self._frequency = GridFrequency(seed, start_s, settings.step_s, settings.frequency_events_a_day)
        self._readings = _read_all(sites)
        self._standard = np.array([i for i in range(len(sites)) if i not in self._readings], dtype=np.int64)
        homes = [Household(names[i], sites[i].annual_kwh, zones[i], sites[i].profile) for i in self._standard]
        self._households = Households(seed, homes)
        self._plants = Plants(
            self.weather,
            [site.pv.kwp if site.pv else 0.0 for site in sites],
            [site.pv.tilt_deg if site.pv else 0.0 for site in sites],
            [site.pv.azimuth_deg if site.pv else 0.0 for site in sites],
        )
        self.pv_controls = Controls(len(sites))
        self.batteries = Batteries([site.battery for site in sites])
        self.vehicles = Vehicles(seed, names, zones, [site.ev for site in sites], start_s)
        self.buildings = Buildings([site.heat_pump for site in sites])
        self.occupants = Occupants(
            seed, names, zones, [site.heat_pump for site in sites], self.buildings.controls
        )
        self.tanks = Tanks(seed, names, zones, [site.hot_water for site in sites], start_s)
        self.lights = Lights(zones, [site.lighting for site in sites])

    @property
    def frequency_hz(self) -> float:
        """The grid frequency at the end of the last step."""
        return self._frequency.now_hz

    @property
    def outdoor_degc(self) -> float:
        """The mean outdoor temperature of the last step; of the coming one before the first."""
        return float(self._outdoor[self._column])

    @property
    def ghi_w_per_m2(self) -> float:
        """The mean global horizontal irradiance of the last step."""
        return float(self._ghi[self._column])

    def devices(self, site_id: str) -> list[SiteDevice]:
        """Return the devices of a site: the meter, then pv, bess, ev, heat_pump, dhw and lighting as it
        has them.

        Raises: InvalidInput when there is no such site.
        """
        return list(self._devices[self.site_index(site_id)])

    def frequency_meter(self) -> FrequencyMeter:
        """Return a meter of the grid's frequency that belongs to no site."""
        return FrequencyMeter(self)

    def import_meter(self, site_id: str, *, of_feeder: bool) -> ImportMeter:
        """Return a meter of what a site, or all sites of its feeder, draw from the grid.

        Raises: InvalidInput when there is no such site.
        """
        return ImportMeter(self, self.site_index(site_id), of_feeder=of_feeder)

    def site_index(self, site_id: str) -> int:
        """Return the position of a site in the arrays.

        Raises: InvalidInput when there is no such site.
        """
        if site_id not in self._index:
            raise InvalidInput(problem("site_id", site_id, "a site of this world"))
        return self._index[site_id]

    def feeder_of(self, site_id: str) -> Feeder:
        """Return the feeder of a site.

        Raises: InvalidInput when there is no such site.
        """
        return self.feeders[int(self.grid.of_site[self.site_index(site_id)])]

    def monitor(self, segment_id: str) -> FeederMonitor:
        """Return the measurement in a feeder's transformer station."""
        return self._monitors[self.grid.index(segment_id)]

    def compensators(self, segment_id: str = "") -> list[Compensator]:
        """Return the D-STATCOMs, of one feeder or of all; they do nothing until they are commanded."""
        return [each for each in self._compensators if segment_id in ("", each.segment_id)]

    def step(self) -> None:
        """Advance by one step; at the end of a market interval read meters and solve the grid."""
        start_s, step_s = self.now_s, self.settings.step_s
        self._load_block()
        self._column = (start_s - self._block_s) // step_s
        self.grid.happen(start_s + step_s)
        for controls in self._all_controls():
            controls.begin_step(start_s, start_s + step_s)
        self.occupants.step(start_s, start_s + step_s)
        power = self.power_w
        power[0] = self._base[:, self._column]
        power[1] = self._produced()
        power[2] = self.batteries.step(step_s)
        power[3] = self.vehicles.step(start_s, step_s)
        power[4] = self.buildings.step(self.outdoor_degc, self.ghi_w_per_m2, step_s)
        power[5] = self.tanks.step(start_s, step_s)
        power[6] = self.lights.step(start_s)
        self._meters.add(power, step_s)
        self._frequency.step()
        self.now_s = start_s + step_s
        for unit in self._compensators:
            unit.converter.warm(self.outdoor_degc, step_s)
        if self.now_s % INTERVAL_S == 0:
            self._close_interval()
        if self.network_meters is not None:
            self.network_meters.record()
        if self.datacollector is not None:
            self.datacollector.collect(self)

    def step_interval(self) -> None:
        """Advance to the next boundary of a market interval."""
        self.step()
        while self.now_s % INTERVAL_S:
            self.step()

    @property
    def has_stepped(self) -> bool:
        """Whether there are powers of a last step."""
        return self.now_s > self.settings.start_s

    def solve_now(self) -> list[FlowResult]:
        """Solve every feeder for the powers of the last step and what the D-STATCOMs do now."""
        if self._flows_now[0] != (self.now_s, self.grid.revision):
            flows = self._settled(self.power_w)
            self._flows_now = ((self.now_s, self.grid.revision), flows)
        return self._flows_now[1]

    def drawn_va(self) -> NDArray[np.complex128]:
        """Return what sites draw from each phase by the powers of the last step, (sites, 3) in VA."""
        return self.grid.drawn_va(self.power_w)

    def _settled(self, device_w: Array) -> list[FlowResult]:
        """Solve every feeder together with the D-STATCOMs that control by what they measure themselves."""
        flows = self.grid.solve(device_w)
        for _ in range(SETTLING_ROUNDS):
            moved = [unit.pursue(flows[unit.feeder]) for unit in self._compensators]
            if not any(moved):
                break
            flows = self.grid.solve(device_w)
        return flows

    def site_table(self, from_s: int = 0) -> dict[str, NDArray[np.generic]]:
        """Return a column a quantity, a row for every interval and site, by time and then site."""
        kept = [each for each in self._history if each[0] >= from_s]
        count = len(self.settings.sites)
        names = np.array([site.id for site in self.settings.sites])
        table: dict[str, NDArray[np.generic]] = {
            "start_s": np.repeat(np.array([each[0] for each in kept], dtype=np.int64), count),
            "site": np.tile(names, len(kept)),
            "consumed_wh": _joined([each[1].consumed_wh for each in kept], np.int64),
            "produced_wh": _joined([each[1].produced_wh for each in kept], np.int64),
        }
        for row, device in enumerate(DEVICES):
            table[f"{device}_wh"] = _joined([each[1].device_wh[row] for each in kept], np.int64)
        for row, name in enumerate(_STATES):
            table[name] = _joined([each[2][row] for each in kept], np.float32)
        return table

    def grid_table(self, from_s: int = 0) -> dict[str, NDArray[np.generic]]:
        """Return a column a quantity, a row for every interval and feeder, by time and then feeder."""
        kept = [each for each in self._history if each[0] >= from_s]
        names = np.array([each.segment_id for each in self.grid.segments])
        table: dict[str, NDArray[np.generic]] = {
            "start_s": np.repeat(np.array([each[0] for each in kept], dtype=np.int64), len(names)),
            "segment": np.tile(names, len(kept)),
        }
        rows = np.array([row for each in kept for row in each[3]], dtype=float).reshape(-1, len(_FLOWS))
        return table | {name: rows[:, column] for column, name in enumerate(_FLOWS)}

    def _all_controls(self) -> Sequence[Controls]:
        return (
            self.pv_controls,
            self.batteries.controls,
            self.vehicles.controls,
            self.buildings.controls,
            self.tanks.controls,
            self.lights.controls,
        )

    def _produced(self) -> Array:
        """Return the plants' power, negative, within what they are told."""
        possible = -self._sun[:, self._column]
        capped = np.fmax(np.fmax(possible, self.pv_controls.setpoint_w), self.pv_controls.power_min_w)
        result: Array = np.minimum(capped, 0.0)
        return result

    def _load_block(self) -> None:
        """Have demand, sun and weather of the hour ready, a column a step."""
        block_s = self.now_s - self.now_s % HOUR_S
        if block_s == self._block_s:
            return
        step_s = self.settings.step_s
        steps = HOUR_S // step_s
        self._block_s = block_s
        self._column = (self.now_s - block_s) // step_s
        self._base = np.zeros((len(self.settings.sites), steps))
        if len(self._standard):
            self._base[self._standard] = self._households.power_w(block_s, step_s, steps)
        for index, readings in self._readings.items():
            first = self._column
            self._base[index, first:] = readings.mean_w(block_s + first * step_s, step_s, steps - first)
        self._sun = self._plants.power_w(block_s, step_s, steps)
        sky = self.weather.sky(block_s)
        self._outdoor = sky.mean("outdoor_degc", block_s, step_s, steps)
        self._ghi = sky.mean("ghi_w_per_m2", block_s, step_s, steps)

    def _close_interval(self) -> None:
        energy = self._meters.close()
        self.last_interval = energy
        mean_w = energy.device_wh.astype(np.float64) * (HOUR_S / INTERVAL_S)
        self.flows = self._settled(mean_w)
        neutrals = self.grid.neutrals(mean_w, self.flows)
        states = [
            self.batteries.state_of_charge,
            self.vehicles.state_of_charge,
            np.where(self.buildings.present, self.buildings.room_degc, np.nan),
            np.where(self.tanks.present, self.tanks.tank_degc, np.nan),
        ]
        self._history.append(
            (
                self.now_s - INTERVAL_S,
                IntervalEnergy(
                    energy.consumed_wh.astype(np.int32),
                    energy.produced_wh.astype(np.int32),
                    energy.device_wh.astype(np.int32),
                ),
                [each.astype(np.float32) for each in states],
                list(map(_flow_row, self.flows, neutrals)),
            )
        )

    def _devices_of(self, index: int) -> list[SiteDevice]:
        site = self.settings.sites[index]
        devices: list[SiteDevice] = [Meter(self, index)]
        for present, device in (
            (site.pv, Plant),
            (site.battery, Battery),
            (site.ev, Charger),
            (site.heat_pump, HeatPump),
            (site.hot_water, HotWater),
            (site.lighting, Lighting),
        ):
            if present is not None:
                devices.append(device(self, index))
        return devices


_STATES = ("state_of_charge", "ev_state_of_charge", "indoor_degc", "tank_degc")
_FLOWS = (
    "import_w",
    "losses_w",
    "loading",
    "transformer_loading",
    "voltage_min_pu",
    "voltage_max_pu",
    "unbalance",
    "neutral_a",
    "neutral_v",
    "dstatcom_neutral_a",
)


def _flow_row(flow: FlowResult, neutral: Neutral) -> tuple[float, ...]:
    return (
        float(flow.source_w[0]),
        float(flow.losses_w[0]),
        float(flow.loading[0]),
        float(flow.transformer_loading[0]),
        float(flow.voltage_min_pu[0]),
        float(flow.voltage_max_pu[0]),
        float(flow.unbalance_max[0]),
        *neutral,
    )


def _joined(parts: Sequence[NDArray[np.generic]], kind: type) -> NDArray[np.generic]:
    return np.concatenate([np.zeros(0, dtype=kind), *parts]).astype(kind)


def _read_all(sites: Sequence[SiteSettings]) -> dict[int, MeterReadings]:
    found: list[Problem] = []
    readings: dict[int, MeterReadings] = {}
    for index, site in enumerate(sites):
        if site.csv is None:
            continue
        try:
            readings[index] = read_meter_csv(site.csv, site.csv_zone)
        except InvalidInput as error:
            found += [
                problem(f"sites[{index}].csv {each.path}", each.value, each.expected)
                for each in error.problems
            ]
    if found:
        raise InvalidInput(found)
    return readings


def _collector() -> mesa.DataCollector:
    return mesa.DataCollector(
        model_reporters={
            "now_s": "now_s",
            "power_w": lambda world: float(world.power_w.sum()),
            "outdoor_degc": "outdoor_degc",
            "frequency_hz": "frequency_hz",
        },
        agenttype_reporters={Site: {"power_w": "power_w", "state_of_charge": "state_of_charge"}},
    )
