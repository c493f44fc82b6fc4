"""`parity-mas iml`: all that is wrong with a file at once, and a layer that runs as its user starts it."""

import asyncio
import os
import signal
import subprocess
import sys
import time
import uuid

import aiomqtt
import httpx
import msgspec
import pytest
from typer.testing import CliRunner

from behaviours.repository_port import Selection
from environments.repository.store import SqlRepository
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


@pytest.mark.server
def test_a_gateway_posts_samples_of_its_own_site_only(mosquitto, tmp_path):
    access, file = f"sqlite:///{tmp_path}/access.sqlite", tmp_path / "iml.yaml"
    text = GOOD.format(url=f"{mosquitto.url}/lab-{uuid.uuid4().hex[:8]}", folder=tmp_path)
    file.write_text(text + f"api: {{port: 0, database: '{access}'}}\n")
    made = CliRunner().invoke(
        app,
        ["api", "token", "create", "h001", "--role", "gateway", "--subject", "h001", "--database", access],
    )
    token = next(word for word in made.output.split() if word.startswith("pm_"))
    program = [sys.executable, "-m", "launch.cli", "iml", "serve", str(file)]
    process = subprocess.Popen(program, stdout=subprocess.PIPE, start_new_session=True)
    try:
        process.stdout.readline()
        url = process.stdout.readline().split()[-1].decode()
        with httpx.Client(base_url=f"{url}/api/v1", headers={"Authorization": f"Bearer {token}"}) as gateway:
            sample = {"sensor_id": "meter", "time_s": int(WallClock().now_s()), "value": 500}
            batch = {"batch_id": "1", "samples": [sample]}
            assert gateway.post("/iml/h001/samples", json=batch).json()["data"]["stored"] == 1
            assert gateway.post("/iml/h001/samples", json=batch).json()["data"]["duplicates"] == 1
            assert gateway.post("/iml/h002/samples", json=batch).status_code == 403
            assert gateway.post("/iml/h001/samples", json={}).status_code == 422
        assert httpx.post(f"{url}/api/v1/iml/h001/samples", json=batch).status_code == 401
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
    repository = SqlRepository(f"sqlite:///{folder}/repository.sqlite")
    try:
        return asyncio.run(repository.count(Selection("parity:Measurement")))
    finally:
        repository.close()
