"""Markets that were settled with estimates, from which corrections start, at engine and attestors."""

from collections.abc import Mapping, Sequence
from functools import cached_property

import msgspec

from behaviours.behaviour import Behaviour, every
from behaviours.decisions.correction import correction_entries, is_too_old, with_readings
from behaviours.decisions.settlement import MeteredEnergy, Settlement
from behaviours.market.clearing import ClearingTerms, clear
from ontology.market import Lem, LemResult

__all__ = ["CorrectedSettlement", "SettledMarket", "SettledMarkets", "corrected"]

_SETTLED = "settled "
STATES = 2
"""How many states of a market are known: as it stands, and as it stood before the newest correction."""


class SettledMarket(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A market and the energies that it was settled with, after a number of corrections."""

    lem: Lem
    rows: tuple[MeteredEnergy, ...]
    correction: int = 0

    @cached_property
    def estimated(self) -> frozenset[str]:
        """The players whose readings are missing."""
        return frozenset(row.player for row in self.rows if row.estimated)


class CorrectedSettlement(msgspec.Struct, frozen=True, kw_only=True):
    """A market before and after a correction, and the state that it is left in."""

    before: Settlement
    after: Settlement
    market: SettledMarket

    @property
    def entries(self) -> Mapping[str, int]:
        """The token changes, which sum to zero."""
        return correction_entries(self.before.entries, self.after.entries)

    @property
    def result(self) -> LemResult:
        """The market as it stands now; each row tells by how much it was corrected."""
        settled = {row.player: row.tokens_net for row in self.before.result.rows}
        rows = [
            msgspec.structs.replace(row, tokens_corrected=row.tokens_net - settled[row.player])
            for row in self.after.result.rows
        ]
        return msgspec.structs.replace(self.after.result, rows=rows, correction=self.market.correction)


def corrected(
    market: SettledMarket, readings: Mapping[str, MeteredEnergy], number: int, terms: ClearingTerms
) -> CorrectedSettlement:
    """Clear a settled market again with readings, by player, that were estimated.

    Raises: InvalidInput when an energy is negative.
    """
    rows = with_readings(market.rows, readings)
    return CorrectedSettlement(
        before=clear(market.lem, market.rows, terms),
        after=clear(market.lem, rows, terms),
        market=SettledMarket(lem=market.lem, rows=tuple(rows), correction=number),
    )


class SettledMarkets(Behaviour):
    """Remembers markets that were settled with estimates for as long as they can be corrected."""

    def setup(self) -> None:
        """Recall what was noted before a restart."""
        self._states: dict[int, dict[str, list[SettledMarket]]] = {}
        for name in self.agent.kept_names(_SETTLED):
            raw = self.agent.kept_bytes(name)
            if raw is not None:
                self._add(msgspec.json.decode(raw, type=SettledMarket))

    def note(self, market: SettledMarket) -> None:
        """Note a market that was settled with estimates, or corrected; an older state changes nothing."""
        states = self._states.get(market.lem.start_s, {}).get(market.lem.segment_id, [])
        newest = states[-1].correction if states else -1
        if market.correction <= newest or not (states or market.estimated):
            return
        self.keep(_name(market), msgspec.json.encode(market))
        self._add(market)
        states = self._states[market.lem.start_s][market.lem.segment_id]
        while len(states) > STATES:
            self.keep(_name(states.pop(0)), None)

    def of(self, start_s: int, segment_id: str, correction: int) -> SettledMarket | None:
        """Return a market as it stood after a correction, if that is known."""
        states = self._states.get(start_s, {}).get(segment_id, [])
        return next((each for each in states if each.correction == correction), None)

    def standing(self, start_s: int) -> Sequence[SettledMarket]:
        """Return the markets of an interval as they stand now, by segment."""
        return [states[-1] for _, states in sorted(self._states.get(start_s, {}).items())]

    def is_estimated(self, start_s: int, player: str) -> bool:
        """Tell whether a player's reading of an interval is still missing."""
        return any(player in market.estimated for market in self.standing(start_s))

    @every(minutes=60, offset_s=200)
    def forget(self) -> None:
        """Forget markets that can be corrected no more."""
        for start_s in [each for each in self._states if is_too_old(each, self.now_s())]:
            for states in self._states.pop(start_s).values():
                for market in states:
                    self.keep(_name(market), None)

    def _add(self, market: SettledMarket) -> None:
        states = self._states.setdefault(market.lem.start_s, {}).setdefault(market.lem.segment_id, [])
        states.append(market)
        states.sort(key=lambda each: each.correction)


def _name(market: SettledMarket) -> str:
    return f"{_SETTLED}{market.lem.start_s} {market.lem.segment_id} {market.correction}"
