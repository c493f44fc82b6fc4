"""A heat manager with a mailbox for everyone around it: what it learns, offers, obeys and steers."""

from itertools import pairwise

import msgspec
import numpy as np
import pytest

from agents.heat_manager import HeatManager
from behaviours.site.building_learning import BuildingLearning
from behaviours.site.comfort_keeping import ComfortKeeping
from behaviours.site.contacts import SiteContacts
from behaviours.site.heat_management import HeatOffering
from behaviours.site.heat_settings import HeatSettings, LightingSettings
from ontology.control import Instruction, InstructionBatch, Priority, UserOverride
from ontology.errors import Refused
from ontology.flexibility import FlexEnvelope
from ontology.performatives import Performative
from ontology.roles import Role
from ontology.storage import ThermalModel, ThermalStatus
from ontology.weather import WeatherForecast

DAY_S = 86_400
TRUTH = ThermalModel(
    asset_id="h001-heat_pump",
    resistance_k_per_w=0.006,
    capacity_j_per_k=4e7,
    cop=3.0,
    temperature_min_degc=19.5,
    temperature_max_degc=22.5,
    cop_outdoor_degc=[-10, 10],
    cop_points=[2.0, 4.0],
    solar_aperture_m2=2.0,
    internal_gain_w=300.0,
)
GUESS = msgspec.structs.replace(TRUTH, resistance_k_per_w=0.009, capacity_j_per_k=2.5e7)
TANK = ThermalModel(
    asset_id="h001-dhw",
    resistance_k_per_w=0.5,
    capacity_j_per_k=200 * 4186,
    cop=1.0,
    temperature_min_degc=46,
    temperature_max_degc=56,
)
CONTACTS = SiteContacts(
    gateway="gateway@town", prosumer="prosumer@town", p2h="p2h@town", repository="repository@town"
)


LIGHTS = LightingSettings(
    asset_id="h001-lighting", power_w=1_000, minimum_share=0.4, hours=(0.0, 24.0), zone="UTC"
)


class House:
    """A heat manager and the mailboxes of those it talks to."""

    def __init__(self, town, **settings):
        self.town = town
        self.gateway = town.mailbox("gateway", Role.GATEWAY, site="h001")
        self.prosumer = town.mailbox("prosumer", Role.PROSUMER, site="h001")
        self.repository = town.mailbox("repository", Role.REPOSITORY)
        usual = {"building": GUESS, "building_power_max_w": 4_000, "tank": TANK, "tank_power_max_w": 2_000}
        self.settings = HeatSettings(
            site="h001",
            contacts=CONTACTS,
            draw_w=(100.0,) * 96,
            planning_intervals=1,
            **(usual | settings),
        )
        self.manager = self.start()

    def start(self):
        behaviours = HeatManager.behaviours
        return self.town.agent("p2h", Role.P2H, *behaviours, settings=self.settings, site="h001")

    def leave(self):
        self.manager.kill()
        self.town.run(1)

    def next_interval(self, **reported):
        """Let time pass to the next interval, report, and let the manager offer."""
        now_s = self.town.clock.now_s()
        self.town.run(900 - now_s % 900)
        self.report(**reported)
        self.town.run(20)

    def restart(self):
        self.town.soon(self.manager.commit)
        self.manager.kill()
        self.manager = self.start()

    def tell(self, *contents, sender=None, act=Performative.INFORM):
        for content in contents:
            self.town.soon((sender or self.gateway).send, "p2h@town", content, act)

    def report(self, room_degc=21.0, power_w=1_000, tank_degc=50.0, outdoor_degc=3.0):
        now_s = int(self.town.clock.now_s())
        forecast = WeatherForecast(
            zone="z",
            issued_at_s=now_s,
            start_s=now_s // 900 * 900,
            outdoor_degc=[outdoor_degc] * 96,
            ghi_w_per_m2=[0.0] * 96,
            dni_w_per_m2=[0.0] * 96,
            dhi_w_per_m2=[0.0] * 96,
        )
        self.tell(forecast, sender=self.repository)
        for asset_id, degc, around in (
            ("h001-heat_pump", room_degc, outdoor_degc),
            ("h001-dhw", tank_degc, 19.0),
        ):
            self.tell(
                ThermalStatus(
                    asset_id=asset_id,
                    time_s=now_s,
                    temperature_degc=degc,
                    power_w=power_w,
                    outdoor_degc=around,
                )
            )

    def envelopes(self, asset_id="h001-heat_pump"):
        return [
            each.content
            for each in self.prosumer.read
            if isinstance(each.content, FlexEnvelope) and each.content.subject == asset_id
        ]

    def orders(self):
        batches = [each.content for each in self.gateway.read if isinstance(each.content, InstructionBatch)]
        return [instruction for batch in batches for instruction in batch.instructions]


@pytest.fixture
def house(town):
    house = House(town)
    yield house
    house.leave()


def wish(time_s, setpoint_degc=22.0, asset_id="h001-heat_pump"):
    return UserOverride(asset_id=asset_id, time_s=int(time_s), setpoint_degc=setpoint_degc)


def planned(setpoint_w, now_s, asset_id="h001-heat_pump", priority=Priority.MARKET):
    instruction = Instruction(
        instruction_id=f"plan-{now_s}-{setpoint_w}",
        asset_id=asset_id,
        execution_time_s=int(now_s),
        valid_until_s=int(now_s) // 900 * 900 + 900,
        setpoint_w=setpoint_w,
        priority=priority,
    )
    return InstructionBatch(site="h001", instructions=[instruction])


def live(manager, days, noise_k=0.1):
    """Let a manager measure its house for some days, a report each quarter of an hour."""
    learning, draw = manager.behaviour(BuildingLearning), np.random.default_rng(3)
    start_s = int(manager.clock.now_s()) // DAY_S * DAY_S
    room, outdoor = 21.0, 3.0
    kept = np.exp(-900 / (TRUTH.resistance_k_per_w * TRUTH.capacity_j_per_k))
    for step in range(days * 96):
        now_s = start_s + step * 900
        outdoor += 0.02 * (3 + 5 * np.sin(step / 150) - outdoor) + draw.normal(0, 0.1)
        sun = max(0.0, float(np.sin(2 * np.pi * (step / 96 - 0.25)))) * draw.choice([100.0, 300.0])
        wanted = 21 + (0.7 if step // 20 % 3 else -0.7)
        power_w = round(4_000 * min(max((wanted - room) / 0.8 + 0.4, 0), 1))
        heat_w = power_w * float(np.interp(outdoor, [-10, 10], [2, 4])) + 2.0 * sun + 300
        settled = outdoor + TRUTH.resistance_k_per_w * heat_w
        room = settled + (room - settled) * kept
        learning.note_weather(sunny(now_s, sun), None)
        status = ThermalStatus(
            asset_id="h001-heat_pump",
            time_s=now_s + 900,
            temperature_degc=float(room + draw.normal(0, noise_k)),
            power_w=power_w,
            outdoor_degc=float(outdoor),
        )
        learning.note(status, None)


def sunny(start_s, ghi):
    series = [0.0]
    return WeatherForecast(
        zone="z",
        issued_at_s=start_s,
        start_s=start_s,
        outdoor_degc=series,
        ghi_w_per_m2=[ghi],
        dni_w_per_m2=series,
        dhi_w_per_m2=series,
    )


def test_a_building_is_learnt_within_two_weeks_and_the_repository_is_told(house, town):
    town.soon(live, house.manager, 14)
    found = house.manager.behaviour(BuildingLearning).model
    assert found.resistance_k_per_w == pytest.approx(TRUTH.resistance_k_per_w, rel=0.15)
    assert found.capacity_j_per_k == pytest.approx(TRUTH.capacity_j_per_k, rel=0.15)
    assert any(isinstance(each.content, ThermalModel) for each in house.repository.read)


def test_model_and_measurements_survive_a_restart(house, town):
    town.soon(live, house.manager, 14)
    learning = house.manager.behaviour(BuildingLearning)
    house.restart()
    again = house.manager.behaviour(BuildingLearning)
    assert again.model == learning.model != GUESS
    np.testing.assert_array_equal(again.record().power_w, learning.record().power_w)
    assert len(again.record().power_w) == 14 * 96


def test_three_weeks_are_remembered_and_no_more(house, town):
    town.soon(live, house.manager, 23)
    assert len(house.manager.behaviour(BuildingLearning).record().power_w) == 21 * 96


def test_a_model_that_foresees_no_better_is_not_taken(house, town):
    learning = house.manager.behaviour(BuildingLearning)
    learning.model = msgspec.structs.replace(TRUTH, asset_id="h001-heat_pump")
    town.soon(live, house.manager, 14, 0.0)
    assert learning.model.resistance_k_per_w == pytest.approx(TRUTH.resistance_k_per_w, rel=0.02)


def test_the_envelope_follows_the_weather_with_the_cop_of_each_step(house):
    house.next_interval(outdoor_degc=-5.0)
    house.next_interval(outdoor_degc=8.0)
    frosty, mild = house.envelopes()[-2:]
    assert frosty.preferred_w[0] == pytest.approx(((21 + 5) / 0.009 - 300) / 2.5, abs=1)
    assert mild.preferred_w[0] == pytest.approx(((21 - 8) / 0.009 - 300) / 3.8, abs=1)


def test_turned_by_hand_the_building_offers_nothing_for_two_hours(house, town):
    house.next_interval()
    house.tell(wish(town.clock.now_s()))
    house.next_interval()
    envelope = house.envelopes()[-1]
    assert envelope.power_min_w[:7] == envelope.power_max_w[:7]
    assert envelope.power_min_w[8:] != envelope.power_max_w[8:]
    assert any(isinstance(each.content, UserOverride) for each in house.prosumer.read)
    assert not house.orders()


def test_the_app_reaches_the_device_with_the_users_priority(house, town):
    house.report()
    house.tell(wish(town.clock.now_s(), 22.5), sender=house.prosumer, act=Performative.REQUEST)
    (order,) = house.orders()
    assert (order.priority, order.setpoint_degc) == (Priority.USER, 22.5)
    assert order.valid_until_s - order.execution_time_s == 7_200


def test_after_two_hours_the_plan_is_free_again(house, town):
    house.next_interval()
    house.tell(wish(town.clock.now_s()))
    for _ in range(9):
        house.next_interval()
    assert house.envelopes()[-1].power_max_w[:4] == [4_000] * 4
    assert house.manager.behaviour(ComfortKeeping).held("h001-heat_pump") is None


def test_wishes_move_the_comfort_band_and_are_kept(house, town):
    for setpoint_degc in (22.0, 22.5, 23.0):
        house.tell(wish(town.clock.now_s(), setpoint_degc))
    house.restart()
    model = house.manager.behaviour(ComfortKeeping).building()
    assert (model.temperature_min_degc, model.temperature_max_degc) == (21.5, 23.5)


def test_strangers_do_not_turn_the_heating_up(house, town):
    stranger = town.mailbox("ui", Role.UI)
    with pytest.raises(Refused):
        town.outcome(stranger.ask("p2h@town", wish(town.clock.now_s()), town.clock.now_s() + 5))


def test_a_tank_is_planned_to_be_hot_before_the_week_is_over(house, town):
    house.next_interval(tank_degc=60.2)
    due_s = house.manager.behaviour(HeatOffering).legionella_due_s
    assert due_s - town.clock.now_s() == pytest.approx(7 * DAY_S - 7_200, abs=900)
    usual = house.envelopes("h001-dhw")[-1]
    town.run(6 * DAY_S + 20 * 900)
    house.next_interval(tank_degc=50.0)
    hot = house.envelopes("h001-dhw")[-1]
    before_due = (due_s - hot.start_s) // 900 - 1
    ten_kelvin_wh = 10 * 200 * 4186 / 3600
    assert hot.energy_min_wh[before_due] >= ten_kelvin_wh
    assert usual.energy_max_wh[-1] < hot.energy_max_wh[-1]


def test_when_the_tank_was_hot_is_known_after_a_restart(house, town):
    house.report(tank_degc=60.0)
    due_s = house.manager.behaviour(HeatOffering).legionella_due_s
    town.run(3_600)
    house.restart()
    assert house.manager.behaviour(HeatOffering).legionella_due_s == due_s


def steered(house, town, minutes, wanted_w, room_degc=21.0, priority=Priority.MARKET):
    """Let a manager steer by the minute under a plan, with a device that does what it is told."""
    powers = []
    for minute in range(minutes):
        told = [each for each in house.orders() if each.asset_id == "h001-heat_pump"]
        house.report(room_degc=room_degc, power_w=told[-1].setpoint_w if told else 0)
        if minute % 15 == 0:
            batch = planned(wanted_w, town.clock.now_s(), priority=priority)
            house.tell(batch, sender=house.prosumer, act=Performative.REQUEST)
        town.run(60)
        told = [each for each in house.orders() if each.asset_id == "h001-heat_pump"]
        powers.append(told[-1].setpoint_w)
    return powers


@pytest.fixture
def steering(town):
    house = House(town, real_time_s=60, building_power_min_w=1_200, lighting=LIGHTS)
    yield house
    house.leave()


def test_a_compressor_is_steered_in_runs_and_rests_of_ten_minutes(steering, town):
    powers = steered(steering, town, 150, 600)
    changes = [minute for minute in range(1, 150) if (powers[minute] > 0) != (powers[minute - 1] > 0)]
    assert len(changes) > 2
    assert all(later - earlier >= 10 for earlier, later in pairwise(changes))
    assert sum(powers) / 150 == pytest.approx(600, rel=0.3)


def test_a_cold_room_is_heated_whatever_the_plan_says(steering, town):
    assert steered(steering, town, 12, 0, room_degc=19.0)[-1] == 4_000


def test_in_an_emergency_of_the_grid_a_cold_room_waits(steering, town):
    assert steered(steering, town, 12, 0, room_degc=19.0, priority=Priority.DSO_RED) == [0] * 12


def test_a_plan_does_not_switch_the_light_off_over_peoples_heads(steering, town):
    batch = planned(0, town.clock.now_s(), "h001-lighting")
    steering.tell(batch, sender=steering.prosumer, act=Performative.REQUEST)
    assert [each.setpoint_w for each in steering.orders()] == [400]


def test_only_the_prosumer_gives_a_manager_orders(steering, town):
    aggregator = town.mailbox("aggregator", Role.AGGREGATOR)
    question = aggregator.ask("p2h@town", planned(0, town.clock.now_s()), town.clock.now_s() + 5)
    with pytest.raises(Refused):
        town.outcome(question)
