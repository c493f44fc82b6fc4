"""How long to wait before the next attempt after failures: a little at first, then longer."""

from typing import NamedTuple

__all__ = ["USUAL_PAUSES", "Pauses"]


class Pauses(NamedTuple):
    """Growing pauses in seconds: after the first failure, by which factor more each time, and at most."""

    first_s: float = 0.5
    factor: float = 2.0
    longest_s: float = 60.0

    def after(self, failures: int) -> float:
        """Return how long to wait after a number of failures in a row; none is no wait."""
        if failures <= 0:
            return 0.0
        return float(min(self.longest_s, self.first_s * self.factor ** min(failures - 1, 60)))


USUAL_PAUSES = Pauses()
