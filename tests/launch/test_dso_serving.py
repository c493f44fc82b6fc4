"""`parity-mas grid serve`: a grid operator's systems in a process of their own, which may die."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mosquitto_broker import free_port
from typer.testing import CliRunner

from environments.devices.dstatcom_commands import CommandTerms
from environments.devices.dstatcom_http import HttpDstatcom
from environments.monitoring import HttpMonitoring
from environments.simulation.clock import WallClock
from environments.wire.addresses import place_of
from environments.wire.http_link import Service
from launch.cli import app
from launch.dso_serving import serve, serving_scenario
from ontology.errors import InvalidInput, Unavailable
from ontology.grid import DstatcomCommand, DstatcomMode, DstatcomStatus

TOKEN = "a-token-for-tests-only"
UNIT = "segment-001-dstatcom"
STREET = """
start: 2024-01-10T17:00
zone: Europe/Berlin
step_s: 60
sites: [{id: h1, phase: L1, annual_kwh: 20000}, {id: h2, phase: L2}]
"""


@pytest.fixture
def street(tmp_path: Path) -> Path:
    file = tmp_path / "street.yaml"
    file.write_text(STREET)
    token = tmp_path / "token"
    token.touch(0o600)
    token.write_text(TOKEN)
    return file


def given(port: int) -> dict[str, object]:
    return {"grid.systems.listen": f"127.0.0.1:{port}", "grid.systems.access.token_file": "token"}


def test_a_world_without_agents_is_measured_and_commanded(street: Path) -> None:
    scenario = serving_scenario(street, given(port := free_port()), real_time=False)

    async def main() -> None:
        up = asyncio.Event()
        work = asyncio.create_task(serve(scenario, lambda _: up.set(), speed=3_600))
        await asyncio.wait_for(up.wait(), 20)
        service = Service(place_of(f"http://127.0.0.1:{port}", "http"), TOKEN)
        monitoring = HttpMonitoring(service, WallClock(), WallClock())
        while monitoring.counts["taken"] < 3:
            try:
                await monitoring.measurements(0)
            except Unavailable:  # of 2024: for the machine's clock the system is silent
                continue
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        with pytest.raises(Unavailable, match=r"Connect|silent"):
            await monitoring.measurements(0)
        await monitoring.close()

    asyncio.run(main())


def test_in_real_time_it_begins_in_the_present_quarter_of_an_hour(street: Path) -> None:
    scenario = serving_scenario(street, given(8095), real_time=True, now_s=1_800_000_123)
    assert scenario.start == "2027-01-15T08:00:00+00:00"
    assert scenario.grid.monitoring is not None


def test_what_cannot_be_served_is_said_at_once(street: Path) -> None:
    with pytest.raises(InvalidInput, match=r"grid\.systems"):
        serving_scenario(street, {}, real_time=False)
    arguments = ["grid", "serve", str(street), "--listen", "nowhere", "--broker", "mqtt://10.0.0.1"]
    outcome = CliRunner().invoke(app, arguments)
    assert outcome.exit_code == 2
    for path in ("grid.systems.listen", "grid.systems.access.token_file", "grid.systems.broker"):
        assert path in outcome.stderr


@pytest.fixture
def process(street: Path) -> Iterator["Process"]:
    process = Process(street, free_port())
    yield process
    process.kill()


class Process:
    """`parity-mas grid serve` as a process, started again on its port after each death."""

    def __init__(self, street: Path, port: int) -> None:
        self.port = port
        self._command = [
            *(sys.executable, "-m", "launch.cli", "grid", "serve", str(street), "--real-time"),
            *("--listen", f"127.0.0.1:{port}", "--token-file", str(street.with_name("token"))),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait for its first line."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, start_new_session=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline().startswith(b"GET")

    def kill(self) -> None:
        """Kill it as a power cut would."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        if self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()


@pytest.mark.slow
def test_a_unit_whose_process_dies_is_missed_and_does_again_what_it_was_told(process: Process) -> None:
    async def main() -> None:
        place = place_of(f"http://127.0.0.1:{process.port}/dstatcoms/{UNIT}", "http")
        terms = CommandTerms(valid_s=30, answer_s=5)
        unit = HttpDstatcom(UNIT, Service(place, TOKEN), WallClock(), WallClock(), terms=terms)

        async def mode() -> DstatcomMode | None:
            try:
                return next(e.mode for e in await unit.percepts() if isinstance(e, DstatcomStatus))
            except Unavailable:
                return None

        process.start()
        assert await mode() is DstatcomMode.OFF
        await unit.command(DstatcomCommand(asset_id=UNIT, mode=DstatcomMode.VOLT))
        assert await mode() is DstatcomMode.VOLT
        process.kill()
        assert await mode() is None
        process.start()
        end_s = WallClock().now_s() + 25
        while await mode() is not DstatcomMode.VOLT:
            assert WallClock().now_s() < end_s, "the command in force is given again"
            await WallClock().sleep_until(WallClock().now_s() + 0.5)
        await WallClock().sleep_until(WallClock().now_s() + 31)  # nobody asks: the command runs out
        watcher = HttpDstatcom(UNIT, Service(place, TOKEN), WallClock(), WallClock(), terms=terms)
        found = [each.mode for each in await watcher.percepts() if isinstance(each, DstatcomStatus)]
        assert found == [DstatcomMode.OFF]
        await unit.close()
        await watcher.close()

    asyncio.run(main())
