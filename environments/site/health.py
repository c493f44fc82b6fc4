"""How a site's host and its devices are: what `HostHealth` tells, and a device that is watched."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from behaviours.ports import Clock, Device
from ontology.base import Concept
from ontology.control import Instruction, InstructionStatus
from ontology.errors import Unavailable
from ontology.measurements import IntervalReading
from ontology.site_status import DeviceHealth, DeviceState, SiteStatus

__all__ = ["CLOCK_TOLERANCE_S", "DISK_LEAST_MB", "SiteHealth", "WatchedDevice", "disk_free_mb"]

CLOCK_TOLERANCE_S = 5.0
"""Beyond it a clock counts as wrong: commands are refused after 30 s, and intervals begin by it."""
DISK_LEAST_MB = 100
ALARM_LENGTH = 250
GRACE_S = 60


class WatchedDevice:
    """The `Device` port around another one; notes whether it answers."""

    def __init__(self, device: Device, adapter: str, clock: Clock) -> None:
        """Watch a device that is reached by an adapter (`mqtt`, `sunspec`, …)."""
        self.name = device.name
        self._device, self._adapter, self._clock = device, adapter, clock
        self._answered_at_s = 0
        self._why_away = "not read yet"
        self.last_reading_s = 0
        """End of the last interval that it told a reading of; 0 for what is no meter."""

    @property
    def inner(self) -> Device:
        """The device that is watched."""
        return self._device

    async def percepts(self) -> Sequence[Concept]:
        """Return what the device reports.

        Raises: Unavailable when it does not answer.
        """
        try:
            found = await self._device.percepts()
        except Unavailable as error:
            self._why_away = str(error)
            raise
        self._answered_at_s, self._why_away = int(self._clock.now_s()), ""
        for each in found:
            if isinstance(each, IntervalReading):
                self.last_reading_s = each.start_s + 900
        return found

    async def instruct(self, instruction: Instruction) -> InstructionStatus:
        """Put an instruction into effect and say what became of it."""
        return await self._device.instruct(instruction)

    def health(self) -> DeviceHealth:
        """Return how the device is."""
        return DeviceHealth(
            name=self.name,
            adapter=self._adapter,
            state=DeviceState.AWAY if self._why_away else DeviceState.OK,
            answered_at_s=self._answered_at_s,
            detail=self._why_away[:ALARM_LENGTH],
        )


class SiteHealth:
    """The `HostHealth` port: devices, disk, clock, links and refused letters of this host."""

    def __init__(
        self,
        site: str,
        version: str,
        started_at_s: int,
        data: Path,
        devices: Sequence[WatchedDevice],
        *,
        links: Callable[[], tuple[int, Mapping[str, str]]] = lambda: (0, {}),
        refused: Callable[[], int] = lambda: 0,
    ) -> None:
        """Look at a host.

        Args:
            site: whose it is.
            version: of the software.
            started_at_s: when it started.
            data: the folder that is written to.
            devices: its devices.
            links: returns how many connections were lost, and which agents have none now, and why.
            refused: returns how many letters agents here have refused.
        """
        self._site, self._version, self._started_at_s = site, version, started_at_s
        self._data, self._devices, self._links, self._refused = data, devices, links, refused
        self.clock_ahead_s = 0.0
        """How far this host's clock is ahead of the community's, when that was asked last."""

    def status(self, time_s: int) -> SiteStatus:
        """Return how everything is now."""
        lost, away = self._links()
        return SiteStatus(
            site=self._site,
            time_s=time_s,
            version=self._version,
            started_at_s=self._started_at_s,
            connections_lost=lost,
            letters_refused=self._refused(),
            clock_ahead_s=round(self.clock_ahead_s, 1),
            disk_free_mb=disk_free_mb(self._data),
            last_reading_s=max((each.last_reading_s for each in self._devices), default=0),
            devices=[each.health() for each in self._devices],
            alarms=[each[:ALARM_LENGTH] for each in self.alarms(away, time_s)],
        )

    def alarms(self, away: Mapping[str, str], time_s: int) -> list[str]:
        """Return what a person should see to, in plain words; devices and links have a minute to come up."""
        found = []
        if abs(self.clock_ahead_s) > CLOCK_TOLERANCE_S:
            way = "ahead of" if self.clock_ahead_s > 0 else "behind"
            found.append(f"the clock is {abs(self.clock_ahead_s):.0f} s {way} the community's")
        free_mb = disk_free_mb(self._data)
        if free_mb < DISK_LEAST_MB:
            found.append(f"the disk is nearly full: {free_mb} MB are free")
        if time_s < self._started_at_s + GRACE_S:
            return found
        for each in (device.health() for device in self._devices):
            if each.state is not DeviceState.OK:
                found.append(f"{each.name} does not answer: {each.detail}")
        if away:
            address, why = next(iter(away.items()))
            found.append(f"{len(away)} agents have no connection, {address} among them: {why}")
        return found[:20]


def disk_free_mb(folder: Path) -> int:
    """Return how much room is left where a folder is."""
    try:
        return shutil.disk_usage(folder).free // 1_000_000
    except OSError:
        return 0
