"""Reading a site's devices: the information layer's way up, from the gateway to who needs it (D8.1 3.1)."""

from array import array
from collections import deque
from collections.abc import Iterator, Mapping, Sequence

import msgspec
import structlog

from behaviours.behaviour import Behaviour, every, on
from behaviours.decisions.kpi import Metric
from behaviours.information.metrics import indoor_of, production_of
from behaviours.ports import Device
from behaviours.site.contacts import SiteContacts
from behaviours.site.fact_reporting import FactReporting
from ontology.base import INTERVAL_S, INTERVALS_A_DAY, Concept
from ontology.charging import EvSocUpdate
from ontology.codec import message_type_of
from ontology.discourse import Acknowledgement, Query, QueryResult
from ontology.errors import Refused, Unavailable
from ontology.letter import Letter
from ontology.measurements import IntervalReading, Measurement, Quality, Quantity
from ontology.performatives import Performative
from ontology.storage import StorageStatus, ThermalStatus

__all__ = [
    "SAMPLES",
    "AgreedReporting",
    "DeviceMetering",
    "DeviceReading",
    "GatewaySettings",
    "ReadingStorage",
]

log = structlog.get_logger()

_UNSTORED = "reading "
_METERED = (Metric.INDOOR, Metric.PRODUCTION)
_MEASUREMENT = message_type_of(Measurement)
SAMPLES = "samples"
"""What a query names to be told of what devices drew by the minute."""
SAMPLES_KEPT_S = 7200
METERS = ("meter", "import")
"""Devices that measure what others draw."""
INTERVALS_KEPT = INTERVALS_A_DAY
"""For how many intervals a gateway can say what each device drew."""


class GatewaySettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway knows of its site; powers in W, the real-time period in s (0: none)."""

    site: str
    contacts: SiteContacts
    import_max_w: int = 43_000
    export_max_w: int = 43_000
    real_time_s: int = 0
    reports: tuple[Metric, ...] = ()
    controlled_by_dso: tuple[str, ...] = ()
    """Assets that the DSO may steer directly; none by default."""
    of_dso: tuple[str, ...] = ()
    """Those among them that nobody else steers."""


class DeviceReading(Behaviour):
    """Samples every device at the interval's end, cleans the meter's reading and passes all on."""

    settings: GatewaySettings

    def setup(self) -> None:
        """Find out who gets which device's reports; nothing has been sampled yet."""
        contacts = self.settings.contacts
        self.devices: Sequence[Device] = self.agent.surroundings.devices
        self._receivers = {
            "meter": contacts.bess,
            "pv": contacts.pv,
            "bess": contacts.bess,
            "import": contacts.bess,
            "ev": contacts.ev,
            "heat_pump": contacts.p2h,
            "dhw": contacts.p2h,
            "lighting": contacts.p2h,
        }
        self._sampled_w: list[int] = []
        self._sampled_devices_w: dict[str, list[int]] = {}

    @every(minutes=15)
    async def read(self) -> None:
        """Report the interval that has just ended."""
        for reading in await self._sample():
            checked = plausible(reading, self.settings)
            self._sampled_devices_w["meter"] = [round(checked.consumed_w - checked.produced_w)]
            self._report_meter(checked)
        self.sibling(DeviceMetering).note(self.now_s() // INTERVAL_S * INTERVAL_S, self._sampled_devices_w)
        self._sampled_w.clear()
        self._sampled_devices_w.clear()

    @every(seconds=lambda settings: settings.real_time_s)
    async def watch(self) -> None:
        """Within the interval, pass on what devices report, for the real-time engines."""
        if self.now_s() % INTERVAL_S:
            await self._sample()

    async def _sample(self) -> list[IntervalReading]:
        """Read all devices, pass their reports on, and return the meter's readings."""
        readings: list[IntervalReading] = []
        explained_w = 0
        present_w: dict[str, int] = {}
        for device in self.devices:
            receiver = self._receivers.get(device.name, "")
            is_meter = device.name in METERS
            device_w = 0
            for report in await self.percepts_of(device):
                device_w += 0 if is_meter else device_power_w(report)
                if isinstance(report, IntervalReading):
                    readings.append(report)
                elif receiver:
                    self.tell(receiver, report)
            explained_w += device_w
            if not is_meter:
                self._sampled_devices_w.setdefault(device.name, []).append(device_w)
                present_w[device.name] = device_w
        if self.settings.real_time_s:
            self.sibling(DeviceMetering).note_present(self.now_s(), present_w)
        self._sampled_w.append(explained_w)
        return readings

    def _report_meter(self, reading: IntervalReading) -> None:
        """Store the reading, and tell the prosumer the part of it that no device explains."""
        contacts = self.settings.contacts
        self.sibling(ReadingStorage).store(reading)
        explained_w = sum(self._sampled_w) / len(self._sampled_w)
        base_w = reading.consumed_w - reading.produced_w - explained_w
        base = Measurement(
            subject=self.settings.site,
            quantity=Quantity.ACTIVE_POWER_W,
            time_s=reading.start_s,
            value=float(base_w),
            quality=reading.quality,
        )
        self.tell(contacts.prosumer, base)

    async def percepts_of(self, device: Device) -> Sequence[Concept]:
        """Read a device; one that does not answer reports nothing and is counted."""
        try:
            return await device.percepts()
        except Unavailable as error:
            self.agent.counts["devices unavailable"] += 1
            log.warning(
                "device does not answer", agent=self.agent.address, device=device.name, why=str(error)
            )
            return ()


class DeviceMetering(Behaviour):
    """Knows what each device drew in the last intervals, for the site's own prosumer and nobody else."""

    settings: GatewaySettings

    def setup(self) -> None:
        """Nothing has been metered yet."""
        self._names: tuple[str, ...] = ()
        self._power_w: deque[tuple[int, tuple[str, ...], array[float]]] = deque(maxlen=INTERVALS_KEPT)
        self._present_w: dict[int, dict[str, list[int]]] = {}
        self._bucket_s = max(60, self.settings.real_time_s)

    def note(self, end_s: int, samples_w: Mapping[str, Sequence[int]]) -> None:
        """Keep the mean power of each device, and at the meter, over the interval that ended."""
        if tuple(samples_w) != self._names:
            self._names = tuple(samples_w)
        means_w = array("f", [sum(values) / len(values) for values in samples_w.values()])
        self._power_w.append((end_s - INTERVAL_S, self._names, means_w))

    def note_present(self, end_s: int, power_w: Mapping[str, int]) -> None:
        """Keep what each device drew in a step of the world, for two hours, by the minute."""
        start_s = (end_s - 1) // self._bucket_s * self._bucket_s
        bucket = self._present_w.setdefault(start_s, {})
        for name, value in power_w.items():
            bucket.setdefault(name, []).append(value)
        self._present_w.pop(start_s - SAMPLES_KEPT_S, None)

    @on(Query)
    def answer(self, query: Query, letter: Letter) -> QueryResult:
        """Return the mean powers of the site's devices, or of some, by the interval or (`samples`) minute.

        Raises: Refused for anyone but the site's prosumer, or about anything else.
        """
        if letter.sender != self.settings.contacts.prosumer or query.entity != _MEASUREMENT:
            raise Refused("a gateway tells the powers of devices, and only to its site's prosumer")
        if query.subject == SAMPLES:
            return QueryResult(entity=_MEASUREMENT, items=list(self._samples(query)))
        wanted = {subject.removeprefix(f"{self.settings.site}-") for subject in query.subjects}
        items = [
            self._measurement(name, start_s, power_w)
            for start_s, names, means_w in self._power_w
            if query.start_s <= start_s < query.end_s
            for name, power_w in zip(names, means_w, strict=True)
            if not wanted or name in wanted
        ]
        return QueryResult(entity=_MEASUREMENT, items=list(items))

    def _samples(self, query: Query) -> Iterator[Measurement]:
        for start_s, of_devices in sorted(self._present_w.items()):
            if query.start_s <= start_s < query.end_s:
                for name, values in of_devices.items():
                    yield self._measurement(name, start_s, sum(values) / len(values))

    def _measurement(self, device: str, start_s: int, power_w: float) -> Measurement:
        return Measurement(
            subject=f"{self.settings.site}-{device}",
            quantity=Quantity.ACTIVE_POWER_W,
            time_s=start_s,
            value=power_w,
        )


class AgreedReporting(Behaviour):
    """Tells of an interval what an agreement is about: the room's temperature at its end, the sun's yield.

    Both stand under the interval's start, production as negative mean power; a site without a plant says 0.
    """

    settings: GatewaySettings

    @every(seconds=lambda settings: INTERVAL_S if {*settings.reports} & {*_METERED} else 0)
    async def report(self) -> None:
        """Read the devices that are asked for, and report on the interval that has ended."""
        reports = {
            device.name: await self.sibling(DeviceReading).percepts_of(device)
            for device in self.agent.surroundings.devices
            if device.name in ("pv", "heat_pump")
        }
        site = self.settings.site
        if Metric.PRODUCTION in self.settings.reports and reports.get("pv") != ():
            power_w = sum(device_power_w(each) for each in reports.get("pv", ()))
            self._tell(production_of(site), Quantity.ACTIVE_POWER_W, power_w)
        if Metric.INDOOR in self.settings.reports:
            for status in reports.get("heat_pump", ()):
                if isinstance(status, ThermalStatus):
                    self._tell(indoor_of(site), Quantity.TEMPERATURE_DEGC, status.temperature_degc)

    def _tell(self, subject: str, quantity: Quantity, value: float) -> None:
        start_s = self.now_s() // INTERVAL_S * INTERVAL_S - INTERVAL_S
        measurement = Measurement(subject=subject, quantity=quantity, time_s=start_s, value=float(value))
        self.sibling(FactReporting).report(measurement)


class ReadingStorage(Behaviour):
    """Keeps each reading until the repository has it; what is kept survives a restart of either."""

    settings: GatewaySettings

    def setup(self) -> None:
        """Nothing has been sent since the start; readings kept from before are sent with the next."""
        self._sent: dict[str, str] = {}

    def store(self, reading: IntervalReading) -> None:
        """Send a reading, after those that the repository has not acknowledged yet."""
        self._sent.clear()
        for name in self.agent.kept_names(_UNSTORED):
            unstored = self.kept(name, IntervalReading)
            if unstored is not None:
                self._send(name, unstored)
        name = f"{_UNSTORED}{reading.start_s}"
        self.keep(name, reading)
        self._send(name, reading)

    def _send(self, name: str, reading: IntervalReading) -> None:
        sent = self.tell(self.settings.contacts.repository, reading, Performative.REQUEST)
        self._sent[sent] = name

    @on(Acknowledgement)
    def forget(self, acknowledgement: Acknowledgement, letter: Letter) -> None:
        """Keep a reading no longer that the repository has."""
        name = self._sent.pop(acknowledgement.of, None)
        if name is not None:
            self.keep(name, None)


def plausible(reading: IntervalReading, settings: GatewaySettings) -> IntervalReading:
    """Return a meter reading, flagged and clipped where the connection cannot have carried it."""
    import_max_wh = settings.import_max_w * INTERVAL_S // 3600
    export_max_wh = settings.export_max_w * INTERVAL_S // 3600
    if reading.consumed_wh <= import_max_wh and reading.produced_wh <= export_max_wh:
        return reading
    return msgspec.structs.replace(
        reading,
        consumed_wh=min(reading.consumed_wh, import_max_wh),
        produced_wh=min(reading.produced_wh, export_max_wh),
        quality=Quality.SUBSTITUTED,
    )


def device_power_w(report: Concept) -> int:
    """Return the mean power that a device's report explains, in W; 0 for what is no such report."""
    if isinstance(report, StorageStatus | ThermalStatus | EvSocUpdate):
        return report.power_w
    if isinstance(report, Measurement) and report.quantity is Quantity.ACTIVE_POWER_W:
        return round(report.value)
    return 0
