"""What an attestor has heard for itself: markets, readings, orders of payment."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

import msgspec

from behaviours.behaviour import Behaviour, every, on, when
from behaviours.decisions.correction import CORRECTION_S
from behaviours.decisions.payments import settlement_key_of
from behaviours.market.clearing import ClearingTerms
from behaviours.market.settled_markets import (
    SettledMarkets,
)
from ontology.discourse import Acknowledgement
from ontology.errors import Refused
from ontology.grid import GridState
from ontology.ledger import PaymentOrder
from ontology.letter import Letter
from ontology.market import Lem, LemDataset, LemParameters

__all__ = ["AttestorSettings", "Evidence", "MarketWatching", "PaymentEvidence", "require_holder"]

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
        """Note a market's terms; what was announced first stands, unless the grid turns RED while it runs.

        Raises: Refused when somebody else than the aggregator announces it.
        """
        if letter.sender != self.settings.aggregator:
            raise Refused("only the aggregator opens markets")
        market, terms = (lem.start_s, lem.segment_id), (lem.grid_state, lem.parameters)
        if lem.grid_state is GridState.RED and self.now_s() < lem.end_s:
            self._terms[market] = terms
        self._terms.setdefault(market, terms)

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


def _dataset_name(dataset: LemDataset) -> str:
    return f"dataset {dataset.start_s} {dataset.player}"
