"""Attesting: nobody settles a market alone (D8.1 3.3, SPEC 4.3).

The engine asks the attestors for their signatures; each of them has the datasets from the oracles itself,
computes the result anew, and signs only when it comes to the same.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec
import structlog

from behaviours.behaviour import Behaviour, every, on, when
from behaviours.decisions.carry_over import carry_over_entries, carry_over_hash, carry_over_key
from behaviours.decisions.correction import CORRECTION_S, correction_hash, correction_key
from behaviours.decisions.payments import payment_entries, payment_hash, settlement_key_of
from behaviours.decisions.settlement import MeteredEnergy, Settlement, estimated_energy, metered_energy
from behaviours.market.clearing import ClearingTerms, batch_result, clear, summed
from behaviours.market.penalties import penalties_hash, penalty_entries, penalty_of
from behaviours.market.settled_markets import (
    CorrectedSettlement,
    SettledMarket,
    SettledMarkets,
    corrected,
)
from behaviours.ports import Attestor as AttestorPort
from behaviours.ports import Ledger
from ontology.attestation import (
    Attestation,
    AttestationRequest,
    CarryOver,
    CorrectedMarket,
    Correction,
    EstimatedEnergy,
    Penalty,
)
from ontology.discourse import Acknowledgement
from ontology.errors import ParityError, Refused
from ontology.grid import GridState
from ontology.ledger import PaymentOrder, SettlementKind
from ontology.letter import Letter
from ontology.market import Lem, LemDataset, LemParameters

__all__ = [
    "AttestationCollecting",
    "Attesting",
    "AttestorSettings",
    "Evidence",
    "MarketWatching",
    "PaymentEvidence",
    "require_holder",
]

log = structlog.get_logger()

REMEMBERED = 200
"""How many of its attestations an attestor knows, so that it never contradicts itself."""
_PAYMENT = "payment "
EVIDENCE_S = 2 * 86_400
"""How long an attestor keeps what it could be asked about."""


class AttestorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Whom an attestor listens to: who speaks for each player, opens markets, asks to attest."""

    engine: str
    aggregator: str
    segments: tuple[str, ...]
    speakers: Mapping[str, str]
    holders: Mapping[str, str] = {}
    successors: Mapping[str, str] = {}
    """Under which pseudonym each player goes on in the next epoch."""
    terms: ClearingTerms


class OwnResult(NamedTuple):
    """What an attestor has come to: for what tokens move, how, the result's hash, and the markets."""

    kind: SettlementKind
    entries: Mapping[str, int]
    result: str
    markets: Sequence[SettledMarket] = ()


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


class MarketWatching(Behaviour):
    """Hears from the aggregator itself under which terms each market is held."""

    settings: AttestorSettings

    def setup(self) -> None:
        """Nothing has been announced yet."""
        self._terms: dict[tuple[int, str], tuple[GridState, LemParameters]] = {}

    @when("started")
    def subscribe_to_markets(self) -> None:
        """Ask the aggregator to be told of the markets of each segment."""
        for segment_id in self.settings.segments:
            self.subscribe(self.settings.aggregator, Lem, segment_id)

    @on(Lem)
    def take(self, lem: Lem, letter: Letter) -> None:
        """Note a market's terms; what was announced first stands.

        Raises: Refused when somebody else than the aggregator announces it.
        """
        if letter.sender != self.settings.aggregator:
            raise Refused("only the aggregator opens markets")
        self._terms.setdefault((lem.start_s, lem.segment_id), (lem.grid_state, lem.parameters))

    def is_as_announced(self, lem: Lem) -> bool:
        """Tell whether a market has the terms that were announced; one that was not heard of has."""
        held = (lem.grid_state, lem.parameters)
        return self._terms.get((lem.start_s, lem.segment_id), held) == held

    @every(minutes=60)
    def forget(self) -> None:
        """Forget markets that are long over."""
        oldest_s = self.now_s() - EVIDENCE_S
        self._terms = {market: terms for market, terms in self._terms.items() if market[0] >= oldest_s}


class Evidence(Behaviour):
    """Keeps what the oracles' side brings of every player, for a while; the first word stands."""

    settings: AttestorSettings

    def setup(self) -> None:
        """Recall what was brought before a restart."""
        self._of_interval: dict[int, dict[str, LemDataset]] = defaultdict(dict)
        for name in self.agent.kept_names("dataset "):
            dataset = self.kept(name, LemDataset)
            if dataset is not None:
                self._of_interval[dataset.start_s][dataset.player] = dataset

    @on(LemDataset)
    def take(self, dataset: LemDataset, letter: Letter) -> Acknowledgement:
        """Keep a dataset.

        Raises: Refused when the sender does not speak for the player.
        """
        if self.settings.speakers.get(dataset.player) != letter.sender:
            raise Refused(f"{letter.sender} does not speak for {dataset.player}")
        held = self._of_interval[dataset.start_s]
        if dataset.player not in held:
            held[dataset.player] = dataset
            self.keep(_dataset_name(dataset), dataset)
        return Acknowledgement(of=letter.message_id)

    def of(self, start_s: int) -> Mapping[str, LemDataset]:
        """Return the datasets of an interval by player."""
        return self._of_interval.get(start_s, {})

    def forecasts_of(self, player: str) -> Iterable[LemDataset]:
        """Return what a player has brought, each with the last forecast that it brought until then.

        What the same member brought under its pseudonym before is told as well.
        """
        earlier = next((old for old, new in self.settings.successors.items() if new == player), "")
        last: LemDataset | None = None
        for start_s in sorted(self._of_interval):
            brought = self._of_interval[start_s]
            dataset = brought.get(player) or brought.get(earlier)
            if dataset is not None:
                last = with_forecast_of(last, dataset)
                yield last

    @every(minutes=60)
    def forget(self) -> None:
        """Forget what is too old to be asked about; what corrects an estimate stays longer."""
        for start_s in [each for each in self._of_interval if each < self.now_s() - EVIDENCE_S]:
            held = self._of_interval[start_s]
            for player in [each for each in held if not self._could_correct(start_s, each)]:
                self.keep(_dataset_name(held.pop(player)), None)
            if not held:
                del self._of_interval[start_s]

    def _could_correct(self, start_s: int, player: str) -> bool:
        known = self.sibling(SettledMarkets)
        return start_s >= self.now_s() - CORRECTION_S and known.is_estimated(start_s, player)


class PaymentEvidence(Behaviour):
    """Hears from the holders of accounts themselves what they order to be paid; the first word stands."""

    settings: AttestorSettings

    @on(PaymentOrder)
    def take(self, order: PaymentOrder, letter: Letter) -> Acknowledgement:
        """Keep an order.

        Raises: Refused when the sender does not hold the account.
        """
        require_holder(self.settings.holders, order, letter)
        name = _PAYMENT + settlement_key_of(order)
        if not self.agent.kept_names(name):
            self.keep(name, order)
        return Acknowledgement(of=letter.message_id)

    def heard(self, settlement_key: str) -> PaymentOrder | None:
        """Return what a payer has ordered under a key."""
        return self.kept(_PAYMENT + settlement_key, PaymentOrder)

    @every(minutes=60)
    def forget(self) -> None:
        """Forget what is too old to be asked about."""
        for name in self.agent.kept_names(_PAYMENT):
            order = self.kept(name, PaymentOrder)
            if order is not None and order.time_s < self.now_s() - EVIDENCE_S:
                self.keep(name, None)


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


def require_holder(holders: Mapping[str, str], order: PaymentOrder, letter: Letter) -> None:
    """Check that whoever orders a payment holds the account that it comes from.

    Raises: Refused when it does not.
    """
    if holders.get(order.payer) != letter.sender:
        raise Refused(f"{letter.sender} does not hold the account {order.payer}")


def with_forecast_of(last: LemDataset | None, dataset: LemDataset) -> LemDataset:
    """Return a dataset with the last forecast, where it brings no new one."""
    if dataset.consumption_w or last is None:
        return dataset
    return msgspec.structs.replace(
        dataset,
        forecast_start_s=last.forecast_start_s,
        consumption_w=last.consumption_w,
        production_w=last.production_w,
    )


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


def _dataset_name(dataset: LemDataset) -> str:
    return f"dataset {dataset.start_s} {dataset.player}"
