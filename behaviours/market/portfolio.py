"""Keeping the portfolio: what each member could do, newest first (D8.1 3.8, VPP manager)."""

from behaviours.behaviour import Behaviour, on
from ontology.flexibility import FlexibilityForecast
from ontology.letter import Letter

__all__ = ["PortfolioKeeping"]


class PortfolioKeeping(Behaviour):
    """Knows how far each member could deviate from its plan."""

    def setup(self) -> None:
        """No member has reported."""
        self._flexibility: dict[str, FlexibilityForecast] = {}

    @on(FlexibilityForecast)
    def note(self, flexibility: FlexibilityForecast, letter: Letter) -> None:
        """Note what a member could do."""
        self._flexibility[flexibility.subject] = flexibility

    def present(self, time_s: int) -> list[FlexibilityForecast]:
        """Return the forecasts that cover a time, of the newest start, by member."""
        newest_s = max((f.start_s for f in self._flexibility.values()), default=0)
        return [
            flexibility
            for _, flexibility in sorted(self._flexibility.items())
            if flexibility.start_s == newest_s and covers(flexibility, time_s)
        ]

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
