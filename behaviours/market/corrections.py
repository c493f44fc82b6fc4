"""Correction settlement: readings that come after their market was settled (SPEC 4.3).

```
site ── LemDataset, late ──> market engine ── AttestationRequest(correction) ──> attestors ──> ledger
     ── LemDataset, late ─────────────────────────────────────────────────────> attestors
```
What was settled stays. The difference to what would have been settled is moved under a key of its own.
"""

from collections.abc import Mapping, Sequence

import msgspec
import structlog

from behaviours.behaviour import Behaviour, every
from behaviours.decisions.correction import correction_hash, correction_key, is_too_old
from behaviours.decisions.settlement import metered_energy
from behaviours.market.attestation_collecting import AttestationCollecting
from behaviours.market.clearing import summed
from behaviours.market.engine import LemSolving, ResultAnnouncing
from behaviours.market.players import DatasetCollection, MarketEngineSettings, PlayerRegistration
from behaviours.market.settled_markets import CorrectedSettlement, SettledMarkets, corrected
from behaviours.ports import Ledger, SettlementReceipt
from ontology.attestation import CorrectedMarket, Correction
from ontology.errors import ParityError
from ontology.ledger import SettlementKind
from ontology.market import LemDataset

__all__ = ["CorrectionSettling"]

log = structlog.get_logger()

_DUE = "correction due "


class CorrectionSettling(Behaviour):
    """Settles what late readings change, each correction once.

    A correction is written down, with its key, before the ledger hears of it.
    """

    settings: MarketEngineSettings

    @every(minutes=15, offset_s=75)
    async def correct(self) -> None:
        """Settle the corrections that are due, and those that late datasets call for."""
        ledger: Ledger | None = self.agent.surroundings.ledger
        assert ledger is not None
        self._give_up()
        for start_s, late in sorted(self.sibling(DatasetCollection).late().items()):
            if not self._is_due(start_s):
                await self._plan(start_s, late, ledger)
        for name in self.agent.kept_names(_DUE):
            await self._settle(name, self._due(name), ledger)
        self.agent.commit()

    async def _plan(self, start_s: int, late: Mapping[str, LemDataset], ledger: Ledger) -> None:
        """Write down which late datasets a correction takes in, and let those go that nothing awaits."""
        markets = [
            CorrectedMarket(segment_id=market.lem.segment_id, previous=market.correction, players=players)
            for market in self.sibling(SettledMarkets).standing(start_s)
            if (players := sorted(market.estimated & late.keys()))
        ]
        unsettled = self.sibling(LemSolving).awaited(start_s)
        wanted = unsettled.union(*(market.players for market in markets))
        self.sibling(DatasetCollection).drop_late(start_s, late.keys() - wanted)
        if markets:
            number = 1
            while await ledger.settlement(correction_key(start_s, number)) is not None:
                number += 1
            due = Correction(start_s=start_s, number=number, markets=markets)
            self.keep(f"{_DUE}{start_s}", msgspec.json.encode(due))
            self.agent.commit()

    async def _settle(self, name: str, due: Correction, ledger: Ledger) -> None:
        """Settle a correction; tried again next time when that fails."""
        key = correction_key(due.start_s, due.number)
        changes = self._changes(due)
        entries = summed(change.entries for change in changes)
        result = correction_hash(key, [(change.before, change.after) for change in changes])
        try:
            receipt = await ledger.settlement(key)
            if receipt is None:
                receipt = await self._settle_attested(key, due, entries, result, ledger)
        except ParityError as error:
            self.agent.counts["corrections failed"] += 1
            log.warning("correction not settled", key=key, why=str(error))
            return
        self.agent.counts["receivables"] += len(receipt.receivables)
        self.agent.counts["corrections settled"] += 1
        for change in changes:
            self.sibling(SettledMarkets).note(change.market)
            self.sibling(ResultAnnouncing).announce(change.result)
        for market in due.markets:
            self.sibling(DatasetCollection).drop_late(due.start_s, market.players)
        self.keep(name, None)
        self.agent.commit()

    async def _settle_attested(
        self, key: str, due: Correction, entries: Mapping[str, int], result: str, ledger: Ledger
    ) -> SettlementReceipt:
        attestations = await self.sibling(AttestationCollecting).corrected(key, due, result, ledger)
        receipt = await ledger.settle(
            key,
            entries,
            self.now_s(),
            kind=SettlementKind.CORRECTION,
            result=result,
            attestations=attestations,
        )
        if receipt.fresh:
            self.sibling(PlayerRegistration).follow(receipt)
        return receipt

    def _changes(self, due: Correction) -> Sequence[CorrectedSettlement]:
        """Clear the markets of a correction again: the same at every try."""
        late = self.sibling(DatasetCollection).late()[due.start_s]
        changes = []
        for each in due.markets:
            market = self.sibling(SettledMarkets).of(due.start_s, each.segment_id, each.previous)
            assert market is not None
            readings = {player: metered_energy(late[player]) for player in each.players}
            changes.append(corrected(market, readings, due.number, self.settings.terms))
        return changes

    def _is_due(self, start_s: int) -> bool:
        return self.agent.kept_bytes(f"{_DUE}{start_s}") is not None

    def _due(self, name: str) -> Correction:
        return msgspec.json.decode(self.agent.kept_bytes(name) or b"", type=Correction)

    def _give_up(self) -> None:
        """Let go of what could not be settled in the time that there is for corrections."""
        for name in self.agent.kept_names(_DUE):
            if is_too_old(self._due(name).start_s, self.now_s()):
                self.keep(name, None)
                self.agent.counts["corrections given up"] += 1
                log.warning("correction given up", correction=name)
        collection = self.sibling(DatasetCollection)
        for start_s, late in list(collection.late().items()):
            if is_too_old(start_s, self.now_s()):
                collection.drop_late(start_s, list(late))
