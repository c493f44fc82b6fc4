"""Carry-over: when an epoch ends, balances go on to the members' next pseudonyms (SPEC 7.2).

All go in one batch, so that the ledger does not say which account follows on which: only equal amounts do.
"""

from collections.abc import Mapping

import msgspec
import structlog

from behaviours.behaviour import Behaviour, every
from behaviours.decisions.carry_over import (
    carried_balances,
    carry_over_entries,
    carry_over_hash,
    carry_over_key,
)
from behaviours.decisions.correction import CORRECTION_S
from behaviours.decisions.pseudonyms import EPOCH_S, epoch_of
from behaviours.market.attestation_collecting import AttestationCollecting
from behaviours.market.engine import LemSolving
from behaviours.market.payments import CARRIED_OVER_S
from behaviours.market.players import MarketEngineSettings, PlayerRegistration
from behaviours.ports import Ledger, SettlementReceipt
from ontology.attestation import CarriedBalance, CarryOver
from ontology.errors import ParityError
from ontology.ledger import SettlementKind

__all__ = ["CarryingOver"]

log = structlog.get_logger()

_DUE = "carry-over due"
_SWEPT = "carry-over swept"
SWEPT_AGAIN_S = 86_400
"""How often what came later, as by a correction, is carried over as well."""
SWEPT_UNTIL_S = CORRECTION_S + 2 * SWEPT_AGAIN_S


class CarryingOver(Behaviour):
    """Hands balances on to the next pseudonyms, once the last market of the epoch before is settled.

    What is handed on is written down, with its key, before the ledger hears of it.
    """

    settings: MarketEngineSettings

    @every(minutes=15, offset_s=CARRIED_OVER_S)
    async def carry(self) -> None:
        """Settle the carry-over that is due, and plan the next one."""
        ledger: Ledger | None = self.agent.surroundings.ledger
        assert ledger is not None
        try:
            if self._due() is None:
                await self._plan(ledger)
            due = self._due()
            if due is not None:
                await self._settle(due, ledger)
        except ParityError as error:
            self.agent.counts["carry-overs failed"] += 1
            log.warning("balances not carried over", why=str(error))

    async def _plan(self, ledger: Ledger) -> None:
        """Write down what accounts whose epoch has ended hold now."""
        now_s = self.now_s()
        epoch = epoch_of(now_s)
        if not self.sibling(LemSolving).is_settled_before(epoch * EPOCH_S):
            return
        successors = self._to_sweep(self.sibling(PlayerRegistration).successions(now_s))
        if not successors:
            return
        await self.sibling(PlayerRegistration).open_accounts(ledger)
        carried = carried_balances(successors, await ledger.balances(sorted(successors)))
        if carried:
            self.keep(_DUE, msgspec.json.encode(await self._numbered(epoch, carried, successors, ledger)))
        for account in successors:
            self.keep(f"{_SWEPT} {account}", str(now_s).encode())
        self.agent.commit()

    def _to_sweep(self, successors: Mapping[str, str]) -> dict[str, str]:
        """Return the accounts that were not emptied yet, or not for a day while more may come."""
        return {account: successors[account] for account in successors if self._is_to_sweep(account)}

    def _is_to_sweep(self, account: str) -> bool:
        swept = self.agent.kept_bytes(f"{_SWEPT} {account}")
        if swept is None:
            return True
        more_may_come = self.now_s() % EPOCH_S < SWEPT_UNTIL_S
        return more_may_come and self.now_s() - int(swept) >= SWEPT_AGAIN_S

    async def _numbered(
        self, epoch: int, carried: Mapping[str, int], successors: Mapping[str, str], ledger: Ledger
    ) -> CarryOver:
        number = 0
        while await ledger.settlement(carry_over_key(epoch, number)) is not None:
            number += 1
        balances = [
            CarriedBalance(account=account, successor=successors[account], tokens=tokens)
            for account, tokens in carried.items()
        ]
        return CarryOver(epoch=epoch, number=number, balances=balances)

    async def _settle(self, due: CarryOver, ledger: Ledger) -> None:
        """Settle a carry-over; what fails is tried again next time."""
        key = carry_over_key(due.epoch, due.number)
        receipt = await ledger.settlement(key) or await self._settle_attested(key, due, ledger)
        if receipt.fresh:
            self.sibling(PlayerRegistration).follow(receipt)
        self.agent.counts["balances carried over"] += len(due.balances)
        self.keep(_DUE, None)
        self.agent.commit()

    async def _settle_attested(self, key: str, due: CarryOver, ledger: Ledger) -> SettlementReceipt:
        entries = entries_of(due)
        result = carry_over_hash(key, entries)
        attestations = await self.sibling(AttestationCollecting).carried(key, due, result, ledger)
        return await ledger.settle(
            key,
            entries,
            self.now_s(),
            kind=SettlementKind.CARRY_OVER,
            result=result,
            attestations=attestations,
        )

    def _due(self) -> CarryOver | None:
        raw = self.agent.kept_bytes(_DUE)
        return None if raw is None else msgspec.json.decode(raw, type=CarryOver)


def entries_of(due: CarryOver) -> dict[str, int]:
    """Return the token changes of a carry-over."""
    carried = {each.account: each.tokens for each in due.balances}
    return carry_over_entries(carried, {each.account: each.successor for each in due.balances})
