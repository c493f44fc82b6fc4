"""D8.1's interfaces of §3.1–3.10 over HTTP: programs outside ask the agents of a community that runs live."""

import asyncio
from contextlib import closing

import pytest

from environments.http import AsyncClient
from environments.http.access_database import AccessDatabase
from environments.http.tokens import TokenStore
from environments.simulation.clock import WallClock
from launch.live import LiveCommunity
from launch.scenario import load_scenario
from launch.schema.interface import Api
from launch.serving import Front
from ontology.control import Instruction, InstructionBatch, Priority
from ontology.errors import ParityError, Refused, Unavailable
from ontology.flexibility_trading import DRSignal
from ontology.grid import DstatcomCommand, DstatcomMode, GridStatusEvent
from ontology.market import ExternalBid, ExternalBidWithdrawal, ExternalProduct
from ontology.measurements import IntervalReading

INTERVALS = 3
CALLERS = {"dso": (), "aggregator": (), "external-markets": (), "prosumer": ("h001",), "ui": ("h001",)}


class Street:
    """What programs outside were told by a laboratory that runs live."""

    def __init__(self, folder) -> None:
        self.answers: dict[str, object] = {}
        self.counts: dict[str, int] = {}
        asyncio.run(self._live(folder))

    async def _live(self, folder) -> None:
        url = f"sqlite:///{folder / 'access.sqlite'}"
        scenario = load_scenario(
            "launch/scenarios/laboratory.yaml", {"intervals": INTERVALS, "ledger.attestors": 1}
        )
        with closing(AccessDatabase(url)) as database:
            store = TokenStore(database, WallClock().now_s)
            tokens = {role: store.create(role, role, sites)[0] for role, sites in CALLERS.items()}
        async with LiveCommunity(scenario, portals=True) as run:
            async with Front(Api(port=0, database=url, deadline_s=5), lambda told: None).opened(
                run
            ) as server:
                for _ in range(INTERVALS):
                    await run.step()
                clients = {role: AsyncClient(server.url, token) for role, token in tokens.items()}
                await self._ask(clients, int(run.clock.now_s()), run)
                for client in clients.values():
                    await client.close()
            self.counts = dict(run.community.counts())

    async def _ask(self, by: dict[str, AsyncClient], now_s: int, run: LiveCommunity) -> None:
        segment = run.world.feeders[0].segment_id
        unit = f"{segment}-dstatcom"
        limit = Instruction(
            instruction_id="dispatch-1",
            asset_id="h001-ev",
            execution_time_s=now_s,
            valid_until_s=now_s + 900,
            power_max_w=2000,
            priority=Priority.CONTRACT,
        )
        charge = Instruction(
            instruction_id="app-1",
            asset_id="h001-bess",
            execution_time_s=now_s,
            valid_until_s=now_s + 900,
            setpoint_w=500,
            priority=Priority.USER,
        )
        event = DRSignal(
            signal_id="dr-1",
            segment_id=segment,
            start_s=now_s + 900,
            duration_s=900,
            limit_w=20_000,
            contract_id="none",
            deadline_s=now_s + 900,
        )
        bid = ExternalBid(
            bid_id="bid-1",
            product=ExternalProduct.WS_INTRADAY,
            start_s=now_s + 8 * 900,
            energy_wh=-1000,
            price_ticks_per_kwh=2000,
        )
        command = DstatcomCommand(asset_id=unit, mode=DstatcomMode.OFF)
        app = InstructionBatch(site="h001", instructions=[charge])
        await self._note("status", by["dso"].ask("/dstatcom/status"))
        await self._note("command", by["dso"].tell("/dstatcom/commands", command))
        await self._note(
            "no unit", by["dso"].tell("/dstatcom/commands", DstatcomCommand(asset_id="x", mode="OFF"))
        )
        await self._note("states", by["prosumer"].ask("/dso/grid-states", subject=segment))
        await self._note("dr event", by["dso"].tell("/aggregator/dr-events", event))
        await self._note("dr by aggregator", by["aggregator"].tell("/aggregator/dr-events", event))
        await self._note("load", by["aggregator"].tell("/ev/h001/load-management", limit))
        await self._note(
            "no site", by["aggregator"].tell("/ev/h999/load-management", renamed(limit, "h999-ev"))
        )
        await self._note("app", by["ui"].tell("/iml/h001/instructions", app))
        await self._note("devices", by["prosumer"].ask("/iml/h001/devices"))
        await self._note("metrics", by["prosumer"].ask("/aggregator/metrics"))
        await self._note("all metrics", by["aggregator"].ask("/aggregator/metrics"))
        await self._note("vpps", by["aggregator"].ask("/aggregator/vpps"))
        await self._note("bid", by["aggregator"].tell("/external-markets/bids", bid))
        await self._note(
            "withdrawn",
            by["aggregator"].tell("/external-markets/withdrawals", ExternalBidWithdrawal(bid_id="bid-1")),
        )
        await self._note("own", gathered(by["prosumer"].facts(IntervalReading, start=0, end=now_s)))
        await self._note(
            "others", gathered(by["prosumer"].facts(IntervalReading, subject="h002", start=0, end=now_s))
        )
        await self._note("grid facts", gathered(by["dso"].facts(GridStatusEvent, start=0, end=now_s + 9000)))
        run.kill("dstatcom@localhost")
        await self._note("dead", by["dso"].ask("/dstatcom/status"))

    async def _note(self, name: str, call) -> None:
        try:
            self.answers[name] = await call
        except ParityError as error:
            self.answers[name] = error


async def gathered(facts) -> list:
    return [fact async for fact in facts]


def renamed(instruction: Instruction, asset_id: str) -> Instruction:
    import msgspec

    return msgspec.structs.replace(instruction, asset_id=asset_id)


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> dict[str, object]:
    """What each program was told."""
    street = Street(tmp_path_factory.mktemp("access"))
    assert street.counts.get("errors", 0) == 0
    return street.answers


def test_3_10_the_dso_reads_the_units_status_and_commands_them(told):
    assert [each["type"] for each in told["status"]] == ["parity:DstatcomStatus"]
    assert told["command"]["type"] == "parity:Acknowledgement"
    assert isinstance(told["no unit"], Refused)


def test_3_9_the_state_of_the_grid_is_told(told):
    assert len(told["states"]) >= INTERVALS - 1
    assert {each["type"] for each in told["states"]} == {"parity:GridStatusEvent"}


def test_3_8_the_aggregator_agrees_to_the_dsos_dr_event_and_to_nobody_elses(told):
    assert told["dr event"]["type"] == "parity:Acknowledgement"
    assert isinstance(told["dr by aggregator"], Refused)


def test_3_8_properties_of_plants_and_metrics_of_prosumers(told):
    assert told["vpps"] == []
    assert {each["player"] for each in told["all metrics"]} == {
        "h001-prosumer@localhost",
        "h002-prosumer@localhost",
    }
    assert {each["player"] for each in told["metrics"]} == {"h001-prosumer@localhost"}


def test_3_8_2_the_aggregator_bids_outside_and_takes_it_back(told):
    assert told["bid"]["type"] == told["withdrawn"]["type"] == "parity:Acknowledgement"


def test_3_5_the_aggregators_dispatch_manages_a_chargers_load(told):
    assert told["load"]["type"] == "s2:InstructionStatus"
    assert isinstance(told["no site"], Refused)


def test_3_1_the_app_steers_its_own_devices_through_the_gateway(told):
    assert [each["status"] for each in told["app"]["statuses"]] == ["STARTED"]
    assert {each["subject"].partition("-")[0] for each in told["devices"]} == {"h001"}


def test_3_2_the_repository_tells_each_its_own(told):
    assert [each.subject for each in told["own"]] == ["h001"] * (INTERVALS - 1)
    assert isinstance(told["others"], Refused)
    assert len(told["grid facts"]) >= INTERVALS


def test_an_agent_that_is_dead_is_waited_for_no_longer_than_the_deadline(told):
    assert isinstance(told["dead"], Unavailable)
