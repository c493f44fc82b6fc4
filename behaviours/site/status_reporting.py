"""Telling the operator of a fleet how a site's host and devices are."""

from behaviours.behaviour import Behaviour, when
from behaviours.ports import HostHealth

__all__ = ["StatusReporting"]

TELL_EVERY_S = 60.0
UNCHANGED_S = 300.0
"""How long nothing is told while nothing changes but the time."""


class StatusReporting(Behaviour):
    """Looks at its host each minute and tells the repository when something changed, or every five."""

    @when("started")
    async def report(self) -> None:
        """Tell on for as long as the agent lives; in a simulation there is no host to tell of."""
        health: HostHealth | None = self.agent.surroundings.health
        told: object = None
        told_at_s = 0.0
        while health is not None:
            now_s = self.clock.now_s()
            status = health.status(int(now_s))
            seen = (
                status.alarms,
                status.last_reading_s,
                [(each.name, each.state, each.detail) for each in status.devices],
            )
            if seen != told or now_s - told_at_s >= UNCHANGED_S:
                self.tell(self.settings.contacts.repository, status)
                told, told_at_s = seen, now_s
            await self.clock.sleep_until(now_s + TELL_EVERY_S)
