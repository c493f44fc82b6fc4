"""Telling the repository what an agreement calls for, until it has it."""

from behaviours.behaviour import Behaviour, every, on
from ontology.alarms import AssetAlarm
from ontology.charging import EvSession
from ontology.discourse import Acknowledgement
from ontology.letter import Letter
from ontology.measurements import Measurement
from ontology.performatives import Performative

__all__ = ["FactReporting"]

_KINDS: dict[str, type[Measurement] | type[EvSession] | type[AssetAlarm]] = {
    "measurement": Measurement,
    "session": EvSession,
    "alarm": AssetAlarm,
}


class FactReporting(Behaviour):
    """Keeps each fact until the repository acknowledges it; what is kept survives a restart of either."""

    def setup(self) -> None:
        """Nothing has been sent since the start; what was kept before goes out with the next quarter."""
        self._sent: dict[str, str] = {}

    def report(self, fact: Measurement | EvSession | AssetAlarm) -> None:
        """Send a fact, and keep it until it has arrived."""
        if isinstance(fact, Measurement):
            name = f"measurement {fact.subject} {fact.time_s}"
        elif isinstance(fact, AssetAlarm):
            name = f"alarm {fact.asset_id} {fact.kind} {fact.time_s}"
        else:
            name = f"session {fact.session_id}"
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

    def _send(self, name: str, fact: Measurement | EvSession | AssetAlarm) -> None:
        sent = self.tell(self.settings.contacts.repository, fact, Performative.REQUEST)
        self._sent[sent] = name

    @on(Acknowledgement)
    def forget(self, acknowledgement: Acknowledgement, letter: Letter) -> None:
        """Keep a fact no longer that the repository has."""
        name = self._sent.pop(acknowledgement.of, None)
        if name is not None:
            self.keep(name, None)
