"""The market engine: collects datasets, clears each closed market, settles on the ledger (D8.1 3.3).

Its modules are D8.1's: Market Engine (`LemSolving`), Balance Controller (`Membership keeping` with the
minimum balance), Payment Engine (one settlement key a batch, settled exactly once).
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
    settle_interval,
)
from behaviours.ports import Ledger
from ontology.base import INTERVAL_S, INTERVALS_A_DAY
from ontology.discourse import Acknowledgement
from ontology.errors import Refused
from ontology.letter import Letter
from ontology.market import Lem, LemDataset, LemResult, LemRow, PriceProfile
from ontology.users import Player

__all__ = ["DatasetCollection", "LemSolving", "MarketEngineSettings", "PlayerRegistration", "PriceForecasting"]

log = structlog.get_logger()


class MarketEngineSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Accounts by name, and what tokens are worth; the settlement period is in intervals."""

    aggregator: str
    aggregator_account: str
    grid_account: str
    repository: str
    market_operator: str
    tokens_per_currency: int
    initial_tokens: int
    aggregator_tokens: int
    grid_tokens: int
    minimum_tokens: int = 0
    settlement_intervals: int = 1


class PlayerRegistration(Behaviour):
    """Knows the players of each segment and opens their accounts; the balance controller of D8.1."""

    settings: MarketEngineSettings

    def setup(self) -> None:
        """Recall the players known before a restart."""
        self.players: dict[str, Player] = {}
        self._unopened: list[str] = []
        self._accounts_open = False
        for name in self.agent.kept_names("player "):
            player = self.kept(name, Player)
            if player is not None:
                self._admit(player)

    @on(Player)
    def register(self, player: Player, letter: Letter) -> Acknowledgement:
        """Take up a player; registering again changes nothing.

        Raises: Refused when another agent speaks for the player already.
        """
        known = self.players.get(player.player)
        if known is not None and known.address != letter.sender:
            raise Refused(f"{player.player} is spoken for")
        if known is None:
            self._admit(msgspec.structs.replace(player, address=letter.sender))
            self.keep(f"player {player.player}", self.players[player.player])
        return Acknowledgement(of=letter.message_id)

    async def open_accounts(self, ledger: Ledger) -> None:
        """Open the accounts of players that registered since, and at first the community's own."""
        accounts: dict[str, int] = {}
        if not self._accounts_open:
            accounts[self.settings.aggregator_account] = self.settings.aggregator_tokens
            accounts[self.settings.grid_account] = self.settings.grid_tokens
        accounts |= {player: self.settings.initial_tokens for player in sorted(self._unopened)}
        if accounts:
            await ledger.open_accounts(accounts)
            self._accounts_open = True
            self._unopened.clear()

    def of_segment(self, segment_id: str) -> list[str]:
        """Return the players of a segment, sorted."""
        return sorted(p.player for p in self.players.values() if p.segment_id == segment_id)

    def _admit(self, player: Player) -> None:
        self.players[player.player] = player
        self._unopened.append(player.player)


class DatasetCollection(Behaviour):
    """Takes in what each player consumed and produced, until the interval is settled."""

    def setup(self) -> None:
        """Recall the datasets of intervals that were not settled before a restart."""
        self._of_interval: dict[int, dict[str, LemDataset]] = defaultdict(dict)
        self._newest: dict[str, LemDataset] = {}
        self._settled_before_s = 0
        for name in self.agent.kept_names("dataset "):
            dataset = self.kept(name, LemDataset)
            if dataset is not None:
                self._take(dataset)

    @on(LemDataset)
    def collect(self, dataset: LemDataset, letter: Letter) -> Acknowledgement:
        """Keep a dataset; one for a settled interval changes nothing and is counted as late.

        Raises: Refused when the sender does not speak for the player.
        """
        player = self.sibling(PlayerRegistration).players.get(dataset.player)
        if player is None or player.address != letter.sender:
            raise Refused(f"{letter.sender} does not speak for {dataset.player}")
        if dataset.start_s < self._settled_before_s:
            self.agent.counts["datasets late"] += 1
        else:
            self._take(dataset)
            self.keep(f"dataset {dataset.start_s} {dataset.player}", dataset)
        return Acknowledgement(of=letter.message_id)

    def of(self, start_s: int) -> Mapping[str, LemDataset]:
        """Return the datasets of an interval by player."""
        return self._of_interval.get(start_s, {})

    def newest(self, player: str) -> LemDataset | None:
        """Return the newest dataset of a player."""
        return self._newest.get(player)

    def settled(self, start_s: int) -> None:
        """Forget the datasets of a settled interval; each player's newest stays, for estimates."""
        self._settled_before_s = max(self._settled_before_s, start_s + INTERVAL_S)
        for player in self._of_interval.pop(start_s, {}):
            self.keep(f"dataset {start_s} {player}", None)

    def _take(self, dataset: LemDataset) -> None:
        self._of_interval[dataset.start_s][dataset.player] = dataset
        newest = self._newest.get(dataset.player)
        if newest is None or newest.start_s <= dataset.start_s:
            self._newest[dataset.player] = dataset


class LemSolving(Behaviour):
    """Closes the markets whose interval has ended, clears them and settles them on the ledger."""

    settings: MarketEngineSettings

    def setup(self) -> None:
        """Recall the markets that were open before a restart."""
        ledger = self.agent.surroundings.ledger
        if ledger is None:
            raise TypeError("a market engine needs a ledger")
        self.ledger: Ledger = ledger
        self._open: dict[tuple[int, str], Lem] = {}
        for name in self.agent.kept_names("lem "):
            lem = self.kept(name, Lem)
            if lem is not None:
                self._open[lem.start_s, lem.segment_id] = lem
        restarted = self.agent.boots > 1
        self._patient_until_s = self.now_s() + INTERVAL_S if restarted else 0

    @on(Lem)
    def open_market(self, lem: Lem, letter: Letter) -> Acknowledgement:
        """Take up a market that the aggregator opened; announcing it again changes nothing.

        Raises: Refused when another agent than the aggregator announces it.
        """
        if letter.sender != self.settings.aggregator:
            raise Refused("only the aggregator opens markets")
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
        registration = self.sibling(PlayerRegistration)
        await registration.open_accounts(self.ledger)
        for period_s in sorted({self._period_of(lem.start_s) for lem in self._open.values()}):
            end_s = period_s + self.settings.settlement_intervals * INTERVAL_S
            if end_s <= self.now_s():
                await self._settle(period_s)

    async def _settle(self, period_s: int) -> None:
        """Clear the markets of a settlement period and settle their sum under one key.

        What the ledger holds under the key already, from before a restart, stands.
        """
        lems = [lem for _, lem in sorted(self._open.items()) if self._period_of(lem.start_s) == period_s]
        settlements = [(lem, self._clear(lem)) for lem in lems]
        entries = summed(settlement.entries for _, settlement in settlements)
        key = f"lem {period_s}"
        receipt = await self.ledger.settlement(key) or await self.ledger.settle(key, entries, self.now_s())
        for lem, settlement in settlements:
            if receipt.entries == entries:
                self._announce(settlement.result)
            del self._open[lem.start_s, lem.segment_id]
            self.keep(_lem_name(lem), None)
            self.sibling(DatasetCollection).settled(lem.start_s)
        if receipt.receivables:
            self.agent.counts["receivables"] += len(receipt.receivables)
        self.agent.commit()

    def _clear(self, lem: Lem) -> Settlement:
        """Clear one market from what its players brought, estimating what is missing."""
        return settle_interval(
            self._metered(lem),
            lem.parameters,
            lem.grid_state,
            self.settings.tokens_per_currency,
            start_s=lem.start_s,
            segment_id=lem.segment_id,
            aggregator=self.settings.aggregator_account,
            grid=self.settings.grid_account,
        )

    def _metered(self, lem: Lem) -> Iterable[MeteredEnergy]:
        collection = self.sibling(DatasetCollection)
        brought = collection.of(lem.start_s)
        for player in self.sibling(PlayerRegistration).of_segment(lem.segment_id):
            dataset = brought.get(player)
            if dataset is not None:
                yield metered_energy(dataset)
            elif (last := collection.newest(player)) is not None:
                self.agent.counts["readings estimated"] += 1
                yield estimated_energy(last, lem.start_s)
            else:
                self.agent.counts["readings unknown"] += 1
                yield MeteredEnergy(player, 0, 0, estimated=True)

    def _announce(self, result: LemResult) -> None:
        """Tell each player its own row, the repository all of them, the market operator their sum."""
        players = self.sibling(PlayerRegistration).players
        for row in result.rows:
            self.tell(players[row.player].address, with_rows(result, [row]))
        self.tell(self.settings.repository, result)
        self.tell(self.settings.market_operator, with_rows(result, [totals(result.rows)]))

    def _period_of(self, start_s: int) -> int:
        length_s = self.settings.settlement_intervals * INTERVAL_S
        return start_s // length_s * length_s


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
            datasets = [collection.newest(player) for player in registration.of_segment(segment_id)]
            consumed_wh, produced_wh = summed_forecasts((d for d in datasets if d), start_s)
            profile = price_profile(start_s, consumed_wh, produced_wh, lem.parameters)
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


def summed(batches: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Add up token changes by account."""
    total: dict[str, int] = defaultdict(int)
    for batch in batches:
        for account, tokens in batch.items():
            total[account] += tokens
    return dict(total)


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
    )


def _lem_name(lem: Lem) -> str:
    return f"lem {lem.start_s} {lem.segment_id}"
