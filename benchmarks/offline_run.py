"""What a community costs offline: CPU ms and peak memory per prosumer and interval, at 10 to 1,000 sites.

Every site has all devices; markets, power flow and the embedded chain are included, recording letters is
not. The intervals measured follow a first one, in which agents get to know each other and accounts open.
The loop of plain additions in the same process tells how fast the machine was in that minute.
"""

import json
import resource
import subprocess
import sys
import time
from typing import Any

__all__ = ["rows"]

SIZES = ((10, 24), (100, 12), (1_000, 8))
"""Sites, and intervals measured."""
ADDITIONS = 5_000_000


def measure(sites: int, intervals: int) -> dict[str, Any]:
    """Run a community of some size in this process and return its row."""
    from launch.model import CommunityModel

    everything = {"pv": 1.0, "battery": 1.0, "ev": 1.0, "heat_pump": 1.0, "hot_water": 1.0}
    model = CommunityModel(
        population__sites=sites, population__shares=everything, intervals=intervals + 2, seed=1
    )
    model.step()
    letters_before = model.community.letters
    began = time.process_time()
    for _ in range(intervals):
        model.step()
    spent_s = time.process_time() - began
    return {
        "sites": sites,
        "intervals": intervals,
        "CPU ms a prosumer-interval": 1000 * spent_s / sites / intervals,
        "letters a prosumer-interval": (model.community.letters - letters_before) / sites / intervals,
        "peak memory MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "ns an addition": nanoseconds_an_addition(),
    }


def nanoseconds_an_addition() -> float:
    """Return what an addition in a plain loop costs now."""
    began = time.process_time()
    total = 0
    for number in range(ADDITIONS):
        total += number
    return 1e9 * (time.process_time() - began) / ADDITIONS


def rows() -> list[dict[str, Any]]:
    """Return a row a size, each measured in a process of its own."""
    code = (
        "import json, sys; from benchmarks.offline_run import measure;"
        "print(json.dumps(measure(*map(int, sys.argv[1:]))))"
    )
    found = []
    for sites, intervals in SIZES:
        command = [sys.executable, "-c", code, str(sites), str(intervals)]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found.append(json.loads(output.splitlines()[-1]))
    return found
