"""The devices of a site as the `Device` port shows them: views on the arrays of the world.

Assets are named `<site>-<device>`, such as `h001-bess`; the meter's subject is the site. Every device
can be read again at the same instant with the same answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from environments.simulation.world.buildings import heat_pump_cop
from environments.simulation.world.compensators import busbar_measurement
from environments.simulation.world.controls import Controls
from environments.simulation.world.energy import DEVICES
from environments.simulation.world.feeder import strain_of
from environments.simulation.world.generators import generator
from ontology.base import INTERVAL_S, Concept
from ontology.charging import EvSocUpdate
from ontology.control import Instruction, InstructionState, InstructionStatus
from ontology.measurements import IntervalReading, Measurement, Quantity
from ontology.storage import StorageModel, StorageStatus, ThermalModel, ThermalStatus

if TYPE_CHECKING:
    from behaviours.decisions.grid.traffic_light import Strain
    from environments.simulation.world.world import World

__all__ = [
    "Battery",
    "Charger",
    "FeederMonitor",
    "FrequencyMeter",
    "HeatPump",
    "HotWater",
    "ImportMeter",
    "Lighting",
    "Meter",
    "Plant",
    "SiteDevice",
]

COP_POINTS_DEGC = [float(each) for each in range(-20, 31, 2)]
"""Outdoor temperatures at which a heat pump's data sheet gives its COP."""

_ROW = {name: index for index, name in enumerate(DEVICES)}


class SiteDevice:
    """A device of a site: what it reports, and how it takes instructions."""

    name = ""

    def __init__(self, world: World, site: int) -> None:
        self.world = world
        self.site = site
        self.asset_id = f"{world.settings.sites[site].id}-{self.name}"

    async def percepts(self) -> Sequence[Concept]:
        """Return what the device reports now."""
        return self.read()

    async def instruct(self, instruction: Instruction) -> InstructionStatus:
        """Put an instruction into effect from its time on, within what the device can do.

        Without a valid instruction the device goes its own way. A later instruction replaces an earlier
        one of the same or lower priority; set-points and limits are kept apart.
        """
        return self.take(instruction)

    def take(self, instruction: Instruction) -> InstructionStatus:
        """Put an instruction into effect, as `instruct` says."""
        now_s = self.world.now_s
        state = InstructionState.REJECTED
        controls = self._controls()
        if controls is not None and instruction.asset_id in (self.asset_id, self.name):
            state = controls.take(self.site, self._understood(instruction), now_s)
        return InstructionStatus(instruction_id=instruction.instruction_id, status=state, time_s=now_s)

    def read(self) -> list[Concept]:
        """Return what the device reports now."""
        raise NotImplementedError

    def describe(self) -> Concept | None:
        """Return the model that an energy manager needs of the device, if there is one."""
        return None

    def _controls(self) -> Controls | None:
        return None

    def _understood(self, instruction: Instruction) -> Instruction:
        return instruction

    def _mean_w(self, device: str) -> int:
        return round(float(self.world.power_w[_ROW[device], self.site]))


class Meter(SiteDevice):
    """The meter at the connection point: the reading of the interval that has ended.

    In a world with steps below 15 minutes it also tells its present power and the grid frequency.
    """

    name = "meter"

    def read(self) -> list[Concept]:
        """Return the last interval's reading, and, in a fast world, present power and frequency."""
        world, subject = self.world, self.world.settings.sites[self.site].id
        found: list[Concept] = []
        if world.last_interval is not None:
            consumed = int(world.last_interval.consumed_wh[self.site])
            produced = int(world.last_interval.produced_wh[self.site])
            found.append(
                IntervalReading(
                    subject=subject,
                    start_s=world.now_s - world.now_s % INTERVAL_S - INTERVAL_S,
                    consumed_wh=consumed,
                    produced_wh=produced,
                    consumed_w=consumed * 4,
                    produced_w=produced * 4,
                )
            )
        if world.settings.step_s < INTERVAL_S:
            net_w = float(world.power_w[:, self.site].sum())
            for quantity, value in (
                (Quantity.ACTIVE_POWER_W, round(net_w, 1)),
                (Quantity.FREQUENCY_HZ, round(world.frequency_hz, 4)),
            ):
                found.append(Measurement(subject=subject, quantity=quantity, time_s=world.now_s, value=value))
        return found


class ImportMeter:
    """A meter of what a battery shaves the peaks of: its site, or the feeder that it is on."""

    name = "import"

    def __init__(self, world: World, site: int, *, of_feeder: bool) -> None:
        self._world = world
        if of_feeder:
            feeder = int(world.grid.of_site[site])
            self.subject = world.grid.segments[feeder].segment_id
            self._sites = np.flatnonzero(world.grid.of_site == feeder)
        else:
            self.subject = world.settings.sites[site].id
            self._sites = np.array([site])

    async def percepts(self) -> Sequence[Concept]:
        """Return the mean power of the last step, import positive."""
        world = self._world
        if world.now_s == world.settings.start_s:
            return []
        return [
            Measurement(
                subject=self.subject,
                quantity=Quantity.ACTIVE_POWER_W,
                time_s=world.now_s,
                value=round(float(world.power_w[:, self._sites].sum()), 1),
            )
        ]

    async def instruct(self, instruction: Instruction) -> InstructionStatus:
        """Turn an instruction down: a meter only measures."""
        return InstructionStatus(
            instruction_id=instruction.instruction_id,
            status=InstructionState.REJECTED,
            time_s=self._world.now_s,
        )


class FrequencyMeter:
    """A meter of the grid's frequency, as the system operator has."""

    name = "frequency"

    def __init__(self, world: World) -> None:
        self._world = world

    async def percepts(self) -> Sequence[Concept]:
        """Return the frequency at the end of the last step."""
        world = self._world
        return [
            Measurement(
                subject="grid",
                quantity=Quantity.FREQUENCY_HZ,
                time_s=world.now_s,
                value=round(world.frequency_hz, 4),
            )
        ]

    async def instruct(self, instruction: Instruction) -> InstructionStatus:
        """Turn an instruction down: a meter only measures."""
        return InstructionStatus(
            instruction_id=instruction.instruction_id,
            status=InstructionState.REJECTED,
            time_s=self._world.now_s,
        )


class Plant(SiteDevice):
    """A photovoltaic plant; a set-point or limit caps its production, whichever sign it is written with."""

    name = "pv"

    def read(self) -> list[Concept]:
        """Return the mean power of the last interval, production negative."""
        world = self.world
        value = 0.0
        if world.last_interval is not None:
            value = float(world.last_interval.device_wh[_ROW["pv"], self.site] * 4)
        return [
            Measurement(
                subject=self.asset_id, quantity=Quantity.ACTIVE_POWER_W, time_s=world.now_s, value=value
            )
        ]

    def _controls(self) -> Controls:
        return self.world.pv_controls

    def _understood(self, instruction: Instruction) -> Instruction:
        """Read a cap on production from a set-point, a lower limit, or a lone upper limit."""
        low, high = instruction.power_min_w, instruction.power_max_w
        cap = -abs(high) if low is None and high is not None else low
        told = instruction.setpoint_w
        return Instruction(
            instruction_id=instruction.instruction_id,
            asset_id=instruction.asset_id,
            execution_time_s=instruction.execution_time_s,
            valid_until_s=instruction.valid_until_s,
            setpoint_w=None if told is None else -abs(told),
            mode=instruction.mode,
            setpoint_degc=instruction.setpoint_degc,
            power_min_w=cap,
            priority=instruction.priority,
        )


class Battery(SiteDevice):
    """A stationary battery; idle without a set-point."""

    name = "bess"

    def read(self) -> list[Concept]:
        """Return state of charge and the mean power of the last step."""
        batteries = self.world.batteries
        return [
            StorageStatus(
                asset_id=self.asset_id,
                time_s=self.world.now_s,
                state_of_charge=float(batteries.stored_wh[self.site] / batteries.capacity_wh[self.site]),
                power_w=self._mean_w("battery"),
            )
        ]

    def describe(self) -> StorageModel:
        """Return capacity, powers and efficiencies."""
        batteries, site = self.world.batteries, self.site
        return StorageModel(
            asset_id=self.asset_id,
            capacity_wh=int(batteries.capacity_wh[site]),
            fill_min_wh=int(np.ceil(batteries.floor_wh[site])),
            fill_max_wh=int(batteries.capacity_wh[site]),
            charge_max_w=int(batteries.power_max_w[site]),
            discharge_max_w=int(batteries.power_max_w[site]),
            charge_efficiency=float(batteries.one_way[site]),
            discharge_efficiency=float(batteries.one_way[site]),
            leakage_w=0,
        )

    def _controls(self) -> Controls:
        return self.world.batteries.controls


class Charger(SiteDevice):
    """A car's charger: its comings and goings once, its state while it is there."""

    name = "ev"

    def __init__(self, world: World, site: int) -> None:
        super().__init__(world, site)
        self._read_at_s = -1
        self._reported = 0

    def read(self) -> list[Concept]:
        """Return what happened since the last reading at an earlier time, and the running session."""
        world, cars = self.world, self.world.vehicles
        events = cars.events[self.site]
        if world.now_s > self._read_at_s:
            del events[: self._reported]
            self._read_at_s = world.now_s
        self._reported = len(events)
        found = list(events)
        if cars.plugged[self.site]:
            found.append(
                EvSocUpdate(
                    session_id=cars.session[self.site],
                    time_s=world.now_s,
                    state_of_charge=float(cars.stored_wh[self.site] / cars.capacity_wh[self.site]),
                    energy_delivered_wh=max(round(float(cars.delivered_wh[self.site])), 0),
                    power_w=self._mean_w("ev"),
                )
            )
        return found

    def describe(self) -> StorageModel:
        """Return the car's battery and charger; discharging only where the car allows it."""
        cars, site = self.world.vehicles, self.site
        power_w = int(cars.charger_w[site])
        return StorageModel(
            asset_id=self.asset_id,
            capacity_wh=int(cars.capacity_wh[site]),
            fill_min_wh=int(cars.minimum_wh[site]),
            fill_max_wh=int(cars.capacity_wh[site]),
            charge_max_w=power_w,
            discharge_max_w=power_w if cars.v2g[site] else 0,
            charge_efficiency=float(cars.one_way[site]),
            discharge_efficiency=float(cars.one_way[site]),
            leakage_w=0,
        )

    def _controls(self) -> Controls:
        return self.world.vehicles.controls


class HeatPump(SiteDevice):
    """A heat pump and the room that it heats."""

    name = "heat_pump"

    def __init__(self, world: World, site: int) -> None:
        super().__init__(world, site)
        self._read_at_s = -1
        self._reported = 0
        settings = world.settings.sites[site].heat_pump
        self._noise_k = settings.sensor_noise_k if settings is not None else 0.0

    def read(self) -> list[Concept]:
        """Return what the thermometer says, the last step's mean power, and who turned the thermostat."""
        overrides = self.world.occupants.events.get(self.site, [])
        if self.world.now_s > self._read_at_s:
            del overrides[: self._reported]
            self._read_at_s = self.world.now_s
        self._reported = len(overrides)
        status = ThermalStatus(
            asset_id=self.asset_id,
            time_s=self.world.now_s,
            temperature_degc=float(self.world.buildings.room_degc[self.site]) + self._sensor_error_k(),
            power_w=self._mean_w("heat_pump"),
            outdoor_degc=self.world.outdoor_degc,
        )
        return [status, *overrides]

    def _sensor_error_k(self) -> float:
        """Return the thermometer's error of now, the same however often it is read."""
        if not self._noise_k:
            return 0.0
        draw = generator(self.world.settings.seed, "thermometer", self.asset_id, self.world.now_s)
        return float(draw.normal(0.0, self._noise_k))

    def describe(self) -> ThermalModel:
        """Return the house as one resistance and capacity, with the heat pump's COP by the weather."""
        houses, site = self.world.buildings, self.site
        return ThermalModel(
            asset_id=self.asset_id,
            resistance_k_per_w=float(houses.resistance_k_per_w[site]),
            capacity_j_per_k=float(houses.capacity_j_per_k[site]),
            cop=float(heat_pump_cop(self.world.outdoor_degc)),
            temperature_min_degc=float(houses.minimum_degc[site]),
            temperature_max_degc=float(houses.maximum_degc[site]),
            cop_outdoor_degc=COP_POINTS_DEGC,
            cop_points=heat_pump_cop(np.array(COP_POINTS_DEGC)).tolist(),
            solar_aperture_m2=float(houses.aperture_m2[site]),
            internal_gain_w=float(houses.internal_w[site]),
        )

    def _controls(self) -> Controls:
        return self.world.buildings.controls


class HotWater(SiteDevice):
    """A hot-water tank and its heater."""

    name = "dhw"

    def read(self) -> list[Concept]:
        """Return the tank's temperature and the mean power of the last step."""
        return [
            ThermalStatus(
                asset_id=self.asset_id,
                time_s=self.world.now_s,
                temperature_degc=float(self.world.tanks.tank_degc[self.site]),
                power_w=self._mean_w("dhw"),
                outdoor_degc=self.world.outdoor_degc,
            )
        ]

    def describe(self) -> ThermalModel:
        """Return the tank as one resistance and capacity."""
        tanks, site = self.world.tanks, self.site
        return ThermalModel(
            asset_id=self.asset_id,
            resistance_k_per_w=1 / max(float(tanks.loss_w_per_k[site]), 1e-3),
            capacity_j_per_k=float(tanks.capacity_j_per_k[site]),
            cop=float(tanks.cop[site]),
            temperature_min_degc=float(tanks.minimum_degc[site]),
            temperature_max_degc=float(tanks.maximum_degc[site]),
        )

    def _controls(self) -> Controls:
        return self.world.tanks.controls


class Lighting(SiteDevice):
    """The lights of a site, on, off or dimmed."""

    name = "lighting"

    def read(self) -> list[Concept]:
        """Return the mean power of the last step."""
        return [
            Measurement(
                subject=self.asset_id,
                quantity=Quantity.ACTIVE_POWER_W,
                time_s=self.world.now_s,
                value=float(self._mean_w("lighting")),
            )
        ]

    def _controls(self) -> Controls:
        return self.world.lights.controls


class FeederMonitor:
    """The measurement in a transformer station: voltage, current and power at the busbar."""

    name = "transformer"

    def __init__(self, world: World, feeder: int) -> None:
        self.world = world
        self.feeder = feeder

    async def percepts(self) -> Sequence[Concept]:
        """Return the busbar's measurement over the last interval; nothing before the first."""
        flow = self.world.flows[self.feeder] if self.world.flows else None
        if flow is None:
            return []
        return [busbar_measurement(self.world.grid.networks[self.feeder], flow, self.world.now_s)]

    async def instruct(self, instruction: Instruction) -> InstructionStatus:
        """Refuse: there is nothing to control."""
        return InstructionStatus(
            instruction_id=instruction.instruction_id,
            status=InstructionState.REJECTED,
            time_s=self.world.now_s,
        )

    def strain(self) -> Strain | None:
        """Return how hard the feeder was used in the last interval, from all its meters and branches."""
        return strain_of(self.world.flows[self.feeder]) if self.world.flows else None

    def strain_now(self) -> Strain:
        """Solve the feeder for the powers of the last step and return how hard it is used."""
        return strain_of(self.world.solve_now()[self.feeder])
