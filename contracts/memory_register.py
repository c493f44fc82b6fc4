"""The register without a chain: the same rules in dictionaries, for tests of agents and for quick studies."""

from collections.abc import Sequence

import msgspec

from behaviours.ports import RegisteredInterval, RegisteredMarket
from ontology.base import INTERVAL_S
from ontology.errors import Refused
from ontology.grid import GridConstraint, GridState, GridStatusEvent
from ontology.market import LemParameters, LemState

__all__ = ["MemoryRegister"]

MarketKey = tuple[int, int, str]


class MemoryRegister:
    """The `MarketRegister` port in memory; everybody may write.

    A property test holds it equal to the chain's.
    """

    def __init__(self) -> None:
        self._states: dict[tuple[str, int], GridState] = {}
        self._constraints: dict[str, list[GridConstraint]] = {}
        self._parameters: dict[GridState, LemParameters] = {}
        self._markets: dict[MarketKey, RegisteredMarket] = {}
        self._opened_with: dict[MarketKey, tuple[str, LemParameters | None]] = {}

    async def set_grid_states(self, events: Sequence[GridStatusEvent], time_s: int) -> None:
        """Write down the states of segments in intervals; one that was graver stays."""
        for event in events:
            held = self._states.get((event.segment_id, event.start_s), event.state)
            self._states[event.segment_id, event.start_s] = max(held, event.state, key=_severity)

    async def set_constraint(self, constraint: GridConstraint, time_s: int) -> None:
        """Write down what a segment may take and give from a time on.

        Raises: Refused when a newer one holds.
        """
        held = self._constraints.setdefault(constraint.segment_id, [])
        start_s = constraint.start_s // INTERVAL_S * INTERVAL_S
        if held and held[-1].start_s > start_s:
            raise Refused("register: older than what is set")
        held.append(
            GridConstraint(
                segment_id=constraint.segment_id,
                start_s=start_s,
                import_max_w=constraint.import_max_w[:1],
                export_max_w=constraint.export_max_w[:1],
            )
        )

    async def set_parameters(self, parameters: LemParameters, time_s: int) -> None:
        """Write down the tariff of a state of the grid."""
        self._parameters[parameters.case] = parameters

    async def open_markets(self, markets: Sequence[RegisteredMarket], time_s: int) -> None:
        """Write down that markets are open; one that is stays as it is."""
        for market in markets:
            opened = msgspec.structs.replace(
                market, state=LemState.ACTIVE, players="", datasets="", result=""
            )
            self._markets.setdefault(_key(market), opened)
            tariff = self._parameters.get(market.grid_state)
            self._opened_with.setdefault(_key(market), (market.players, tariff))

    async def close_markets(self, markets: Sequence[RegisteredMarket], time_s: int) -> None:
        """Write down that markets are closed; one that is stays as it is.

        Raises: Refused when one was never opened.
        """
        for market, held in [(market, self._held(market)) for market in markets]:
            if held.state is LemState.ACTIVE:
                self._markets[_key(market)] = msgspec.structs.replace(
                    held, state=LemState.CLOSED, datasets=market.datasets
                )

    async def settle_markets(self, markets: Sequence[RegisteredMarket], time_s: int) -> None:
        """Write down what markets came to, and that they are closed; what is there stays.

        Raises: Refused when one was never opened.
        """
        await self.close_markets(markets, time_s)
        for market in markets:
            held = self._held(market)
            if held.state is LemState.CLOSED:
                self._markets[_key(market)] = msgspec.structs.replace(
                    held, state=LemState.SOLVED, result=market.result
                )

    async def grid_state(self, segment_id: str, start_s: int) -> GridState | None:
        """Return the state of a segment in an interval, if one was written down."""
        return self._states.get((segment_id, start_s))

    async def constraint(self, segment_id: str) -> GridConstraint | None:
        """Return what a segment may take and give, if that was written down."""
        held = self._constraints.get(segment_id)
        return held[-1] if held else None

    async def parameters(self, state: GridState) -> LemParameters | None:
        """Return the tariff of a state of the grid, if one was written down."""
        return self._parameters.get(state)

    async def market(self, start_s: int, end_s: int, segment_id: str) -> RegisteredMarket | None:
        """Return what is known of a market but its players, if it was ever opened."""
        return self._markets.get((start_s, end_s, segment_id))

    async def history(self, segments: Sequence[str], start_s: int, end_s: int) -> list[RegisteredInterval]:
        """Return what stands in it of segments in each interval that begins in a time."""
        return [
            self._interval(segment_id, each_s)
            for each_s in range(start_s, end_s, INTERVAL_S)
            for segment_id in segments
        ]

    def _interval(self, segment_id: str, start_s: int) -> RegisteredInterval:
        held = [each for each in self._constraints.get(segment_id, ()) if each.start_s <= start_s]
        market = self._markets.get((start_s, start_s + INTERVAL_S, segment_id))
        players, tariff = self._opened_with[_key(market)] if market else ("", None)
        return RegisteredInterval(
            start_s=start_s,
            segment_id=segment_id,
            grid_state=self._states.get((segment_id, start_s)),
            constraint=held[-1] if held else None,
            parameters=tariff,
            market=msgspec.structs.replace(market, players=players) if market else None,
        )

    def _held(self, market: RegisteredMarket) -> RegisteredMarket:
        held = self._markets.get(_key(market))
        if held is None:
            raise Refused("register: only its aggregator")
        return held


def _key(market: RegisteredMarket) -> MarketKey:
    return market.start_s, market.end_s, market.segment_id


def _severity(state: GridState) -> int:
    return state.severity
