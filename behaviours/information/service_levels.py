"""The oracle's agreements: which hold now, and what their indicators come to for its player (D8.1 3.4)."""

import hashlib
from collections.abc import Iterator, Sequence

import structlog

from behaviours.behaviour import Behaviour, every
from behaviours.decisions.evidence import Facts, evidence_of
from behaviours.decisions.kpi import CATALOGUE
from behaviours.information.delivery import OracleSettings, player_of
from behaviours.information.metrics import MetricGathering
from ontology.base import Concept
from ontology.codec import encode_body, message_type_of
from ontology.discourse import Acknowledgement, Query, QueryResult
from ontology.errors import ParityError
from ontology.performatives import Performative
from ontology.service_level import KpiFeature, KpiMeasure, Sla

__all__ = ["KpiDelivery", "SlaConfiguration", "measured", "source_hash"]

log = structlog.get_logger()

SLA_MAX_S = 366 * 86_400
"""Agreements that began longer ago are not looked for."""


class SlaConfiguration(Behaviour):
    """Fetches the agreements and the indicators that are about its player, each interval anew."""

    settings: OracleSettings

    def setup(self) -> None:
        """Nothing is agreed yet."""
        self.agreements: dict[str, Sla] = {}
        self.features: tuple[KpiFeature, ...] = ()

    @every(minutes=15, offset_s=20)
    async def refresh(self) -> None:
        """Fetch what is agreed; when the repository is away, what was known holds on."""
        if not self.settings.has_agreements:
            return
        now_s = self.now_s()
        slas = await self._fetched(
            Query(entity=message_type_of(Sla), start_s=max(0, now_s - SLA_MAX_S), end_s=now_s + 1)
        )
        features = await self._fetched(Query(entity=message_type_of(KpiFeature), start_s=0, end_s=now_s + 1))
        players = {*self.settings.pseudonym_keys.pseudonyms_of(self.settings.subject).values()}
        self.agreements |= {sla.sla_id: sla for sla in slas if isinstance(sla, Sla)}
        found = [each for each in features if isinstance(each, KpiFeature) and players & {*each.players}]
        self.features = tuple(found) or self.features

    async def _fetched(self, query: Query) -> Sequence[object]:
        try:
            result = await self.ask(
                self.settings.contacts.repository, query, QueryResult, act=Performative.QUERY_REF
            )
        except ParityError:
            self.agent.counts["repository unavailable"] += 1
            return ()
        return result.items


class KpiDelivery(Behaviour):
    """At the end of an agreement measures its indicators, and brings them until they are taken."""

    settings: OracleSettings

    @every(minutes=15, offset_s=50)
    async def deliver(self) -> None:
        """Measure what has ended, and bring what was not acknowledged."""
        if not self.settings.has_agreements:
            return
        configuration = self.sibling(SlaConfiguration)
        for feature in configuration.features:
            sla = configuration.agreements.get(feature.sla_id)
            if sla is not None and sla.end_s <= self.now_s() < sla.end_s + SLA_MAX_S:
                await self._measure(sla, feature)
        for name in self.agent.kept_names("measure "):
            measure = self.kept(name, KpiMeasure)
            if measure is None or await self._delivered(measure):
                self.keep(name, None)

    async def _measure(self, sla: Sla, feature: KpiFeature) -> None:
        """Measure an indicator once; what was delivered stays as it was."""
        done = f"measured {feature.kpi_id} {sla.end_s}"
        if self.agent.kept_names(done):
            return
        kpi = CATALOGUE.get(feature.function)
        try:
            facts = await self.sibling(MetricGathering).gathered(
                kpi.metrics if kpi else (), sla.start_s, sla.end_s
            )
        except ParityError:
            self.agent.counts["repository unavailable"] += 1
            return
        if facts is None:
            return
        settings = self.settings
        player = player_of(settings, sla.end_s - 1)
        measure = measured(feature, sla, player, facts, settings.contacts.prosumer)
        self.keep(f"measure {feature.kpi_id} {sla.end_s}", measure)
        self.keep(done, b"")

    async def _delivered(self, measure: KpiMeasure) -> bool:
        try:
            await self.ask(self.settings.contacts.blockchain, measure, Acknowledgement)
        except ParityError as error:
            self.agent.counts["not acknowledged"] += 1
            log.info("measure not taken", kpi=measure.kpi_id, why=str(error))
            return False
        return True


def measured(feature: KpiFeature, sla: Sla, player: str, facts: Facts, member: str = "") -> KpiMeasure:
    """Return the value of an indicator over an agreement's period from what was read of a player.

    An indicator that nothing can be said of has completeness 0, so that it is not evaluable; K_AVAIL tells
    of missing readings and is always complete.

    Args:
        feature: the indicator.
        sla: the agreement, whose period counts.
        player: the pseudonym that the measure is told of.
        facts: what the repository has.
        member: the address of the player's prosumer, as plants know it.

    Source: SPEC 2.9, 4.4.
    """
    evidence = evidence_of(facts, sla.start_s, sla.end_s, member)
    kpi = CATALOGUE.get(feature.function)
    value = kpi.of(evidence) if kpi is not None and kpi.unit == feature.unit else None
    return KpiMeasure(
        kpi_id=feature.kpi_id,
        player=player,
        time_s=sla.end_s,
        value=value or 0.0,
        unit=feature.unit,
        completeness=min(1.0, kpi.completeness(evidence)) if kpi and value is not None else 0.0,
        source_hash=source_hash(facts),
    )


def source_hash(facts: Facts) -> str:
    """Return the SHA-256 (hexadecimal) of everything that was read, for an auditor to compute anew.

    Source: SPEC 4.4; the repository answers in ascending order of time.
    """
    return hashlib.sha256(b"".join(encode_body(each) for each in _all(facts))).hexdigest()


def _all(facts: Facts) -> Iterator[Concept]:
    yield from facts.past
    yield from facts.readings
    yield from facts.forecasts
    yield from facts.production
    yield from facts.indoor
    yield from facts.responses
    yield from facts.sessions
    yield from facts.payoffs
