"""The DSO tells the TSO's side how far markets may activate flexibility in its segments (D8.1 3.9.2).

```
external markets ── request ActivationPlan ──> DSO      a bid at its gate, or a sale that is to be called
                 <── inform ActivationLimits ──         the cap of each segment
                 <── refuse ──                          not the TSO's, no such segment, nothing foreseen yet
```
What was granted is planned: it is taken off the room of the next who asks, and kept over a restart.
"""

from collections.abc import Sequence

from behaviours.behaviour import Behaviour, every, on
from behaviours.decisions.grid.activation_limits import Room, activation_room
from behaviours.decisions.grid.network import Network
from behaviours.decisions.grid.traffic_light import Strain
from behaviours.grid.dso_settings import DsoSettings
from ontology.base import INTERVAL_S
from ontology.errors import Refused
from ontology.grid_coordination import ActivationLimit, ActivationLimits, ActivationPlan
from ontology.letter import Letter
from ontology.market import SegmentShare

__all__ = ["ActivationLimiting"]

_PLANNED = "activation planned "
W_PER_WH = 3600 // INTERVAL_S


class ActivationLimiting(Behaviour):
    """Caps what markets outside may activate in each segment, and knows what they plan to."""

    settings: DsoSettings

    def setup(self) -> None:
        """Nothing is foreseen before the first outlook."""
        self._foreseen: dict[tuple[str, int], tuple[Strain, int]] = {}
        self._rated_va = {each.segment_id: each.transformer.rated_va for each in self.settings.networks}

    def note_outlook(
        self, network: Network, strains: Sequence[Strain], net_w: Sequence[float], start_s: int
    ) -> None:
        """Take an outlook of a segment.

        Args:
            network: the segment.
            strains: foreseen, interval by interval.
            net_w: what its sites are expected to draw together then, in W.
            start_s: of the first interval.
        """
        for i, (strain, power_w) in enumerate(zip(strains, net_w, strict=True)):
            self._foreseen[network.segment_id, start_s + i * INTERVAL_S] = strain, round(power_w)

    @on(ActivationPlan)
    def limit(self, plan: ActivationPlan, letter: Letter) -> ActivationLimits:
        """Answer how much of a plan may be, and take down that it is planned; said again, it replaces itself.

        Raises: Refused when it is not the TSO's side that asks, or about what is not foreseen here.
        """
        if letter.sender != self.settings.external_markets:
            raise Refused("only the external markets plan activations")
        limits = [self._limit(plan, each) for each in plan.shares]
        for share, each in zip(plan.shares, limits, strict=True):
            most_w = each.more_max_w if share.energy_wh > 0 else each.less_max_w
            granted_w = min(abs(share.energy_wh) * W_PER_WH, most_w)
            self.agent.counts["activations limited"] += granted_w < abs(share.energy_wh) * W_PER_WH
            self._plan(plan, share, granted_w)
        return ActivationLimits(bid_id=plan.bid_id, start_s=plan.start_s, limits=limits)

    def planned_w(self, segment_id: str, start_s: int, besides: str = "") -> tuple[int, int]:
        """Return what is planned in a segment and interval, in W: less and more consumption."""
        less_w = more_w = 0
        for name in self.agent.kept_names(f"{_PLANNED}{start_s} {segment_id} "):
            if name.rpartition(" ")[2] != besides:
                power_w = int(self.agent.kept_bytes(name) or b"0")
                less_w, more_w = less_w - min(0, power_w), more_w + max(0, power_w)
        return less_w, more_w

    @every(minutes=60, offset_s=130)
    def forget(self) -> None:
        """Forget what is over."""
        now_s = self.now_s()
        self._foreseen = {key: value for key, value in self._foreseen.items() if key[1] + INTERVAL_S > now_s}
        for name in self.agent.kept_names(_PLANNED):
            if int(name.split(" ")[2]) + INTERVAL_S <= now_s:
                self.keep(name, None)

    def _limit(self, plan: ActivationPlan, share: SegmentShare) -> ActivationLimit:
        room = self._room(plan, share.segment_id)
        less_w, more_w = self.planned_w(share.segment_id, plan.start_s, besides=plan.bid_id)
        return ActivationLimit(
            segment_id=share.segment_id,
            less_max_w=max(0, room.less_w - less_w),
            more_max_w=max(0, room.more_w - more_w),
            reason=room.reason,
        )

    def _room(self, plan: ActivationPlan, segment_id: str) -> Room:
        """Return what a segment bears, others' plans not counted.

        Raises: Refused when it is not the DSO's, or nothing is foreseen of the interval.
        """
        foreseen = self._foreseen.get((segment_id, plan.start_s))
        if segment_id not in self._rated_va:
            raise Refused(f"{segment_id} is none of this DSO's segments")
        if foreseen is None:
            raise Refused(f"nothing is foreseen of {segment_id} at {plan.start_s}")
        strain, net_w = foreseen
        return activation_room(
            strain, net_w, self._rated_va[segment_id], plan.stage, self.settings.thresholds
        )

    def _plan(self, plan: ActivationPlan, share: SegmentShare, granted_w: int) -> None:
        """Keep that a part of a plan will be activated."""
        name = f"{_PLANNED}{plan.start_s} {share.segment_id} {plan.bid_id}"
        self.keep(name, str(granted_w if share.energy_wh > 0 else -granted_w).encode() if granted_w else None)
