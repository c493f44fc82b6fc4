"""Who plays in a community's markets, and what each player brings, until its market is settled (D8.1 3.3)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

import msgspec

from behaviours.behaviour import Behaviour, on
from behaviours.decisions.correction import is_too_old
from behaviours.market.clearing import ClearingTerms
from behaviours.market.settled_markets import SettledMarkets
from behaviours.ports import Ledger, SettlementReceipt
from ontology.discourse import Acknowledgement
from ontology.errors import Refused
from ontology.letter import Letter
from ontology.market import Lem, LemDataset
from ontology.users import Player

__all__ = ["DatasetCollection", "MarketEngineSettings", "PlayerRegistration"]

_LATE = "late "


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
    attestors: tuple[str, ...] = ()
    holders: Mapping[str, str] = {}
    """Who may order payments from each account, by account."""

    @property
    def terms(self) -> ClearingTerms:
        """What holds in every market."""
        return ClearingTerms(
            aggregator_account=self.aggregator_account,
            grid_account=self.grid_account,
            tokens_per_currency=self.tokens_per_currency,
        )


class PlayerRegistration(Behaviour):
    """Knows the players of each segment and opens their accounts; the balance controller of D8.1."""

    settings: MarketEngineSettings

    def setup(self) -> None:
        """Recall the players known before a restart."""
        self.players: dict[str, Player] = {}
        self._of_address: dict[str, list[Player]] = {}
        self._tokens: dict[str, int] = {}
        self._unopened: list[str] = []
        self._accounts_open = False
        for name in self.agent.kept_names("player "):
            player = self.kept(name, Player)
            if player is not None:
                self._admit(player)

    @on(Player)
    def register(self, player: Player, letter: Letter) -> Acknowledgement:
        """Take up a player; registering again changes nothing.

        Raises: Refused when another agent speaks for the player already, or this one has another player in
            the same time.
        """
        known = self.players.get(player.player)
        if known is not None and known.address != letter.sender:
            raise Refused(f"{player.player} is spoken for")
        if known is None:
            if any(_overlap(each, player) for each in self._of_address.get(letter.sender, ())):
                raise Refused(f"{letter.sender} has a player already")
            self._admit(msgspec.structs.replace(player, address=letter.sender))
            self.keep(f"player {player.player}", self.players[player.player])
        return Acknowledgement(of=letter.message_id)

    async def open_accounts(self, ledger: Ledger) -> None:
        """Open the accounts of players that registered since, and at first the community's own."""
        accounts: dict[str, int] = {}
        if not self._accounts_open:
            accounts[self.settings.aggregator_account] = self.settings.aggregator_tokens
            accounts[self.settings.grid_account] = self.settings.grid_tokens
        accounts |= {player: self._first_tokens(player) for player in sorted(self._unopened)}
        if accounts:
            await ledger.open_accounts(accounts)
            self._accounts_open = True
            self._unopened.clear()

    def _first_tokens(self, player: str) -> int:
        """Return with what an account opens; a member's further pseudonym gets what the first one leaves."""
        return 0 if self.predecessor(player) else self.settings.initial_tokens

    def predecessor(self, player: str) -> str | None:
        """Return under which pseudonym the same member played before."""
        known = self.players.get(player)
        earlier = [
            each
            for each in (self._of_address[known.address] if known else ())
            if known and each.valid_from_s < known.valid_from_s
        ]
        return max(earlier, key=lambda each: each.valid_from_s).player if earlier else None

    def successions(self, time_s: int) -> dict[str, str]:
        """Return which pseudonym follows on each that is out of use at a time, where it is known already."""
        found: dict[str, str] = {}
        for players in self._of_address.values():
            now = [each.player for each in players if each.plays_at(time_s)]
            if now:
                found |= {each.player: now[0] for each in players if each.has_ended(time_s)}
        return found

    def of_segment(self, segment_id: str, time_s: int) -> list[str]:
        """Return who plays in a segment at a time, sorted."""
        return sorted(
            p.player for p in self.players.values() if p.segment_id == segment_id and p.plays_at(time_s)
        )

    async def solvent(self, segment_id: str, time_s: int, ledger: Ledger) -> list[str]:
        """Return who plays in a segment at a time and holds the minimum.

        Balances follow from what this engine, the only operator, has settled; the ledger is asked for those
        unknown or too low, since others may have topped them up.
        """
        players, minimum = self.of_segment(segment_id, time_s), self.settings.minimum_tokens
        doubtful = [player for player in players if self._tokens.get(player, -1) < minimum]
        if doubtful:
            self._tokens |= await ledger.balances(doubtful)
        able = [player for player in players if self._tokens[player] >= minimum]
        self.agent.counts["players suspended"] += len(players) - len(able)
        return able

    def follow(self, receipt: SettlementReceipt) -> None:
        """Take a new settlement into the balances known."""
        for account, tokens in receipt.entries.items():
            if account in self._tokens:
                self._tokens[account] += tokens + receipt.receivables.get(account, 0)

    def _admit(self, player: Player) -> None:
        self.players[player.player] = player
        self._of_address.setdefault(player.address, []).append(player)
        self._unopened.append(player.player)


class DatasetCollection(Behaviour):
    """Takes in what each player consumed and produced, until the market that it is for closes."""

    def setup(self) -> None:
        """Recall the closed markets, and the datasets of those that were not settled before a restart."""
        self._of_interval: dict[int, dict[str, LemDataset]] = defaultdict(dict)
        self._late: dict[int, dict[str, LemDataset]] = {}
        self._newest: dict[str, LemDataset] = {}
        self._closed: set[tuple[int, str]] = set()
        for name in self.agent.kept_names("closed "):
            _, start_s, segment_id = name.split(" ", 2)
            self._closed.add((int(start_s), segment_id))
        for name in self.agent.kept_names("dataset "):
            dataset = self.kept(name, LemDataset)
            if dataset is not None:
                self._take(dataset)
        for name in self.agent.kept_names(_LATE):
            dataset = self.kept(name, LemDataset)
            if dataset is not None:
                self._late.setdefault(dataset.start_s, {})[dataset.player] = dataset

    @on(LemDataset)
    def collect(self, dataset: LemDataset, letter: Letter) -> Acknowledgement:
        """Keep a dataset; one for a closed market is late and changes nothing that was settled.

        Raises: Refused when the sender does not speak for the player, or it is too late for a correction.
        """
        player = self.sibling(PlayerRegistration).players.get(dataset.player)
        if player is None or player.address != letter.sender:
            raise Refused(f"{letter.sender} does not speak for {dataset.player}")
        if is_too_old(dataset.start_s, self.now_s()):
            raise Refused(f"the interval {dataset.start_s} is settled for good")
        if self._is_late(dataset, player.segment_id):
            self.agent.counts["datasets late"] += 1
            self._take_late(dataset)
        else:
            dataset = self._with_last_forecast(dataset)
            self._take(dataset)
            self.keep(_dataset_name(dataset), dataset)
        return Acknowledgement(of=letter.message_id)

    def of(self, start_s: int) -> Mapping[str, LemDataset]:
        """Return the datasets of an interval by player."""
        return self._of_interval.get(start_s, {})

    def late(self) -> Mapping[int, Mapping[str, LemDataset]]:
        """Return what came after its market had closed, by start of interval and player."""
        return self._late

    def drop_late(self, start_s: int, players: Iterable[str]) -> None:
        """Let late datasets go that have been taken into a correction, or that nothing awaits."""
        held = self._late.get(start_s, {})
        for player in list(players):
            if held.pop(player, None) is not None:
                self.keep(_late_name(start_s, player), None)
        if not held:
            self._late.pop(start_s, None)

    def _is_late(self, dataset: LemDataset, segment_id: str) -> bool:
        return self.is_closed(dataset.start_s, segment_id) or self.sibling(SettledMarkets).is_estimated(
            dataset.start_s, dataset.player
        )

    def _take_late(self, dataset: LemDataset) -> None:
        """Keep a late dataset for a correction, unless its market has it; the first word stands."""
        held = self._late.setdefault(dataset.start_s, {})
        if dataset.player not in self.of(dataset.start_s) and dataset.player not in held:
            held[dataset.player] = dataset
            self.keep(_late_name(dataset.start_s, dataset.player), dataset)

    def newest(self, player: str) -> LemDataset | None:
        """Return the newest dataset of a player, or of the same member under its pseudonym before."""
        earlier = self.sibling(PlayerRegistration).predecessor(player)
        return self._newest.get(player) or (self._newest.get(earlier) if earlier else None)

    def is_closed(self, start_s: int, segment_id: str) -> bool:
        """Tell whether the market of an interval and segment takes nothing more in."""
        return (start_s, segment_id) in self._closed

    def closed_any(self, start_s: int, end_s: int) -> bool:
        """Tell whether a market of some intervals is closed already."""
        return any(start_s <= closed_s < end_s for closed_s, _ in self._closed)

    def close(self, lem: Lem) -> None:
        """Take nothing more in for a market: cleared again after a crash, it comes out the same."""
        self._closed.add((lem.start_s, lem.segment_id))
        self.keep(_closed_name(lem.start_s, lem.segment_id), b"")

    def settled(self, lem: Lem) -> None:
        """Forget the datasets of a settled market; each player's newest stays, for estimates."""
        brought = self._of_interval.get(lem.start_s, {})
        for player in self.sibling(PlayerRegistration).of_segment(lem.segment_id, lem.start_s):
            dataset = brought.pop(player, None)
            if dataset is not None and self._newest[player] is not dataset:
                self.keep(_dataset_name(dataset), None)
        if not brought:
            self._of_interval.pop(lem.start_s, None)

    def forget_before(self, time_s: int) -> None:
        """Forget the closed markets from before a time, and datasets for which no market ever opened."""
        for start_s, segment_id in [closed for closed in self._closed if closed[0] < time_s]:
            self._closed.discard((start_s, segment_id))
            self.keep(_closed_name(start_s, segment_id), None)
        for start_s in [start_s for start_s in self._of_interval if start_s < time_s]:
            for player, dataset in self._of_interval.pop(start_s).items():
                if self._newest[player] is not dataset:
                    self.keep(_dataset_name(dataset), None)

    def _with_last_forecast(self, dataset: LemDataset) -> LemDataset:
        """Return a dataset with the player's last forecast, where it brings no new one."""
        newest = self.newest(dataset.player)
        if dataset.consumption_w or newest is None:
            return dataset
        return msgspec.structs.replace(
            dataset,
            forecast_start_s=newest.forecast_start_s,
            consumption_w=newest.consumption_w,
            production_w=newest.production_w,
        )

    def _take(self, dataset: LemDataset) -> None:
        self._of_interval[dataset.start_s][dataset.player] = dataset
        newest = self._newest.get(dataset.player)
        if newest is None or newest.start_s <= dataset.start_s:
            self._newest[dataset.player] = dataset
            if newest is not None and self.of(newest.start_s).get(dataset.player) is not newest:
                self.keep(_dataset_name(newest), None)


def _overlap(one: Player, other: Player) -> bool:
    """Tell whether two pseudonyms are in use at the same time."""
    return one.plays_at(other.valid_from_s) or other.plays_at(one.valid_from_s)


def _closed_name(start_s: int, segment_id: str) -> str:
    return f"closed {start_s} {segment_id}"


def _late_name(start_s: int, player: str) -> str:
    return f"{_LATE}{start_s} {player}"


def _dataset_name(dataset: LemDataset) -> str:
    return f"dataset {dataset.start_s} {dataset.player}"
