"""A process with one durable agent on XMPP, for measurements that kill it: it speaks, or hears and answers.

Run as a program: `python -m benchmarks.delivery_peer SETTINGS.json`. Each line on standard output is
`WORD NUMBER SECONDS`: what was said, or read, and when. The store counts how often each number was read.
"""

import asyncio
import logging
import sys
from pathlib import Path
from typing import Any

import msgspec
import structlog

from behaviours.agent import Agent, Surroundings
from behaviours.behaviour import Behaviour, every, on
from behaviours.membership import Member
from environments.live.endpoint import Endpoint, verified_context
from environments.live.xmpp import XmppTransport
from environments.repository.agent_store import SqliteAgentStore
from environments.simulation.clock import WallClock
from ontology.errors import Unavailable
from ontology.grid import GridState, GridStatusEvent
from ontology.letter import Letter
from ontology.roles import Role

SAY_EVERY_S = 0.1


class PeerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Who the process is, where its server is, and how many letters it says."""

    address: str
    peer: str
    password: str
    host: str
    port: int
    domain: str
    ca_file: str
    store: str
    speaks: bool
    letters: int = 0


def light(number: int) -> GridStatusEvent:
    """Return a traffic light that one can tell by its number."""
    start_s = 900 * number
    return GridStatusEvent(
        segment_id="feeder",
        start_s=start_s,
        end_s=start_s + 900,
        published_at_s=start_s,
        state=GridState.GREEN,
        causes=[],
        loading=0.1,
        voltage_min_pu=1.0,
        voltage_max_pu=1.0,
    )


class Reading(Behaviour):
    """Counts what it reads, by number."""

    settings: PeerSettings

    def setup(self) -> None:
        """Report what is counted only once it is written."""
        self._clock = WallClock()

    def count(self, event: GridStatusEvent) -> int:
        """Count a light as read once more."""
        number = event.start_s // 900
        name = f"read {number:06d}"
        self.keep(name, str(int(self.agent.kept_bytes(name) or b"0") + 1).encode())
        self.report("read", number)
        return number

    def report(self, word: str, number: int) -> None:
        """Write a line for who measures."""
        print(word, number, f"{self._clock.now_s():.3f}", flush=True)


class Speaking(Reading):
    """Says one light after the other, and counts the answers."""

    @every(seconds=SAY_EVERY_S)
    def say(self) -> None:
        """Say the next number; that it was said is written with the letter."""
        number = int(self.agent.kept_bytes("said") or b"0") + 1
        if number <= self.settings.letters:
            self.keep("said", str(number).encode())
            self.tell(self.settings.peer, light(number))
            self.report("said", number)

    @on(GridStatusEvent)
    def hear(self, event: GridStatusEvent, letter: Letter) -> None:
        """Count an answer."""
        self.count(event)


class Answering(Reading):
    """Says back what it hears."""

    @on(GridStatusEvent)
    def hear(self, event: GridStatusEvent, letter: Letter) -> None:
        """Count a letter, and answer it in the same transaction."""
        self.count(event)
        self.tell(self.settings.peer, event)


class Speaker(Agent):
    """Says lights."""

    role = Role.DSO
    behaviours = (Speaking,)


class Listener(Agent):
    """Answers them."""

    role = Role.ORACLE
    behaviours = (Answering,)


async def live(settings: PeerSettings) -> None:
    """Connect, and live until killed."""
    kind, other = (Speaker, Listener) if settings.speaks else (Listener, Speaker)
    server = Endpoint(settings.host, settings.port, settings.domain, verified_context(Path(settings.ca_file)))
    transport = XmppTransport(server, seed=settings.speaks, resumes=True)
    while True:
        try:
            await transport.start(settings.address, settings.password)
            break
        except Unavailable as error:
            structlog.get_logger().warning("not connected yet", why=str(error))
    members = {
        settings.address: Member(settings.address, kind.role),
        settings.peer: Member(settings.peer, other.role),
    }
    surroundings: dict[str, Any] = {
        "clock": WallClock(),
        "transport": transport,
        "membership": members,
        "store": SqliteAgentStore(Path(settings.store), durable=True),
        "run_id": "measured",
        "durable": True,
        "link": transport,
    }
    agent = kind(members[settings.address], settings, Surroundings(**surroundings))
    agent.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    asyncio.run(live(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=PeerSettings)))
