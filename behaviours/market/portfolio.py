"""Keeping the portfolio: what each member could do, newest first (D8.1 3.8, VPP manager)."""

from collections.abc import Iterable, Mapping

import msgspec

from behaviours.behaviour import Behaviour, on, when
from behaviours.market.opening import AggregatorSettings
from ontology.errors import Refused
from ontology.flexibility import FlexibilityForecast
from ontology.letter import Letter
from ontology.registration import Consent, ConsentPurpose

__all__ = ["PortfolioKeeping"]

_CONSENT = "consent "


class PortfolioKeeping(Behaviour):
    """Knows how far each member could deviate from its plan."""

    settings: AggregatorSettings

    def setup(self) -> None:
        """No member has reported, nothing is promised."""
        self._flexibility: dict[str, FlexibilityForecast] = {}
        self._promised: dict[str, tuple[str, Mapping[int, int]]] = {}
        self._agreed: dict[str, Consent] = {}
        for name in self.agent.kept_names(_CONSENT):
            said = self.kept(name, Consent)
            if said is not None:
                self._agreed[said.subject] = said

    @when("started")
    def listen(self) -> None:
        """Ask to be told of the members' consents."""
        if self.settings.heeds_consent:
            self.subscribe(self.settings.repository, Consent)

    @on(Consent)
    def heed(self, consent: Consent, letter: Letter) -> None:
        """Count on a member's flexibility only while it agrees; the newest word holds.

        Raises: Refused when it is not the repository that tells.
        """
        if letter.sender != self.settings.repository:
            raise Refused("the repository tells of consents")
        known = self._agreed.get(consent.subject)
        if consent.purpose is ConsentPurpose.FLEXIBILITY and (not known or consent.time_s >= known.time_s):
            self._agreed[consent.subject] = consent
            self.keep(f"{_CONSENT}{consent.subject}", consent)
            if not consent.given:
                self._flexibility.pop(consent.subject, None)

    def agrees(self, member: str) -> bool:
        """Tell whether a member's flexibility may be counted on; where nothing was said it may not."""
        said = self._agreed.get(member)
        return said.given if said else not self.settings.heeds_consent

    @on(FlexibilityForecast)
    def note(self, flexibility: FlexibilityForecast, letter: Letter) -> None:
        """Note what a member could do."""
        if not self.agrees(flexibility.subject):
            self.agent.counts["flexibility without consent"] += 1
            return
        self._flexibility[flexibility.subject] = flexibility

    def present(self, time_s: int) -> list[FlexibilityForecast]:
        """Return the forecasts that cover a time, of the newest start, by member."""
        newest_s = max((f.start_s for f in self._flexibility.values()), default=0)
        return [
            flexibility
            for _, flexibility in sorted(self._flexibility.items())
            if flexibility.start_s == newest_s and covers(flexibility, time_s)
        ]

    def covering(self, members: Iterable[str], time_s: int) -> list[FlexibilityForecast]:
        """Return what members last said of a time, of whenever they said it, by member."""
        said = (self._flexibility.get(member) for member in sorted(members))
        return [flexibility for flexibility in said if flexibility and covers(flexibility, time_s)]

    def promise(self, name: str, power_w: Mapping[int, int], segment_id: str = "") -> None:
        """Note what is promised to somebody under a name, in W by start of interval, so nobody gets it twice.

        What is promised of no particular segment counts in all.
        """
        self._promised[name] = segment_id, power_w

    def release(self, name: str) -> None:
        """Let go of what was promised under a name."""
        self._promised.pop(name, None)

    def promised_w(self, start_s: int, segment_id: str = "", *, besides: tuple[str, ...] = ()) -> int:
        """Return what is promised of an interval in a segment, or in all, in W.

        Args:
            start_s: of the interval.
            segment_id: the segment; empty is all.
            besides: beginnings of the names that are not counted.
        """
        return sum(
            abs(power_w.get(start_s, 0))
            for name, (segment, power_w) in self._promised.items()
            if not name.startswith(besides) and (not segment_id or segment in ("", segment_id))
        )

    def free(self, flexibility: FlexibilityForecast) -> FlexibilityForecast:
        """Return flexibility without what is promised already."""
        steps = range(len(flexibility.up_w))
        promised = [self.promised_w(flexibility.start_s + step * flexibility.step_s) for step in steps]
        if not any(promised):
            return flexibility
        return msgspec.structs.replace(
            flexibility,
            up_w=[max(0, w - taken) for w, taken in zip(flexibility.up_w, promised, strict=True)],
            down_w=[max(0, w - taken) for w, taken in zip(flexibility.down_w, promised, strict=True)],
        )

    def of(self, member: str, time_s: int) -> tuple[int, int]:
        """Return by how many W a member could consume less and more at a time; nothing when unknown."""
        flexibility = self._flexibility.get(member)
        if flexibility is None or not covers(flexibility, time_s):
            return 0, 0
        step = (time_s - flexibility.start_s) // flexibility.step_s
        return flexibility.up_w[step], flexibility.down_w[step]


def covers(flexibility: FlexibilityForecast, time_s: int) -> bool:
    """Tell whether a forecast says something of a time."""
    return 0 <= time_s - flexibility.start_s < flexibility.step_s * len(flexibility.up_w)
