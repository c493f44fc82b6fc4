"""Thousands of agents on one XMPP component beside agents with connections of their own, through Prosody."""

import asyncio
import gc
import time
from collections.abc import Sequence
from typing import Any

import psutil

from behaviours.agent import Agent, Surroundings
from behaviours.behaviour import Behaviour, on
from behaviours.membership import Member
from environments.live.population import PopulationTransport
from environments.live.prosody import ProsodyServer, available
from environments.live.server import new_accounts
from environments.live.xmpp import XmppTransport
from environments.repository.agent_store import MemoryAgentStore
from environments.simulation.clock import WallClock
from ontology.forecasts import Forecast, ForecastKind
from ontology.letter import Letter
from ontology.roles import Role

__all__ = ["rows"]

ON_ONE_COMPONENT = (100, 1000, 5000)
WITH_CONNECTIONS = (100, 300)
LETTERS = 20_000
IN_FLIGHT = 4_000
FORECAST = Forecast(
    subject="meter", kind=ForecastKind.NET, issued_at_s=0, start_s=0, power_w=list(range(1_000, 1_096))
)


class Listening(Behaviour):
    """Counts the forecasts that come."""

    def setup(self) -> None:
        self.heard = 0

    @on(Forecast)
    def hear(self, forecast: Forecast, letter: Letter) -> None:
        self.heard += 1


class Listener(Agent):
    """An agent that tells forecasts and listens to those of others."""

    role = Role.REPOSITORY
    behaviours = (Listening,)


def rows() -> list[dict[str, object]]:
    """Measure both ways to connect; nothing where Prosody is not installed."""
    if not available():
        return []
    measured = [asyncio.run(_measure(agents, shared=True)) for agents in ON_ONE_COMPONENT]
    measured += [asyncio.run(_measure(agents, shared=False)) for agents in WITH_CONNECTIONS]
    best = max(row["letters/s"] for row in measured if row["connected by"] == "accounts")
    return [row | {"times the accounts'": row["letters/s"] / best} for row in measured]


async def _measure(number: int, *, shared: bool) -> dict[str, Any]:
    """Connect agents, let them tell each other forecasts of 96 values, and count what arrives."""
    domain = "population.localhost"
    server = ProsodyServer(domain="localhost" if shared else domain)
    accounts = new_accounts(f"agent-{i}@{domain}" for i in range(number))
    if shared:
        server.admit(domain)
    else:
        for address, password in accounts.items():
            server.register(address, password)
    async with server:
        gc.collect()
        memory = psutil.Process().memory_info().rss
        began_s = time.perf_counter()
        transport: Any
        if shared:
            transport = PopulationTransport(server.component(domain))
            await transport.connect()
        else:
            transport = XmppTransport(server.endpoint(), start_timeout_s=300)
            await transport.start_all(accounts)
        agents = _agents(list(accounts), transport)
        connected_s = time.perf_counter() - began_s
        used = psutil.Process().memory_info().rss - memory
        letters_per_s, cpu_s = await _exchange(agents)
        await transport.stop_all()
    return {
        "connected by": "component" if shared else "accounts",
        "agents": number,
        "connected in s": connected_s,
        "letters/s": letters_per_s,
        "CPU ms a letter": 1000 * cpu_s,
        "kB an agent": used / number / 1000,
    }


def _agents(addresses: Sequence[str], transport: Any) -> list[Agent]:
    members = {address: Member(address, Role.REPOSITORY) for address in addresses}
    surroundings = Surroundings(
        clock=WallClock(),
        transport=transport,
        membership=members,
        store=MemoryAgentStore(),
        run_id="bench",
    )
    agents: list[Agent] = [Listener(member, None, surroundings) for member in members.values()]
    for agent in agents:
        agent.start()
    return agents


async def _exchange(agents: Sequence[Agent]) -> tuple[float, float]:
    """Return letters a second and CPU seconds of ours a letter."""
    began_s, cpu_s, sent = time.perf_counter(), time.process_time(), 0
    while sent < LETTERS:
        for _ in range(1000):
            agents[sent % len(agents)].tell(agents[(sent * 7 + 1) % len(agents)].address, FORECAST)
            sent += 1
        while sent - _heard(agents) > (IN_FLIGHT if sent < LETTERS else 0):  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # noqa: TID251 - a real server is waited for
    return LETTERS / (time.perf_counter() - began_s), (time.process_time() - cpu_s) / LETTERS


def _heard(agents: Sequence[Agent]) -> int:
    return sum(agent.behaviour(Listening).heard for agent in agents)
