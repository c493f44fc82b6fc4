"""D8.1's integration tests by their names (Tables 2 to 4, SPEC 8), on running agents."""

import json

import msgspec
import pytest
from recorded_run import RecordedRun

from behaviours.decisions.market_activity import Market, active_markets
from launch.results import completed
from launch.scenario import parse_scenario
from launch.user_registry import create_registry, registry_in
from ontology.codec import message_type_of
from ontology.discourse import Query
from ontology.grid import GridState, GridStatusEvent
from ontology.measurements import IntervalReading
from ontology.performatives import Performative
from ontology.policy import may_send
from ontology.registration import Onboarding, read_form
from ontology.roles import Role
from ontology.users import User
from ontology.vpp import ProsumerMetrics, Vpp, VppState

APPLICATION = {
    "name": "Anna Bergström",
    "email": "anna@example.org",
    "role_id": "PROSUMER",
    "site": "h001",
    "segment_id": "segment-001",
    "building": {"type_id": "RESIDENTIAL", "geo_zone": "DE-10115"},
    "usage_point": {"phases": "3P", "import_max_w": 20_000, "export_max_w": 10_000},
    "assets": [{"type_id": "PV", "rated_power_w": 5_000}],
}
STREET = """
start: "2024-02-13"
zone: Europe/Berlin
seed: 5
intervals: 8
record: false
population: {sites: 16}
products:
  - {id: night, hour: 0.5, hours: 0.75, power_kw: 6, price: 0.3, lead_hours: 0.25}
"""


@pytest.fixture(scope="module")
def night() -> RecordedRun:
    """A winter night in which a plant is formed; it stands still in its ninth interval, to be asked."""
    run = RecordedRun(parse_scenario(STREET)).step(8)
    run.offline.settle()
    return run


def query(kind: type, **about: object) -> Query:
    return Query(entity=message_type_of(kind), **about)


def test_lma_1_the_active_markets_follow_from_the_last_event_of_the_grid(night):
    for feeder in night.world.feeders:
        (last,) = night.asked(
            "market", "repository", query(GridStatusEvent, subject=feeder.segment_id, latest=True)
        )
        published = [
            each
            for each in night.contents(GridStatusEvent, sender="dso", to="repository")
            if each.segment_id == feeder.segment_id
        ]
        assert last == published[-1]
        assert active_markets(last.state) == {Market.LOCAL_ENERGY, Market.EXTERNAL}


@pytest.mark.parametrize(
    ("state", "suspended"),
    [
        (
            GridState.GREEN,
            {Market.IMPLICIT_FLEXIBILITY, Market.EXPLICIT_FLEXIBILITY, Market.EMERGENCY_RESPONSE},
        ),
        (GridState.YELLOW, {Market.EXTERNAL, Market.EMERGENCY_RESPONSE}),
        (
            GridState.RED,
            {Market.LOCAL_ENERGY, Market.IMPLICIT_FLEXIBILITY, Market.EXPLICIT_FLEXIBILITY, Market.EXTERNAL},
        ),
    ],
)
def test_lma_1_what_is_not_active_is_suspended(state, suspended):
    assert {*Market} - active_markets(state) == suspended


def test_lma_2_a_user_who_is_registered_is_valid_json_stored_and_retrieved_on_demand(tmp_path):
    registry = create_registry(tmp_path / "registry")
    told, details = read_form(json.loads(json.dumps(APPLICATION)))
    user = completed(registry.register(told, 1_714_636_800, "market operator", details))
    registry.close()
    with registry_in(tmp_path / "registry") as again:
        retrieved = json.loads(msgspec.json.encode(again.user(user.user_id)))
        assert again.portfolio() == [("h001", "segment-001", user.user_id)]
    assert msgspec.convert(retrieved, User) == user
    assert {key: retrieved[key] for key in ("name", "email", "role_id")} == {
        key: APPLICATION[key] for key in ("name", "email", "role_id")
    }


@pytest.mark.parametrize("role", Role)
def test_lma_2_only_the_market_operator_registers_users(role):
    assert may_send(role, message_type_of(Onboarding), Performative.REQUEST) == (role is Role.MARKET_OPERATOR)


def test_repo_2_readings_of_a_time_come_in_its_order(night):
    start_s = night.world.settings.start_s
    span = query(IntervalReading, subject="p001", start_s=start_s + 900, end_s=start_s + 4 * 900)
    starts = [each.start_s for each in night.asked("aggregator", "repository", span)]
    assert starts == [start_s + 900, start_s + 1_800, start_s + 2_700]


def test_agr_2_the_vpp_manager_tells_the_properties_of_dynamic_plants_as_json(night):
    (plant,) = night.asked("aggregator", "aggregator", query(Vpp))
    said = json.loads(msgspec.json.encode(plant))
    assert said["vpp_id"] == "vpp-night-20240213"
    assert said["state"] == VppState.DISSOLVED
    assert len(said["members"]) == len({each["agent"] for each in said["members"]}) > 0
    assert {each["name"] for each in said["metrics"]} >= {"committed", "delivered", "members_lost"}
    assert sum(each["share"] for each in said["members"]) == pytest.approx(1)


def test_agr_3_the_vpp_manager_tells_how_prosumers_behaved_as_json(night):
    everybody = night.asked("aggregator", "aggregator", query(ProsumerMetrics))
    told = {each["player"]: each for each in json.loads(msgspec.json.encode(everybody))}
    assert len(told) == 16
    for site in ("p001", "p016"):
        own = told[f"{site}-prosumer@localhost"]
        peak_w = max(
            each.consumed_w - each.produced_w
            for each in night.contents(IntervalReading, sender=f"{site}-gateway", to="repository")
            if own["start_s"] <= each.start_s < own["end_s"]
        )
        assert own["peak_w"] == pytest.approx(peak_w, abs=4)
        assert 0 <= own["reliability"] <= 1
