"""The market engine: clears each closed market, settles it on the ledger, foresees prices (D8.1 3.3).

Its modules are D8.1's: Market Engine and Payment Engine (`LemSolving`: one settlement key a batch, settled
exactly once), Balance Controller (`PlayerRegistration`, and the minimum balance at closing).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

import msgspec
import structlog

from behaviours.behaviour import Behaviour, every, on
from behaviours.decisions.pricing import price_profile
from behaviours.decisions.settlement import (
    MeteredEnergy,
    Settlement,
    estimated_energy,
    metered_energy,
)
from behaviours.market.attestation_collecting import AttestationCollecting
from behaviours.market.clearing import batch_result, clear, summed
from behaviours.market.players import DatasetCollection, MarketEngineSettings, PlayerRegistration
from behaviours.market.registering import MarketRegistering
from behaviours.market.settled_markets import SettledMarket, SettledMarkets
from behaviours.ports import Ledger, SettlementReceipt
from ontology.base import INTERVAL_S, INTERVALS_A_DAY
from ontology.discourse import Acknowledgement
from ontology.errors import ParityError, Refused
from ontology.letter import Letter
from ontology.market import Lem, LemDataset, LemResult, LemRow, LemState

__all__ = [
    "LemSolving",
    "PriceForecasting",
    "ResultAnnouncing",
    "settlement_key",
]

log = structlog.get_logger()

REMEMBERED_S = 2 * 86_400
"""How long the engine knows that a market was closed, so that nothing opens it again."""


class LemSolving(Behaviour):
    """Closes the markets whose interval has ended, clears them and settles them on the ledger.

    Markets that close together are one batch under one key. Batch and key are written down before the
    ledger hears of them, so whatever crashes, each market is settled once.
    """

    settings: MarketEngineSettings

    def setup(self) -> None:
        """Recall the markets that were open, or closed but perhaps not settled, before a restart."""
        ledger = self.agent.surroundings.ledger
        if ledger is None:
            raise TypeError("a market engine needs a ledger")
        self.ledger: Ledger = ledger
        self._open: dict[tuple[int, str], Lem] = {}
        self._batches: dict[str, list[Lem]] = defaultdict(list)
        for name in self.agent.kept_names("lem "):
            lem = self.kept(name, Lem)
            if lem is not None:
                self._open[lem.start_s, lem.segment_id] = lem
        for name in self.agent.kept_names("batch "):
            lem = self.kept(name, Lem)
            if lem is not None:
                self._batches[name.removeprefix("batch ").partition(": ")[0]].append(lem)
        self._doubtful = set(self._batches)
        restarted = self.agent.boots > 1
        self._patient_until_s = self.now_s() + INTERVAL_S if restarted else 0

    @on(Lem)
    def open_market(self, lem: Lem, letter: Letter) -> Acknowledgement:
        """Take up a market that the aggregator opened; announcing it again changes nothing.

        Raises: Refused when another agent than the aggregator announces it.
        """
        if letter.sender != self.settings.aggregator:
            raise Refused("only the aggregator opens markets")
        if not self.sibling(DatasetCollection).is_closed(lem.start_s, lem.segment_id):
            if (lem.start_s, lem.segment_id) not in self._open:
                self.sibling(MarketRegistering).opened(lem)
            self._open[lem.start_s, lem.segment_id] = lem
            self.keep(_lem_name(lem), lem)
        return Acknowledgement(of=letter.message_id)

    @every(minutes=15, offset_s=60)
    async def solve(self) -> None:
        """Settle every settlement period of which all markets have ended.

        After a restart one interval passes first, so that players can bring what they kept meanwhile.
        """
        if self.now_s() < self._patient_until_s:
            return
        await self.sibling(PlayerRegistration).open_accounts(self.ledger)
        for period_s in sorted({self._period_of(lem.start_s) for lem in self._open.values()}):
            if period_s + self._period_length_s() <= self.now_s():
                await self._close(period_s)
        for key in sorted(self._batches):
            await self._settle(key, self._batches[key])
        self.sibling(DatasetCollection).forget_before(self.now_s() - REMEMBERED_S)
        self.agent.commit()
        await self.sibling(ResultAnnouncing).deliver()
        await self.sibling(MarketRegistering).write()

    async def _close(self, period_s: int) -> None:
        """Close the markets of a period, and write down under which key they will be settled."""
        lems = [lem for _, lem in sorted(self._open.items()) if self._period_of(lem.start_s) == period_s]
        key = await self._free_key(period_s)
        for lem in lems:
            closed = await self._closed(lem)
            self._batches[key].append(closed)
            self.keep(_batch_name(key, lem), closed)
            self.keep(_lem_name(lem), None)
            self.sibling(DatasetCollection).close(lem)
            del self._open[lem.start_s, lem.segment_id]
        self.agent.commit()

    async def _closed(self, lem: Lem) -> Lem:
        """Return a market with those who take part in it: whoever holds the minimum (SPEC 2.3)."""
        registration = self.sibling(PlayerRegistration)
        players = await registration.solvent(lem.segment_id, lem.start_s, self.ledger)
        absent = [
            each for each in registration.of_segment(lem.segment_id, lem.start_s) if each not in players
        ]
        return msgspec.structs.replace(lem, state=LemState.CLOSED, players=players, absent=absent)

    async def _free_key(self, period_s: int) -> str:
        """Return the period's key, or a further one for markets that were announced late."""
        if not self.sibling(DatasetCollection).closed_any(period_s, period_s + self._period_length_s()):
            return settlement_key(period_s)
        number = 1
        while await self.ledger.settlement(key := settlement_key(period_s, number)) or key in self._batches:
            number += 1
        return key

    async def _settle(self, key: str, lems: list[Lem]) -> None:
        """Clear the markets of a batch and settle their sum; tried again next time when that fails.

        What the ledger holds under the key already, from before a restart, stands.
        """
        self.sibling(MarketRegistering).closed(key, lems)
        settlements = [self._clear(lem) for lem in lems]
        entries = summed(settlement.entries for settlement in settlements)
        try:
            receipt = await self.ledger.settlement(key) if key in self._doubtful else None
            receipt = receipt or await self._settle_attested(key, lems, settlements, entries)
        except ParityError as error:
            self._doubtful.add(key)
            self.agent.counts["settlements failed"] += 1
            log.warning("settlement failed", key=key, why=str(error))
            return
        if receipt.fresh:
            self.sibling(PlayerRegistration).follow(receipt)
        agreed = moved(receipt.entries) == moved(entries)
        self.agent.counts["settlements differ"] += not agreed
        self.agent.counts["receivables"] += len(receipt.receivables)
        for lem, settlement in zip(lems, settlements, strict=True):
            if agreed:
                self._note(lem, settlement)
                self.sibling(ResultAnnouncing).announce(settlement.result)
                self.sibling(MarketRegistering).solved(key, lem, settlement.result.result_hash)
            self.keep(_batch_name(key, lem), None)
            for row in settlement.result.rows:
                if row.estimated:
                    self.keep(_estimate_name(row.player, lem.start_s), None)
            self.sibling(DatasetCollection).settled(lem)
        del self._batches[key]
        self._doubtful.discard(key)
        self.agent.commit()

    def _note(self, lem: Lem, settlement: Settlement) -> None:
        """Note a market in which somebody's reading was missing, for a correction."""
        if any(row.estimated for row in settlement.result.rows):
            market = SettledMarket(lem=lem, rows=tuple(self._metered(lem)))
            self.sibling(SettledMarkets).note(market)

    def awaited(self, start_s: int) -> frozenset[str]:
        """Return the players of an interval's markets that are closed, but not settled yet."""
        lems = (lem for batch in self._batches.values() for lem in batch if lem.start_s == start_s)
        return frozenset(player for lem in lems for player in lem.players)

    def is_settled_before(self, time_s: int) -> bool:
        """Tell whether no market from before a time is still open, or closed but not settled."""
        closed = [lem for batch in self._batches.values() for lem in batch]
        return all(lem.start_s >= time_s for lem in (*self._open.values(), *closed))

    async def _settle_attested(
        self, key: str, lems: list[Lem], settlements: list[Settlement], entries: Mapping[str, int]
    ) -> SettlementReceipt:
        """Settle what a quorum of the attestors has come to as well."""
        attestations = await self.sibling(AttestationCollecting).collect(key, lems, settlements, self.ledger)
        return await self.ledger.settle(
            key, entries, self.now_s(), result=batch_result(settlements), attestations=attestations
        )

    def _clear(self, lem: Lem) -> Settlement:
        """Clear one market from what its players brought, estimating what is missing."""
        return clear(lem, self._metered(lem), self.settings.terms)

    def _metered(self, lem: Lem) -> Iterable[MeteredEnergy]:
        collection = self.sibling(DatasetCollection)
        brought = collection.of(lem.start_s)
        for player in lem.players:
            dataset = brought.get(player)
            if dataset is not None:
                yield metered_energy(dataset)
            else:
                yield self._estimated(player, lem.start_s)

    def _estimated(self, player: str, start_s: int) -> MeteredEnergy:
        """Return what a player that brought nothing is taken to have drawn: the same at every try.

        Attestors never vouch for two results under one key, so a newer forecast must change nothing.
        """
        name = _estimate_name(player, start_s)
        kept = self.agent.kept_bytes(name)
        if kept is not None:
            consumed_wh, produced_wh = map(int, kept.split())
            return MeteredEnergy(player, consumed_wh, produced_wh, estimated=True)
        last = self.sibling(DatasetCollection).newest(player)
        row = estimated_energy(last, start_s) if last else MeteredEnergy(player, 0, 0, estimated=True)
        self.keep(name, f"{row.consumed_wh} {row.produced_wh}".encode())
        return row

    def _period_of(self, start_s: int) -> int:
        return start_s // self._period_length_s() * self._period_length_s()

    def _period_length_s(self) -> int:
        return self.settings.settlement_intervals * INTERVAL_S


class ResultAnnouncing(Behaviour):
    """Tells everyone concerned how a market was cleared, the repository until it has acknowledged."""

    settings: MarketEngineSettings

    def announce(self, result: LemResult) -> None:
        """Tell each player its own row, the market operator the sum, and keep all for the repository."""
        players = self.sibling(PlayerRegistration).players
        for row in result.rows:
            self.tell(players[row.player].address, with_rows(result, [row]))
            if row.estimated and not result.correction:
                known = self.sibling(DatasetCollection).newest(row.player) is not None
                self.agent.counts["readings estimated" if known else "readings unknown"] += 1
        self.tell(self.settings.market_operator, with_rows(result, [totals(result.rows)]))
        self.keep(f"result {result.start_s} {result.segment_id} {result.correction}", result)

    @every(minutes=15, offset_s=61)
    async def deliver(self) -> None:
        """Bring the repository every result that it has not acknowledged."""
        for name in self.agent.kept_names("result "):
            result = self.kept(name, LemResult)
            if result is None or not await self._delivered(result):
                return
            self.keep(name, None)

    async def _delivered(self, result: LemResult) -> bool:
        try:
            await self.ask(self.settings.repository, result, Acknowledgement)
        except ParityError:
            self.agent.counts["repository unavailable"] += 1
            return False
        return True


class PriceForecasting(Behaviour):
    """Turns the players' forecasts into prices ahead, for each segment (SPEC 2.2, forward prices)."""

    settings: MarketEngineSettings

    def setup(self) -> None:
        """Remember the last market of each segment, whose tariff prices the hours ahead."""
        self._tariffs: dict[str, Lem] = {}

    @on(Lem)
    def note_tariff(self, lem: Lem, letter: Letter) -> None:
        """Note the tariff of the newest market."""
        self._tariffs[lem.segment_id] = lem

    @every(minutes=15, offset_s=65)
    def forecast(self) -> None:
        """Tell the aggregator what energy will probably cost."""
        start_s = self.now_s() // INTERVAL_S * INTERVAL_S
        registration, collection = self.sibling(PlayerRegistration), self.sibling(DatasetCollection)
        for segment_id, lem in sorted(self._tariffs.items()):
            players = registration.of_segment(segment_id, start_s)
            datasets = [collection.newest(player) for player in players]
            consumed_wh, produced_wh = summed_forecasts((d for d in datasets if d), start_s)
            profile = price_profile(start_s, consumed_wh, produced_wh, lem.parameters, players=len(players))
            self.tell(self.settings.aggregator, msgspec.structs.replace(profile, basis=segment_id))


def summed_forecasts(datasets: Iterable[LemDataset], start_s: int) -> tuple[list[int], list[int]]:
    """Return the energies in Wh that players expect to consume and produce in the day from a start."""
    consumed_w = [0] * INTERVALS_A_DAY
    produced_w = [0] * INTERVALS_A_DAY
    for dataset in datasets:
        shift = (start_s - dataset.forecast_start_s) // INTERVAL_S
        if 0 <= shift < len(dataset.consumption_w):
            consumed_w = add_shifted(consumed_w, dataset.consumption_w, shift)
            produced_w = add_shifted(produced_w, dataset.production_w, shift)
    hours = INTERVAL_S / 3600
    return [round(w * hours) for w in consumed_w], [round(w * hours) for w in produced_w]


def add_shifted(total: list[int], part: list[int], shift: int) -> list[int]:
    """Add a series that began some steps earlier; its last step holds on where it ends."""
    shifted = part[shift:] + part[-1:] * shift
    return [a + b for a, b in zip(total, shifted, strict=False)] + total[len(shifted) :]


def with_rows(result: LemResult, rows: list[LemRow]) -> LemResult:
    """Return a result that shows only some rows."""
    return msgspec.structs.replace(result, rows=rows)


def totals(rows: Iterable[LemRow]) -> LemRow:
    """Return one row with the sums of all and with no player's name."""
    listed = list(rows)
    return LemRow(
        player="all",
        consumed_wh=sum(r.consumed_wh for r in listed),
        produced_wh=sum(r.produced_wh for r in listed),
        tokens_consumption=sum(r.tokens_consumption for r in listed),
        tokens_production=sum(r.tokens_production for r in listed),
        tokens_flow=sum(r.tokens_flow for r in listed),
        tokens_net=sum(r.tokens_net for r in listed),
        estimated=any(r.estimated for r in listed),
        tokens_corrected=sum(r.tokens_corrected for r in listed),
    )


def moved(entries: Mapping[str, int]) -> dict[str, int]:
    """Return the token changes that move something."""
    return {account: tokens for account, tokens in entries.items() if tokens}


def settlement_key(period_s: int, number: int = 0) -> str:
    """Return the ledger's key of a settlement period; numbered from 1 for markets that came late."""
    return f"lem {period_s} {number}" if number else f"lem {period_s}"


def _estimate_name(player: str, start_s: int) -> str:
    return f"estimate {start_s} {player}"


def _lem_name(lem: Lem) -> str:
    return f"lem {lem.start_s} {lem.segment_id}"


def _batch_name(key: str, lem: Lem) -> str:
    return f"batch {key}: {lem.start_s} {lem.segment_id}"
