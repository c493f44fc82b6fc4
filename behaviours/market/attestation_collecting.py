"""Nobody settles alone: the engine asks attestors for their signatures (SPEC 4.3)."""

import asyncio
from collections.abc import Iterable, Sequence

import structlog

from behaviours.behaviour import Behaviour
from behaviours.decisions.settlement import Settlement
from behaviours.market.clearing import batch_result
from behaviours.ports import Ledger
from ontology.attestation import (
    Attestation,
    AttestationRequest,
    CarryOver,
    Correction,
    EstimatedEnergy,
    Penalty,
)
from ontology.errors import ParityError
from ontology.ledger import PaymentOrder
from ontology.market import Lem

__all__ = ["AttestationCollecting"]

log = structlog.get_logger()


class AttestationCollecting(Behaviour):
    """Asks the attestors to vouch for a batch; what is missing or differs is counted."""

    async def collect(
        self, key: str, lems: Sequence[Lem], settlements: Sequence[Settlement], ledger: Ledger
    ) -> dict[str, str]:
        """Return the signatures of those who agree, by attestor; none where the engine's own is enough."""
        if ledger.quorum <= 1:
            return {}
        result = batch_result(settlements)
        request = AttestationRequest(
            settlement_key=key, lems=list(lems), estimates=estimates_in(settlements), result_hash=result
        )
        return await self._signatures(request)

    async def vouched(
        self, key: str, penalties: Sequence[Penalty], result: str, ledger: Ledger
    ) -> dict[str, str]:
        """Return the signatures of those who read the same penalties from the chain, by attestor."""
        if ledger.quorum <= 1:
            return {}
        request = AttestationRequest(settlement_key=key, penalties=list(penalties), result_hash=result)
        return await self._signatures(request)

    async def ordered(self, key: str, order: PaymentOrder, result: str, ledger: Ledger) -> dict[str, str]:
        """Return the signatures of those who have heard the order from its payer, by attestor."""
        if ledger.quorum <= 1:
            return {}
        return await self._signatures(
            AttestationRequest(settlement_key=key, payment=order, result_hash=result)
        )

    async def corrected(self, key: str, due: Correction, result: str, ledger: Ledger) -> dict[str, str]:
        """Return the signatures of those who have the late readings from the oracles, by attestor."""
        if ledger.quorum <= 1:
            return {}
        return await self._signatures(
            AttestationRequest(settlement_key=key, correction=due, result_hash=result)
        )

    async def carried(self, key: str, due: CarryOver, result: str, ledger: Ledger) -> dict[str, str]:
        """Return the signatures of those who know the pseudonyms to follow on each other, by attestor."""
        if ledger.quorum <= 1:
            return {}
        return await self._signatures(
            AttestationRequest(settlement_key=key, carry_over=due, result_hash=result)
        )

    async def _signatures(self, request: AttestationRequest) -> dict[str, str]:
        asked = (self._asked(attestor, request) for attestor in self.settings.attestors)
        answers = [each for each in await asyncio.gather(*asked) if each is not None]
        for each in answers:
            if each.result_hash != request.result_hash:
                self.agent.counts["attestations disputed"] += 1
                log.warning("attestor disagrees", key=request.settlement_key, attestor=each.attestor)
        return {each.attestor: each.signature for each in answers if each.signature}

    async def _asked(self, attestor: str, request: AttestationRequest) -> Attestation | None:
        try:
            return await self.ask(attestor, request, Attestation)
        except ParityError as error:
            self.agent.counts["attestations missing"] += 1
            log.info("no attestation", key=request.settlement_key, attestor=attestor, why=str(error))
            return None


def estimates_in(settlements: Iterable[Settlement]) -> list[EstimatedEnergy]:
    """Return whose readings were estimated in some markets, and how."""
    return [
        EstimatedEnergy(
            player=row.player,
            start_s=settlement.result.start_s,
            consumed_wh=row.consumed_wh,
            produced_wh=row.produced_wh,
        )
        for settlement in settlements
        for row in settlement.result.rows
        if row.estimated
    ]
