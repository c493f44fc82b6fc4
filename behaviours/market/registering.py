"""The market's side of the register: tariffs; markets opened, closed and solved (D8.1 3.3.3, SPEC 2.3)."""

import hashlib
from collections.abc import Sequence

import msgspec

from behaviours.behaviour import when
from behaviours.information.register_writing import RegisterWriting
from behaviours.market.operation import TariffKeeping
from behaviours.market.players import PlayerRegistration
from behaviours.market.proving import DatasetProving
from behaviours.ports import MarketRegister, RegisteredMarket
from ontology.grid import GridState
from ontology.market import Lem, LemState

__all__ = ["MarketRegistering", "TariffRegistering", "players_hash"]

_OPENING, _CLOSING = "opening to write ", "closing to write "


class TariffRegistering(RegisterWriting):
    """Writes the tariff of each state of the grid into the register, as the market operator."""

    def setup(self) -> None:
        """Nothing is known to be there yet."""
        super().setup()
        self._is_written = False

    @when("started")
    async def begin(self) -> None:
        """Write the tariffs at once, before the first market opens."""
        await self.write()

    async def write_down(self, register: MarketRegister) -> None:
        """Write every tariff that is not there."""
        if self._is_written:
            return
        for state in GridState:
            await register.set_parameters(self.sibling(TariffKeeping).tariff(state), self.now_s())
        self._is_written = True


class MarketRegistering(RegisterWriting):
    """Writes markets into the register: opened before they begin, closed and solved in one transaction.

    What it has to write is kept in the same commit as the engine's own state.
    """

    def opened(self, lem: Lem) -> None:
        """Note that a market is open."""
        if self.register is not None:
            self._keep(_OPENING, registered(lem))
            self.write_soon()

    def closed(self, key: str, lems: Sequence[Lem]) -> None:
        """Note, once, that the markets to be settled under a key are closed with the datasets they have."""
        if self.register is None or self.sibling(DatasetProving).knows(key):
            return
        datasets = self.sibling(DatasetProving).close(key, lems)
        for lem in lems:
            closed = msgspec.structs.replace(registered(lem), state=LemState.CLOSED, datasets=datasets)
            self._keep(_CLOSING, closed)

    def solved(self, key: str, lem: Lem, result: str) -> None:
        """Note what a market settled under a key came to, by its result's hash."""
        if self.register is not None:
            datasets = self.sibling(DatasetProving).root_of(key)
            solved = msgspec.structs.replace(
                registered(lem), state=LemState.SOLVED, datasets=datasets, result=result
            )
            self._keep(_CLOSING, solved)

    async def write_down(self, register: MarketRegister) -> None:
        """Write all openings together, then all closings, those already solved with their results."""
        await self._write_openings(register)
        names = self.waiting(_CLOSING)
        markets = {name: self._kept(name) for name in names}
        solved = [name for name in names if markets[name].state is LemState.SOLVED]
        closed = [name for name in names if markets[name].state is LemState.CLOSED]
        if closed:
            await register.close_markets([markets[name] for name in closed], self.now_s())
            self.written(closed)
        if solved:
            await register.settle_markets([markets[name] for name in solved], self.now_s())
            self.written(solved)
        self.sibling(DatasetProving).forget()

    async def _write_openings(self, register: MarketRegister) -> None:
        names = self.waiting(_OPENING)
        registration = self.sibling(PlayerRegistration)
        markets = [
            msgspec.structs.replace(
                market, players=players_hash(registration.of_segment(market.segment_id, market.start_s))
            )
            for market in map(self._kept, names)
        ]
        if markets:
            await register.open_markets(markets, self.now_s())
            self.written(names)

    def _keep(self, prefix: str, market: RegisteredMarket) -> None:
        self.keep(f"{prefix}{market.start_s} {market.segment_id}", msgspec.json.encode(market))

    def _kept(self, name: str) -> RegisteredMarket:
        return msgspec.json.decode(self.agent.kept_bytes(name) or b"", type=RegisteredMarket)


def registered(lem: Lem) -> RegisteredMarket:
    """Return a market as it stands in the register when it opens, its players left out."""
    return RegisteredMarket(
        start_s=lem.start_s, end_s=lem.end_s, segment_id=lem.segment_id, grid_state=lem.grid_state
    )


def players_hash(players: Sequence[str]) -> str:
    """Return the hash of who may take part in a market: pseudonyms in their order, one a line."""
    return hashlib.sha256("\n".join(sorted(players)).encode()).hexdigest() if players else ""
