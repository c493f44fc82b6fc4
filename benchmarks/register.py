"""What the register on the embedded chain costs offline: CPU ms an interval for writing, and for audits.

Both are measured inside one run, around the calls of the register's contract, so that a slow minute of the
machine hits them and all the rest alike. Sites own devices as in a population by default.
"""

import time
from collections.abc import Callable
from typing import Any

__all__ = ["rows"]

SIZES = ((2, 48), (10, 48), (100, 12), (1_000, 4))
"""Sites, and intervals measured; the first, in which accounts open, is left out."""


class Stopwatch:
    """Adds up the CPU time of calls."""

    def __init__(self) -> None:
        self.spent_s = 0.0

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function whose time is added up."""

        def timed(*arguments: Any, **named: Any) -> Any:
            began = time.process_time()
            try:
                return function(*arguments, **named)
            finally:
                self.spent_s += time.process_time() - began

        return timed


def rows() -> list[dict[str, Any]]:
    """Return a row a size."""
    return [measure(sites, intervals) for sites, intervals in SIZES]


def measure(sites: int, intervals: int) -> dict[str, Any]:
    """Run a community of some size and return its row."""
    from launch.model import CommunityModel

    model = CommunityModel(
        population__sites=sites, ledger__register="chain", intervals=intervals + 2, seed=1, record=False
    )
    model.step()
    contract: Any = model._run.ledger.registry().contract
    writing, reading, whole = Stopwatch(), Stopwatch(), Stopwatch()
    contract.send, contract.ask = writing.around(contract.send), reading.around(contract.ask)
    step = whole.around(model.step)
    for _ in range(intervals):
        step()
    ms = [1000 * each.spent_s / intervals for each in (whole, writing, reading)]
    return {
        "sites": sites,
        "segments": len(model.world.feeders),
        "without, ms an interval": ms[0] - ms[1] - ms[2],
        "writing, ms": ms[1],
        "audits, ms": ms[2],
        "register, %": 100 * (ms[1] + ms[2]) / (ms[0] - ms[1] - ms[2]),
    }
