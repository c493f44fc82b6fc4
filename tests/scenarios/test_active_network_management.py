"""The DSO's cascade in a community: own battery, then the light; events are answered at once (SPEC 4.10)."""

import pytest

from agents.dso import Dso
from behaviours.grid.contingency import Contingency
from behaviours.grid.der_dispatch import DerDispatch
from launch.model import CommunityModel
from launch.scenario import parse_scenario
from ontology.control import InstructionState, Priority
from ontology.errors import InvalidInput

STREET = """
start: 2024-01-11T16:00
zone: Europe/Berlin
intervals: 12
step_s: 60
record: false
grid:
  transformer_kva: 63
  dstatcoms: []
  monitoring: {}
"""
SITES = [{"id": f"s{i:02d}", "annual_kwh": 11_000} for i in range(20)]
BATTERY = {"capacity_kwh": 60, "power_kw": 30, "controlled_by": "dso", "initial_state_of_charge": 0.8}
LOST_STAGE = {"at": "2024-01-11T17:37", "segment": "segment-001", "kind": "transformer", "share": 0.6}


def run(*, battery=None, events=()):
    """Return the DSO, and the loading, after an evening; with a battery of the DSO's in the middle."""
    sites = [dict(site) for site in SITES]
    if battery:
        sites[10]["battery"] = battery
    model = CommunityModel(parse_scenario(STREET, {"sites": sites, "grid.events": list(events)})).run()
    (dso,) = (each for each in model.community.agents.values() if isinstance(each, Dso))
    return dso, model


@pytest.fixture(scope="module")
def evening():
    return run(battery=BATTERY, events=[LOST_STAGE])


def test_an_event_is_answered_within_a_minute(evening):
    dso, _ = evening
    assert dso.behaviour(Contingency).reactions_s["event-001"] <= 60


def test_the_battery_of_the_dso_relieves_what_is_left_of_the_transformer(evening):
    dso, model = evening
    _, without = run(events=[LOST_STAGE])
    records = dso.behaviour(DerDispatch).records
    assert {each.instruction.priority for each in records} == {Priority.CONTRACT, Priority.DSO_RED}
    assert all(each.outcome in set(InstructionState) - {InstructionState.REJECTED} for each in records)
    helped, alone = (each.tables().grid["loading"] for each in (model, without))
    assert max(alone) > 1.2
    assert max(helped) < max(alone) - 0.2


def test_the_site_of_the_battery_plans_without_it(evening):
    _, model = evening
    addresses = set(model.community.agents)
    assert "s10-gateway@localhost" in addresses
    assert "s10-bess@localhost" not in addresses


def test_a_line_opened_far_out_is_lived_with():
    tie = {"site": "s11", "fed_from": "s09", "tie_m": 300}
    opened = {"at": "2024-01-11T17:37", "segment": "segment-001", "kind": "line-opened"} | tie
    dso, model = run(events=[opened])
    assert dso.counts["contingencies"] == 1
    assert len(model.tables().grid["loading"]) == 12


def test_a_scenario_says_all_that_is_wrong_with_its_events_at_once():
    events = [
        {"at": "tomorrow", "segment": "segment-001", "kind": "transformer"},
        {"at": "2024-01-12T18:00", "segment": "segment-009", "kind": "transformer"},
        {"at": "2024-01-11T17:00", "segment": "segment-001", "kind": "cable", "site": "nobody"},
    ]
    with pytest.raises(InvalidInput) as found:
        parse_scenario(STREET, {"sites": SITES, "grid.events": events})
    paths = [each.path for each in found.value.problems]
    assert paths == [
        "grid.events[0].at",
        "grid.events[1].at",
        "grid.events[1].segment",
        "grid.events[2].site",
    ]
