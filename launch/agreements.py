"""The service-level agreements that a scenario asks for, with dates and pseudonyms."""

from collections.abc import Mapping

from behaviours.decisions.kpi import CATALOGUE
from behaviours.market.agreements import Agreement
from launch.rules import span_s
from launch.schema import Indicator, Scenario
from ontology.service_level import KpiFeature, KpiRule, Sla

__all__ = ["agreements_of"]

SECONDS_AN_HOUR = 3600


def agreements_of(scenario: Scenario, players: Mapping[str, str], aggregator: str) -> tuple[Agreement, ...]:
    """Return the agreements between the aggregator's account and sites, whose pseudonyms are given by id."""
    start_s, _ = span_s(scenario)
    found = []
    for wanted in scenario.agreements:
        begin_s = start_s + round(wanted.after_hours * SECONDS_AN_HOUR)
        features = tuple(_feature(each, wanted.id, players) for each in wanted.indicators)
        parties = sorted({aggregator, *(player for each in features for player in each.players)})
        sla = Sla(
            sla_id=wanted.id,
            parties=parties[:100],
            start_s=begin_s,
            end_s=begin_s + round(wanted.hours * SECONDS_AN_HOUR),
            kpis=[each.kpi_id for each in features],
        )
        found.append(Agreement(sla=sla, features=features))
    return tuple(found)


def _feature(indicator: Indicator, sla_id: str, players: Mapping[str, str]) -> KpiFeature:
    return KpiFeature(
        kpi_id=indicator.id,
        sla_id=sla_id,
        function=indicator.function,
        rule=KpiRule(indicator.rule),
        limit=indicator.limit,
        unit=CATALOGUE[indicator.function].unit,
        penalty_tokens=indicator.penalty_tokens,
        players=[players[site] for site in indicator.sites or players],
        tolerance=indicator.tolerance,
        most_tokens=indicator.most_tokens,
    )
