"""A step of the grid's frequency: how fast a battery that holds reserve answers (SPEC 4.7, FCR-D)."""

from functools import partial

import pytest

from launch.model import CommunityModel
from launch.scenario import parse_scenario
from ontology.market import ReserveAssignment
from ontology.performatives import Performative

HOLDING = """
start: 2024-01-10T02:00
zone: Europe/Berlin
intervals: 2
step_s: 1
record: false
external_markets: {products: [fcr-d-up]}
sites:
  - {id: home, battery: {capacity_kwh: 10, power_kw: 5, initial_state_of_charge: 0.8}}
"""


class Step:
    """A frequency that falls from one value to another at a time."""

    def __init__(self, world, before_hz, after_hz, at_s):
        self._world = world
        self._values = before_hz, after_hz
        self._at_s = at_s

    @property
    def now_hz(self):
        return self._values[self._world.now_s >= self._at_s]

    def step(self):
        pass


def test_the_reserve_is_there_within_seven_and_a_half_seconds():
    run = CommunityModel(parse_scenario(HOLDING))
    start_s = run.now_s
    fall_s = start_s + 900 + 300
    run.world._frequency = Step(run.world, 49.9, 49.5, fall_s)
    run.step()
    prosumer = run.community.agents["home-prosumer@localhost"]
    held = ReserveAssignment(bid_id="bid", subject="home", start_s=start_s + 900, up_w=3_000, down_w=0)
    run.at(start_s + 950, prosumer.tell, "home-bess@localhost", held, Performative.REQUEST)
    power_w = {}

    def note(moment_s):
        power_w[moment_s] = float(run.world.power_w[2, 0])

    for moment_s in (fall_s - 1, fall_s + 7):
        run.at(moment_s + 0.5, partial(note, moment_s))
    run.step()
    answered_w = power_w[fall_s + 7] - power_w[fall_s - 1]
    assert answered_w == pytest.approx(-3_000, abs=0.02 * 5_000)
    assert abs(answered_w) >= 0.86 * 3_000
