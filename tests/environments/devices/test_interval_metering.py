"""Interval readings of a meter of ours, over restarts and for a gateway that looks once a quarter."""

import pytest

from behaviours.decisions.register_intervals import Counters
from environments.devices.metering import CounterMemory, IntervalMetering
from environments.repository.agent_store import MemoryAgentStore
from ontology.measurements import Quality

T = 1_718_964_000


class Street:
    """A meter that counts 1 Wh each second, and an adapter that can die."""

    def __init__(self):
        self.store = MemoryAgentStore()
        self.restart()

    def restart(self):
        self.metering = IntervalMetering("h001", CounterMemory("h001-meter", lambda: self.store))

    def look(self, after_s):
        now = Counters(time_s=T + after_s, imported_wh=1_000.0 + after_s, exported_wh=0.0)
        return [((r.start_s - T) // 900, r.consumed_wh, r.quality) for r in self.metering.note(now)]


@pytest.fixture
def street():
    return Street()


def test_the_interval_that_has_ended_is_told_until_the_next_one_ends(street):
    assert street.look(0) == []
    assert street.look(10) == []
    first = [(0, 900, Quality.VALID)]
    assert [street.look(s) for s in (900, 900, 910, 1_799)] == [first] * 4
    assert street.look(1_800) == [(1, 900, Quality.VALID)]


def test_a_restart_within_an_interval_costs_nothing(street):
    street.look(0)
    street.look(450)
    street.restart()
    assert street.look(900) == [(0, 900, Quality.VALID)]


def test_what_was_used_while_nobody_ran_is_told_when_one_runs_again_and_once_at_a_quarter(street):
    street.look(0)
    street.restart()
    caught_up = [(0, 900, Quality.ESTIMATED), (1, 900, Quality.ESTIMATED)]
    assert street.look(1_950) == caught_up
    assert street.look(2_700) == [*caught_up, (2, 900, Quality.VALID)]
    assert street.look(3_600) == [(3, 900, Quality.VALID)]


def test_counters_that_cannot_be_read_any_more_are_begun_anew(street):
    street.store.commit("device h001-meter", {"counters at the quarter": b'{"time_s": "yesterday"}'})
    street.restart()
    assert street.look(0) == []
    assert street.look(900) == [(0, 900, Quality.VALID)]
