"""The DSO measures: what is new is taken, stored and followed; red that lasts is told at once."""

from collections.abc import Sequence

import numpy as np
import pytest
from post_office import Town

from behaviours.decisions.grid import PowerFlow, radial_feeder
from behaviours.decisions.grid.pseudo_measurements import from_forecast
from behaviours.grid.dso_settings import DsoSettings, Metering
from behaviours.grid.dstatcom_coordination import DstatcomCoordination
from behaviours.grid.measuring import Foresight, NetworkMeasuring
from behaviours.information.facts import FactKeeping
from environments.repository.memory import MemoryRepository
from ontology.errors import Unavailable
from ontology.grid import GridMeasurement
from ontology.roles import Role

NETWORK = radial_feeder("segment-001", [f"h{i:03d}" for i in range(6)], transformer_va=50_000)
CALM_W, BROKEN_W = 500.0, 10_000.0


class Station:
    """A monitoring system that is told what to say, and can be away."""

    def __init__(self) -> None:
        self.is_away = False
        self.said: list[GridMeasurement] = []

    async def measurements(self, since_s: int) -> Sequence[GridMeasurement]:
        if self.is_away:
            raise Unavailable("monitoring: no answer")
        return [each for each in self.said if each.time_s >= since_s]

    def say(self, time_s: int, each_w: float, node_id: str = "segment-001-busbar") -> None:
        power_w = np.full((1, 6, 3), each_w / 3)
        (flow,) = PowerFlow([NETWORK]).solve(power_w, 0.2 * power_w)
        self.said.append(
            GridMeasurement(
                node_id=node_id,
                time_s=time_s,
                voltage_v=np.abs(flow.phasors_v(1)[0]).tolist(),
                current_a=flow.busbar_current_a()[0].tolist(),
                power_w=[round(each) for each in flow.busbar_w[0].tolist()],
                reactive_var=[round(each) for each in flow.busbar_var[0].tolist()],
            )
        )


class Control:
    """A DSO with a station, and a repository that can be away."""

    def __init__(self, town: Town) -> None:
        self.town, self.station, self.facts = town, Station(), MemoryRepository()
        settings = DsoSettings(
            networks=(NETWORK,), repository="repository@town", aggregator="a@town", metering=Metering()
        )
        self.reds: list[int] = []
        self.start_s = int(town.clock.now_s())
        self.agent = town.agent(
            "dso",
            Role.DSO,
            NetworkMeasuring,
            DstatcomCoordination,
            settings=settings,
            monitoring=self.station,
        )
        self.measuring.when_red = lambda *_: self.reds.append(int(town.clock.now_s()) - self.start_s)
        self.open_repository()

    def open_repository(self) -> None:
        self.repository = self.town.agent("repository", Role.REPOSITORY, FactKeeping, repository=self.facts)

    @property
    def measuring(self) -> NetworkMeasuring:
        return self.agent.behaviour(NetworkMeasuring)

    def minutes(self, *loads_w: float) -> None:
        """Let minutes pass in which the sites draw so much."""
        for each_w in loads_w:
            self.town.run(60)
            self.station.say(int(self.town.clock.now_s()), each_w)

    def stored(self) -> int:
        return len(
            self.town.outcome(
                self.facts.query("parity:GridMeasurement", "segment-001-busbar", 0, 2**40), within_s=0.01
            )
        )


@pytest.fixture
def control(town: Town) -> Control:
    return Control(town)


def test_red_that_lasts_two_minutes_is_told_and_shorter_is_not(control):
    control.minutes(CALM_W, BROKEN_W, BROKEN_W, CALM_W, CALM_W)
    assert control.reds == []
    control.minutes(BROKEN_W, BROKEN_W, BROKEN_W, BROKEN_W, CALM_W, CALM_W)
    assert control.reds[0] == 8 * 60 + 2
    assert len(control.reds) == 2


def test_all_that_is_measured_is_stored_once(control):
    control.minutes(CALM_W, CALM_W, CALM_W)
    control.town.run(5)
    assert control.stored() == 3


def test_a_station_that_does_not_answer_is_asked_for_what_it_measured_meanwhile(control):
    control.station.is_away = True
    control.minutes(CALM_W, BROKEN_W, BROKEN_W, BROKEN_W)
    assert control.agent.counts["monitoring unavailable"] >= 3
    assert control.reds == []
    control.station.is_away = False
    control.minutes(BROKEN_W)
    control.town.run(5)
    assert control.reds
    assert control.stored() == 5


def test_measurements_wait_for_the_repository(control):
    control.repository.kill()
    control.minutes(CALM_W, CALM_W)
    assert control.stored() == 0
    control.open_repository()
    control.minutes(CALM_W, CALM_W)
    control.town.run(10)
    assert control.stored() == 4


def test_what_is_measured_elsewhere_is_counted_and_left(control):
    control.station.say(int(control.town.clock.now_s()) + 30, CALM_W, "another-busbar")
    control.town.run(70)
    assert control.agent.counts["measurements of unknown nodes"] == 1


def test_a_broken_meter_raises_no_red(control):
    control.minutes(CALM_W)
    for _ in range(5):
        control.minutes(CALM_W)
        control.station.said[-1].voltage_v[:] = [90.0, 90.0, 90.0]
    control.town.run(5)
    assert control.reds == []
    assert control.agent.counts["measurements discarded"] >= 5


def test_an_interval_that_ended_is_estimated_from_means_and_readings(control):
    control.minutes(*[2_000.0] * 15)
    control.town.run(5)
    read_w = np.array([2_000.0] * 5 + [np.nan])
    found = control.measuring.estimate_interval("segment-001", control.start_s, read_w)
    assert found.flow.busbar_w[0].sum() == pytest.approx(12_000, rel=0.02)
    assert control.measuring.estimate_interval("another", control.start_s, read_w) is None


def test_forecasts_count_in_their_interval_and_the_profile_in_others():
    foresight, powers_w = Foresight(), np.array([100.0, 200.0, 300.0])
    forecast = from_forecast(powers_w, powers_w - 50, powers_w + 50)
    foresight.note(900, forecast, np.array([True, True, False]))
    assert foresight.of(900, slice(1, 3), 12).net_w == pytest.approx([200.0, 448.0])
    assert foresight.of(1_800, slice(1, 3), 12).net_w == pytest.approx([448.0, 448.0])
