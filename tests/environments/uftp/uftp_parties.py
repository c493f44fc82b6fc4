"""Parties of the flexibility trade on loopback addresses: gateways of ours, and the peer's process."""

import asyncio
import json
import os
import socket
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from uftp_examples import TERMS

from behaviours.ports import AgentStore
from environments.repository.agent_store import MemoryAgentStore
from environments.simulation.clock import WallClock
from environments.uftp.delivery import RetryPolicy
from environments.uftp.endpoint import MESSAGE_PATH
from environments.uftp.gateway import Identity, Incoming, UftpGateway
from environments.uftp.participants import AddressBook, Participant
from environments.uftp.roles import ParticipantRole
from environments.uftp.signing import SigningKey
from environments.uftp.terms import MarketTerms
from ontology.base import Concept

PYTHON = Path(__file__).parents[3] / ".venv-uftp" / "bin" / "python"
DOMAINS = {ParticipantRole.DSO: "dso.example.org", ParticipantRole.AGR: "agr.example.org"}
KEYS = {role: SigningKey(bytes([i]) * 32) for i, role in enumerate(DOMAINS, start=1)}
HASTY = RetryPolicy(first_s=0.02, longest_s=0.2, give_up_s=30)
PATIENCE_S = 60
"""How long a test waits for something before it counts as lost."""


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def url(port: int) -> str:
    """Where a party at a port takes messages."""
    return f"http://127.0.0.1:{port}{MESSAGE_PATH}"


class Party:
    """One side of the trade: a gateway, and what it was told."""

    def __init__(
        self,
        role: ParticipantRole,
        partner_port: int,
        *,
        store: AgentStore | None = None,
        key: SigningKey | None = None,
        partner_key: SigningKey | None = None,
        deliver: Callable[[Incoming], Awaitable[Any]] | None = None,
        terms: MarketTerms = TERMS,
        retry: RetryPolicy = HASTY,
    ) -> None:
        (other,) = set(DOMAINS) - {role}
        self.domain, self.partner = DOMAINS[role], DOMAINS[other]
        book = AddressBook(
            [Participant(self.partner, other, (partner_key or KEYS[other]).verify_key, url(partner_port))]
        )
        self.heard: list[Incoming] = []
        self._unheard: asyncio.Queue[Incoming] = asyncio.Queue()
        self._deliver = deliver
        self.given_up: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.gateway = UftpGateway(
            Identity(self.domain, role, key or KEYS[role]),
            terms,
            book,
            store or MemoryAgentStore(),
            WallClock(),
            self._hear,
            retry=retry,
            undelivered=self._give_up,
        )

    def say(self, content: Concept, letter: str, **about: str) -> str:
        """Say something to the other side, in a conversation that is named like the letter if not told."""
        return self.gateway.say(
            content, to=self.partner, message_id=letter, **{"conversation": f"about {letter}", **about}
        )

    async def hears(self, content: type[Concept]) -> Incoming:
        """Wait for the next thing that the other side says, which must be of a kind."""
        incoming = await asyncio.wait_for(self._unheard.get(), PATIENCE_S)
        assert isinstance(incoming.content, content), incoming
        return incoming

    async def _hear(self, incoming: Incoming) -> None:
        if self._deliver is not None:
            await self._deliver(incoming)
        self.heard.append(incoming)
        self._unheard.put_nowait(incoming)

    async def _give_up(self, domain: str, letter: str, why: str) -> None:
        self.given_up.put_nowait((letter, why))


@asynccontextmanager
async def listening(party: Party, port: int = 0) -> AsyncIterator[Party]:
    """A party whose gateway listens on loopback."""
    await party.gateway.start("127.0.0.1", port)
    try:
        yield party
    finally:
        await party.gateway.close()


class Peer:
    """The counterparty's process: what it says it received, and how to make it speak."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._received: deque[dict[str, Any]] = deque()
        self.kinds: list[str] = []

    async def receives(self, kind: str) -> dict[str, Any]:
        """Wait until the peer has received a message of a kind; return it as JSON."""
        assert self._process.stdout is not None
        while True:
            for each in self._received:
                if each["received"] == kind:
                    self._received.remove(each)
                    return dict(each.get("message", {}))
            line = await asyncio.wait_for(self._process.stdout.readline(), PATIENCE_S)
            assert line, "the peer has ended"
            self._received.append(json.loads(line))
            self.kinds.append(self._received[-1]["received"])

    def do(self, what: str, **how: Any) -> None:
        """Let the peer start something."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": what, **how}).encode() + b"\n")


@asynccontextmanager
async def peer_process(
    role: ParticipantRole, port: int, partner_port: int, script: str = "peer.py"
) -> AsyncIterator[Peer]:
    """A counterparty in a role, which listens at a port and posts to another."""
    (other,) = set(DOMAINS) - {role}
    settings = {
        "role": role.value,
        "domain": DOMAINS[role],
        "port": port,
        "signing_key": KEYS[role].text,
        "partner_domain": DOMAINS[other],
        "partner_key": KEYS[other].verify_key.text,
        "partner_url": url(partner_port),
    }
    process = await asyncio.create_subprocess_exec(
        str(PYTHON),
        str(Path(__file__).with_name(script)),
        json.dumps(settings),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**22,
        env={"PATH": os.environ.get("PATH", ""), "NO_PROXY": "*"},
        start_new_session=True,
    )
    try:
        peer = Peer(process)
        await peer.receives("ready")
        yield peer
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def need_peer() -> None:
    """Skip the test without the counterparty's package (fail, where servers are required)."""
    if not PYTHON.exists():
        missing = pytest.fail if os.environ.get("PARITY_REQUIRE_SERVERS") == "1" else pytest.skip
        missing("shapeshifter-uftp is not installed: scripts/install-uftp-peer installs it")
