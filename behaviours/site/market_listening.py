"""What a site knows of the market: prices ahead, what is open, what flow is charged, what it won."""

from behaviours.behaviour import Behaviour, on, when
from behaviours.decisions.pricing import FlowCharge, flow_ahead, prices_with_block
from behaviours.site.prosumer_settings import ProsumerSettings
from ontology.base import INTERVAL_S, INTERVALS_A_DAY
from ontology.grid import GridState
from ontology.letter import Letter
from ontology.market import GREEN_PARAMETERS, Lem, LemParameters, LemResult, PriceProfile

__all__ = ["MarketListening", "shifted"]

_CONGESTED = "congested"


class MarketListening(Behaviour):
    """Knows the prices ahead, the market that is open, and what the last one brought."""

    settings: ProsumerSettings

    def setup(self) -> None:
        """Until prices are known, usual ones are assumed."""
        self.prices: PriceProfile | None = None
        self.market: Lem | None = None
        self.congested = self.kept(_CONGESTED, Lem)
        """The last market that was YELLOW."""
        self.tokens = 0

    @when("started")
    def subscribe_to_market(self) -> None:
        """Ask the aggregator for the markets and prices of this site's segment."""
        self.subscribe(self.settings.contacts.aggregator, Lem, self.settings.segment_id)
        self.subscribe(self.settings.contacts.aggregator, PriceProfile, self.settings.segment_id)

    @on(PriceProfile)
    def note_prices(self, profile: PriceProfile, letter: Letter) -> None:
        """Note the prices ahead."""
        self.prices = profile

    @on(Lem)
    def note_market(self, lem: Lem, letter: Letter) -> None:
        """Note the market that opens next."""
        self.market = lem
        if lem.grid_state is GridState.YELLOW:
            self.congested = lem
            self.keep(_CONGESTED, lem)

    @on(LemResult)
    def note_result(self, result: LemResult, letter: Letter) -> None:
        """Count the tokens won and lost."""
        self.tokens += sum(
            row.tokens_corrected if result.correction else row.tokens_net for row in result.rows
        )

    @property
    def is_auction(self) -> bool:
        """Whether the market asks for limits of price."""
        return self.market is not None and self.market.parameters.mechanism.is_auction

    def ahead(self, start_s: int) -> tuple[list[int], list[int]]:
        """Return buying and selling prices of the day from a time, in ticks per kWh."""
        profile = self.prices
        if profile is None:
            tariff = self.market.parameters if self.market else GREEN_PARAMETERS
            buy, sell = tariff.buy_usual_ticks_per_kwh, tariff.sell_usual_ticks_per_kwh
            return [buy] * INTERVALS_A_DAY, [sell] * INTERVALS_A_DAY
        buy_ticks, sell_ticks = prices_with_block(profile, self._tariff_ahead())
        shift = (start_s - profile.start_s) // INTERVAL_S
        return shifted(buy_ticks, shift), shifted(sell_ticks, shift)

    def _tariff_ahead(self) -> LemParameters:
        """Return the tariff that prices the hours ahead: of the coming market, in RED of the last YELLOW.

        Local trade pauses for the emergency alone, and what follows it is YELLOW: the usual prices of a
        paused market would make all devices of a segment catch up at once, which is the next emergency.
        """
        if self.market is None:
            return GREEN_PARAMETERS
        in_emergency = self.market.grid_state is GridState.RED
        return self.congested.parameters if in_emergency and self.congested else self.market.parameters

    def flow_ahead(self, start_s: int, before_w: list[int]) -> FlowCharge | None:
        """Return the flow charge to plan with: of the market that is YELLOW, or that was last; so in RED.

        A segment that was congested once will be again as soon as all take the same cheap hour; where
        prices do not differ, to plan for the charge costs nothing.

        Args:
            start_s: when the plan begins.
            before_w: what the plan before means at the meter, from then on.
        """
        profile, congested = self.prices, self.congested
        if profile is None or congested is None:
            return None
        net_wh = [c - p for c, p in zip(profile.consumed_wh, profile.produced_wh, strict=True)]
        shift = (start_s - profile.start_s) // INTERVAL_S
        if not net_wh:
            return None
        return flow_ahead(
            shifted(net_wh, shift),
            profile.players,
            congested.parameters,
            before_w,
            1 / self.settings.planning_intervals,
        )


def shifted(values: list[int], steps: int) -> list[int]:
    """Return a series from some steps later on; its last value holds on."""
    if steps <= 0:
        return values
    return values[steps:] + values[-1:] * min(steps, len(values))
