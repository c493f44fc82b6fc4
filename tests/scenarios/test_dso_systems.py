"""A run whose DSO reaches its systems on real sockets goes as one in which they are at hand."""

import asyncio
import uuid
from pathlib import Path
from typing import Any

import pytest
from mosquitto_broker import MosquittoBroker, free_port
from scenario_helpers import assert_same_tables

from environments.simulation.clock import WallClock
from launch.live import LiveCommunity
from launch.results import run_tables
from launch.runs import run_offline
from launch.scenario import Scenario, scenario_of
from ontology.grid import DstatcomMode

TOKEN = "a-token-for-tests-only"
EVENING: dict[str, Any] = {
    "start": "2024-01-10T17:00",
    "zone": "Europe/Berlin",
    "intervals": 1,
    "step_s": 60,
    "record": False,
    "sites": [
        {"id": f"s{i:02d}", "phase": ["L1", "L1", "L2", "L1"][i], "annual_kwh": 20_000} for i in range(4)
    ],
}


def evening(systems: dict[str, Any] | None, source: str, address: str, access: dict[str, str]) -> Scenario:
    """Return a short evening of a street on its first phase, with a meter and a D-STATCOM."""
    unit = {"segment": "segment-001", "kva": 15, "address": address, "access": access}
    grid = {
        "dstatcom_objective": "neutral",
        "dstatcom_status_s": 60,
        "dstatcoms": [unit],
        "monitoring": {"source": source, "access": access},
        "systems": systems,
    }
    return scenario_of(EVENING | {"grid": grid})


@pytest.fixture
def token_file(tmp_path: Path) -> str:
    file = tmp_path / "token"
    file.touch(0o600)
    file.write_text(TOKEN)
    return str(file)


def behind_broker(broker: MosquittoBroker) -> Scenario:
    """Return the evening with all systems behind a broker, on topics of its own."""
    url = f"{broker.url}/evening-{uuid.uuid4().hex[:8]}"
    return evening({"broker": url}, url, url, {})


@pytest.fixture(params=["http", pytest.param("mqtt", marks=pytest.mark.server)])
def on_sockets(request: pytest.FixtureRequest, token_file: str) -> Scenario:
    """The evening with all systems behind HTTP, or behind a broker."""
    if request.param == "http":
        listen = f"127.0.0.1:{free_port()}"
        access = {"token_file": token_file}
        unit = f"http://{listen}/dstatcoms/segment-001-dstatcom"
        return evening({"listen": listen, "access": access}, f"http://{listen}", unit, access)
    return behind_broker(request.getfixturevalue("mosquitto"))


async def lived(scenario: Scenario) -> Any:
    """Run live; return the tables, what the units did and what the adapters counted."""
    async with LiveCommunity(scenario) as run:
        for _ in range(scenario.intervals or 0):
            await run.step()
        await run.settle()
        (unit,) = run.world.compensators()
        adapter = run.outside.units["segment-001-dstatcom"]
        assert run.clock.missed == 0
        return (await run_tables(run.community)).checked(), unit.mode, adapter.counts, run.outside.monitoring


def test_it_settles_and_commands_what_a_run_in_virtual_time_does(on_sockets: Scenario) -> None:
    tables, mode, counts, _ = asyncio.run(lived(on_sockets))
    assert mode is DstatcomMode.BALANCE
    assert counts["acknowledged"] >= 3
    assert counts["not answered"] == counts["malformed"] == 0
    assert_same_tables(tables, run_offline(on_sockets).tables)


class BrokerThatDies:
    """Kills a run's broker at one minute and brings it back at another; then all links are waited for."""

    def __init__(self, run: LiveCommunity, broker: MosquittoBroker, dies: int, returns: int) -> None:
        assert run.systems is not None
        self._tell, self._broker, self._dies, self._returns = run.systems.tell, broker, dies, returns
        self._run, self._minute = run, 0
        run.systems.tell = self.tell  # type: ignore[method-assign]

    async def tell(self) -> None:
        self._minute += 1
        if self._minute == self._dies:
            await self._broker.kill()
        if self._minute == self._returns:
            await self._broker.start()
            await self._back()
        await self._tell()

    async def _back(self) -> None:
        """Return when everybody has found the broker again."""
        systems, outside = self._run.systems, self._run.outside
        assert systems is not None
        links: list[Any] = [
            systems.publisher,
            outside.monitoring,
            *outside.units.values(),
            *systems.mqtt_units,
        ]
        end_s = WallClock().now_s() + 30
        while any(each.counts["connected"] < 2 for each in links):
            assert WallClock().now_s() < end_s, "not everybody is back"
            await WallClock().sleep_until(WallClock().now_s() + 0.05)


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.parametrize(("dies", "returns"), [(3, 6), (11, 14)], ids=["before commands", "among commands"])
def test_a_broker_that_dies_costs_no_measurement_and_stops_no_unit(
    mosquitto_of_ours: MosquittoBroker, dies: int, returns: int
) -> None:
    scenario = behind_broker(mosquitto_of_ours)

    async def main() -> tuple[Any, Any, int]:
        async with LiveCommunity(scenario) as run:
            BrokerThatDies(run, mosquitto_of_ours, dies, returns)
            await run.step()
            await run.settle()
            (unit,) = run.world.compensators()
            monitoring: Any = run.outside.monitoring
            return unit.mode, monitoring.counts, run.clock.missed

    mode, counts, missed = asyncio.run(main())
    assert mode is DstatcomMode.BALANCE
    assert counts["taken"] == 15
    assert counts["dropped"] == counts["malformed"] == missed == 0
