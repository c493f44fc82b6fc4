"""The flexibility that a scenario wants each day, as products with a date."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from behaviours.vpp.portfolio import PlannedProduct, end_of
from launch.rules import local_start, span_s
from launch.schema import Product, Scenario
from ontology.base import INTERVAL_S, TICKS_PER_CURRENCY
from ontology.coalition import FlexProduct, ProductKind

__all__ = ["products_of"]

SECONDS_AN_HOUR = 3600


def products_of(scenario: Scenario, initiator: str) -> tuple[PlannedProduct, ...]:
    """Return the products that an initiator (`aggregator`, or a site's id) forms plants for, by time.

    Those that cannot be negotiated and delivered within the run are left out.
    """
    start_s, end_s = span_s(scenario)
    planned = [
        PlannedProduct(
            announce_s=product.start_s - round(wanted.lead_hours * SECONDS_AN_HOUR), product=product
        )
        for wanted in scenario.products
        if wanted.initiator == initiator
        for product in (_product(wanted, day, scenario.zone) for day in _days(scenario))
    ]
    within = (each for each in planned if start_s <= each.announce_s and end_of(each.product) <= end_s)
    return tuple(sorted(within, key=lambda each: (each.announce_s, each.product.product_id)))


def _days(scenario: Scenario) -> Iterator[datetime]:
    """Yield midnight of each local day of the run."""
    _, end_s = span_s(scenario)
    zone = ZoneInfo(scenario.zone)
    day = local_start(scenario).astimezone(zone).replace(hour=0, minute=0, tzinfo=None)
    last = datetime.fromtimestamp(end_s - 1, zone).replace(tzinfo=None)
    while day <= last:
        yield day
        day += timedelta(days=1)


def _product(wanted: Product, day: datetime, zone: str) -> FlexProduct:
    begin = (day + timedelta(hours=wanted.hour)).replace(tzinfo=ZoneInfo(zone))
    start_s = int(begin.timestamp())
    return FlexProduct(
        product_id=f"{wanted.id}-{day:%Y%m%d}",
        kind=ProductKind(wanted.kind.upper().replace("-", "_")),
        segment_id=wanted.segment,
        start_s=start_s,
        target_w=[round(wanted.power_kw * 1000)] * round(wanted.hours * SECONDS_AN_HOUR / INTERVAL_S),
        price_ticks_per_kwh=round(wanted.price * TICKS_PER_CURRENCY),
        deadline_s=start_s,
    )
