"""A blockchain agent brings its player's data to the market engine, exactly once (D8.1 3.3)."""

import asyncio

from behaviours.behaviour import Behaviour, every, on, when
from behaviours.decisions.correction import CORRECTION_S, is_too_old
from behaviours.decisions.pseudonyms import EPOCH_S, epoch_of
from behaviours.market.blockchain_settings import BlockchainSettings
from behaviours.market.proving import DatasetCommitting
from ontology.base import INTERVAL_S
from ontology.discourse import Acknowledgement
from ontology.errors import ParityError, Refused
from ontology.forecasts import Forecast
from ontology.letter import Letter
from ontology.market import LemDataset, LemResult
from ontology.measurements import IntervalReading
from ontology.roles import Role
from ontology.service_level import KpiMeasure
from ontology.users import Player

__all__ = [
    "DatasetSubmission",
    "MeasureSubmission",
    "ReadingKeeping",
    "ResultKeeping",
]

_PENDING = "dataset "
_EVIDENCE = "evidence "
_LATE = "late "
REGISTERED_AHEAD_S = 86_400
"""So early a site makes its next pseudonym known, so that it has one even if it is cut off then."""
ATTESTORS_WAIT_S = 3_600
"""After this an attestor that was away needs a dataset no more: the others have settled without it."""


class DatasetSubmission(Behaviour):
    """Keeps each dataset until the market engine has it; what is kept survives a restart."""

    settings: BlockchainSettings

    def setup(self) -> None:
        """Nobody has been made known yet."""
        self._registered: set[int] = set()

    @when("started")
    async def register(self) -> None:
        """Make the player known to the market engine, again and again until it answers."""
        while not await self._registered_all():
            await self.clock.sleep_until(self.clock.now_s() + 60)

    async def _registered_all(self) -> bool:
        """Make the player known under its pseudonym, a day ahead under the next; tell whether that worked."""
        epochs = {epoch_of(self.now_s()), epoch_of(self.now_s() + REGISTERED_AHEAD_S)}
        for epoch in sorted(epochs & self.settings.players.keys() - self._registered):
            if not await self._delivered(self._player(epoch)):
                return False
            self._registered.add(epoch)
        return True

    def _player(self, epoch: int) -> Player:
        return Player(
            address=self.agent.address,
            role=Role.PROSUMER,
            segment_id=self.settings.segment_id,
            player=self.settings.players[epoch],
            valid_from_s=epoch * EPOCH_S,
            valid_to_s=(epoch + 1) * EPOCH_S,
        )

    @on(LemDataset)
    def take(self, dataset: LemDataset, letter: Letter) -> Acknowledgement:
        """Keep a dataset from the oracle, say so, and submit it.

        Raises: Refused when another than the site's oracle brings it.
        """
        if letter.sender != self.settings.contacts.oracle:
            raise Refused(f"{letter.sender} does not measure {dataset.player}")
        dataset = self.sibling(DatasetCommitting).committed(dataset)
        self.keep(f"{_PENDING}{dataset.start_s}", dataset)
        for attestor in self.settings.attestors:
            self.keep(f"{_EVIDENCE}{attestor} {dataset.start_s}", dataset)
        self.agent.spawn(self._bring(dataset))
        return Acknowledgement(of=letter.message_id)

    async def _bring(self, dataset: LemDataset) -> None:
        """Bring a dataset to the engine and, with what is left from before, to the attestors."""
        await asyncio.gather(
            self._submit(f"{_PENDING}{dataset.start_s}", dataset),
            *(self._bring_evidence(each) for each in self.settings.attestors),
        )

    @every(minutes=15, offset_s=45)
    async def submit_again(self) -> None:
        """Submit once more what was not acknowledged, oldest first, until one fails again."""
        self._forget_late()
        await self._registered_all()
        await asyncio.gather(*(self._bring_evidence(each) for each in self.settings.attestors))
        for name in self.agent.kept_names(_PENDING):
            dataset = self.kept(name, LemDataset)
            if dataset is not None and not await self._submit(name, dataset):
                return

    async def _submit(self, name: str, dataset: LemDataset) -> bool:
        """Submit a dataset, and tell whether the engine needs it no more; then it is kept no longer."""
        if is_too_old(dataset.start_s, self.now_s()):
            self.agent.counts["datasets too late"] += 1
        elif not await self._delivered(dataset):
            return False
        elif self.now_s() > dataset.start_s + 2 * INTERVAL_S:
            self.keep(f"{_LATE}{dataset.start_s}", b"")
        self.keep(name, None)
        return True

    def _forget_late(self) -> None:
        """Forget which datasets came late when they correct nothing any more."""
        for name in self.agent.kept_names(_LATE):
            if is_too_old(int(name.removeprefix(_LATE)), self.now_s()):
                self.keep(name, None)

    def _is_useless(self, dataset: LemDataset) -> bool:
        """Tell whether an attestor can do without a dataset that it was not told of in time.

        One that the engine has not, or had late, is needed for a correction.
        """
        late = any(
            self.agent.kept_bytes(f"{prefix}{dataset.start_s}") is not None for prefix in (_PENDING, _LATE)
        )
        waits_s = CORRECTION_S if late else ATTESTORS_WAIT_S
        return dataset.start_s < self.now_s() - waits_s

    async def _bring_evidence(self, attestor: str) -> None:
        """Bring an attestor every dataset that it has not acknowledged, unless that is too late."""
        for name in self.agent.kept_names(f"{_EVIDENCE}{attestor} "):
            dataset = self.kept(name, LemDataset)
            if dataset is None or self._is_useless(dataset):
                self.keep(name, None)
            elif not await self._delivered(dataset, attestor):
                return
            else:
                self.keep(name, None)

    async def _delivered(self, content: LemDataset | Player, to: str = "") -> bool:
        try:
            await self.ask(to or self.settings.contacts.market_engine, content, Acknowledgement)
        except ParityError:
            self.agent.counts["not acknowledged"] += 1
            return False
        return True


class ResultKeeping(Behaviour):
    """Keeps what the last market brought its player, and tells the prosumer."""

    settings: BlockchainSettings

    @on(LemResult)
    def take(self, result: LemResult, letter: Letter) -> None:
        """Pass the player's result on."""
        self.tell(self.settings.contacts.prosumer, result)


class MeasureSubmission(Behaviour):
    """Brings the oracle's measures to the SLA checker; the oracle hears whether they have arrived."""

    settings: BlockchainSettings

    @on(KpiMeasure)
    async def pass_on(self, measure: KpiMeasure, letter: Letter) -> Acknowledgement:
        """Bring a measure and return the checker's acknowledgement.

        Raises: Refused when it is not the player's, or as the checker says.
        """
        player = self.settings.player_at(measure.time_s - 1)
        if measure.player != player or letter.sender != self.settings.contacts.oracle:
            raise Refused(f"{letter.sender} does not measure {measure.player}")
        await self.ask(self.settings.contacts.market_engine, measure, Acknowledgement, within_s=3.0)
        return Acknowledgement(of=letter.message_id)


class ReadingKeeping(Behaviour):
    """Keeps the newest aggregated reading and forecast, for the indicators of the portfolio."""

    @on(IntervalReading)
    def take(self, reading: IntervalReading, letter: Letter) -> None:
        """Keep an aggregated reading."""
        self.keep("aggregate", reading)

    @on(Forecast)
    def take_forecast(self, forecast: Forecast, letter: Letter) -> None:
        """Keep an aggregated forecast; prices ahead come from the players' own and do not count it again."""
        self.keep("aggregate forecast", forecast)
