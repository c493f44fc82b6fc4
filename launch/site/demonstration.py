"""`parity-mas site demo`: a community and a complete site on this machine, emulated devices, real protocols.

```
Prosody ── community run ── site run ─┬─ Modbus TCP ── SunSpec meter, inverter, battery of a simulated house
 (processes of their own)             └─ OCPP 1.6J ─── charge point with a car
```
"""

import asyncio
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from environments.devices.modbus.address import ModbusAddress
from environments.devices.ocpp.emulated import EmulatedSettings, EmulatedVehicle
from environments.devices.ocpp.emulation import emulated
from environments.simulation.clock import WallClock
from environments.simulation.sunspec_site import BATTERY_UNIT, INVERTER_UNIT, METER_UNIT, SunSpecSite
from environments.simulation.world import World
from environments.site.files import write_whole
from launch.community_file import load_community
from launch.community_starting import write_community
from launch.fleet import fleet_of
from launch.scenario import scenario_of
from launch.server_config import ServerSettings, prosody_config
from launch.world_settings import world_settings
from ontology.errors import Unavailable

__all__ = ["demonstrate"]

DOMAIN, HOST, SITE = "localhost", "127.0.0.1", "h001"
PASSWORD = "of-the-demonstration"
PATIENCE_S = 120.0
POLL_S = 0.5

_SITE = """\
site: h001
zone: Europe/Berlin
location: {{latitude: 52.4, longitude: 13.1}}
community:
  domain: localhost
  host: 127.0.0.1
  port: {xmpp}
  ca_file: ../community/ca.pem
  enrolment: https://127.0.0.1:{enrolment}
sample_s: 5
central_system: {{port: {ocpp}, free: true}}
meter:
  connect: {{sunspec: {{host: 127.0.0.1, port: {modbus}, unit: {meter}}}}}
pv:
  kwp: 8
  connect: {{sunspec: {{host: 127.0.0.1, port: {modbus}, unit: {inverter}}}}}
battery:
  capacity_kwh: 10
  power_kw: 5
  connect: {{sunspec: {{host: 127.0.0.1, port: {modbus}, unit: {battery}}}}}
ev:
  capacity_kwh: 60
  connect: {{ocpp: {{identity: cp-1, password_file: cp-1.password}}}}
"""

Say = Callable[[str], None]


async def demonstrate(folder: Path, stays: bool, say: Say) -> None:
    """Show a site from enrolment to the fleet's view, and leave nothing running.

    Args:
        folder: for all files; what is in it is kept.
        stays: go on until cancelled.
        say: is told what happens.

    Raises: Unavailable when Prosody is not installed, or something does not come up.
    """
    ports = dict(zip(("xmpp", "enrolment", "modbus", "ocpp"), _free_ports(4), strict=True))
    community, site = folder / "community" / "community.yaml", folder / "site" / "site.yaml"
    _write(folder, ports)
    async with AsyncExitStack() as running:
        await running.enter_async_context(_prosody(folder, ports["xmpp"]))
        say("Prosody runs with the community's configuration")
        await running.enter_async_context(_devices(ports))
        say("a meter, an inverter, a battery (SunSpec) and a charge point (OCPP 1.6J) are emulated")
        await running.enter_async_context(_command(folder, "community", "run", community))
        await _listening(ports["enrolment"])
        say("the community's agents run")
        code = await _said("community", "invite", community, SITE)
        write_whole(folder / "code", code.encode(), mode=0o600)
        say(await _said("site", "enrol", site, "--code-file", folder / "code"))
        say(await _said("site", "check", site))
        await running.enter_async_context(_command(folder, "site", "run", site))
        await _until_up(community)
        say(await _said("sites", community))
        if stays:
            say(f"everything is in {folder}; stop with Ctrl-C")
            await asyncio.Event().wait()


def _write(folder: Path, ports: dict[str, int]) -> None:
    write_community(folder / "community", DOMAIN, [HOST], sites=1)
    file = folder / "community" / "community.yaml"
    text = file.read_text(encoding="utf-8").replace("port: 5222", f"port: {ports['xmpp']}")
    text = text.replace("host: 0.0.0.0\n  port: 8440", f"host: {HOST}\n  port: {ports['enrolment']}")
    write_whole(file, text.encode())
    units = {"meter": METER_UNIT, "inverter": INVERTER_UNIT, "battery": BATTERY_UNIT}
    write_whole(folder / "site" / "site.yaml", _SITE.format(**ports, **units).encode())
    write_whole(folder / "site" / "cp-1.password", PASSWORD.encode(), mode=0o600)


@asynccontextmanager
async def _prosody(folder: Path, port: int) -> AsyncIterator[None]:
    program = shutil.which("prosody", path=os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/sbin")
    if program is None:
        raise Unavailable("Prosody is not installed; scripts/install-servers installs it")
    root = (folder / "community").resolve()
    settings = ServerSettings(
        domain=DOMAIN,
        certificate=str(root / f"{DOMAIN}_cert.pem"),
        key=str(root / f"{DOMAIN}_key.pem"),
        data=str(root / "prosody"),
        interfaces=(HOST,),
        port=port,
        log=str(root / "prosody.log"),
        pidfile=str(root / "prosody.pid"),
        runs_as_root=os.geteuid() == 0,
    )
    write_whole(root / "prosody.cfg.lua", prosody_config(settings).encode())
    async with _process(root / "prosody.out", program, "-F", "--config", str(root / "prosody.cfg.lua")):
        await _listening(port)
        yield


@asynccontextmanager
async def _devices(ports: dict[str, int]) -> AsyncIterator[None]:
    """Emulate a house: a second of the world passes each second."""
    clock = WallClock()
    house = {"id": SITE, "pv": {"kwp": 8}, "battery": {"capacity_kwh": 10, "power_kw": 5}}
    scenario = scenario_of(
        {"start": "2024-06-21T12:00", "zone": "Europe/Berlin", "step_s": 1, "sites": [house]}
    )
    devices = SunSpecSite(World(world_settings(scenario)), SITE, clock, ModbusAddress(HOST, ports["modbus"]))
    await devices.server.start()
    url = f"ws://{HOST}:{ports['ocpp']}/ocpp"
    point = emulated(EmulatedSettings(url=url, identity="cp-1", password=PASSWORD), clock)

    async def live() -> None:
        while True:
            await clock.sleep_until(clock.now_s() + 1)
            devices.step()

    tasks = [asyncio.create_task(live()), asyncio.create_task(point.run())]
    point.plug(EmulatedVehicle(state_of_charge=0.4), "card-1")
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await devices.server.close()


@asynccontextmanager
async def _command(folder: Path, *words: object) -> AsyncIterator[None]:
    log = folder / f"{words[0]}.log"
    async with _process(log, sys.executable, "-m", "launch.cli", *map(str, words)):
        yield


@asynccontextmanager
async def _process(log: Path, *command: str) -> AsyncIterator[None]:
    """Run a process of its own for a while, and end it in order."""
    with log.open("ab") as written:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=written, stderr=written, start_new_session=True
        )
    try:
        yield
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 20)
            except TimeoutError:
                process.kill()
                await process.wait()


async def _said(*words: object) -> str:
    """Return what a command prints; one that finds something to see to says so, too."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "launch.cli",
        *map(str, words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    if process.returncode not in (0, 1):
        raise Unavailable(output.decode(errors="replace").strip())
    return output.decode(errors="replace").rstrip()


async def _until_up(community: Path) -> None:
    clock = WallClock()
    async with asyncio.timeout(PATIENCE_S):
        while True:
            loaded = load_community(community, clock.now_s())
            rows = await fleet_of(loaded)
            if all(row.devices == "4 of 4" for row in rows):
                return
            await clock.sleep_until(clock.now_s() + POLL_S)


async def _listening(port: int) -> None:
    clock = WallClock()
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not _answers(port):
                await clock.sleep_until(clock.now_s() + POLL_S)
    except TimeoutError:
        raise Unavailable(f"nothing listens at {HOST}:{port} after {PATIENCE_S:g} s") from None


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def _free_ports(number: int) -> list[int]:
    """Ask the system for ports, all different."""
    probes = [socket.socket() for _ in range(number)]
    try:
        for probe in probes:
            probe.bind((HOST, 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()
