"""What is wrong with a site's devices, as its managers tell the prosumer."""

import structlog

from behaviours.behaviour import Behaviour, on
from ontology.alarms import AlarmKind, AssetAlarm
from ontology.letter import Letter

__all__ = ["AlarmListening"]

log = structlog.get_logger()


class AlarmListening(Behaviour):
    """Knows which alarms of the site's devices stand, and tells people in the log."""

    def setup(self) -> None:
        """Nothing is known to be wrong."""
        self.standing: dict[tuple[str, AlarmKind], AssetAlarm] = {}
        """The alarms that have not been taken back, by asset and kind."""

    @on(AssetAlarm)
    def note(self, alarm: AssetAlarm, letter: Letter) -> None:
        """Note an alarm, or that it is over."""
        key = (alarm.asset_id, alarm.kind)
        if not alarm.is_raised:
            self.standing.pop(key, None)
            return
        self.standing[key] = alarm
        self.agent.counts["alarms"] += 1
        log.warning(
            "device needs attention",
            agent=self.agent.address,
            asset=alarm.asset_id,
            why=alarm.kind,
            measured_w=alarm.measured_w,
            expected_w=alarm.expected_w,
        )
