"""The oracle's agreements: which hold now, and what their indicators come to for its player (D8.1 3.4)."""

import hashlib
from collections.abc import Sequence

import structlog

from behaviours.behaviour import Behaviour, every
from behaviours.decisions.kpi import CATALOGUE, Evidence
from behaviours.information.delivery import OracleSettings, player_of
from ontology.base import INTERVAL_S
from ontology.codec import encode_body, message_type_of
from ontology.discourse import Acknowledgement, Query, QueryResult
from ontology.errors import ParityError
from ontology.measurements import IntervalReading, Quality
from ontology.performatives import Performative
from ontology.service_level import KpiFeature, KpiMeasure, Sla

__all__ = ["KpiDelivery", "SlaConfiguration"]

log = structlog.get_logger()

_READING = message_type_of(IntervalReading)
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
        player = player_of(self.settings)
        self.agreements |= {sla.sla_id: sla for sla in slas if isinstance(sla, Sla)}
        found = [each for each in features if isinstance(each, KpiFeature) and player in each.players]
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
        query = Query(entity=_READING, subject=self.settings.subject, start_s=sla.start_s, end_s=sla.end_s)
        try:
            result = await self.ask(
                self.settings.contacts.repository, query, QueryResult, act=Performative.QUERY_REF
            )
        except ParityError:
            self.agent.counts["repository unavailable"] += 1
            return
        readings = [item for item in result.items if isinstance(item, IntervalReading)]
        measure = measured(feature, sla, player_of(self.settings), readings)
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


def measured(feature: KpiFeature, sla: Sla, player: str, readings: Sequence[IntervalReading]) -> KpiMeasure:
    """Return the value of an indicator over an agreement's period from a player's readings.

    Estimated and missing readings do not count as complete. An indicator that nothing can be said of has
    completeness 0, so that it is not evaluable; K_AVAIL tells of missing readings and is always complete.

    Source: SPEC 2.9, 4.4.
    """
    expected = (sla.end_s - sla.start_s) // INTERVAL_S
    valid = [reading for reading in readings if reading.quality is Quality.VALID]
    evidence = Evidence(
        expected=expected,
        consumed_wh=[reading.consumed_wh for reading in valid],
        produced_wh=[reading.produced_wh for reading in valid],
        net_w=[reading.consumed_w - reading.produced_w for reading in valid],
    )
    kpi = CATALOGUE.get(feature.function)
    value = kpi.of(evidence) if kpi is not None and kpi.unit == feature.unit else None
    completeness = min(1.0, len(valid) / expected) if expected and value is not None else 0.0
    source = b"".join(encode_body(reading) for reading in valid)
    return KpiMeasure(
        kpi_id=feature.kpi_id,
        player=player,
        time_s=sla.end_s,
        value=value or 0.0,
        unit=feature.unit,
        completeness=1.0 if feature.function == "K_AVAIL" and value is not None else completeness,
        source_hash=hashlib.sha256(source).hexdigest(),
    )
