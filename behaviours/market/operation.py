"""The market operator: it sets the default tariffs and watches that clearing keeps the rules (SPEC 2.2)."""

import msgspec
import structlog

from behaviours.behaviour import Behaviour, on
from behaviours.decisions.pricing import flow_rate, interval_prices
from ontology.discourse import Query, QueryResult
from ontology.errors import Refused
from ontology.grid import GridState
from ontology.letter import Letter
from ontology.market import LemParameters, LemResult

__all__ = ["MarketOperatorSettings", "MarketSurveillance", "TariffKeeping"]

log = structlog.get_logger()


class MarketOperatorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The default tariff of each state of the grid."""

    green: LemParameters
    yellow: LemParameters


class TariffKeeping(Behaviour):
    """Answers which tariff holds in which state of the grid."""

    settings: MarketOperatorSettings

    @on(Query)
    def answer(self, query: Query, letter: Letter) -> QueryResult:
        """Return the tariff of a state.

        Raises: Refused when the question is not about a tariff or names no state.
        """
        if query.subject not in GridState.__members__:
            raise Refused(f"{query.subject!r} is no state of the grid")
        return QueryResult(entity=query.entity, items=[self.tariff(GridState(query.subject))])

    def tariff(self, state: GridState) -> LemParameters:
        """Return the tariff of a state; in red the usual prices of green hold."""
        given = self.settings.yellow if state is GridState.YELLOW else self.settings.green
        return msgspec.structs.replace(given, case=state)


class MarketSurveillance(Behaviour):
    """Computes each market's prices again and raises the alarm where the engine's differ."""

    @on(LemResult)
    def check(self, result: LemResult, letter: Letter) -> None:
        """Compare a result with the market operator's own replica of the rule."""
        tariff = self.sibling(TariffKeeping).tariff(result.grid_state)
        agreed = keeps_the_rules(result, tariff)
        self.agent.counts["markets confirmed" if agreed else "markets disputed"] += 1
        if not agreed:
            log.warning("market disputed", start_s=result.start_s, segment=result.segment_id)


def keeps_the_rules(result: LemResult, tariff: LemParameters) -> bool:
    """Tell whether prices and flow charge are those of the rule.

    An auction's prices follow from sealed limits: they lie within bounds.
    """
    net_wh = result.consumed_wh - result.produced_wh
    charge = flow_rate(net_wh, result.players, tariff, result.grid_state)
    if abs(float(charge) - result.flow_ticks_per_kwh) >= 1e-6:
        return False
    buy, sell = result.buy_price_ticks_per_kwh, result.sell_price_ticks_per_kwh
    if tariff.mechanism.is_auction and result.grid_state is not GridState.RED:
        lowest, highest = tariff.sell_usual_ticks_per_kwh, tariff.buy_usual_ticks_per_kwh
        return lowest <= sell <= highest and lowest <= buy <= highest
    prices = interval_prices(result.consumed_wh, result.produced_wh, tariff, result.grid_state)
    return abs(float(prices.buy) - buy) < 1e-6 and abs(float(prices.sell) - sell) < 1e-6
