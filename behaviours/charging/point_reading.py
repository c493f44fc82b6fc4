"""Reading the charging points: the way up from the gateway to who plans them."""

from behaviours.behaviour import Behaviour, every
from behaviours.charging.settings import ChargingGatewaySettings
from ontology.charging import EvConnectionEvent, EvDisconnectionEvent, EvSocUpdate, EvUserInput
from ontology.errors import Unavailable

__all__ = ["PointReading"]

_EVENTS = (EvConnectionEvent, EvUserInput, EvSocUpdate, EvDisconnectionEvent)


class PointReading(Behaviour):
    """Passes on what points report: comings and goings, wishes, progress (OCPP by its names)."""

    settings: ChargingGatewaySettings

    @every(seconds=lambda settings: settings.step_s)
    async def read(self) -> None:
        """Read every point; one that does not answer reports nothing and is counted."""
        for device in self.agent.surroundings.devices:
            try:
                reports = await device.percepts()
            except Unavailable:
                self.agent.counts["devices unavailable"] += 1
                continue
            for report in reports:
                if isinstance(report, _EVENTS):
                    self.tell(self.settings.contacts.ev, report)
