"""What the register costs offline: CPU ms an interval without one, in memory, and on the embedded chain.

The communities of a size take turns, interval by interval, so that a slow minute of the machine hits all
of them alike. Sites own devices as in a population by default; a segment has 60 of them at most.
"""

import time
from typing import Any

__all__ = ["rows"]

SIZES = ((2, 24), (10, 24), (100, 8), (600, 3))
"""Sites, and intervals measured."""
PLACES = ("none", "memory", "chain")


def rows() -> list[dict[str, Any]]:
    """Return a row a size."""
    return [measure(sites, intervals) for sites, intervals in SIZES]


def measure(sites: int, intervals: int) -> dict[str, Any]:
    """Run three communities that differ in their register only and return a row."""
    from launch.model import CommunityModel

    models = {
        place: CommunityModel(
            population__sites=sites, ledger__register=place, intervals=intervals + 2, seed=1, record=False
        )
        for place in PLACES
    }
    spent_s = dict.fromkeys(PLACES, 0.0)
    for interval in range(intervals + 1):
        for place, model in models.items():
            began = time.process_time()
            model.step()
            spent_s[place] += (time.process_time() - began) * (interval > 0)
    ms = {place: 1000 * each_s / intervals for place, each_s in spent_s.items()}
    return {
        "sites": sites,
        "segments": len(models["chain"].world.feeders),
        **{f"{place}, ms an interval": each for place, each in ms.items()},
        "chain against none": ms["chain"] / ms["none"],
    }
