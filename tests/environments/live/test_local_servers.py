"""Servers of ours start when asked, keep their port, and leave nothing behind, however they end."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from live_helpers import run, until

from environments.live.server import new_accounts
from ontology.errors import InvalidInput, Unavailable

STARTED_BY_A_PROCESS = """
import asyncio, sys
from {module} import {name}

async def main():
    server = {name}()
    await server.start()
    print("GROUP", server.process_group, server.folder, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def processes_of(group: int) -> list[int]:
    found = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


def test_a_stopped_server_leaves_no_process_and_no_file(server_class):
    async def scenario():
        async with server_class() as server:
            group, folder = server.process_group, server.folder
            assert len(processes_of(group)) >= 2
        await until(lambda: processes_of(group) == [])
        assert not folder.exists()

    run(scenario())


def test_a_restarted_server_keeps_its_port(server_class):
    async def scenario():
        async with server_class() as server:
            port = server.port
            await server.kill()
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((server.host, port), timeout=1)
            await server.start()
            assert server.port == port
            socket.create_connection((server.host, port), timeout=1).close()

    run(scenario())


def test_a_server_ends_when_the_process_that_started_it_is_killed(server_class):
    program = STARTED_BY_A_PROCESS.format(module=server_class.__module__, name=server_class.__name__)
    parent = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    )
    try:
        told = next(line for line in parent.stdout if line.startswith("GROUP")).split()
        group, folder = int(told[1]), Path(told[2])
        assert processes_of(group) != []
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        run(until(lambda: processes_of(group) == [] and not folder.exists()))
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()


def test_a_server_listens_on_the_loopback_address_only(server):
    pids = processes_of(server.process_group)
    listening = {
        each.laddr.ip
        for pid in pids
        for each in psutil.Process(pid).net_connections()
        if each.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_a_server_that_cannot_start_says_why(server_class):
    async def scenario():
        server = server_class()
        try:
            with socket.socket() as other:
                other.bind((server.host, 0))
                other.listen()
                server.port = other.getsockname()[1]
                with pytest.raises(Unavailable, match="did not start"):
                    await server.start()
            assert not server.running
        finally:
            await server.stop()

    run(scenario())


def test_an_account_outside_the_domain_is_refused(server):
    with pytest.raises(InvalidInput, match="name@localhost"):
        server.register("h001@elsewhere.example", "secret")


def test_passwords_are_drawn_anew_for_each_address():
    accounts = new_accounts(["a@localhost", "b@localhost"])
    assert len(set(accounts.values())) == 2
    assert min(map(len, accounts.values())) >= 32
