"""`parity-mas ev listen` and `ev emulate`: mistakes are told, and a killed process loses nothing."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from mosquitto_broker import free_port
from typer.testing import CliRunner

from environments.devices.ocpp.emulated import EmulatedSettings, EmulatedVehicle
from environments.devices.ocpp.emulation import emulated
from environments.devices.ocpp.transactions import TransactionRecord
from environments.repository.agent_store import SqliteAgentStore
from environments.simulation.clock import WallClock
from environments.wire.pauses import Pauses
from launch.charge_points import central_settings
from launch.cli import app
from ontology.charging import EvConnectionEvent, EvDisconnectionEvent

PASSWORD = "a-password-for-tests"
POINTS = """
port: {port}
security_profile: 1
tokens: tokens
charge_points:
  - {{identity: CP-1, password_file: password, names: [ev], meter_every_s: 1}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in (("password", PASSWORD), ("tokens", "CARD-1 anna\n")):
        (tmp_path / name).touch(0o600)
        (tmp_path / name).write_text(content)
    (tmp_path / "points.yaml").write_text(POINTS.format(port=free_port()))
    return tmp_path


def test_a_file_without_mistakes_is_found_so(folder: Path) -> None:
    result = CliRunner().invoke(app, ["ev", "listen", str(folder / "points.yaml"), "--check"])
    assert (result.exit_code, "nothing wrong" in result.output) == (0, True)


def test_all_that_is_wrong_with_a_file_is_told_at_once(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "points.yaml").write_text("colour: red\nport: x\ncharge_points: [{identity: CP-1, names: 3}]")
    result = CliRunner().invoke(app, ["ev", "listen", str(folder / "points.yaml"), "--check"])
    assert result.exit_code == 2
    told = result.output + result.stderr + capsys.readouterr().err
    for path in ("colour", "port", "charge_points[0].password_file", "charge_points[0].names"):
        assert path in told


def test_an_emulated_charge_point_is_told_what_is_wrong(folder: Path) -> None:
    options = ["--url", "http://x", "--identity", "CP-1", "--version", "1.5"]
    result = CliRunner().invoke(app, ["ev", "emulate", *options, "--password-file", str(folder / "none")])
    assert result.exit_code == 2


class Listener:
    """`parity-mas ev listen` in a process group of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "launch.cli", "ev", "listen", str(self._folder / "points.yaml")]
        self._process = subprocess.Popen(
            [*command, "--state", str(self._folder / "state.sqlite")],
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    def kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


async def _killed(folder: Path, version: str, kills: int) -> float:
    """Kill the central system again and again while a vehicle charges; return what the meter counted."""
    clock, listener = WallClock(), Listener(folder)
    settings = central_settings(folder / "points.yaml")
    url = f"ws://127.0.0.1:{settings.port}/ocpp"
    quick = Pauses(first_s=0.1, factor=1.2, longest_s=0.5)
    point = emulated(
        EmulatedSettings(url, "CP-1", PASSWORD, version, tick_s=0.05, speed=30.0, pauses=quick), clock
    )
    running = asyncio.create_task(point.run())

    async def until(is_so: object) -> None:
        end_s = clock.now_s() + 30
        while not is_so():  # type: ignore[operator]
            assert clock.now_s() < end_s, "in vain"
            await clock.sleep_until(clock.now_s() + 0.02)

    try:
        listener.start()
        point.plug(EmulatedVehicle(), "CARD-1")  # nobody listens yet
        for number in range(kills):
            await until(lambda: point.is_connected)
            await clock.sleep_until(clock.now_s() + 0.07 * (number % 5))
            listener.kill()
            listener.start()
        await until(lambda: point.is_connected and not point.waiting)
        point.unplug()
        await until(lambda: not point.waiting)
        return point.connectors[1].register_wh
    finally:
        listener.kill()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize(
    ("version", "kills"),
    [
        ("1.6", 1),
        pytest.param("1.6", 10, marks=pytest.mark.slow),
        pytest.param("2.0.1", 10, marks=pytest.mark.slow),
    ],
)
def test_a_central_system_that_is_killed_loses_and_doubles_nothing(
    version: str, kills: int, folder: Path
) -> None:
    drawn_wh = asyncio.run(_killed(folder, version, kills))
    store = SqliteAgentStore(folder / "state.sqlite")
    (point,) = central_settings(folder / "points.yaml").charge_points
    record = TransactionRecord(point, store, WallClock())
    assert record.running(1) is None
    reports = record.take_reports(1)
    begun = {each.session_id for each in reports if isinstance(each, EvConnectionEvent)}
    (end,) = {each for each in reports if isinstance(each, EvDisconnectionEvent)}
    assert begun <= {end.session_id}  # told already, or still to be told: of one session
    assert end.energy_delivered_wh == pytest.approx(drawn_wh, abs=1)
    store.close()
