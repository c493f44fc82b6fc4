"""Shards of a community: clocks in step over the wire, and agents of both in one virtual power plant."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack, contextmanager

import pytest
from live_helpers import letter, run

from environments.live import shards
from environments.live.population import PopulationTransport
from environments.live.prosody import ProsodyServer
from environments.live.shards import ShardClock, ShardTransport
from ontology.errors import Unavailable

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("prosody_is_here")]

DOMAINS = ("s1.localhost", "s2.localhost")


class Half:
    """One of two shards: its clock, and a notebook of when which letter was read."""

    def __init__(self, server, me, other):
        self.clock = ShardClock(0.0, me=me, others=(other,))
        self.population = PopulationTransport(server.component(me), populations=(other,))
        self.transport = ShardTransport(self.population, me)
        self.address = f"agent@{me}"
        self.read = []

    async def connect(self):
        await self.population.connect()
        self.clock.attach(self.population, self.transport)
        self.clock.expect(self.address)
        self.transport.deliver_to(self.address, self._take)

    def _take(self, envelope):
        self.read.append((self.clock.now_s(), envelope.sender))
        self.clock.handled(self.address)

    def send_at(self, when_s, to):
        self.clock.call_at(when_s, lambda: self._send(to))

    def _send(self, to):
        self.clock.sent(to)
        self.transport.send(letter(self.address, to, sent_at_s=self.clock.now_s()))


@contextmanager
def halves():
    """Two shards on a server of their own."""
    server = ProsodyServer(domain="xmpp.localhost")
    for domain in DOMAINS:
        server.admit(domain)

    async def with_both(story):
        async with server:
            one, two = Half(server, *DOMAINS), Half(server, *reversed(DOMAINS))
            try:
                await asyncio.gather(one.connect(), two.connect())
                await asyncio.gather(one.clock.meet(), two.clock.meet())
                return await story(one, two)
            finally:
                await asyncio.gather(one.population.stop_all(), two.population.stop_all())

    yield lambda story: run(with_both(story))


def test_a_letter_is_read_at_the_time_at_which_it_was_sent():
    async def story(one, two):
        one.send_at(10.0, two.address)
        two.send_at(10.0, one.address)
        one.send_at(25.0, two.address)
        two.clock.call_at(17.0, lambda: None)
        await asyncio.gather(one.clock.advance_to(60.0), two.clock.advance_to(60.0))
        assert one.read == [(10.0, two.address)]
        assert two.read == [(10.0, one.address), (25.0, one.address)]
        assert one.clock.now_s() == two.clock.now_s() == 60.0
        assert one.clock.missed == two.clock.missed == 0

    with halves() as together:
        together(story)


def test_a_letter_lost_between_shards_is_missed_and_time_goes_on(monkeypatch):
    monkeypatch.setattr(shards, "LOST_AFTER_ROUNDS", 10)

    async def story(one, two):
        one.transport.sent_away += 1
        await asyncio.gather(one.clock.advance_to(5.0), two.clock.advance_to(5.0))
        assert one.clock.missed == two.clock.missed == 1
        one.send_at(6.0, two.address)
        await asyncio.gather(one.clock.advance_to(9.0), two.clock.advance_to(9.0))
        assert two.read == [(6.0, one.address)]

    with halves() as together:
        together(story)


def test_a_shard_that_falls_silent_is_named(monkeypatch):
    monkeypatch.setattr(shards, "SILENCE_S", 0.5)

    async def story(one, two):
        with pytest.raises(Unavailable, match=r"s2\.localhost fell silent"):
            await one.clock.advance_to(5.0)

    with halves() as together:
        together(story)


SCENARIO = {
    "name": "sharded",
    "seed": 5,
    "start": "2024-02-13",
    "zone": "Europe/Berlin",
    "intervals": 6,
    "population": {"sites": 24},
    "grid": {"sites_per_feeder": 12},
    "server": {"kind": "prosody", "connection": "component"},
    "record": False,
    "products": [
        {"id": "night", "hour": 0.5, "hours": 0.5, "power_kw": 10, "price": 0.3, "lead_hours": 0.25}
    ],
}


def ip(*arguments):
    return subprocess.run(["ip", *arguments], check=True, capture_output=True)


@contextmanager
def two_hosts():
    """Two network namespaces that reach this machine by a bridge, and each other only by it."""
    with ExitStack() as undo:
        ip("link", "add", "parity0", "type", "bridge")
        undo.callback(ip, "link", "del", "parity0")
        ip("addr", "add", "10.77.77.1/24", "dev", "parity0")
        ip("link", "set", "parity0", "up")
        for number, host in enumerate(("parity-a", "parity-b"), start=2):
            ip("netns", "add", host)
            undo.callback(ip, "netns", "del", host)
            ip("link", "add", f"par{number}", "type", "veth", "peer", "name", "eth0", "netns", host)
            ip("link", "set", f"par{number}", "master", "parity0", "up")
            ip("-n", host, "addr", "add", f"10.77.77.{number}/24", "dev", "eth0")
            for device in ("eth0", "lo"):
                ip("-n", host, "link", "set", device, "up")
        yield "parity-a", "parity-b"


def namespaces_allowed():
    try:
        with two_hosts():
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


@pytest.mark.slow
def test_agents_on_two_hosts_form_one_plant(tmp_path):
    if os.geteuid() != 0 or shutil.which("ip") is None or not namespaces_allowed():
        pytest.skip("network namespaces are not allowed here")
    (tmp_path / "scenario.yaml").write_text(json.dumps(SCENARIO))
    command = [sys.executable, "-m", "launch.cli"]
    with two_hosts() as hosts, ExitStack() as running:
        server = subprocess.Popen(
            [*command, "server", tmp_path / "place.json", "--host", "10.77.77.1"],
            stdout=subprocess.PIPE,
            text=True,
        )
        running.callback(server.wait)
        running.callback(server.terminate)
        assert "10.77.77.1" in server.stdout.readline()
        assert (tmp_path / "place.json").stat().st_mode & 0o077 == 0
        each = [
            [
                *("ip", "netns", "exec", host, *command, "run", tmp_path / "scenario.yaml"),
                *("--shard", f"{number}/2", "--server-file", tmp_path / "place.json"),
                *("--out", tmp_path / f"shard{number}"),
            ]
            for number, host in enumerate(hosts, start=1)
        ]
        started = [subprocess.Popen(one, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for one in each]
        told = [process.communicate(timeout=150)[0].decode() for process in started]
    assert [process.returncode for process in started] == [0, 0], told
    from launch.run_folder import read_run

    first, second = (read_run(tmp_path / f"shard{number}").tables for number in (1, 2))
    assert set(first.sites["site"]).isdisjoint(second.sites["site"])
    assert len(set(first.sites["site"]) | set(second.sites["site"])) == 24
    (delivered,), (committed,) = first.plants["delivered_wh"], first.plants["committed_wh"]
    assert first.plants["members"][0] >= 6
    assert delivered == pytest.approx(committed, rel=0.05)
    assert not first.sites["estimated"].any()
