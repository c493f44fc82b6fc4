"""Contingency mode: the DSO acts at once when something happens to its network (SPEC 4.10: within 60 s)."""

from collections.abc import Sequence

import structlog

from behaviours.behaviour import Behaviour, every, when
from behaviours.decisions.active_network import ActiveNetwork, strain_at
from behaviours.decisions.grid.contingency import after_events
from behaviours.decisions.grid.network import Network
from behaviours.decisions.grid.outlook import UNSOLVABLE
from behaviours.decisions.grid.traffic_light import Strain, severity
from behaviours.grid.dso_settings import DsoSettings
from behaviours.grid.monitoring import NetworkMonitoring
from behaviours.grid.relief_planning import ReliefPlanning, SegmentOutlook
from ontology.base import INTERVAL_S
from ontology.errors import InvalidInput, Unavailable
from ontology.grid import GridState
from ontology.network_events import NetworkEvent

__all__ = ["Contingency"]

log = structlog.get_logger()


class Contingency(Behaviour):
    """Hears of events from the control system, and relieves the network in the running interval."""

    settings: DsoSettings

    def setup(self) -> None:
        """Nothing has happened yet; what did before a restart is heard again."""
        self._known: set[str] = set()
        self.reactions_s: dict[str, int] = {}
        """How long after each event its relief was set, in s."""

    @when("started")
    async def recall(self) -> None:
        """Go on with the network as it is."""
        if self.settings.watch_events_s:
            await self.look()

    @every(seconds=lambda settings: settings.watch_events_s)
    async def look(self) -> None:
        """Take new events: change the network, and act in every segment that they are about."""
        source = self.agent.surroundings.network_events
        if source is None:
            return
        try:
            events = await source.events(self.now_s())
        except Unavailable:
            self.agent.counts["control system unavailable"] += 1
            return
        new = [each for each in events if each.event_id not in self._known]
        self._known.update(each.event_id for each in new)
        for segment_id in dict.fromkeys(each.segment_id for each in new):
            network = self._changed(segment_id, [each for each in events if each.segment_id == segment_id])
            if network is None:
                continue
            await self.respond(network)
            for event in new:
                if event.segment_id == segment_id:
                    self.reactions_s[event.event_id] = self.now_s() - event.time_s
                    self.agent.counts["contingencies"] += 1

    async def respond(self, network: Network) -> None:
        """Relieve a segment at once: D-STATCOMs and own assets, then RED and direct control for the rest."""
        outlook = await self.sibling(NetworkMonitoring).running_outlook(network)
        strain = self._strain(network, outlook)
        if severity(strain, self.settings.thresholds) is GridState.GREEN:
            return
        now_s = self.now_s()
        end_s = now_s // INTERVAL_S * INTERVAL_S + INTERVAL_S
        left = self.sibling(ReliefPlanning).relieve_now(network, outlook, strain, now_s, end_s)
        if severity(left, self.settings.thresholds) is GridState.RED:
            self.sibling(NetworkMonitoring).raise_red(network, left)

    def _changed(self, segment_id: str, events: Sequence[NetworkEvent]) -> Network | None:
        """Return a segment after all its events, and let everybody here go on with it."""
        first = next((each for each in self.settings.networks if each.segment_id == segment_id), None)
        if first is None:
            return None
        try:
            network = after_events(first, events)
        except InvalidInput as error:
            log.warning("event not understood", segment=segment_id, why=str(error))
            self.agent.counts["events not understood"] += 1
            return None
        self.sibling(NetworkMonitoring).change(network)
        return network

    def _strain(self, network: Network, outlook: SegmentOutlook) -> Strain:
        flow = ActiveNetwork(network).flow_with(outlook.at(0))
        return strain_at(flow) if flow else UNSOLVABLE
