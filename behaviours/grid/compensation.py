"""The D-STATCOM's agent: runs four-leg units as the DSO commands and reports their state (D8.1 3.10)."""

from collections.abc import Iterable
from dataclasses import dataclass

from behaviours.behaviour import Behaviour, every, on
from behaviours.ports import PhaseCompensator
from ontology.base import INTERVAL_S, Concept
from ontology.codec import message_type_of
from ontology.discourse import Acknowledgement, Query, QueryResult
from ontology.errors import Refused, Unavailable
from ontology.grid import DstatcomCommand, DstatcomStatus, GridMeasurement
from ontology.letter import Letter
from ontology.policy import may_read

__all__ = ["FAST_S", "Compensating", "DstatcomSettings", "StatusAnswering", "StatusReporting"]

FAST_S = 60
"""Units that report at least so often tell what is measured at the head, so that they can be corrected."""


@dataclass(frozen=True, kw_only=True)
class DstatcomSettings:
    """Who commands the units, the units, and how often they report."""

    dso: str
    units: tuple[PhaseCompensator, ...]
    status_s: int = INTERVAL_S


class Compensating(Behaviour):
    """Puts the DSO's commands into effect."""

    settings: DstatcomSettings

    @on(DstatcomCommand)
    async def obey(self, command: DstatcomCommand, letter: Letter) -> Acknowledgement:
        """Command a unit.

        Raises: Refused when the command is not the DSO's, names no unit here or is not taken by it;
            Unavailable when the unit does not acknowledge.
        """
        if letter.sender != self.settings.dso:
            raise Refused("only the DSO commands a D-STATCOM")
        unit = next((u for u in self.settings.units if u.asset_id == command.asset_id), None)
        if unit is None:
            raise Refused(f"there is no unit {command.asset_id} here")
        await unit.command(command)
        return Acknowledgement(of=letter.message_id)


class StatusReporting(Behaviour):
    """Reports what the units do, every interval or as often as every second."""

    settings: DstatcomSettings

    @every(seconds=lambda settings: settings.status_s, offset_s=15)
    async def report(self) -> None:
        """Tell the DSO the state of each unit, then what they measure at the heads of their feeders."""
        heads: dict[str, GridMeasurement] = {}
        for unit in self.settings.units:
            try:
                percepts = await unit.percepts()
            except Unavailable:
                self.agent.counts["devices unavailable"] += 1
                continue
            self._tell(each for each in percepts if isinstance(each, DstatcomStatus))
            heads |= {each.node_id: each for each in percepts if isinstance(each, GridMeasurement)}
        if self.settings.status_s <= FAST_S:
            self._tell(heads.values())

    def _tell(self, reports: Iterable[Concept]) -> None:
        for report in reports:
            self.tell(self.settings.dso, report)


class StatusAnswering(Behaviour):
    """Tells on demand what the units do now (D8.1 3.10.3: the working status)."""

    settings: DstatcomSettings

    @on(Query)
    async def answer(self, query: Query, letter: Letter) -> QueryResult:
        """Return the present state of all units, or of those that are named.

        Raises: Refused when the asking role may not read it, or about anything else.
        """
        status = message_type_of(DstatcomStatus)
        role = self.agent.surroundings.membership[letter.sender].role
        if query.entity != status or not may_read(role, status):
            raise Refused(f"a D-STATCOM tells {status}, to those who may read it")
        wanted = set(query.subjects or ([query.subject] if query.subject else ()))
        found: list[Concept] = []
        for unit in self.settings.units:
            if wanted and unit.asset_id not in wanted:
                continue
            try:
                found += [each for each in await unit.percepts() if isinstance(each, DstatcomStatus)]
            except Unavailable:
                self.agent.counts["devices unavailable"] += 1
        return QueryResult(entity=status, items=found)  # type: ignore[arg-type]
