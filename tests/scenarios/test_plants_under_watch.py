"""A plant that breaks, one that is curtailed, and what their manager makes of it."""

import asyncio

import pytest
from scenario_helpers import LABORATORY, MORNING, MORNING_S

from behaviours.decisions.photovoltaics import generation_w
from behaviours.site.alarm_listening import AlarmListening
from behaviours.site.pv_management import PvForecasting, PvMonitoring
from environments.simulation.world.photovoltaics import Plants
from launch.runs import notes_of
from ontology.alarms import AlarmKind, AssetAlarm
from ontology.codec import message_type_of
from ontology.control import Instruction, InstructionBatch, InstructionState, Priority
from ontology.performatives import Performative


@pytest.fixture
def broken_plants(monkeypatch):
    """Let all plants give a third of what they should, until told otherwise."""
    healthy, share = Plants.power_w, {"given": 1 / 3}
    monkeypatch.setattr(Plants, "power_w", lambda self, *span: share["given"] * healthy(self, *span))
    return share


def behaviour_of(model, name, behaviour):
    return model.community.agents[f"{name}@localhost"].behaviour(behaviour)


def foreseen_share(model):
    """Return which share of the modelled power the first site's plant is now expected to give."""
    forecasting = behaviour_of(model, "h001-pv", PvForecasting)
    weather, array = forecasting.weather, forecasting.settings.array
    return (
        -forecasting.outlook(weather, model.now_s).power_w[0] / generation_w(array, weather, model.now_s)[0]
    )


def stored_alarms(model):
    """Return the alarms that the repository keeps."""
    return asyncio.run(model.community.ground.repository.query(message_type_of(AssetAlarm), "", 0, 2**31))


def test_a_broken_plant_is_noticed_within_the_morning_and_its_repair_too(community, broken_plants):
    model = community(scenario=LABORATORY, start=MORNING, record=False, intervals=40)
    while model.now_s < MORNING_S + 5 * 3600:
        model.step()
    assert {kind for _, kind in behaviour_of(model, "h001-prosumer", AlarmListening).standing} == {
        AlarmKind.UNDERPERFORMANCE
    }
    assert foreseen_share(model) == pytest.approx(1 / 3, abs=0.1)
    broken_plants["given"] = 1.0
    alarms = stored_alarms(model)
    assert {alarm.asset_id for alarm in alarms} == {"h001-pv", "h002-pv"}
    assert all(isinstance(a, AssetAlarm) and a.measured_w < 0.5 * a.expected_w for a in alarms)
    model.run()
    assert behaviour_of(model, "h001-prosumer", AlarmListening).standing == {}
    assert "2 alarms of devices were raised" in notes_of(model.community)


def curtail(model, power_w):
    """Let the prosumer hold its plant to a power for the coming intervals."""
    prosumer = model.community.agents["h001-prosumer@localhost"]
    instruction = Instruction(
        instruction_id=f"cap-{model.now_s}",
        asset_id="h001-pv",
        execution_time_s=model.now_s,
        valid_until_s=model.now_s + 900,
        setpoint_w=-power_w,
        priority=Priority.DSO_RED,
    )
    batch = InstructionBatch(site="h001", instructions=[instruction])
    prosumer.tell("h001-gateway@localhost", batch, Performative.REQUEST)


def test_a_curtailed_plant_keeps_to_its_cap_and_is_not_taken_for_a_broken_one(community):
    model = community(scenario=LABORATORY, start=MORNING, record=False, intervals=24)
    for interval in range(model.intervals):
        if interval >= 2:
            model.at(model.now_s + 1, curtail, model, 2_000)
        model.step()
    sites = model.tables().sites
    produced_w = -sites["pv_w"][sites["site"] == "h001"]
    assert produced_w[:2].min() > 2_500
    assert all(abs(power_w - 2_000) <= 40 for power_w in produced_w[2:22])
    counts = model.community.counts()
    assert counts["intervals curtailed"] >= 20
    assert counts.get("caps exceeded", 0) == counts.get("alarms raised", 0) == 0
    assert len(behaviour_of(model, "h001-pv", PvMonitoring).watch.expected_w) <= 3


def test_a_plant_that_ignores_its_cap_raises_the_alarm(community, monkeypatch):
    monkeypatch.setattr("environments.simulation.world.devices.Plant._controls", lambda self: Deaf())
    model = community(scenario=LABORATORY, start=MORNING, record=False, intervals=6)
    for _ in range(model.intervals):
        model.at(model.now_s + 1, curtail, model, 1_000)
        model.step()
    standing = behaviour_of(model, "h001-prosumer", AlarmListening).standing
    assert list(standing) == [("h001-pv", AlarmKind.LIMIT_EXCEEDED)]


class Deaf:
    """An inverter that says yes and does nothing."""

    def take(self, site, instruction, now_s):
        return InstructionState.STARTED
