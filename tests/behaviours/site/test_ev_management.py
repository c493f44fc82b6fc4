import pytest

from agents.ev_manager import EvManager
from behaviours.site.contacts import SiteContacts
from behaviours.site.ev_management import EvSettings, SessionMonitoring
from ontology.charging import EvConnectionEvent, EvDisconnectionEvent, EvSocUpdate, EvUserInput
from ontology.flexibility import FlexEnvelope
from ontology.roles import Role
from tests.post_office import START_S, Town

SETTINGS = EvSettings(
    site="h1",
    contacts=SiteContacts(prosumer="prosumer@town", ev="ev@town"),
    asset_id="h1-ev",
    capacity_wh=40_000,
    power_max_w=8_000,
)
DAY_S = 86_400


@pytest.fixture
def town():
    with Town() as town:
        yield town


class Home:
    """A charger's agent, with its gateway and prosumer as mailboxes."""

    def __init__(self, town):
        self.town = town
        self.gateway = town.mailbox("gateway", Role.GATEWAY, site="h1")
        self.prosumer = town.mailbox("prosumer", Role.PROSUMER, site="h1")
        self.live()

    def live(self):
        self.manager = town_agent(self.town)
        return self.manager

    def tell(self, *events):
        for event in events:
            self.town.soon(self.gateway.send, "ev@town", event)

    def plug_in(self, session_id, at_s, *, soc=0.5, says=None):
        """Let the car come, and its driver say how much and until when."""
        self.town.clock.advance_to(at_s)
        self.tell(
            EvConnectionEvent(
                asset_id="h1-ev", session_id=session_id, time_s=at_s, vehicle="car", power_max_w=8_000
            )
        )
        if says is not None:
            wh, departure_s = says
            self.tell(
                EvUserInput(
                    session_id=session_id, time_s=at_s, requested_energy_wh=wh, departure_s=departure_s
                )
            )
        self.tell(
            EvSocUpdate(
                session_id=session_id, time_s=at_s, state_of_charge=soc, energy_delivered_wh=0, power_w=0
            )
        )

    def unplug(self, session_id, at_s, delivered_wh):
        self.town.clock.advance_to(at_s)
        self.tell(EvDisconnectionEvent(session_id=session_id, time_s=at_s, energy_delivered_wh=delivered_wh))

    def envelope(self):
        """Return the envelope of the next quarter of an hour."""
        self.town.run(920)
        return [each.content for each in self.prosumer.read if isinstance(each.content, FlexEnvelope)][-1]


def town_agent(town):
    member = town.register("ev", Role.EV, site="h1")
    agent = EvManager(member, SETTINGS, town.surroundings())
    town.soon(agent.start)
    return agent


def test_a_session_is_offered_as_its_driver_wants_it(town):
    home = Home(town)
    home.plug_in("s", START_S + 60, says=(12_000, START_S + 6 * 3_600))
    assert max(home.envelope().energy_min_wh) == 12_000


def test_without_a_word_a_session_is_offered_as_such_sessions_were(town):
    home = Home(town)
    for day in range(6):
        home.plug_in(f"s{day}", START_S + day * DAY_S + 60)
        home.unplug(f"s{day}", START_S + day * DAY_S + 5 * 3_600, 10_000)
    home.plug_in("now", START_S + 6 * DAY_S + 60)
    envelope = home.envelope()
    assert envelope.energy_min_wh[20] == pytest.approx(10_000, abs=10)
    assert envelope.power_max_w[22] == 0


def test_it_is_not_foreseen_to_take_more_than_fits(town):
    home = Home(town)
    home.plug_in("s", START_S + 60, soc=0.95)
    assert max(home.envelope().energy_max_wh) <= 2_000


def test_who_stays_beyond_the_time_named_is_still_charged(town):
    home = Home(town)
    home.plug_in("s", START_S + 60, says=(12_000, START_S + 1_800))
    town.run(3_600)
    monitoring = home.manager.behaviour(SessionMonitoring)
    wish = monitoring.wish()
    assert wish is not None
    assert wish.departure_s > town.clock.now_s()
    assert wish.requested_energy_wh == 12_000


def test_a_restarted_manager_remembers_the_session_and_earlier_ones(town):
    home = Home(town)
    home.plug_in("s0", START_S + 60)
    home.unplug("s0", START_S + 3_600, 7_000)
    home.plug_in("s1", START_S + 7_200, says=(5_000, START_S + 20_000))
    home.manager.kill()
    monitoring = home.live().behaviour(SessionMonitoring)
    assert monitoring.session is not None
    assert monitoring.session.wish is not None
    assert len(monitoring._history) == 1


def test_the_end_of_another_session_changes_nothing(town):
    home = Home(town)
    home.plug_in("s", START_S + 60, says=(5_000, START_S + 20_000))
    home.unplug("other", START_S + 120, 1_000)
    assert home.manager.behaviour(SessionMonitoring).session is not None
    home.unplug("s", START_S + 19_000, 5_000)
    assert home.manager.counts["sessions satisfied"] == 1
    assert max(home.envelope().power_max_w) == 0


def test_what_is_told_again_after_a_restart_of_the_gateway_is_no_news(town):
    home = Home(town)
    home.plug_in("s", START_S + 60, says=(5_000, START_S + 20_000))
    home.plug_in("s", START_S + 120)
    session = home.manager.behaviour(SessionMonitoring).session
    assert session is not None
    assert session.wish is not None
    for _ in range(2):
        home.unplug("s", START_S + 19_000, 5_000)
        home.plug_in("s", START_S + 19_000)
    monitoring = home.manager.behaviour(SessionMonitoring)
    assert monitoring.session is None
    assert len(monitoring._history) == 1
    home.manager.kill()
    home.live()
    home.plug_in("s", START_S + 19_100)
    assert home.manager.behaviour(SessionMonitoring).session is None
