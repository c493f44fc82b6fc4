"""`parity-mas iml`: all that is wrong with a file at once, and a layer that runs as its user starts it."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
import uuid

import aiomqtt
import msgspec
import pytest
from typer.testing import CliRunner

from environments.simulation.clock import WallClock
from launch.cli import app

GOOD = """
broker: {url}
repository: sqlite:///{folder}/repository.sqlite
sites:
  - site: h001
    sensors:
      - {{id: meter, type: site-power, period_s: 1}}
      - {{id: room, type: temperature, asset: h001-room}}
"""


def run(*arguments):
    return CliRunner().invoke(app, ["iml", *map(str, arguments)])


def test_a_good_file_is_summed_up(tmp_path):
    file = tmp_path / "iml.yaml"
    file.write_text(GOOD.format(url="mqtt://localhost/lab", folder=tmp_path))
    result = run("check", file)
    assert result.exit_code == 0
    assert "2 sensors of 1 sites" in result.output


def test_all_that_is_wrong_is_said_at_once(tmp_path):
    file = tmp_path / "iml.yaml"
    text = GOOD.format(url="mqtt://far.example.org/lab", folder=tmp_path)
    file.write_text(text + "      - {id: meter, type: power}\nlogin_file: none\n")
    result = run("check", file)
    assert result.exit_code == 2
    for said in ("mqtts://", "an id that the site has not yet", "none"):
        assert said in result.output


def test_a_wrong_notation_is_said(tmp_path):
    file = tmp_path / "iml.yaml"
    file.write_text(
        "broker: mqtt://localhost\nsites: [{site: h001, sensors: [{id: m, type: smell}]}]\nport: 1\n"
    )
    result = run("check", file)
    assert result.exit_code == 2
    assert "sites[0].sensors[0].type" in result.output
    assert "port" in result.output


def test_the_rules_of_the_broker_are_printed():
    assert "pattern write parity/iml/%u/samples" in run("access").output


@pytest.mark.server
def test_a_layer_that_is_started_takes_samples(mosquitto, tmp_path):
    prefix, file = f"lab-{uuid.uuid4().hex[:8]}", tmp_path / "iml.yaml"
    file.write_text(GOOD.format(url=f"{mosquitto.url}/{prefix}", folder=tmp_path))
    program = [sys.executable, "-m", "launch.cli", "iml", "serve", str(file)]
    process = subprocess.Popen(program, stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert b"2 sensors" in process.stdout.readline()
        receipt = asyncio.run(sent(mosquitto.port, prefix))
        assert receipt["stored"] == 2
        end = time.perf_counter() + 10
        while measurements(tmp_path) < 2:
            assert time.perf_counter() < end
            time.sleep(0.05)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


async def sent(port, prefix):
    now_s = int(WallClock().now_s())
    samples = [
        {"sensor_id": "meter", "time_s": now_s, "value": 500},
        {"sensor_id": "room", "time_s": now_s, "value": 21.5},
    ]
    batch = {"type": "parity:SampleBatch", "site": "h001", "batch_id": "1", "samples": samples}
    async with aiomqtt.Client("localhost", port) as gateway:
        await gateway.subscribe(f"{prefix}/h001/receipts", qos=1)
        await gateway.publish(f"{prefix}/h001/samples", msgspec.json.encode(batch), qos=1)
        return msgspec.json.decode((await anext(aiter(gateway.messages))).payload)


def measurements(folder):
    with sqlite3.connect(folder / "repository.sqlite", timeout=20) as connection:
        (count,) = connection.execute(
            "SELECT count(*) FROM facts WHERE entity = 'parity:Measurement'"
        ).fetchone()
    return count
