import json

import pytest
from typer.testing import CliRunner

from behaviours.charging.settings import Tariff
from behaviours.decisions.charging.priority import Rule
from behaviours.decisions.charging.terms import Objective
from benchmarks.acn_sessions import acn_document
from environments.charging.session_files import sessions_of
from launch.charging_replay import foreseen, replay_by_rule, replay_through_agents
from launch.charging_stays import ReplaySettings, stays_of
from launch.cli import app

TWO_LEVELS = Tariff(
    charge_per_kwh=(0.15,) * 8 + (0.35,) * 6 + (0.15,) * 10,
    discharge_per_kwh=(0.1,) * 8 + (0.3,) * 6 + (0.1,) * 10,
)


def a_day(seed=1, drivers=25):
    return sessions_of(acn_document(seed, days=1, drivers=drivers))


def simulate(*arguments):
    return CliRunner().invoke(app, ["ev", "simulate", *map(str, arguments)])


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "sessions.json"
    path.write_text(json.dumps(acn_document(1, days=1, drivers=10)))
    return path


def test_a_site_serves_more_than_by_rules_and_nearly_what_foresight_would():
    settings, sessions = ReplaySettings(power_max_w=8_000), a_day()
    agents, best = replay_through_agents(sessions, settings), foreseen(sessions, settings)
    assert agents.share >= replay_by_rule(sessions, settings, Rule.LEAST_LAXITY).share
    assert best.share - 1.0 <= agents.share <= best.share + 0.01
    assert agents.peak_w <= 8_001


def test_a_peak_is_shaved_by_a_fifth_at_least():
    settings, sessions = ReplaySettings(power_max_w=200_000, objective=Objective.PEAK), a_day()
    agents, free = (
        replay_through_agents(sessions, settings),
        replay_by_rule(sessions, settings, Rule.UNCONTROLLED),
    )
    assert agents.peak_w <= 0.8 * free.peak_w
    assert agents.share > 99.5


def test_two_prices_save_a_tenth_at_least_and_giving_back_leaves_nobody_short():
    one_way = ReplaySettings(power_max_w=200_000, tariff=TWO_LEVELS)
    both_ways = ReplaySettings(power_max_w=200_000, tariff=TWO_LEVELS, v2g=True)
    sessions = a_day(drivers=15)
    charged, traded = (replay_through_agents(sessions, each) for each in (one_way, both_ways))
    free = replay_by_rule(sessions, one_way, Rule.UNCONTROLLED)
    assert charged.energy_cost < 0.9 * free.energy_cost
    assert traded.energy_cost < charged.energy_cost
    for session, served_wh in traded.served_wh.items():
        assert served_wh >= charged.served_wh[session] - 10


def test_what_drivers_say_is_what_they_are_served_by():
    sessions = a_day()
    said = replay_through_agents(sessions, ReplaySettings(power_max_w=100_000, stated=True))
    assert said.share > 98


def test_two_vehicles_at_one_point_are_given_two():
    one, other = a_day()[:2]
    stays, points = stays_of([one, other._replace(point=one.point)], ReplaySettings(power_max_w=1))
    assert points == [one.point, f"{one.point}/2"]
    assert [stay.point for stay in stays] == [0, 1]


def test_a_replay_repeats_itself():
    settings, sessions = ReplaySettings(power_max_w=5_000), a_day(drivers=8)
    once, again = (replay_through_agents(sessions, settings).served_wh for _ in range(2))
    assert once == again


def test_the_command_compares_several_capacities(file):
    result = simulate(file, "--capacity-kw", "4,8", "--single-phase")
    assert result.exit_code == 0, result.output
    assert "4 kW: " in result.output
    assert "8 kW: " in result.output
    for name in ("agents", "uncontrolled", "first come", "earliest deadline", "least laxity", "foresight"):
        assert result.output.count(name) == 2


def test_the_command_says_all_that_is_wrong_at_once(tmp_path, capfd):
    (tmp_path / "bad.json").write_text('{"_items": [{}]}')
    result = simulate(
        tmp_path / "bad.json", "--capacity-kw", "20,-1", "--tariff", "0.2,0.3@9-", "--point-kw", "0"
    )
    assert result.exit_code == 2
    said = result.output + capfd.readouterr().err
    for place in ("--capacity-kw", "--tariff", "--point-kw", "_items[0].connectionTime"):
        assert place in said


def test_a_missing_file_is_no_data_set(tmp_path):
    assert simulate(tmp_path / "none.json").exit_code == 2


@pytest.mark.slow
@pytest.mark.parametrize("capacity_kw", [20, 30])
def test_ten_busy_days_are_served_within_a_point_of_foresight(capacity_kw):
    sessions = sessions_of(acn_document(1, days=10))
    settings = ReplaySettings(power_max_w=1_000 * capacity_kw)
    agents, best = replay_through_agents(sessions, settings), foreseen(sessions, settings)
    assert agents.share >= replay_by_rule(sessions, settings, Rule.LEAST_LAXITY).share
    assert agents.share >= best.share - 1.0
