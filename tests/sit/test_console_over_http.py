"""D8.1's tests of user interfaces by their names (Tables 3 and 4), over HTTP on a live community."""

import asyncio
import json
import re
from contextlib import closing
from html import unescape
from pathlib import Path

import msgspec
import pytest
from httpx import ASGITransport, AsyncClient, Response

from behaviours.decisions.market_activity import Market, active_markets
from behaviours.site.device_control import DeviceControl
from environments.http.access_database import AccessDatabase
from environments.http.application import application
from environments.http.console.community import AgentView, Mode
from environments.http.console.control_leases import LeaseState
from environments.http.console.routes import CONSOLE_ROUTES
from environments.http.console.sessions import COOKIE, SIGN_HEADER, sign_of
from environments.http.services import Services
from environments.simulation.clock import WallClock
from launch.live import LiveCommunity
from launch.portals import CommunityPortals
from launch.scenario import load_scenario
from launch.user_registry import create_registry
from ontology.codec import message_type_of
from ontology.control import Instruction, InstructionState, Priority
from ontology.grid import GridStatusEvent
from ontology.measurements import IntervalReading
from ontology.storage import StorageStatus
from ontology.users import User

DAY = {
    "intervals": 8,
    "ledger.attestors": 1,
    "products": [{"id": "night", "hour": 0.5, "hours": 0.5, "power_kw": 1, "price": 0.3, "lead_hours": 0.25}],
}
CALLERS = {"market-operator": (), "aggregator": (), "prosumer": ("h001",)}
USER = {
    "name": "Anna Bergström",
    "email": "anna@example.org",
    "role_id": "PROSUMER",
    "site": "h001",
    "segment_id": "segment-001",
    "building.type_id": "RESIDENTIAL",
    "building.geo_zone": "DE-10115",
    "usage_point.phases": "3P",
    "usage_point.import_max_w": "20000",
    "usage_point.export_max_w": "10000",
    "assets[0].type_id": "PV",
    "assets[0].rated_power_w": "5000",
    "consents": "FLEXIBILITY",
}
BATTERY, LENT_W = "h001-bess", 700


class Shown:
    """A live community as the console sees it, without a record of letters."""

    name, mode, archive = "laboratory", Mode.LIVE, None

    def __init__(self, run: LiveCommunity) -> None:
        self._run = run

    def now_s(self) -> float:
        return self._run.clock.now_s()

    def agents(self) -> list[AgentView]:
        members = self._run.community.membership.items()
        return [AgentView(address=each, role=told.role, site=told.site) for each, told in members]

    async def stop(self, address: str) -> None:
        raise NotImplementedError

    start = stop


class Visit:
    """Somebody at the console: pages, and what its forms send."""

    def __init__(self, app: object, services: Services, role: str, sites: tuple[str, ...]) -> None:
        token, _ = services.tokens.create(role, role, sites)
        self._cookie = services.sessions.begin(token)
        self._client = AsyncClient(
            transport=ASGITransport(app),  # type: ignore[arg-type]
            base_url="http://console",
            cookies={COOKIE: self._cookie},
        )

    async def get(self, path: str) -> Response:
        return await self._client.get(f"/console{path}")

    async def post(self, path: str, **form: str) -> Response:
        return await self._client.post(
            f"/console{path}", data=form, headers={SIGN_HEADER: sign_of(self._cookie)}
        )


class Morning:
    """The first hours of a laboratory, and what people saw and did meanwhile at the console."""

    def __init__(self, folder: Path) -> None:
        self.pages: dict[str, Response] = {}
        self.power_w: dict[str, float] = {}
        asyncio.run(self._live(folder))

    async def _live(self, folder: Path) -> None:
        scenario = load_scenario("launch/scenarios/laboratory.yaml", DAY)
        registry = create_registry(folder / "registry")
        async with LiveCommunity(scenario, portals=True) as run:
            with closing(AccessDatabase(f"sqlite:///{folder / 'access.sqlite'}")) as database:
                more = {"community": Shown(run), "registry": registry}
                portals = CommunityPortals(run.community.agents, list(run.community.membership))
                self.services = Services(
                    run.repository, database, WallClock().now_s, portals=portals, more=more
                )
                app = application(self.services, CONSOLE_ROUTES)
                visits = {role: Visit(app, self.services, role, sites) for role, sites in CALLERS.items()}
                for _ in range(5):
                    await run.step()
                await self._look(visits, run)
                await self._borrow(visits["prosumer"], run)
        registry.close()

    async def _look(self, visits: dict[str, Visit], run: LiveCommunity) -> None:
        operator, aggregator = visits["market-operator"], visits["aggregator"]
        self.segment = run.world.feeders[0].segment_id
        self.light = await run.repository.latest(message_type_of(GridStatusEvent), self.segment)
        self.readings = {
            site: await run.repository.latest(message_type_of(IntervalReading), site)
            for site in ("h001", "h002")
        }
        self.pages["management"] = await operator.get("/management")
        self.pages["faulty user"] = await operator.post(
            "/management/users", **USER | {"email": "anna", "name": ""}
        )
        self.pages["registered"] = await operator.post("/management/users", **USER)
        self.pages["user"] = await operator.get(
            self.pages["registered"].headers["hx-redirect"].removeprefix("/console")
        )
        self.pages["portfolio"] = await aggregator.get("/portfolio")
        self.pages["plants"] = await aggregator.get("/vpps")
        self.pages["plant"] = await aggregator.get("/vpps/vpp-night-20240502")
        self.pages["course"] = await aggregator.get("/vpps/vpp-night-20240502/course")

    async def _borrow(self, prosumer: Visit, run: LiveCommunity) -> None:
        """Take the battery on loan for a quarter of an hour, and look at it then and afterwards."""
        path = f"/assets/{BATTERY}/leases"
        asked = {"setpoint_w": str(LENT_W), "minutes": "15"}
        self.pages["preview"] = await prosumer.post(f"{path}/preview", **asked)
        self.pages["unconfirmed"] = await prosumer.post(path, **asked, confirmation="yes")
        self.pages["taken"] = await prosumer.post(path, **asked, confirmation=BATTERY)
        self.pages["twice"] = await prosumer.post(path, **asked, confirmation=BATTERY)
        gateway = run.community.agents["h001-gateway@localhost"]
        battery = next(each for each in gateway.surroundings.devices if each.name == "bess")
        await run.step()
        self.power_w["lent"] = await _power_w(battery)
        self.while_lent = await _planner_tells(gateway, run)
        await run.step()
        self.pages["asset"] = await prosumer.get(f"/assets/{BATTERY}")
        self.power_w["after"] = await _power_w(battery)
        self.afterwards = await _planner_tells(gateway, run)
        self.leases = list(self.services.leases.of(BATTERY, int(run.clock.now_s())))


async def _power_w(battery) -> float:
    return next(each.power_w for each in await battery.percepts() if isinstance(each, StorageStatus))


async def _planner_tells(gateway, run: LiveCommunity) -> InstructionState:
    """Return what the gateway makes of a plan's instruction for the battery now."""
    now_s = int(run.clock.now_s())
    plan = Instruction(
        instruction_id=f"plan-{now_s}",
        asset_id=BATTERY,
        execution_time_s=now_s,
        valid_until_s=now_s + 60,
        setpoint_w=0,
        priority=Priority.LOCAL_OPT,
    )
    return (await gateway.behaviour(DeviceControl).instruct(plan)).status


@pytest.fixture(scope="module")
def morning(tmp_path_factory) -> Morning:
    return Morning(tmp_path_factory.mktemp("console"))


def shown(answer: Response) -> str:
    assert answer.status_code == 200, answer.text
    return unescape(answer.text)


def test_lma_1_the_page_shows_the_markets_that_the_last_event_of_the_grid_leaves_active(morning):
    row = (
        shown(morning.pages["management"])
        .partition(f'data-segment="{morning.segment}"')[2]
        .partition("</tr>")[0]
    )
    told = dict(re.findall(r'data-market="(\w+)">(\w+)', row))
    active = active_markets(morning.light.state)
    assert told == {market: "active" if market in active else "suspended" for market in Market}
    assert morning.light.state in row
    assert "2 sites" in shown(morning.pages["management"])


def test_lma_2_a_user_registered_on_the_page_is_valid_json_stored_and_retrieved(morning):
    page = shown(morning.pages["user"])
    stored = json.loads(page.partition('id="stored">')[2].partition("</pre>")[0])
    user = msgspec.convert(stored, User)
    assert (user.name, user.email, user.role_id) == (USER["name"], USER["email"], USER["role_id"])


def test_lma_2_every_fault_of_the_form_stands_beside_its_field_at_once(morning):
    answer = morning.pages["faulty user"]
    assert answer.status_code == 422
    for field in ("name", "email"):
        assert f'aria-describedby="field-{field}-fault"' in answer.text
    assert 'value="DE-10115"' in answer.text


def test_agr_1_the_page_shows_prosumers_their_devices_buildings_and_measurements(morning):
    page = shown(morning.pages["portfolio"])
    for site, reading in morning.readings.items():
        row = page.partition(f'data-site="{site}"')[2].partition("</tr>")[0]
        assert f"/console/assets/{site}-bess" in row
        assert f">{reading.consumed_wh}</td>" in row


def test_agr_2_the_page_shows_the_properties_of_a_dynamic_plant(morning):
    assert "vpp-night-20240502" in shown(morning.pages["plants"])
    page, course = shown(morning.pages["plant"]), morning.pages["course"].json()["data"]
    assert "h001-prosumer" in page or "h002-prosumer" in page
    assert {"target", "committed"} <= {each["label"] for each in course["series"]}
    assert 'class="map"' in page or "members" in page.lower()


def test_agr_3_the_page_shows_how_prosumers_behaved(morning):
    page = shown(morning.pages["plants"]).partition("How prosumers behaved")[2]
    assert {"h001-prosumer@localhost", "h002-prosumer@localhost"} <= set(
        re.findall(r">([\w-]+@localhost)<", page)
    )


def test_a_device_is_taken_on_loan_by_preview_confirmation_and_once_only(morning):
    assert f"{LENT_W} W" in shown(morning.pages["preview"])
    assert morning.pages["unconfirmed"].status_code == 422
    assert "held" in shown(morning.pages["taken"])
    assert morning.pages["twice"].status_code == 409
    assert morning.power_w["lent"] == pytest.approx(LENT_W, rel=0.1)


def test_a_lease_that_ended_hands_the_device_back_to_the_plan(morning):
    assert morning.afterwards is not InstructionState.REJECTED
    assert morning.power_w["after"] != pytest.approx(LENT_W, rel=0.1)
    assert [each.state for each in morning.leases] == [LeaseState.OVER]
    assert "over" in shown(morning.pages["asset"])


def test_what_was_done_to_a_device_stands_in_the_audit_log(morning):
    page = shown(morning.pages["asset"]).partition("Written down of your changes")[2]
    assert page.count("/console/assets/{asset_id}/leases<") == 3
