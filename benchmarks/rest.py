"""The REST interface on one core: an asset-week, and requests a second with their latencies.

Server and callers are two processes on loopback; the server's CPU time says how much of a core it took. The
baseline is the smallest answer that a token gets: what it grants.
"""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

__all__ = ["rows"]

WEEK = 7 * 96
RATE, SECONDS, CONNECTIONS = 500, 10, 16


def rows() -> list[dict[str, Any]]:
    """Return a row a kind of call."""
    import psutil

    with tempfile.TemporaryDirectory() as folder:
        server, url, token = _started(Path(folder))
        try:
            process = psutil.Process(server.pid)
            return asyncio.run(_measured(url, token, process))
        finally:
            server.terminate()
            server.wait(10)


def _started(folder: Path) -> tuple[subprocess.Popen[str], str, str]:
    access = f"sqlite:///{folder / 'access.sqlite'}"
    command = [sys.executable, "-m", "launch.cli", "api"]
    made = [
        *command,
        "token",
        "create",
        "bench",
        "--role",
        "repository",
        "--rate",
        "100000",
        "--database",
        access,
    ]
    token = subprocess.run(made, check=True, capture_output=True, text=True).stdout.strip()
    repository = f"sqlite:///{folder / 'repository.sqlite'}"
    serve = [*command, "serve", "--port", "0", "--database", access, "--repository", repository]
    server = subprocess.Popen(serve, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    line = server.stdout.readline()
    return server, line.split()[2].rstrip(";"), token


async def _measured(url: str, token: str, process: Any) -> list[dict[str, Any]]:
    import httpx

    headers = {"Authorization": f"Bearer {token}"}
    facts = "/api/v1/facts/IntervalReading"
    week = [
        {
            "subject": "h001",
            "start_s": 900 * i,
            "consumed_wh": i,
            "produced_wh": 0,
            "consumed_w": i,
            "produced_w": 0,
        }
        for i in range(WEEK)
    ]
    limits = httpx.Limits(max_connections=CONNECTIONS)
    async with httpx.AsyncClient(base_url=url, headers=headers, limits=limits, timeout=30) as client:
        assert (await client.post(facts, json=week)).status_code == 201
        asked = {"subject": "h001", "start": 0, "end": 900 * WEEK}
        return [
            await _one_by_one(client, "an asset-week", facts, asked, process),
            await _one_by_one(client, "the newest reading", f"{facts}/latest", {"subject": "h001"}, process),
            await _one_by_one(client, "baseline: /whoami", "/api/v1/whoami", {}, process),
            await _sustained(client, f"{facts}/latest", {"subject": "h001"}, process),
        ]


async def _one_by_one(
    client: Any, name: str, path: str, asked: dict[str, Any], process: Any
) -> dict[str, Any]:
    spent, times_ms = process.cpu_times(), []
    began = time.perf_counter()
    for _ in range(100):
        at = time.perf_counter()
        assert (await client.get(path, params=asked)).status_code == 200
        times_ms.append(1000 * (time.perf_counter() - at))
    return _row(f"{name}, one by one", times_ms, time.perf_counter() - began, spent, process)


async def _sustained(client: Any, path: str, asked: dict[str, Any], process: Any) -> dict[str, Any]:
    """Ask at a rate, whatever the answers take."""
    spent, times_ms, loop = process.cpu_times(), [], asyncio.get_running_loop()
    began, start = time.perf_counter(), loop.time()

    async def ask(due: float) -> None:
        assert (await client.get(path, params=asked)).status_code == 200
        times_ms.append(1000 * (loop.time() - due))

    tasks = []
    for number in range(RATE * SECONDS):
        due = start + number / RATE
        if due > loop.time():
            await asyncio.sleep(due - loop.time())  # noqa: TID251 - real time is what is measured
        tasks.append(asyncio.create_task(ask(due)))
    await asyncio.gather(*tasks)
    return _row(
        f"newest reading, {RATE} a second asked for", times_ms, time.perf_counter() - began, spent, process
    )


def _row(name: str, times_ms: list[float], took_s: float, before: Any, process: Any) -> dict[str, Any]:
    after = process.cpu_times()
    cpu_s = after.user + after.system - before.user - before.system
    return {
        "call": name,
        "median, ms": statistics.median(times_ms),
        "p99, ms": statistics.quantiles(times_ms, n=100)[98],
        "a second": len(times_ms) / took_s,
        "server, ms CPU a call": 1000 * cpu_s / len(times_ms),
        "server, % of a core": 100 * cpu_s / took_s,
    }
