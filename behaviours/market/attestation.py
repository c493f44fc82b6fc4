"""An attestor computes a result again from what it heard, and signs only what it finds (SPEC 4.3)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec
import structlog

from behaviours.behaviour import Behaviour, on
from behaviours.decisions.carry_over import carry_over_entries, carry_over_hash, carry_over_key
from behaviours.decisions.correction import correction_hash, correction_key
from behaviours.decisions.payments import payment_entries, payment_hash
from behaviours.decisions.settlement import MeteredEnergy, estimated_energy, metered_energy
from behaviours.market.attestor_evidence import AttestorSettings, Evidence, MarketWatching, PaymentEvidence
from behaviours.market.clearing import batch_result, clear, summed
from behaviours.market.penalties import penalties_hash, penalty_entries, penalty_of
from behaviours.market.settled_markets import (
    CorrectedSettlement,
    SettledMarket,
    SettledMarkets,
    corrected,
)
from behaviours.ports import Attestor as AttestorPort
from ontology.attestation import (
    Attestation,
    AttestationRequest,
    CarryOver,
    CorrectedMarket,
    Correction,
    EstimatedEnergy,
    Penalty,
)
from ontology.errors import ParityError, Refused
from ontology.ledger import SettlementKind
from ontology.letter import Letter
from ontology.market import Lem

__all__ = ["Attesting"]

log = structlog.get_logger()

REMEMBERED = 200
"""How many of its attestations an attestor knows, so that it never contradicts itself."""


class OwnResult(NamedTuple):
    """What an attestor has come to: for what tokens move, how, the result's hash, and the markets."""

    kind: SettlementKind
    entries: Mapping[str, int]
    result: str
    markets: Sequence[SettledMarket] = ()


class Attesting(Behaviour):
    """Computes a batch's result from its own evidence, and signs it when it is the one asked for."""

    settings: AttestorSettings

    def setup(self) -> None:
        """Sign through the port that the agent was handed."""
        attestor = self.agent.surroundings.attestor
        if attestor is None:
            raise TypeError("an attestor needs a key of the ledger's set")
        self.attestor: AttestorPort = attestor

    @on(AttestationRequest)
    async def attest(self, request: AttestationRequest, letter: Letter) -> Attestation:
        """Return the result, signed when it agrees; otherwise object to the other one in public.

        Raises: Refused when somebody else than the engine asks, evidence is missing, or another result was
        signed under this key.
        """
        if letter.sender != self.settings.engine:
            raise Refused("only the market engine asks for attestations")
        own = await self._own(request)
        result = own.result
        name = f"attested {request.settlement_key}"
        signed = self.kept(name, Attestation)
        if signed is not None and signed.result_hash != result:
            raise Refused(f"another result was attested under {request.settlement_key}")
        honest = all(self.sibling(MarketWatching).is_as_announced(lem) for lem in request.lems)
        answer = Attestation(
            settlement_key=request.settlement_key, attestor=self.attestor.address, result_hash=result
        )
        if result != request.result_hash or not honest:
            await self._object(request.settlement_key, result)
            return answer
        self.keep(name, answer)
        for oldest in self.agent.kept_names("attested ")[:-REMEMBERED]:
            self.keep(oldest, None)
        for market in own.markets:
            self.sibling(SettledMarkets).note(market)
        signature = await self.attestor.attest(request.settlement_key, own.entries, own.kind, result)
        self.agent.counts["results attested"] += 1
        return msgspec.structs.replace(answer, signature=signature)

    async def _own(self, request: AttestationRequest) -> OwnResult:
        """Return what the settlement is for, its token changes and its result, as this attestor has them."""
        if request.payment is not None:
            return self._payment(request)
        if request.correction is not None:
            return self._correction(request.settlement_key, request.correction)
        if request.carry_over is not None:
            return self._carried(request.settlement_key, request.carry_over)
        if request.penalties:
            penalties = [await self._penalty(each) for each in request.penalties]
            entries = penalty_entries(penalties, self.settings.terms.grid_account)
            return OwnResult(SettlementKind.SLA_PENALTY, entries, penalties_hash(penalties))
        markets = [SettledMarket(lem=lem, rows=tuple(self._metered(lem, request))) for lem in request.lems]
        settlements = [clear(market.lem, market.rows, self.settings.terms) for market in markets]
        entries = summed(settlement.entries for settlement in settlements)
        return OwnResult(SettlementKind.LEM, entries, batch_result(settlements), markets)

    def _correction(self, key: str, due: Correction) -> OwnResult:
        """Return what a correction comes to by the late readings that have come here.

        Raises: Refused when one is missing, or the market is not known as it stood before.
        """
        if key != correction_key(due.start_s, due.number):
            raise Refused(f"{key} is not the key of this correction")
        changes = [self._corrected(due, market) for market in due.markets]
        return OwnResult(
            SettlementKind.CORRECTION,
            summed(change.entries for change in changes),
            correction_hash(key, [(change.before, change.after) for change in changes]),
            [change.market for change in changes],
        )

    def _carried(self, key: str, due: CarryOver) -> OwnResult:
        """Return what a carry-over comes to.

        Raises: Refused when an account would go to somebody else than its holder's next pseudonym.
        """
        if key != carry_over_key(due.epoch, due.number):
            raise Refused(f"{key} is not the key of this carry-over")
        for each in due.balances:
            if each.successor not in self._successors_of(each.account):
                raise Refused(f"{each.successor} does not follow on {each.account}")
        carried = {each.account: each.tokens for each in due.balances}
        entries = carry_over_entries(carried, {each.account: each.successor for each in due.balances})
        return OwnResult(SettlementKind.CARRY_OVER, entries, carry_over_hash(key, entries))

    def _successors_of(self, account: str) -> Iterable[str]:
        """Yield the pseudonyms that follow on one, epoch by epoch."""
        following = self.settings.successors.get(account)
        while following is not None:
            yield following
            following = self.settings.successors.get(following)

    def _corrected(self, due: Correction, claim: CorrectedMarket) -> CorrectedSettlement:
        """Clear a market again; only the state that this attestor vouched for last can be corrected.

        So no reading is taken in twice, whatever the engine asks for.
        """
        known = self.sibling(SettledMarkets)
        standing = {each.lem.segment_id: each.correction for each in known.standing(due.start_s)}
        market = known.of(due.start_s, claim.segment_id, claim.previous)
        if market is None or standing[claim.segment_id] not in (claim.previous, due.number):
            raise Refused(f"{claim.segment_id} at {due.start_s} was not vouched for as it stands")
        brought = self.sibling(Evidence).of(due.start_s)
        missing = [each for each in claim.players if each not in brought or each not in market.estimated]
        if missing:
            raise Refused(f"no late reading of {missing[0]} at {due.start_s}")
        readings = {player: metered_energy(brought[player]) for player in claim.players}
        return corrected(market, readings, due.number, self.settings.terms)

    def _payment(self, request: AttestationRequest) -> OwnResult:
        """Return what the payer itself has ordered.

        Raises: Refused when it has ordered nothing under this key.
        """
        heard = self.sibling(PaymentEvidence).heard(request.settlement_key)
        if heard is None:
            raise Refused(f"nobody has ordered {request.settlement_key}")
        return OwnResult(heard.kind, payment_entries(heard), payment_hash(heard))

    async def _penalty(self, claim: Penalty) -> Penalty:
        levels = self.agent.surroundings.service_levels
        if levels is None:
            raise Refused("no agreements are kept on this ledger")
        return await penalty_of(levels, claim.kpi_id, claim.player, claim.time_s)

    async def _object(self, key: str, result: str) -> None:
        self.agent.counts["results disputed"] += 1
        log.warning("another result is to be settled", key=key, own=result)
        try:
            await self.attestor.object(key, result)
        except ParityError as error:
            log.warning("objection not written down", key=key, why=str(error))

    def _metered(self, lem: Lem, request: AttestationRequest) -> Iterable[MeteredEnergy]:
        """Return what each player consumed and produced, estimates only where nothing better is known.

        Raises: Refused when a reading is missing here that the engine has, or an estimate cannot be true.
        """
        estimates = {(each.player, each.start_s): each for each in request.estimates}
        brought = self.sibling(Evidence).of(lem.start_s)
        for player in lem.players:
            estimate = estimates.get((player, lem.start_s))
            if estimate is not None:
                yield self._estimated(estimate)
            elif player in brought:
                yield metered_energy(brought[player])
            else:
                raise Refused(f"no reading of {player} at {lem.start_s}")

    def _estimated(self, claim: EstimatedEnergy) -> MeteredEnergy:
        """Return an engine's estimate when it follows from a forecast of the player, if there is any."""
        claimed = MeteredEnergy(claim.player, claim.consumed_wh, claim.produced_wh, estimated=True)
        known = list(self.sibling(Evidence).forecasts_of(claim.player))
        possible = [estimated_energy(each, claim.start_s) for each in known if each.start_s != claim.start_s]
        if claimed not in (possible or [MeteredEnergy(claim.player, 0, 0, estimated=True)]):
            raise Refused(f"no forecast of {claim.player} gives the estimate for {claim.start_s}")
        return claimed
