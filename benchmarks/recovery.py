"""How long two durable agents on Prosody need after a kill, a server's restart or a cut link."""

import asyncio
import tempfile
from pathlib import Path
from statistics import quantiles

import numpy as np

from benchmarks.delivery_trial import Trial

KILLS, RESTARTS, CUTS, SILENT_CUTS = 20, 6, 6, 4
HEADER = ("harm", "times", "median s", "p95 s", "longest s", "lost or doubled")


def rows() -> list[dict[str, object]]:
    """Do the harm in random order, and measure until something said afterwards is answered."""
    recoveries, faults = asyncio.run(_measure(KILLS, RESTARTS, CUTS, SILENT_CUTS))
    return [
        dict(zip(HEADER, (what, len(each), *_spread(each), faults), strict=True))
        for what, each in sorted(recoveries.items())
    ]


def _spread(seconds: list[float]) -> tuple[float, float, float]:
    parts = quantiles(seconds, n=20, method="inclusive") if len(seconds) > 1 else seconds * 19
    return parts[9], parts[18], max(seconds)


async def _measure(
    kills: int, restarts: int, cuts: int, silent_cuts: int
) -> tuple[dict[str, list[float]], int]:
    with tempfile.TemporaryDirectory(prefix="parity-recovery-") as folder:
        async with Trial(Path(folder), letters=10**6) as trial:
            await do_harm(trial, np.random.default_rng(1), kills, restarts, cuts, silent_cuts)
            letters = await trial.hush()
            return trial.recoveries_s, trial.number_of_faults(letters)


async def do_harm(
    trial: Trial, rng: np.random.Generator, kills: int, restarts: int, cuts: int, silent_cuts: int = 0
) -> None:
    """Kill processes and the server and cut links, in random order and at random moments.

    Raises: TimeoutError when something is not answered any more.
    """
    harm = ["kill"] * kills + ["restart"] * restarts + ["cut"] * cuts + ["silent"] * silent_cuts
    for each in rng.permutation(harm):
        await asyncio.sleep(rng.uniform(0, 2))  # noqa: TID251 - real processes
        if each == "kill":
            await trial.kill(int(rng.integers(2)))
        elif each == "restart":
            await trial.restart_server()
        else:
            await trial.cut(int(rng.integers(2)), rng.uniform(0.1, 3), silently=each == "silent")
