"""Reading a site's devices: the information layer's way up, from the gateway to who needs it (D8.1 3.1)."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec
import structlog

from behaviours.behaviour import Behaviour, every
from behaviours.ports import Device
from behaviours.site.contacts import SiteContacts
from ontology.base import INTERVAL_S, Concept
from ontology.charging import EvConnectionEvent, EvDisconnectionEvent, EvSocUpdate, EvUserInput
from ontology.errors import Unavailable
from ontology.measurements import IntervalReading, Measurement, Quality, Quantity
from ontology.storage import StorageStatus, ThermalStatus

__all__ = ["DeviceReading", "GatewaySettings"]

log = structlog.get_logger()


class GatewaySettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway knows of its site; powers in W, the real-time period in s (0: none)."""

    site: str
    contacts: SiteContacts
    import_max_w: int = 43_000
    export_max_w: int = 43_000
    real_time_s: int = 0


class DeviceReading(Behaviour):
    """Samples every device at the interval's end, cleans the meter's reading and passes all on."""

    settings: GatewaySettings

    def setup(self) -> None:
        """Find out who gets which kind of report."""
        contacts = self.settings.contacts
        self.devices: Sequence[Device] = self.agent.surroundings.devices
        self._receivers: dict[type[Concept], str] = {
            StorageStatus: contacts.bess,
            ThermalStatus: contacts.p2h,
            EvConnectionEvent: contacts.ev,
            EvUserInput: contacts.ev,
            EvSocUpdate: contacts.ev,
            EvDisconnectionEvent: contacts.ev,
            Measurement: contacts.pv,
        }

    @every(minutes=15)
    async def read(self) -> None:
        """Report the interval that has just ended."""
        reports = [report for device in self.devices for report in await self._percepts(device)]
        for receiver, own in self._sorted_out(reports).items():
            for report in own:
                self.tell(receiver, report)
        for reading in (r for r in reports if isinstance(r, IntervalReading)):
            self._report_meter(plausible(reading, self.settings), reports)

    @every(seconds=lambda settings: settings.real_time_s)
    async def watch(self) -> None:
        """Pass the present power of meter and battery on to the battery's real-time engine."""
        contacts = self.settings.contacts
        if not contacts.bess or self.now_s() % INTERVAL_S == 0:
            return
        for device in self.devices:
            if device.name in ("meter", "bess"):
                for report in await self._percepts(device):
                    if isinstance(report, Measurement | StorageStatus):
                        self.tell(contacts.bess, report)

    def _report_meter(self, reading: IntervalReading, reports: Iterable[Concept]) -> None:
        """Store the reading, and tell the prosumer the part of it that no device explains."""
        contacts = self.settings.contacts
        self.tell(contacts.repository, reading)
        base_w = reading.consumed_w - reading.produced_w - sum(device_power_w(r) for r in reports)
        base = Measurement(
            subject=self.settings.site,
            quantity=Quantity.ACTIVE_POWER_W,
            time_s=reading.start_s,
            value=float(base_w),
            quality=reading.quality,
        )
        self.tell(contacts.prosumer, base)

    def _sorted_out(self, reports: Iterable[Concept]) -> dict[str, list[Concept]]:
        sorted_out: dict[str, list[Concept]] = defaultdict(list)
        for report in reports:
            receiver = self._receivers.get(type(report), "")
            if receiver:
                sorted_out[receiver].append(report)
        return sorted_out

    async def _percepts(self, device: Device) -> Sequence[Concept]:
        """Read a device; one that does not answer reports nothing and is counted."""
        try:
            return await device.percepts()
        except Unavailable as error:
            self.agent.counts["devices unavailable"] += 1
            log.warning("device does not answer", agent=self.agent.address, device=device.name, why=str(error))
            return ()


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
