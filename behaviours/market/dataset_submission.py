"""A blockchain agent brings its player's data to the market engine, exactly once (D8.1 3.3)."""

import asyncio

from behaviours.behaviour import Behaviour, every, on, when
from behaviours.market.blockchain_settings import BlockchainSettings
from behaviours.market.proving import DatasetCommitting
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
ATTESTORS_WAIT_S = 3_600
"""After this an attestor that was away needs a dataset no more: the others have settled without it."""


class DatasetSubmission(Behaviour):
    """Keeps each dataset until the market engine has it; what is kept survives a restart."""

    settings: BlockchainSettings

    @when("started")
    async def register(self) -> None:
        """Make the player known to the market engine, again and again until it answers."""
        player = Player(
            address=self.agent.address,
            role=Role.PROSUMER,
            segment_id=self.settings.segment_id,
            player=self.settings.player,
        )
        while not await self._delivered(player):
            await self.clock.sleep_until(self.clock.now_s() + 60)

    @on(LemDataset)
    async def take(self, dataset: LemDataset, letter: Letter) -> None:
        """Keep a dataset from the oracle, committed to where there is a register, and submit it."""
        dataset = self.sibling(DatasetCommitting).committed(dataset)
        name = f"{_PENDING}{dataset.start_s}"
        self.keep(name, dataset)
        for attestor in self.settings.attestors:
            self.keep(f"{_EVIDENCE}{attestor} {dataset.start_s}", dataset)
        await asyncio.gather(
            self._submit(name, dataset), *(self._bring_evidence(each) for each in self.settings.attestors)
        )

    @every(minutes=15, offset_s=45)
    async def submit_again(self) -> None:
        """Submit once more what was not acknowledged, oldest first, until one fails again."""
        await asyncio.gather(*(self._bring_evidence(each) for each in self.settings.attestors))
        for name in self.agent.kept_names(_PENDING):
            dataset = self.kept(name, LemDataset)
            if dataset is not None and not await self._submit(name, dataset):
                return

    async def _submit(self, name: str, dataset: LemDataset) -> bool:
        """Submit a dataset, and tell whether the engine has it now; then it is kept no longer."""
        if not await self._delivered(dataset):
            return False
        self.keep(name, None)
        return True

    async def _bring_evidence(self, attestor: str) -> None:
        """Bring an attestor every dataset that it has not acknowledged, unless that is too late."""
        for name in self.agent.kept_names(f"{_EVIDENCE}{attestor} "):
            dataset = self.kept(name, LemDataset)
            if dataset is None or dataset.start_s < self.now_s() - ATTESTORS_WAIT_S:
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
        if measure.player != self.settings.player or letter.sender != self.settings.contacts.oracle:
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
