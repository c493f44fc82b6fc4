"""Within the interval: a world that steps by the minute, and engines that act between two plans."""

import json
import sqlite3

import numpy as np
import pytest

from launch.runs import run_offline
from launch.scenario import parse_scenario

WORKSHOP = """
start: 2024-05-02T18:00
zone: Europe/Berlin
intervals: 2
step_s: 60
sites:
  - id: workshop
    annual_kwh: 300000
    phase: 3P
    battery: {capacity_kwh: 100, power_kw: 50, initial_state_of_charge: 0.8}
  - {id: home, battery: {capacity_kwh: 5}, ev: {}, heat_pump: {}, hot_water: {}, pv: {kwp: 5}}
"""
"""A workshop draws about as much as its connection carries; its battery has to help out."""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return run_offline(parse_scenario(WORKSHOP), tmp_path_factory.mktemp("runs") / "workshop")


def test_a_world_that_steps_by_the_minute_is_metered_and_settled_each_quarter_of_an_hour(run):
    tables = run.tables
    assert len(tables.market["start_s"]) == 2
    assert tables.market["estimated"].sum() == 0
    for column in ("consumed_wh", "produced_wh"):
        assert tables.market[column].tolist() == tables.sites[column].reshape(-1, 2).sum(axis=1).tolist()


def test_every_meter_is_the_sum_of_its_devices_by_the_minute_too(run):
    sites = run.tables.sites
    devices = ("base_w", "pv_w", "bess_w", "ev_w", "heat_pump_w", "dhw_w", "lighting_w")
    devices_wh = sum(np.nan_to_num(sites[device]) for device in devices) / 4
    np.testing.assert_array_equal(devices_wh, sites["consumed_wh"] - sites["produced_wh"])


def test_a_battery_shaves_the_peaks_between_two_plans(run):
    with sqlite3.connect(run.folder / "messages.sqlite") as connection:
        rows = connection.execute(
            "SELECT time_s, body FROM messages WHERE sender = 'workshop-bess@localhost' "
            "AND recipient = 'workshop-gateway@localhost' AND outcome = 'handled'"
        ).fetchall()
    commands = [(time_s, json.loads(body)["instructions"][0]) for time_s, body in rows]
    assert any(time_s % 900 for time_s, _ in commands)
    assert all(command["reason"] == "peak shaving" for _, command in commands)
    assert min(command["setpoint_w"] for _, command in commands) < 0
    workshop = run.tables.sites["site"] == "workshop"
    assert (run.tables.sites["bess_w"][workshop] < 0).all()
    assert (run.tables.sites["base_w"][workshop] > 43_000).any()
    assert (run.tables.sites["consumed_wh"][workshop] * 4 < 44_000).all()
