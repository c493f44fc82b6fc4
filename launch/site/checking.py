"""`parity-mas site check`: device by device, server, certificate, clock, rights and disk, in plain words."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

from behaviours.ports import Clock
from environments.live.xmpp import XmppTransport
from environments.simulation.clock import WallClock
from environments.site.enrolled import Enrolled, read_enrolled
from environments.site.enrolment import time_of
from environments.site.health import CLOCK_TOLERANCE_S, DISK_LEAST_MB, WatchedDevice, disk_free_mb
from environments.site.host_lock import HostLock
from environments.site.keystore import Keystore, keystore_file
from environments.wire.addresses import place_of
from launch.site.devices import SiteDevices, required_adapters
from launch.site.host import endpoint_of
from launch.site.loading import LoadedSite
from ontology.errors import InvalidInput, ParityError, Unavailable

__all__ = ["Finding", "check_site"]

DEVICE_WAIT_S = 12.0
"""Charge points come to us, and may take a while."""
ASK_AGAIN_S = 0.25
START_S = 8.0


class Finding(NamedTuple):
    """What was looked at, whether it is well, and what was found."""

    what: str
    is_well: bool
    said: str


async def check_site(site: LoadedSite, clock: Clock | None = None) -> AsyncIterator[Finding]:
    """Look at everything that a site needs, one after the other; nothing is changed."""
    clock = clock or WallClock()
    yield _folder(site.data)
    yield _disk(site.data)
    enrolled, keys, finding = _enrolment(site)
    yield finding
    try:
        endpoint_of(site)
        trusted = True
    except InvalidInput as error:
        trusted = False
        yield Finding("certificates", False, _words(error))
    if trusted:
        yield await _time(site, clock)
        if enrolled is not None and keys is not None:
            yield await _server(site, keys)
    async for finding in _devices(site, clock):
        yield finding


def _folder(data: Path) -> Finding:
    """Look whether the data folder can be written to, by the user that asks."""
    try:
        data.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=data):
            pass
    except OSError as error:
        who = f"user {os.geteuid()}"
        return Finding("data folder", False, f"{who} cannot write to {data}: {error.strerror}")
    return Finding("data folder", True, f"{data} can be written to")


def _disk(data: Path) -> Finding:
    free_mb = disk_free_mb(data if data.exists() else data.parent)
    well = free_mb >= DISK_LEAST_MB
    return Finding(
        "disk", well, f"{free_mb} MB are free" + ("" if well else f", {DISK_LEAST_MB} MB are needed")
    )


def _enrolment(site: LoadedSite) -> tuple[Enrolled | None, Keystore | None, Finding]:
    """Look whether the site has keys, and what the community told it."""
    try:
        enrolled = read_enrolled(site.data)
        keys = Keystore.read(keystore_file(site.data))
    except InvalidInput as error:
        return None, None, Finding("enrolment", False, _words(error))
    said = f"{enrolled.terms.site} of {enrolled.terms.domain}, segment {enrolled.terms.segment_id}"
    if enrolled.terms.site != site.file.site or enrolled.terms.domain != site.file.community.domain:
        return None, None, Finding("enrolment", False, f"is that of {said}: not what the site file says")
    return enrolled, keys, Finding("enrolment", True, said)


async def _time(site: LoadedSite, clock: Clock) -> Finding:
    place = place_of(site.file.community.enrolment, "https")
    try:
        before_s = clock.now_s()
        theirs_s = await time_of(place, endpoint_of(site).ssl_context)
    except Unavailable as error:
        return Finding("clock", False, f"cannot be compared: {error}")
    ahead_s = (before_s + clock.now_s()) / 2 - theirs_s
    if abs(ahead_s) > CLOCK_TOLERANCE_S:
        way = "ahead" if ahead_s > 0 else "behind"
        return Finding("clock", False, f"is {abs(ahead_s):.0f} s {way}: set it, and have NTP keep it")
    return Finding("clock", True, f"within {max(0.1, abs(ahead_s)):.1f} s of the community's")


async def _server(site: LoadedSite, keys: Keystore) -> Finding:
    """Log in with every account, but not while the site runs: letters would go to the wrong connection."""
    endpoint = endpoint_of(site)
    if HostLock(site.data).is_taken():
        return Finding("server", True, "is left to the site, which is running")
    transport = XmppTransport(endpoint, start_timeout_s=START_S)
    try:
        await transport.start_all({address: each.password for address, each in keys.agents.items()})
    except ParityError as error:
        return Finding("server", False, _words(error))
    finally:
        await transport.stop_all()
    return Finding("server", True, f"{endpoint}: {len(keys.agents)} accounts, certificate trusted")


async def _devices(site: LoadedSite, clock: Clock) -> AsyncIterator[Finding]:
    """Read each device, for some seconds if need be; a running site is asked by `parity-mas sites`."""
    if HostLock(site.data).is_taken():
        yield Finding("devices", True, "are left to the site, which is running")
        return
    try:
        required_adapters(site)
        devices = SiteDevices(site, clock)
        await devices.start()
    except ParityError as error:
        yield Finding("devices", False, _words(error))
        return
    try:
        for device in devices.devices:
            yield await _device(device, clock)
    finally:
        await devices.close()


async def _device(device: WatchedDevice, clock: Clock) -> Finding:
    name, why = f"device {device.name}", "no answer"
    try:
        async with asyncio.timeout(DEVICE_WAIT_S):
            while True:
                try:
                    found = await device.percepts()
                except Unavailable as error:
                    why = str(error)
                    await clock.sleep_until(clock.now_s() + ASK_AGAIN_S)
                else:
                    kinds = ", ".join(dict.fromkeys(type(each).__name__ for each in found)) or "nothing yet"
                    return Finding(name, True, f"answers ({kinds})")
    except TimeoutError:
        return Finding(name, False, f"does not answer: {why}")


def _words(error: ParityError) -> str:
    if isinstance(error, InvalidInput):
        return "; ".join(f"{each.path} {each.value}: must be {each.expected}" for each in error.problems)
    return str(error)
