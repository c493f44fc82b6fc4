"""What a prosumer does when its people override its plans."""

import pytest

from behaviours.site.contacts import SiteContacts
from behaviours.site.overriding import OverrideHeeding
from behaviours.site.prosumer_settings import ProsumerSettings
from ontology.control import UserOverride
from ontology.discourse import Acknowledgement
from ontology.errors import Refused
from ontology.performatives import Performative
from ontology.roles import Role

SETTINGS = ProsumerSettings(
    site="h001",
    segment_id="f1",
    contacts=SiteContacts(p2h="p2h@town"),
    import_max_w=1,
    export_max_w=1,
    usual_load_w=(0,) * 96,
)


@pytest.fixture
def prosumer(town):
    agent = town.agent("prosumer", Role.PROSUMER, OverrideHeeding, settings=SETTINGS, site="h001")
    yield agent.behaviour(OverrideHeeding)
    agent.kill()
    town.run(1)


def warmer(town):
    return UserOverride(asset_id="h001-heat_pump", time_s=int(town.clock.now_s()), setpoint_degc=22.0)


def test_what_the_app_says_is_handed_to_the_manager_and_confirmed(town, prosumer):
    app, manager = town.mailbox("app", Role.UI), town.mailbox("p2h", Role.P2H)

    async def confirm():
        asked = app.ask("prosumer@town", warmer(town), town.clock.now_s() + 5)
        task = town.loop.create_task(asked)
        await town.clock.sleep_until(town.clock.now_s() + 1)
        (letter,) = manager.read
        manager.reply(letter, Acknowledgement(of=letter.message_id), Performative.CONFIRM)
        return await task

    assert isinstance(town.outcome(confirm()).content, Acknowledgement)
    assert prosumer.kept_to_plans == 1.0


def test_each_override_lowers_the_reliability_which_comes_back_day_by_day(town, prosumer):
    manager = town.mailbox("p2h", Role.P2H)
    town.soon(manager.send, "prosumer@town", warmer(town))
    once = prosumer.kept_to_plans
    town.soon(manager.send, "prosumer@town", warmer(town))
    assert 1.0 > once > prosumer.kept_to_plans
    town.run(14 * 86_400)
    assert once < prosumer.kept_to_plans < 1.0


def test_nobody_else_overrides_a_plan(town, prosumer):
    gateway = town.mailbox("gateway", Role.GATEWAY)
    with pytest.raises(Refused):
        town.outcome(gateway.ask("prosumer@town", warmer(town), town.clock.now_s() + 5))
