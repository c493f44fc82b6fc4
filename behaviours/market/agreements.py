"""Service-level agreements: written down, judged on the chain, penalties settled (D8.1 3.3, 3.4)."""

from collections.abc import Sequence

import msgspec
import structlog

from behaviours.behaviour import Behaviour, every, on, when
from behaviours.market.attestation_collecting import AttestationCollecting
from behaviours.market.payments import EntryKeeping
from behaviours.market.penalties import penalties_hash, penalty_entries, penalty_of
from behaviours.market.players import MarketEngineSettings, PlayerRegistration
from behaviours.ports import Ledger, ServiceLevels
from ontology.attestation import Penalty
from ontology.discourse import Acknowledgement
from ontology.errors import ParityError, Refused
from ontology.ledger import Payment, SettlementKind
from ontology.letter import Letter
from ontology.performatives import Performative
from ontology.service_level import KpiFeature, KpiMeasure, Sla

__all__ = ["Agreement", "AgreementWriting", "SlaChecking"]

log = structlog.get_logger()

LATENESS_S = 7 * 86_400
"""How long after its end an agreement waits for measures that are missing (SPEC 2.3, corrections)."""


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """An agreement with its indicators."""

    sla: Sla
    features: tuple[KpiFeature, ...]


class AgreementWriting(Behaviour):
    """Brings the aggregator's agreements to the repository and the market engine until both have them."""

    @when("started")
    async def write(self) -> None:
        """Bring every agreement, first the whole, then its indicators."""
        for agreement in self.settings.agreements:
            for content in (agreement.sla, *agreement.features):
                for to in (self.settings.market_engine, self.settings.repository):
                    await self._bring(to, content)

    async def _bring(self, to: str, content: Sla | KpiFeature) -> None:
        while True:
            try:
                await self.ask(to, content, Acknowledgement, act=Performative.PROPOSE)
                return
            except ParityError:
                self.agent.counts["not acknowledged"] += 1
                await self.clock.sleep_until(self.clock.now_s() + 60)


class SlaChecking(Behaviour):
    """Has measures judged on the chain, and settles the penalties of each agreement that has ended at once.

    They go from the players to the DSO's account, attested like everything that moves tokens (SPEC 2.9).
    """

    settings: MarketEngineSettings

    @on(Sla)
    async def write_agreement(self, sla: Sla, letter: Letter) -> Acknowledgement:
        """Write an agreement on the chain; one that is there stays as it is.

        Raises: Refused when another than the aggregator brings it, Unavailable when the chain is away.
        """
        self._require_aggregator(letter)
        await self._levels().write_agreement(sla)
        self.keep(f"sla {sla.sla_id}", sla)
        return Acknowledgement(of=letter.message_id)

    @on(KpiFeature)
    async def write_indicator(self, feature: KpiFeature, letter: Letter) -> Acknowledgement:
        """Write an indicator on the chain; one that is there stays as it is.

        Raises: Refused when another than the aggregator brings it, Unavailable when the chain is away.
        """
        self._require_aggregator(letter)
        await self._levels().write_indicator(feature)
        self.keep(f"kpi {feature.kpi_id}", feature)
        return Acknowledgement(of=letter.message_id)

    @on(KpiMeasure)
    async def check(self, measure: KpiMeasure, letter: Letter) -> Acknowledgement:
        """Have a measure judged and note its penalty; bringing it again changes nothing.

        Raises: Refused when the sender does not speak for the player, or the contract turns the measure down.
        """
        player = self.sibling(PlayerRegistration).players.get(measure.player)
        feature = self.kept(f"kpi {measure.kpi_id}", KpiFeature)
        if player is None or player.address != letter.sender:
            raise Refused(f"{letter.sender} does not speak for {measure.player}")
        if feature is None or self.kept(f"sla {feature.sla_id}", Sla) is None:
            raise Refused(f"no agreement with an indicator {measure.kpi_id} is open")
        penalty = await self._levels().judge(measure)
        about = f"{feature.sla_id} {measure.kpi_id} {measure.player}"
        self.keep(f"judged {about}", b"")
        if penalty:
            self.keep(f"violated {about}", measure)
        return Acknowledgement(of=letter.message_id)

    @every(minutes=15, offset_s=120)
    async def settle_penalties(self) -> None:
        """Settle the penalties of the agreements that have ended, each under its own key."""
        for name in self.agent.kept_names("sla "):
            sla = self.kept(name, Sla)
            if sla is not None and (self._is_judged(sla) or sla.end_s + LATENESS_S <= self.now_s()):
                await self._settle(sla)

    def _is_judged(self, sla: Sla) -> bool:
        """Tell whether every indicator of an agreement was judged for every player that it is about."""
        features = (self.kept(name, KpiFeature) for name in self.agent.kept_names("kpi "))
        expected = sum(len(set(each.players)) for each in features if each and each.sla_id == sla.sla_id)
        return 0 < expected <= len(self.agent.kept_names(f"judged {sla.sla_id} "))

    async def _settle(self, sla: Sla) -> None:
        penalties = await self._penalties(sla)
        if penalties and not await self._moved(f"sla {sla.sla_id}", penalties):
            return
        about = [
            name for what in ("judged", "violated") for name in self.agent.kept_names(f"{what} {sla.sla_id} ")
        ]
        for name in (f"sla {sla.sla_id}", *about):
            self.keep(name, None)
        self.agent.commit()

    async def _moved(self, key: str, penalties: Sequence[Penalty]) -> bool:
        """Settle penalties under a key, and tell whether that worked; otherwise it is tried again."""
        ledger: Ledger | None = self.agent.surroundings.ledger
        assert ledger is not None
        result = penalties_hash(penalties)
        entries = penalty_entries(penalties, self.settings.grid_account)
        try:
            await self.sibling(PlayerRegistration).open_accounts(ledger)
            attestations = await self.sibling(AttestationCollecting).vouched(key, penalties, result, ledger)
            await ledger.settle(
                key,
                entries,
                self.now_s(),
                kind=SettlementKind.SLA_PENALTY,
                result=result,
                attestations=attestations,
            )
        except ParityError as error:
            self.agent.counts["settlements failed"] += 1
            log.warning("penalties not settled", key=key, why=str(error))
            return False
        payee = self.settings.grid_account
        for player, tokens in entries.items():
            if tokens < 0:
                self.sibling(EntryKeeping).note(key, player, [Payment(account=payee, tokens=-tokens)])
        return True

    async def _penalties(self, sla: Sla) -> list[Penalty]:
        found = []
        for name in self.agent.kept_names(f"violated {sla.sla_id} "):
            measure = self.kept(name, KpiMeasure)
            if measure is not None:
                found.append(await penalty_of(self._levels(), measure.kpi_id, measure.player, measure.time_s))
        return found

    def _levels(self) -> ServiceLevels:
        levels = self.agent.surroundings.service_levels
        if levels is None:
            raise Refused("no agreements are kept on this ledger")
        return levels

    def _require_aggregator(self, letter: Letter) -> None:
        if letter.sender != self.settings.aggregator:
            raise Refused("only the aggregator writes agreements")
