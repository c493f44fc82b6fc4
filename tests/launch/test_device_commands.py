"""An installer at simulated devices in a process of their own, and another project's client at them."""

import os
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sunspec2.modbus.client import SunSpecModbusClientDeviceTCP
from typer.testing import CliRunner

from environments.simulation.clock import WallClock
from launch.cli import app

INVERTER, BATTERY, METER = 1, 2, 3
WATCHDOG_S = 5


def started(*arguments):
    """Start the command in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "launch.cli", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def killed(process):
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)
    process.stdout.close()


def next_line(process, within_s=60):
    assert select.select([process.stdout], [], [], within_s)[0], "nothing was said"
    return process.stdout.readline()


@pytest.fixture(scope="module")
def household():
    """Return the port of a simulated household's inverter, battery and meter."""
    process = started("device", "simulate", "--listen", "127.0.0.1:0", "--kwp", "6", "--battery-kwh", "8")
    try:
        yield int(re.search(r"127\.0\.0\.1:(\d+)", next_line(process)).group(1))
    finally:
        killed(process)


@pytest.fixture
def site_file(household, tmp_path):
    reach = f"host: 127.0.0.1, port: {household}, watchdog_s: {WATCHDOG_S}"
    path = tmp_path / "site.yaml"
    path.write_text(f"""
site: h001
zone: Europe/Zurich
location: {{latitude: 47, longitude: 8}}
community: {{domain: c.example, enrolment: "https://c.example:8443"}}
meter: {{connect: {{sunspec: {{host: 127.0.0.1, port: {household}, unit: {METER}}}}}}}
pv: {{kwp: 6, connect: {{sunspec: {{{reach}, unit: {INVERTER}}}}}}}
battery: {{capacity_kwh: 8, connect: {{sunspec: {{{reach}, unit: {BATTERY}}}}}}}
""")
    return str(path)


def run(*arguments, answer=None):
    return CliRunner().invoke(app, [str(each) for each in arguments], input=answer)


def foreign(port, unit):
    """Look at a unit with pysunspec2's own client."""
    client = SunSpecModbusClientDeviceTCP(slave_id=unit, ipaddr="127.0.0.1", ipport=port, timeout=5)
    client.scan()
    return client


def test_pysunspec2s_client_finds_the_models_of_our_simulator_and_reads_them(household):
    ids = {unit: list(foreign(household, unit).models) for unit in (INVERTER, BATTERY, METER)}
    assert {unit: [each for each in found if isinstance(each, int)] for unit, found in ids.items()} == {
        INVERTER: [1, 103, 120, 121, 123],
        BATTERY: [1, 701, 702, 704, 713],
        METER: [1, 203],
    }
    battery = foreign(household, BATTERY)
    assert battery.DERStorageCapacity[0].WHRtg.cvalue == 8_000
    assert battery.common[0].SN.value == "h001-bess"
    assert not any(model.error_info for model in battery.model_list)


def test_pysunspec2s_client_steers_our_simulator_until_its_time_is_over(household):
    client = foreign(household, BATTERY)
    controls = client.DERCtlAC[0]
    client.connect()
    controls.WSetMod.cvalue, controls.WSet.cvalue, controls.WSetRvrtTms.cvalue = 1, -1_500, 2
    controls.WSetEna.cvalue = 1
    controls.write()
    power = client.DERMeasureAC[0]

    def power_w():
        power.read()
        return power.W.cvalue

    assert eventually(lambda: power_w() == -1_500)
    assert eventually(lambda: power_w() == 0)
    client.disconnect()


def eventually(holds, tries=100):
    """Ask for up to ten seconds whether something holds."""
    for _ in range(tries):
        if holds():
            return True
        select.select([], [], [], 0.1)
    return False


def test_a_scan_finds_the_devices_and_writes_sections_of_a_site_file(household):
    result = run("site", "scan", "127.0.0.1", "--port", household, "--units", "1-4")
    assert result.exit_code == 0
    assert "parity-mas Battery h001-bess; SunSpec models 1, 701, 702, 704, 713" in result.output
    assert "battery:\n  capacity_kwh: 8.0\n  power_kw: 5.0" in result.output
    assert f"connect: {{sunspec: {{host: 127.0.0.1, port: {household}, unit: 3" in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "at least one"),
        (("10.0.0.0/8",), "at most 1024 addresses"),
        (("10.0.0.0/33",), "a network such as"),
        (("127.0.0.1", "--units", "300"), "numbers from 0 to 255"),
        (("127.0.0.1", "--broker", "http://x"), "mqtt://"),
    ],
)
def test_a_scan_of_nothing_or_too_much_is_turned_down(arguments, said):
    result = run("site", "scan", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_device_is_read_with_all_that_it_tells(site_file):
    result = run("device", "read", site_file, "bess", "--all")
    assert result.exit_code == 0, result.output
    assert "h001-bess      s2:StorageStatus" in result.output
    assert re.search(r"SoC +\d+\.\d", result.output)
    assert "answers within" in result.output


def test_a_device_is_told_something_only_after_it_was_confirmed(site_file, household):
    result = run("device", "write", site_file, "bess", "--setpoint", 1_000, answer="n\n")
    assert result.exit_code == 1
    assert "set-point 1000 W for 30 s: really?" in result.output
    assert not foreign(household, BATTERY).DERCtlAC[0].WSetEna.value


def test_a_device_obeys_for_the_time_and_is_given_back(site_file, household):
    result = run("device", "write", site_file, "pv", "--least", -500, "--for", 1, "--yes")
    assert result.exit_code == 0, result.output
    assert "h001-pv: STARTED" in result.output
    assert "given back to itself" in result.output
    controls = foreign(household, INVERTER).controls[0]
    assert (controls.WMaxLim_Ena.value, controls.WMaxLimPct_RvrtTms.value) == (0, WATCHDOG_S)


def test_a_meter_obeys_nothing_and_unknown_devices_and_empty_orders_are_turned_down(site_file):
    assert run("device", "write", site_file, "meter", "--setpoint", 1, "--yes").exit_code == 1
    assert run("device", "write", site_file, "bess", "--yes").exit_code == 2
    assert run("device", "read", site_file, "fridge").exit_code == 2


def test_when_the_process_that_steers_is_killed_the_device_falls_back(site_file, household):
    process = started("device", "write", site_file, "bess", "--setpoint", "2500", "--for", "600", "--yes")
    try:
        assert next_line(process).strip() == "h001-bess: STARTED"
        began_s = WallClock().now_s()
        assert foreign(household, BATTERY).DERCtlAC[0].WSet.cvalue == -2_500
        while WallClock().now_s() < began_s + WATCHDOG_S + 2:  # longer than the watchdog: it was renewed
            select.select([], [], [], 0.5)
        assert foreign(household, BATTERY).DERCtlAC[0].WSetEna.value == 1
    finally:
        killed(process)
    assert eventually(lambda: foreign(household, BATTERY).DERCtlAC[0].WSetEna.value == 0)


def test_a_device_that_is_away_is_said_to_be(tmp_path, site_file):
    away = tmp_path / "away.yaml"
    away.write_text(re.sub(r"port: \d+", "port: 1", Path(site_file).read_text()))
    result = run("device", "read", away, "bess")
    assert result.exit_code == 5
    assert "nobody listens at 127.0.0.1:1" in result.stderr
