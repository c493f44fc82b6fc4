"""The service-level agreements that a scenario asks for, with dates and pseudonyms."""

from collections.abc import Mapping, Sequence

from behaviours.decisions.evidence import BASELINE_DAYS
from behaviours.decisions.kpi import CATALOGUE, Metric
from behaviours.decisions.pseudonyms import EpochKeys
from behaviours.market.agreements import Agreement
from launch.rules import span_s
from launch.schema import Indicator, Scenario
from ontology.service_level import KpiFeature, KpiRule, Sla

__all__ = ["agreements_of", "metrics_of", "retention_s"]

REPORTED = {Metric.PRODUCTION, Metric.INDOOR, Metric.RESPONSES, Metric.SESSIONS}
"""What a site tells the repository only where an agreement is about it."""
SECONDS_AN_HOUR = 3600
SECONDS_A_DAY = 86_400


def agreements_of(
    scenario: Scenario, sites: Sequence[str], keys: EpochKeys, aggregator: str
) -> tuple[Agreement, ...]:
    """Return the agreements between the aggregator's account and sites.

    A site stands in it under the pseudonym that it has when the agreement ends and penalties are due.
    """
    start_s, _ = span_s(scenario)
    found = []
    for wanted in scenario.agreements:
        begin_s = start_s + round(wanted.after_hours * SECONDS_AN_HOUR)
        end_s = begin_s + round(wanted.hours * SECONDS_AN_HOUR)
        players = {site: keys.pseudonym_of(site, end_s - 1) for site in sites}
        features = tuple(_feature(each, wanted.id, players) for each in wanted.indicators)
        parties = sorted({aggregator, *(player for each in features for player in each.players)})
        sla = Sla(
            sla_id=wanted.id,
            parties=parties[:100],
            start_s=begin_s,
            end_s=end_s,
            kpis=[each.kpi_id for each in features],
        )
        found.append(Agreement(sla=sla, features=features))
    return tuple(found)


def metrics_of(scenario: Scenario, site: str) -> tuple[Metric, ...]:
    """Return what agreements make a site report beside its readings and forecasts."""
    wanted = {
        metric
        for agreement in scenario.agreements
        for indicator in agreement.indicators
        if not indicator.sites or site in indicator.sites
        for metric in CATALOGUE[indicator.function].metrics
    }
    return tuple(sorted(wanted & REPORTED))


def retention_s(scenario: Scenario) -> dict[str, int]:
    """Return for how many seconds an offline run keeps what is asked for only while it is new.

    Forecasts and readings of an agreement's period are needed until it is judged, and a day longer.
    """
    kept = {"parity:Forecast": SECONDS_AN_HOUR, "parity:IntervalReading": 2 * SECONDS_A_DAY}
    for agreement in scenario.agreements:
        metrics = {m for each in agreement.indicators for m in CATALOGUE[each.function].metrics}
        length_s = round(agreement.hours * SECONDS_AN_HOUR) + SECONDS_A_DAY
        earlier_s = BASELINE_DAYS * SECONDS_A_DAY if Metric.BASELINE in metrics else 0
        kept["parity:IntervalReading"] = max(kept["parity:IntervalReading"], length_s + earlier_s)
        if Metric.FORECASTS in metrics:
            kept["parity:Forecast"] = max(kept["parity:Forecast"], length_s + SECONDS_A_DAY)
    return kept


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
