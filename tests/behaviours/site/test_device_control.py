"""Who may steer a site's devices, whose word prevails, and who hears of it."""

import dataclasses

import pytest

from behaviours.site.contacts import SiteContacts
from behaviours.site.device_control import DeviceControl
from behaviours.site.metering import GatewaySettings
from ontology.control import (
    OVERRIDE_S,
    Instruction,
    InstructionBatch,
    InstructionBatchStatus,
    InstructionState,
    InstructionStatus,
    Priority,
    UserOverride,
)
from ontology.errors import Refused
from ontology.roles import Role

SETTINGS = GatewaySettings(
    site="h001", contacts=SiteContacts(gateway="gateway@town", prosumer="prosumer@town", p2h="p2h@town")
)


class Obedient:
    """A device that does everything, and remembers it."""

    def __init__(self, name):
        self.name = name
        self.told = []

    async def percepts(self):
        return ()

    async def instruct(self, instruction):
        self.told.append(instruction)
        return InstructionStatus(
            instruction_id=instruction.instruction_id, status=InstructionState.STARTED, time_s=0
        )


class Home:
    """A gateway with a battery and a heat pump, and who may want something of it."""

    def __init__(self, town, monkeypatch):
        self.town = town
        self.bess, self.heat_pump = Obedient("bess"), Obedient("heat_pump")
        usual = town.surroundings
        monkeypatch.setattr(
            town,
            "surroundings",
            lambda: dataclasses.replace(usual(), devices=(self.bess, self.heat_pump)),
        )
        self.gateway = town.agent("gateway", Role.GATEWAY, DeviceControl, settings=SETTINGS, site="h001")
        self.prosumer = town.mailbox("prosumer", Role.PROSUMER, site="h001")
        self.p2h = town.mailbox("p2h", Role.P2H, site="h001")
        self.app = town.mailbox("app", Role.UI, site="h001")
        self.neighbour = town.mailbox("neighbour", Role.UI, site="h002")

    def want(self, asker, asset="h001-bess", site="h001", hours=1.0, **wish):
        now_s = int(self.town.clock.now_s())
        wish = wish or {"setpoint_w": 2_000}
        instruction = Instruction(
            instruction_id=f"i{now_s}",
            asset_id=asset,
            execution_time_s=now_s,
            valid_until_s=now_s + round(hours * 3_600),
            **wish,
        )
        batch = InstructionBatch(site=site, instructions=[instruction])
        letter = self.town.outcome(asker.ask("gateway@town", batch, now_s + 5))
        assert isinstance(letter.content, InstructionBatchStatus)
        return letter.content.statuses[0].status


@pytest.fixture
def home(town, monkeypatch):
    made = Home(town, monkeypatch)
    yield made
    made.gateway.kill()
    town.run(1)


def test_a_user_steers_the_battery_and_hears_what_became_of_it(home):
    assert home.want(home.app) is InstructionState.STARTED
    assert home.bess.told[0].setpoint_w == 2_000
    (letter,) = home.prosumer.read
    assert letter.content == home.bess.told[0], "the next plan knows of it"


def test_a_users_word_has_a_users_priority_and_ends_after_two_hours(home):
    home.want(home.app, hours=9, setpoint_w=1, priority=Priority.DSO_RED)
    (told,) = home.bess.told
    assert told.priority is Priority.USER
    assert told.valid_until_s == told.execution_time_s + OVERRIDE_S


@pytest.mark.parametrize(
    ("wish", "heard"),
    [({"setpoint_degc": 22.0}, ("setpoint_degc", 22.0)), ({"setpoint_w": 900}, ("setpoint_w", 900))],
)
def test_of_heating_the_heat_manager_hears(home, wish, heard):
    home.want(home.app, asset="h001-heat_pump", **wish)
    (letter,) = home.p2h.read
    assert isinstance(letter.content, UserOverride)
    assert getattr(letter.content, heard[0]) == heard[1]


def test_the_plan_does_not_undo_what_a_user_wants_but_the_grid_does(home):
    home.want(home.app)
    plan, limit = Priority.MARKET, Priority.DSO_RED
    assert home.want(home.prosumer, setpoint_w=0, priority=plan) is InstructionState.REJECTED
    assert home.want(home.prosumer, setpoint_w=0, priority=limit) is InstructionState.STARTED
    assert [told.setpoint_w for told in home.bess.told] == [2_000, 0]


@pytest.mark.parametrize("site", ["h001", "h002"])
def test_a_neighbour_steers_nothing(home, site):
    with pytest.raises(Refused):
        home.want(home.neighbour, site=site)
    assert home.bess.told == []


@pytest.mark.parametrize("role", [Role.DSO, Role.MARKET_OPERATOR, Role.ORACLE])
def test_roles_that_may_not_instruct_are_not_heard(home, role):
    stranger = home.town.mailbox("stranger", role, site="h001")
    with pytest.raises(Refused):
        home.want(stranger)
    assert home.bess.told == []
