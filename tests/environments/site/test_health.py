"""What a host tells of itself, in words that a person understands."""

import asyncio
import shutil
from collections import namedtuple

import pytest

from environments.site.health import GRACE_S, SiteHealth, WatchedDevice
from ontology.errors import Unavailable
from ontology.site_status import DeviceState

BEGAN_S = 1_750_000_500
LATER_S = BEGAN_S + GRACE_S


class Battery:
    """A device that a test takes away; it is its own clock, too."""

    name = "bess"
    is_there = True

    def now_s(self):
        return float(BEGAN_S + 5)

    async def percepts(self):
        if not self.is_there:
            raise Unavailable("no answer in 2 s")
        return []


def read(device):
    try:
        asyncio.run(device.percepts())
    except Unavailable:
        return


@pytest.fixture
def battery():
    return Battery()


@pytest.fixture
def watched(battery):
    return WatchedDevice(battery, "mqtt", battery)


@pytest.fixture
def health(tmp_path, watched):
    return SiteHealth("h001", "1.0", BEGAN_S, tmp_path, [watched])


def test_a_device_that_answers_is_well(health, watched):
    read(watched)
    [device] = health.status(LATER_S).devices
    assert (device.state, device.answered_at_s, device.detail) == (DeviceState.OK, BEGAN_S + 5, "")
    assert health.status(LATER_S).alarms == []


def test_a_device_that_is_away_is_told_with_the_reason_and_when_it_answered_last(health, watched, battery):
    read(watched)
    battery.is_there = False
    read(watched)
    status = health.status(LATER_S)
    assert (status.devices[0].state, status.devices[0].answered_at_s) == (DeviceState.AWAY, BEGAN_S + 5)
    assert status.alarms == ["bess does not answer: no answer in 2 s"]


def test_devices_have_a_minute_to_come_up(health):
    assert health.status(LATER_S - 1).alarms == []
    assert health.status(LATER_S).alarms == ["bess does not answer: not read yet"]


@pytest.mark.parametrize(("ahead_s", "way"), [(400.0, "400 s ahead of"), (-6.0, "6 s behind")])
def test_a_wrong_clock_is_an_alarm(health, watched, ahead_s, way):
    read(watched)
    health.clock_ahead_s = ahead_s
    assert health.status(LATER_S).alarms == [f"the clock is {way} the community's"]


def test_a_full_disk_is_an_alarm(health, watched, monkeypatch):
    read(watched)
    usage = namedtuple("Usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(10**9, 10**9 - 5_000_000, 5_000_000))
    status = health.status(LATER_S)
    assert status.disk_free_mb == 5
    assert status.alarms == ["the disk is nearly full: 5 MB are free"]
