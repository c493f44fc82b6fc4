"""D8.1's interfaces as routes: what is said to whom, and what becomes of it."""

import pytest
from interface_house import API, NOW_S, House, Played, faults

from environments.http.answers import NotThere
from ontology.control import Instruction, InstructionBatch, Priority
from ontology.discourse import Acknowledgement, QueryResult
from ontology.errors import Conflict, Failed, NotUnderstood, Problem, Refused, Unavailable
from ontology.flexibility_trading import DRSignal
from ontology.grid import DstatcomCommand, DstatcomMode
from ontology.performatives import Performative
from ontology.vpp import Vpp, VppMember

COMMANDS = f"{API}/dstatcom/commands"
COMMAND = DstatcomCommand(asset_id="segment-001-dstatcom", mode=DstatcomMode.OFF)
INSTRUCTIONS = f"{API}/iml/h001/instructions"


def told(answer, **house) -> tuple[House, Played]:
    played = Played(answer)
    return House(portals=played, **house), played


def batch(
    priority: Priority = Priority.USER, site: str = "h001", asset: str = "h001-bess"
) -> InstructionBatch:
    each = Instruction(
        instruction_id="i1",
        asset_id=asset,
        execution_time_s=NOW_S,
        valid_until_s=NOW_S + 900,
        setpoint_w=1000,
        priority=priority,
    )
    return InstructionBatch(site=site, instructions=[each])


def test_a_command_is_said_by_the_dsos_own_agent_and_answered():
    house, played = told(Acknowledgement(of="m1"))
    answer = house.call("POST", COMMANDS, role="dso", json=COMMAND)
    assert (answer.status_code, answer.json()["data"]["of"]) == (200, "m1")
    ((party, to, content, act, how),) = played.said
    assert (party.role, to, content, act) == ("dso", "dstatcom", COMMAND, Performative.REQUEST)
    assert how["speaker"] == "dso"


def test_what_takes_longer_than_a_call_is_accepted_as_soon_as_it_is_agreed_to():
    house, played = told(Acknowledgement(of="m1"))
    signal = DRSignal(
        signal_id="d1",
        segment_id="s",
        start_s=900,
        duration_s=900,
        limit_w=1,
        contract_id="c",
        deadline_s=900,
    )
    assert house.call("POST", f"{API}/aggregator/dr-events", role="dso", json=signal).status_code == 202
    assert played.said[0][4]["until_agreed"] is True


@pytest.mark.parametrize(
    ("raised", "status"),
    [
        (Refused("no"), 403),
        (NotThere("no agent"), 404),
        (Conflict("held"), 409),
        (NotUnderstood(Problem("mode", "x", "y")), 400),
        (Failed("broke"), 500),
        (Unavailable("down"), 503),
        (TimeoutError(), 504),
    ],
)
def test_what_an_agent_says_no_with_is_the_status(raised, status):
    house, _ = told(raised)
    answer = house.call("POST", COMMANDS, role="dso", json=COMMAND)
    assert (answer.status_code, answer.json()["status"]) == (status, "failed")
    assert answer.json()["errors"]


def test_where_no_community_runs_that_is_said():
    assert House().call("POST", COMMANDS, role="dso", json=COMMAND).status_code == 503


def test_everything_that_is_wrong_with_what_is_to_be_said_is_named_at_once():
    house, played = told(None)
    answer = house.call("POST", COMMANDS, role="dso", json={"mode": "SIDEWAYS", "colour": "red"})
    assert faults(answer).keys() >= {"mode", "colour", "asset_id"}
    assert played.said == []


def test_people_and_programs_of_a_site_claim_no_priority_of_the_grids():
    house, played = told(Acknowledgement(of="m1"))
    for role in ("ui", "prosumer"):
        assert house.call("POST", INSTRUCTIONS, role=role, json=batch()).status_code == 200
        grid = house.call("POST", INSTRUCTIONS, role=role, json=batch(Priority.DSO_RED))
        assert faults(grid) == {"instructions[0].priority": "DSO_RED"}
    assert len(played.said) == 2


@pytest.mark.parametrize("wrong", [batch(site="h002"), batch(asset="h002-bess")])
def test_what_is_said_of_another_site_than_the_paths_is_invalid(wrong):
    house, played = told(None)
    assert house.call("POST", INSTRUCTIONS, role="ui", json=wrong).status_code == 422
    assert played.said == []


def test_a_prosumer_with_two_sites_speaks_for_the_one_of_the_path():
    house, played = told(Acknowledgement(of="m1"))
    asked = batch(site="h007", asset="h007-bess")
    path = f"{API}/iml/h007/instructions"
    assert house.call("POST", path, role="ui", subjects=("h001", "h007"), json=asked).status_code == 200
    assert played.said[0][0].subjects == ("h007",)


def test_a_prosumer_is_shown_plants_that_it_is_in_without_the_other_members():
    mine, others = plant("mine", "h001"), plant("others", "h002")
    house, _ = told(QueryResult(entity="parity:Vpp", items=[mine, others]))
    own = house.call("GET", f"{API}/aggregator/vpps", role="prosumer").json()["data"]
    assert [(each["vpp_id"], [m["agent"] for m in each["members"]]) for each in own] == [
        ("mine", ["h001-prosumer@localhost"])
    ]
    seen = house.call("GET", f"{API}/aggregator/vpps", role="aggregator").json()["data"]
    assert [len(each["members"]) for each in seen] == [2, 2]


def plant(name: str, site: str) -> Vpp:
    members = [VppMember(agent=f"{each}-prosumer@localhost", share=0.5) for each in (site, "h009")]
    return Vpp(
        vpp_id=name,
        product="p",
        members=members,
        valid_from_s=0,
        valid_to_s=900,
        step_s=900,
        target_w=[1],
        state="ACTIVE",
    )
