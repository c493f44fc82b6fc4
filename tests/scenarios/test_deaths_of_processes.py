"""Processes killed, a server restarted, links cut: no letter is lost or read twice, and talk goes on soon."""

import asyncio
import os

import numpy as np
import pytest

from benchmarks.delivery_trial import Trial
from benchmarks.recovery import do_harm
from environments.live.prosody import available

pytestmark = [pytest.mark.server, pytest.mark.slow]

BACK_WITHIN_S = 60.0


@pytest.fixture(autouse=True)
def _prosody_is_here():
    if not available():
        reason = "Prosody is not installed: scripts/install-servers installs it"
        pytest.fail(reason) if os.environ.get("PARITY_REQUIRE_SERVERS") == "1" else pytest.skip(reason)


def trial_of(folder, seed, kills, restarts, cuts, silent_cuts):
    """Do the harm; return what was lost, doubled or damaged, and how long each recovery took."""

    async def trying():
        async with Trial(folder, letters=10**6) as trial:
            await do_harm(trial, np.random.default_rng(seed), kills, restarts, cuts, silent_cuts)
            letters = await trial.hush()
            return letters, trial.faults(letters), [s for each in trial.recoveries_s.values() for s in each]

    return asyncio.run(trying())


def test_ten_kills_and_as_many_restarts_and_cuts_lose_and_double_nothing(tmp_path):
    letters, faults, recoveries_s = trial_of(tmp_path, seed=10, kills=10, restarts=5, cuts=4, silent_cuts=1)
    assert letters > 100
    assert faults == {"lost": [], "doubled": [], "damaged": []}
    assert sorted(recoveries_s)[int(0.95 * len(recoveries_s)) - 1] <= BACK_WITHIN_S


@pytest.mark.soak
def test_a_hundred_kills_twenty_restarts_and_twenty_cuts_lose_and_double_nothing(tmp_path):
    letters, faults, recoveries_s = trial_of(
        tmp_path, seed=100, kills=100, restarts=20, cuts=16, silent_cuts=4
    )
    assert letters > 1000
    assert faults == {"lost": [], "doubled": [], "damaged": []}
    assert sorted(recoveries_s)[int(0.95 * len(recoveries_s)) - 1] <= BACK_WITHIN_S
