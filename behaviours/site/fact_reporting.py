"""Telling the repository what others will want to know, until it has it."""

from behaviours.behaviour import Behaviour, every, on
from ontology.alarms import AssetAlarm
from ontology.charging import EvSession
from ontology.discourse import Acknowledgement
from ontology.forecasts import Forecast
from ontology.grid import GridConstraint, GridStatusEvent
from ontology.letter import Letter
from ontology.measurements import Measurement
from ontology.performatives import Performative

__all__ = ["FactReporting"]

Reported = Measurement | EvSession | AssetAlarm | Forecast | GridStatusEvent | GridConstraint

_KINDS: dict[str, type[Reported]] = {
    "measurement": Measurement,
    "session": EvSession,
    "alarm": AssetAlarm,
    "forecast": Forecast,
    "state": GridStatusEvent,
    "capacity": GridConstraint,
}


class FactReporting(Behaviour):
    """Keeps each fact until the repository acknowledges it; what is kept survives a restart of either.

    A newer forecast takes the place of an older that has not arrived: the newest is what others plan with.
    """

    def setup(self) -> None:
        """Nothing has been sent since the start; what was kept before goes out with the next quarter."""
        self._sent: dict[str, str] = {}
        self._last: dict[str, str] = {}

    def report(self, fact: Reported) -> None:
        """Send a fact, and keep it until it has arrived."""
        name = _name(fact)
        self.keep(name, fact)
        self._send(name, fact)

    @every(minutes=15, offset_s=35)
    def send_again(self) -> None:
        """Send once more what has not been acknowledged."""
        self._sent.clear()
        for kind, cls in _KINDS.items():
            for name in self.agent.kept_names(f"{kind} "):
                fact = self.kept(name, cls)
                if fact is not None:
                    self._send(name, fact)

    def _send(self, name: str, fact: Reported) -> None:
        sent = self.tell(self._repository, fact, Performative.REQUEST)
        self._sent[sent] = name
        self._last[name] = sent

    @property
    def _repository(self) -> str:
        contacts = getattr(self.settings, "contacts", None)
        return str(contacts.repository if contacts is not None else self.settings.repository)

    @on(Acknowledgement)
    def forget(self, acknowledgement: Acknowledgement, letter: Letter) -> None:
        """Keep a fact no longer that the repository has."""
        name = self._sent.pop(acknowledgement.of, None)
        if name is not None and self._last.get(name) == acknowledgement.of:
            del self._last[name]
            self.keep(name, None)


def _name(fact: Reported) -> str:
    """Return under what a fact is kept until it has arrived."""
    match fact:
        case Measurement():
            return f"measurement {fact.subject} {fact.time_s}"
        case AssetAlarm():
            return f"alarm {fact.asset_id} {fact.kind} {fact.time_s}"
        case EvSession():
            return f"session {fact.session_id}"
        case Forecast():
            return f"forecast {fact.subject} {fact.kind}"
        case GridStatusEvent():
            return f"state {fact.segment_id} {fact.start_s}"
        case GridConstraint():
            return f"capacity {fact.segment_id} {fact.start_s}"
