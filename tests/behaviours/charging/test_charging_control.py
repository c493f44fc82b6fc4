import dataclasses

import pytest

from agents.charging_site import ChargingGateway, ChargingSite
from agents.repository import RepositoryAgent
from behaviours.charging.control import ChargingControl
from behaviours.charging.settings import (
    ChargingGatewaySettings,
    ChargingPoint,
    ChargingSiteSettings,
    Tariff,
)
from behaviours.charging.site_outlook import SiteOutlook
from behaviours.charging.usage_monitoring import UsageMonitoring
from behaviours.decisions.charging.priority import Rule
from behaviours.signing import Signer
from behaviours.site.contacts import SiteContacts
from environments.repository.memory import MemoryRepository
from environments.simulation.charging_site import SimulatedChargingSite, Stay
from launch.charging_replay import NoWeather
from ontology.charging import EvConnectionEvent, EvSession, EvUserInput
from ontology.control import Instruction, InstructionStatus, Priority
from ontology.discourse import Refusal, Rejection
from ontology.flexibility import FlexibilityForecast
from ontology.forecasts import Forecast
from ontology.market import PriceProfile
from ontology.performatives import Performative
from ontology.roles import Role
from tests.post_office import START_S, Town

STEP_S = 300
CONTACTS = SiteContacts(
    gateway="gateway@town", ev="site@town", repository="repository@town", aggregator="aggregator@town"
)


def comer(name, point, needs_wh=6_000, hours=4.0, says=True, after_s=0, **other):
    """A vehicle that comes at once and stays for some hours."""
    departure_s = START_S + after_s + round(hours * 3_600)
    wish = EvUserInput(
        session_id=name,
        time_s=START_S + after_s,
        requested_energy_wh=needs_wh,
        departure_s=departure_s,
        **other,
    )
    return Stay(
        name, point, f"{name}'s", START_S + after_s, departure_s, float(needs_wh), wish if says else None
    )


class Street:
    """A charging site with its agents, its repository, and an aggregator that only writes letters."""

    def __init__(self, town, *stays, limit_w=20_000, **settings):
        self.town = town
        names = ("p1", "p2", "p3")
        self.world = SimulatedChargingSite(
            sorted(stays, key=lambda each: each.arrival_s), names, [8_000] * 3, START_S, step_s=STEP_S
        )
        self.repository = MemoryRepository()
        signer = Signer(b"a" * 32)
        self.aggregator = town.mailbox("aggregator", Role.AGGREGATOR, signer=signer)
        points = tuple(ChargingPoint(name=name, power_max_w=8_000) for name in names)
        self.settings = ChargingSiteSettings(
            site="street", contacts=CONTACTS, points=points, power_max_w=limit_w, **settings
        )
        gateway = ChargingGatewaySettings(site="street", contacts=CONTACTS, step_s=STEP_S)
        self.live(RepositoryAgent, "repository", "", None, repository=self.repository, weather=NoWeather())
        self.site = self.live(ChargingSite, "site", "street", self.settings)
        self.live(ChargingGateway, "gateway", "street", gateway, devices=self.world.devices())

    def live(self, cls, name, site, settings, **ports):
        names = tuple(point.name for point in self.settings.points)
        member = self.town.register(name, cls.role, site=site, assets=names if site else ())
        agent = cls(member, settings, dataclasses.replace(self.town.surroundings(), **ports))
        self.town.soon(agent.start)
        return agent

    def step(self, steps=1):
        """Let the agents act and the world go on; return what all points drew, step by step."""
        drawn = []
        for _ in range(steps):
            self.town.clock.advance_to(self.world.now_s + STEP_S)
            drawn.append(round(float(self.world.step().sum())))
        return drawn

    def ask(self, **limits):
        """Let the aggregator ask something of the site; return the answer's content."""
        now_s = int(self.town.clock.now_s())
        told = Instruction(
            **{
                "instruction_id": "request",
                "asset_id": "street",
                "execution_time_s": now_s,
                "valid_until_s": now_s + 1_800,
                "priority": Priority.MARKET,
                **limits,
            }
        )
        self.town.soon(self.aggregator.send, "site@town", told, Performative.REQUEST)
        return self.aggregator.read[-1].content


@pytest.fixture
def town():
    with Town() as town:
        yield town


def test_everybody_leaves_with_what_was_asked_for(town):
    street = Street(town, comer("a", 0, 24_000), comer("b", 1, 20_000), comer("c", 2, 30_000, hours=5))
    street.step(80)
    assert street.site.counts["sessions satisfied"] == 3
    assert max(street.world.served_wh.values()) == pytest.approx(30_000, abs=5)


def test_the_sites_limit_holds_whoever_is_there(town):
    street = Street(town, *(comer(name, i, 30_000) for i, name in enumerate("abc")), limit_w=9_000)
    assert max(street.step(60)) <= 9_001


def test_a_cheap_hour_is_waited_for_once_the_site_is_known(town):
    prices = PriceProfile(
        start_s=START_S, buy_ticks_per_kwh=[3_000] * 8 + [500] * 88, sell_ticks_per_kwh=[0] * 96, basis="test"
    )
    street = Street(town, comer("a", 0, 8_000))
    monitoring = street.site.behaviour(UsageMonitoring)
    monitoring.load.knows = lambda now_s: True
    town.soon(street.site.behaviour(SiteOutlook).note_prices, prices, None)
    drawn = street.step(48)
    assert max(drawn[:23]) == 0
    assert sum(drawn) / 12 == pytest.approx(8_000, abs=10)


def test_a_limit_of_the_grid_holds_within_seconds(town):
    street = Street(town, comer("a", 0, 30_000), comer("b", 1, 30_000))
    assert street.step(3)[-1] > 15_000
    town.run(100)
    before = town.notebook.acts.count(("s2:InstructionBatch", "request"))
    answer = street.ask(power_max_w=3_000, priority=Priority.DSO_RED)
    assert isinstance(answer, InstructionStatus)
    assert town.notebook.acts.count(("s2:InstructionBatch", "request")) == before + 1
    assert max(street.step(6)) <= 3_001
    assert street.step(2)[-1] > 15_000


def test_a_request_that_costs_nobody_anything_is_met(town):
    street = Street(town, comer("a", 0, 8_000), comer("b", 1, 8_000))
    street.step(2)
    assert isinstance(street.ask(power_max_w=2_000), InstructionStatus)
    assert max(street.step(6)) <= 2_001
    street.step(45)
    assert street.site.counts["sessions satisfied"] == 2


def test_a_request_at_a_drivers_expense_is_refused(town):
    street = Street(town, comer("a", 0, 8_000, hours=1.2))
    street.step(2)
    assert isinstance(street.ask(power_max_w=0), Refusal)
    assert street.step(1)[0] > 7_000


def test_a_request_for_more_is_met_from_what_was_planned_for_later(town):
    tariff = Tariff(charge_per_kwh=tuple(0.1 if hour >= 18 else 0.3 for hour in range(24)))
    street = Street(town, comer("a", 0, 8_000, hours=5), tariff=tariff)
    street.site.behaviour(UsageMonitoring).load.knows = lambda now_s: True
    street.step(1)
    assert isinstance(street.ask(power_min_w=6_000), InstructionStatus)
    assert min(street.step(3)) >= 5_990


def test_a_request_that_is_called_back_holds_no_more(town):
    street = Street(town, comer("a", 0, 8_000))
    street.step(1)
    street.ask(power_max_w=0)
    told = street.site.behaviour(ChargingControl)
    assert street.step(1) == [0]
    cancelled = Instruction(
        instruction_id="request",
        asset_id="street",
        execution_time_s=START_S,
        valid_until_s=START_S + 9_000,
        power_max_w=0,
    )
    town.soon(street.aggregator.send, "site@town", cancelled, Performative.CANCEL)
    assert street.step(1)[0] > 7_000
    assert told.plan is not None


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ({"asset_id": "p1", "power_max_w": 0}, Refusal),
        ({"setpoint_w": 3_000}, Rejection),
        ({"power_max_w": 0, "execution_time_s": START_S - 900, "valid_until_s": START_S - 1}, Refusal),
    ],
    ids=["one point", "no limit", "the past"],
)
def test_a_site_is_asked_as_a_whole_for_limits_to_come(town, request_, answer):
    assert isinstance(Street(town, comer("a", 0)).ask(**request_), answer)


def test_a_driver_who_says_nothing_is_foreseen_and_served(town):
    street = Street(town, comer("a", 0, 6_000, says=False))
    street.step(49)
    assert street.world.served_wh["a"] == pytest.approx(6_000, abs=5)


def test_sessions_load_and_flexibility_reach_the_repository(town):
    street = Street(town, comer("a", 0, 6_000))
    street.step(52)
    (session,) = town.outcome(street.repository.query("parity:EvSession", "p1", 0, START_S + 90_000))
    assert isinstance(session, EvSession)
    assert session.delivered_energy_wh == pytest.approx(6_000, abs=5)
    load = town.outcome(street.repository.query("parity:Forecast", "street", 0, START_S + 90_000))
    assert isinstance(load[0], Forecast)
    offered = [
        each.content for each in street.aggregator.read if isinstance(each.content, FlexibilityForecast)
    ]
    assert max(offered[0].down_w) > 5_000


def test_a_restarted_site_knows_who_is_there_and_who_was(town):
    street = Street(town, comer("a", 0, 6_000, hours=1), comer("b", 1, 24_000, hours=6))
    street.step(20)
    street.site.kill()
    again = street.live(ChargingSite, "site", "street", street.settings)
    town.run(1)
    monitoring = again.behaviour(UsageMonitoring)
    assert list(monitoring.active) == ["b"]
    assert monitoring.active["b"].wish is not None
    assert len(monitoring.usage) == 1
    street.step(60)
    assert street.world.served_wh["b"] == pytest.approx(24_000, abs=5)


def test_a_session_that_is_told_again_after_its_end_is_no_news(town):
    street = Street(town, comer("a", 0, 6_000, hours=1))
    street.step(20)
    monitoring = street.site.behaviour(UsageMonitoring)
    gateway = town.mailbox("again", Role.GATEWAY, site="street")
    told = EvConnectionEvent(asset_id="p1", session_id="a", time_s=START_S, vehicle="a", power_max_w=8_000)
    town.soon(gateway.send, "site@town", told)
    assert monitoring.active == {}
    assert len(monitoring.usage) == 1


def test_a_limit_is_kept_over_a_restart_and_from_the_second_that_it_begins(town):
    street = Street(town, comer("a", 0, 30_000), comer("b", 1, 30_000))
    street.step(3)
    town.run(50)
    now_s = int(town.clock.now_s())
    street.ask(
        power_max_w=2_000,
        execution_time_s=now_s + 100,
        valid_until_s=now_s + 3_600,
        priority=Priority.DSO_RED,
    )
    before = town.notebook.acts.count(("s2:InstructionBatch", "request"))
    town.run(110)
    assert town.notebook.acts.count(("s2:InstructionBatch", "request")) == before + 1
    street.site.kill()
    street.live(ChargingSite, "site", "street", street.settings)
    street.step(1)
    assert max(street.step(5)) <= 2_001


def test_a_vehicle_that_is_full_leaves_the_power_to_others(town):
    eager = comer("a", 0, 20_000, hours=3)._replace(need_wh=1_000.0)
    street = Street(town, eager, comer("b", 1, 23_000, hours=3.2), limit_w=8_000)
    drawn = street.step(20)
    assert sum(power_w < 7_900 for power_w in drawn[2:]) <= 2  # it is noticed by what it does not take
    street.step(30)
    assert street.world.served_wh["b"] == pytest.approx(23_000, abs=100)


def test_by_least_laxity_a_site_runs_without_plans(town):
    street = Street(town, comer("a", 0, 8_000), comer("b", 1, 8_000), rule=Rule.LEAST_LAXITY)
    street.step(50)
    assert street.site.counts["sessions satisfied"] == 2
    assert street.site.behaviour(ChargingControl).plan is None


def test_the_months_peak_is_remembered_over_a_restart(town):
    street = Street(town, comer("a", 0, 8_000))
    street.step(4)
    peak_w = street.site.behaviour(SiteOutlook).observed_peak_w
    assert peak_w == pytest.approx(8_000, abs=2)
    street.site.kill()
    again = street.live(ChargingSite, "site", "street", street.settings)
    assert again.behaviour(SiteOutlook).observed_peak_w == peak_w


def test_vehicles_that_give_back_leave_with_what_they_need(town):
    tariff = Tariff(
        charge_per_kwh=tuple(0.1 if hour >= 18 else 0.4 for hour in range(24)),
        discharge_per_kwh=tuple(0.05 if hour >= 18 else 0.3 for hour in range(24)),
    )
    gives = {"v2g_allowed": True, "minimum_state_of_charge": 0.05}
    street = Street(
        town,
        *(comer(name, i, 6_000, hours=8, **gives) for i, name in enumerate("abc")),
        tariff=tariff,
        export_max_w=20_000,
    )
    drawn = street.step(97)
    assert min(drawn) < -5_000
    assert street.site.counts["sessions satisfied"] == 3
