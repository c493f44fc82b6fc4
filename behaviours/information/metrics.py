"""What indicators are computed from: an oracle finds out what it needs and reads it from the repository.

```
meter readings, forecasts      from every site in any case
indoor temperature, own sun    gateway → repository, where an agreement is about it
charging sessions              EV manager → repository, where an agreement is about them
responses to signals           prosumer → repository, where an agreement is about them
flexibility                    plants and payoffs, from whoever forms them
```
"""

from collections.abc import Collection
from typing import TypeVar

from behaviours.behaviour import Behaviour
from behaviours.decisions.evidence import BASELINE_DAYS, Facts
from behaviours.decisions.kpi import Metric
from behaviours.information.delivery import OracleSettings
from ontology.base import INTERVAL_S, INTERVALS_A_DAY, Concept
from ontology.charging import EvSession
from ontology.coalition import VppPayoff
from ontology.codec import message_type_of
from ontology.discourse import Query, QueryResult
from ontology.forecasts import Forecast
from ontology.measurements import IntervalReading, Measurement
from ontology.performatives import Performative
from ontology.vpp import Vpp, VppState

__all__ = ["MetricGathering", "indoor_of", "production_of", "response_of"]

C = TypeVar("C", bound=Concept)

DAY_S = INTERVALS_A_DAY * INTERVAL_S
SESSION_MAX_S = 7 * DAY_S
"""Vehicles that stayed longer are not looked for."""
SETTLED_WITHIN_S = DAY_S
"""After this a plant that was never settled is not waited for."""


class MetricGathering(Behaviour):
    """Reads the facts about its player, a day at a time, so that each answer fits a letter."""

    settings: OracleSettings

    async def gathered(self, metrics: Collection[Metric], start_s: int, end_s: int) -> Facts | None:
        """Return the facts of a period [start_s, end_s); None while plants of that time are not settled.

        Raises: ParityError when the repository does not answer.
        """
        subject, facts = self.settings.subject, Facts()
        if Metric.READINGS in metrics:
            facts = facts._replace(readings=await self._about(IntervalReading, subject, start_s, end_s))
        if Metric.BASELINE in metrics:
            since_s = start_s - BASELINE_DAYS * DAY_S
            facts = facts._replace(past=await self._about(IntervalReading, subject, since_s, start_s))
        if Metric.FORECASTS in metrics:
            facts = facts._replace(forecasts=await self._about(Forecast, subject, start_s - DAY_S, end_s))
        if Metric.PRODUCTION in metrics:
            facts = facts._replace(
                production=await self._about(Measurement, production_of(subject), start_s, end_s)
            )
        if Metric.INDOOR in metrics:
            facts = facts._replace(indoor=await self._about(Measurement, indoor_of(subject), start_s, end_s))
        if Metric.RESPONSES in metrics:
            facts = facts._replace(
                responses=await self._about(Measurement, response_of(subject), start_s, end_s)
            )
        if Metric.SESSIONS in metrics:
            since_s = start_s - SESSION_MAX_S
            facts = facts._replace(sessions=await self._about(EvSession, f"{subject}-ev", since_s, end_s))
        if Metric.FLEXIBILITY in metrics:
            return await self._with_plants(facts, start_s, end_s)
        return facts

    async def _with_plants(self, facts: Facts, start_s: int, end_s: int) -> Facts | None:
        """Add what was ordered of the player in plants that began in the period, and what it delivered."""
        plants = [
            plant
            for plant in await self._about(Vpp, "", start_s, end_s)
            if self.settings.contacts.prosumer in {member.agent for member in plant.members}
        ]
        waited = self.clock.now_s() > end_s + SETTLED_WITHIN_S
        if not waited and any(plant.state is not VppState.DISSOLVED for plant in plants):
            return None
        payoffs: list[VppPayoff] = []
        for plant in plants:
            query = Query(entity=message_type_of(VppPayoff), subject=plant.vpp_id, latest=True)
            payoffs += await self._asked(VppPayoff, query)
        ordered_s = {
            begun_s for plant in plants for begun_s in range(plant.valid_from_s, plant.valid_to_s, INTERVAL_S)
        }
        return facts._replace(payoffs=payoffs, ordered_s=ordered_s)

    async def _about(self, kind: type[C], subject: str, start_s: int, end_s: int) -> list[C]:
        """Return the facts of a type about a subject, or about all, in a time."""
        found: list[C] = []
        for day_s in range(max(0, start_s), end_s, DAY_S):
            query = Query(
                entity=message_type_of(kind), subject=subject, start_s=day_s, end_s=min(day_s + DAY_S, end_s)
            )
            found += await self._asked(kind, query)
        return found

    async def _asked(self, kind: type[C], query: Query) -> list[C]:
        result = await self.ask(
            self.settings.contacts.repository, query, QueryResult, act=Performative.QUERY_REF
        )
        return [item for item in result.items if isinstance(item, kind)]


def indoor_of(site: str) -> str:
    """Return what measurements of a site's indoor temperature are about."""
    return f"{site}-indoor"


def production_of(site: str) -> str:
    """Return what measurements of a site's own production are about."""
    return f"{site}-production"


def response_of(site: str) -> str:
    """Return what measurements of a site's responses to signals are about."""
    return f"{site}-response"
