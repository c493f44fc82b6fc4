"""Telling of plants and prosumers: the VPP manager's service of D8.1 3.8 (Table 4, tests 2 and 3).

```
operator   Query(Vpp)              → VPP manager               which clusters there are, and their figures
operator   Query(ProsumerMetrics)  → VPP manager → prosumers   each computes its own: raw data stay home
```
"""

import asyncio

import numpy as np

from behaviours.behaviour import Behaviour, on
from behaviours.decisions.prosumer_metrics import prosumer_metrics
from behaviours.membership import Member
from behaviours.site.planning import SitePlanning
from behaviours.site.prosumer_settings import ProsumerSettings
from behaviours.vpp.initiation import VppInitiation
from behaviours.vpp.membership import VppMembership
from ontology.base import INTERVAL_S, INTERVALS_A_DAY
from ontology.codec import message_type_of
from ontology.discourse import Query, QueryResult
from ontology.errors import ParityError, Refused
from ontology.letter import Letter
from ontology.measurements import Measurement
from ontology.ownership import Party
from ontology.performatives import Performative
from ontology.policy import may_read
from ontology.roles import Role
from ontology.vpp import ProsumerMetrics, Vpp

__all__ = ["SiteReporting", "VppReporting"]

_VPP, _METRICS, _MEASUREMENT = (message_type_of(cls) for cls in (Vpp, ProsumerMetrics, Measurement))
ASKED_AT_ONCE = 100
"""Prosumers in one answer: it stays under 48 kB."""
ANSWER_WITHIN_S = 3.0


class VppReporting(Behaviour):
    """Answers for the plants of the agent, and gathers the metrics of prosumers."""

    @on(Query)
    async def answer(self, query: Query, letter: Letter) -> QueryResult:
        """Return the plants asked for, or prosumers' metrics; who is silent is left out.

        Raises: Refused when the asking role may not read such facts, or about anything else.
        """
        asker = self.agent.surroundings.membership[letter.sender]
        if not may_read(asker.role, query.entity):
            raise Refused(f"a {asker.role} may not read {query.entity}")
        if query.entity == _VPP:
            return QueryResult(entity=_VPP, items=list(self._plants(query)))
        if query.entity == _METRICS:
            return QueryResult(entity=_METRICS, items=list(await self._metrics(query, asker)))
        raise Refused(f"a VPP manager tells of {_VPP} and {_METRICS}")

    def _plants(self, query: Query) -> list[Vpp]:
        """Return plants by name, or those whose delivery lies in a time."""
        initiation = self.sibling(VppInitiation)
        wanted = query.subjects or ([query.subject] if query.subject else list(initiation.plants))
        found = [initiation.describe(initiation.plants[name]) for name in wanted if name in initiation.plants]
        end_s = query.end_s or 2**62
        return [plant for plant in found if plant.valid_to_s > query.start_s and plant.valid_from_s < end_s]

    async def _metrics(self, query: Query, asker: Member) -> list[ProsumerMetrics]:
        """Ask prosumers, named by address or site; who belongs to a site is told of it only."""
        members = self.agent.surroundings.membership
        wanted = set(query.subjects or ([query.subject] if query.subject else ()))
        if Party(asker.role, (asker.site,)).is_bound:
            if not wanted <= {asker.address, asker.site}:
                raise Refused(f"a {asker.role} may not read of others")
            wanted = {asker.site}
        asked = [
            member.address
            for member in members.values()
            if member.role is Role.PROSUMER and (not wanted or wanted & {member.address, member.site})
        ]
        if len(asked) > ASKED_AT_ONCE:
            raise Refused(
                f"metrics of {len(asked)} prosumers; ask for {ASKED_AT_ONCE} at most, by `subjects`"
            )
        answers = await asyncio.gather(*(self._metrics_of(who, query) for who in sorted(asked)))
        return [metrics for metrics in answers if metrics is not None]

    async def _metrics_of(self, who: str, query: Query) -> ProsumerMetrics | None:
        own = Query(entity=_METRICS, start_s=query.start_s, end_s=query.end_s)
        try:
            answer = await self.ask(
                who, own, QueryResult, within_s=ANSWER_WITHIN_S, act=Performative.QUERY_REF
            )
        except ParityError:
            self.agent.counts["metrics unavailable"] += 1
            return None
        return next((item for item in answer.items if isinstance(item, ProsumerMetrics)), None)


class SiteReporting(Behaviour):
    """Computes the site's metrics from what the gateway has metered, for the aggregator."""

    settings: ProsumerSettings

    @on(Query)
    async def answer(self, query: Query, letter: Letter) -> QueryResult:
        """Return the metrics of a window, at most the last day.

        Raises: Refused for anyone but the aggregator, about anything else, or when nothing was metered.
        """
        if letter.sender != self.settings.contacts.aggregator or query.entity != _METRICS:
            raise Refused(f"a prosumer tells {_METRICS}, and only to its aggregator")
        end_s = min(query.end_s or 2**40, self.now_s() // INTERVAL_S * INTERVAL_S)
        start_s = max(query.start_s, end_s - INTERVALS_A_DAY * INTERVAL_S)
        metered = await self._metered(start_s, end_s)
        if not metered["meter"]:
            raise Refused("nothing was metered in that time")
        return QueryResult(entity=_METRICS, items=[self._metrics(metered)])

    async def _metered(self, start_s: int, end_s: int) -> dict[str, dict[int, float]]:
        """Return mean powers in W by start of interval: at the meter, and of the plant."""
        devices = [f"{self.settings.site}-{device}" for device in ("meter", "pv")]
        query = Query(entity=_MEASUREMENT, subjects=devices, start_s=start_s, end_s=max(start_s, end_s))
        answer = await self.ask(
            self.settings.contacts.gateway, query, QueryResult, act=Performative.QUERY_REF
        )
        metered: dict[str, dict[int, float]] = {"meter": {}, "pv": {}}
        for item in answer.items:
            if isinstance(item, Measurement):
                device = item.subject.removeprefix(f"{self.settings.site}-")
                metered.setdefault(device, {})[item.time_s] = item.value
        return metered

    def _metrics(self, metered: dict[str, dict[int, float]]) -> ProsumerMetrics:
        starts = sorted(metered["meter"])
        foreseen = self.sibling(SitePlanning).foreseen_w
        up_w, down_w = self.sibling(SitePlanning).flexibility_w
        membership = self.sibling(VppMembership)
        return prosumer_metrics(
            self.agent.address,
            starts[0],
            [metered["meter"][start_s] for start_s in starts],
            [metered["pv"].get(start_s, 0.0) for start_s in starts],
            [foreseen.get(start_s, np.nan) for start_s in starts],
            up_w=up_w,
            down_w=down_w,
            reliability=round(membership.reliability, 3),
            response_time_s=membership.response_time_s,
        )
