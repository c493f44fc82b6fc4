"""Letters a second on the offline post with 1,000 agents, beside mango-agents' in-process container."""

import asyncio
import socket
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from behaviours.agent import Agent, Surroundings
from behaviours.behaviour import Behaviour, on, when
from behaviours.membership import Member
from behaviours.ports import Recorder
from environments.repository.agent_store import MemoryAgentStore
from environments.repository.recorder import SqliteRecorder
from environments.simulation.clock import VirtualClock
from environments.simulation.loop import VirtualLoop
from environments.simulation.transport import InProcessTransport
from ontology.letter import Letter
from ontology.measurements import Measurement, Quantity
from ontology.roles import Role

__all__ = ["rows"]

AGENTS = 1_000
ROUNDS = 200


class Passing(Behaviour):
    """Passes a measurement on to the next agent of a ring until it has gone round often enough."""

    @when("started")
    def begin(self) -> None:
        self.tell(self.settings, reading(ROUNDS))

    @on(Measurement)
    def pass_on(self, measurement: Measurement, letter: Letter) -> None:
        if measurement.value > 0:
            self.tell(self.settings, reading(int(measurement.value) - 1))


class Passer(Agent):
    """An agent of the ring."""

    role = Role.BESS
    behaviours = (Passing,)


def reading(value: int) -> Measurement:
    """Return a measurement that counts down."""
    return Measurement(subject="ring", quantity=Quantity.ACTIVE_POWER_W, time_s=0, value=float(value))


def letters_a_second(recorder: Recorder | None = None, agents: int = AGENTS) -> float:
    """Send a letter from each agent round the ring and return letters a second (CPU time)."""
    loop = VirtualLoop(0.0)
    addresses = [f"agent{i}@localhost" for i in range(agents)]
    members = {address: Member(address, Role.BESS) for address in addresses}
    surroundings = Surroundings(
        clock=VirtualClock(loop),
        transport=InProcessTransport(),
        membership=members,
        store=MemoryAgentStore(),
        run_id="bench",
        recorder=recorder,
    )
    ring = [
        Passer(members[address], addresses[(i + 1) % agents], surroundings)
        for i, address in enumerate(addresses)
    ]
    for agent in ring:
        agent.post.open()
    for agent in ring:
        loop.call_soon(agent.start)
    began = time.process_time()
    loop.run_until_time(1.0)
    spent_s = time.process_time() - began
    delivered = sum(agent.post.counts["received"] for agent in ring)
    assert delivered == agents * (ROUNDS + 1)
    return delivered / spent_s


def mango_letters_a_second(agents: int = AGENTS) -> float:
    """Let mango-agents pass the same letters round the same ring in its in-process container."""
    import mango

    class MangoPasser(mango.Agent):
        def __init__(self) -> None:
            super().__init__()
            self.next: Any = None
            self.received = 0

        def handle_message(self, content: Any, meta: dict[str, Any]) -> None:
            self.received += 1
            if content["value"] > 0:
                self.schedule_instant_message({"value": content["value"] - 1}, self.next)

    async def run() -> float:
        container = mango.create_tcp_container(("127.0.0.1", free_port()))
        ring = [container.register(MangoPasser()) for _ in range(agents)]
        for i, agent in enumerate(ring):
            agent.next = ring[(i + 1) % agents].addr
        async with mango.activate(container):
            began = time.process_time()
            rounds = 20
            for agent in ring:
                await container.send_message({"value": rounds}, agent.next)
            while sum(agent.received for agent in ring) < agents * (rounds + 1):  # noqa: ASYNC110
                await asyncio.sleep(0)  # noqa: TID251 - real asyncio, in a benchmark
            return agents * (rounds + 1) / (time.process_time() - began)

    return asyncio.run(run())


def free_port() -> int:
    """Return a port that nobody listens on; no letter of this benchmark leaves the process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def rows() -> list[dict[str, Any]]:
    """Return the table's rows."""
    ours = letters_a_second()
    with TemporaryDirectory() as folder:
        recorder = SqliteRecorder(Path(folder) / "messages.sqlite")
        recorded = letters_a_second(recorder)
        recorder.close()
    try:
        mango_rate = mango_letters_a_second()
    except ImportError:
        mango_rate = float("nan")
    rates = {"offline, unrecorded": ours, "offline, recorded": recorded, "mango-agents": mango_rate}
    return [
        {
            "post": name,
            "agents": AGENTS,
            "letters/s": round(rate),
            "beside mango": f"{rate / mango_rate:.1f}x",
        }
        for name, rate in rates.items()
    ]
