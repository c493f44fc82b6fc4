"""How fast agents connect and exchange letters live, on the embedded server and on Prosody."""

import asyncio
import time
from typing import NamedTuple

import msgspec

from environments.live.embedded_server import EmbeddedServer
from environments.live.prosody import ProsodyServer, available
from environments.live.server import LocalServer, new_accounts
from environments.live.xmpp import XmppTransport
from ontology.letter import Envelope

HEADER = ("server", "agents", "connect s", "letters/s")
AGENTS = 26  # the laboratory community
LETTERS_EACH = 200
_BODY = msgspec.json.encode({"type": "parity:Forecast", "power_w": list(range(1_000, 1_096))})


class Row(NamedTuple):
    """One line of the table."""

    server: str
    agents: int
    connect_s: float
    letters_per_s: float


def rows(agents: int = AGENTS, letters_each: int = LETTERS_EACH) -> list[dict[str, object]]:
    """Measure both servers; Prosody only where it is installed."""
    servers: list[type[LocalServer]] = [EmbeddedServer]
    if available():
        servers.append(ProsodyServer)
    measured = [asyncio.run(_measure(server, agents, letters_each)) for server in servers]
    return [dict(zip(HEADER, row, strict=True)) for row in measured]


async def _measure(server_class: type[LocalServer], agents: int, letters_each: int) -> Row:
    accounts = new_accounts(f"agent-{number}@localhost" for number in range(agents))
    async with server_class(accounts) as server:
        transport = XmppTransport(server.endpoint(), start_timeout_s=60)
        began = time.perf_counter()
        await transport.start_all(accounts)
        connect_s = time.perf_counter() - began
        letters_per_s = await _exchange(transport, list(accounts), letters_each)
        await transport.stop_all()
    return Row(server_class.__name__.removesuffix("Server"), agents, connect_s, letters_per_s)


async def _exchange(transport: XmppTransport, addresses: list[str], letters_each: int) -> float:
    """Let every agent send to every other in turn; return the letters that arrived, a second."""
    expected, arrived, done = len(addresses) * letters_each, 0, asyncio.Event()

    def receive(_: Envelope) -> None:
        nonlocal arrived
        arrived += 1
        if arrived == expected:
            done.set()

    for address in addresses:
        transport.deliver_to(address, receive)
    began = time.perf_counter()
    for sequence in range(1, letters_each + 1):
        for place, sender in enumerate(addresses):
            to = addresses[(place + 1 + sequence % (len(addresses) - 1)) % len(addresses)]
            transport.send(_letter(sender, to, sequence))
        await asyncio.sleep(0)  # noqa: TID251 - lets the letters of this round leave; passes no time
    await asyncio.wait_for(done.wait(), 120)
    return expected / (time.perf_counter() - began)


def _letter(sender: str, to: str, sequence: int) -> Envelope:
    return Envelope(
        performative="inform",
        sender=sender,
        to=to,
        message_type="parity:Forecast",
        conversation=f"{sender}-{to}",
        sequence=sequence,
        message_id=f"{sender}-{sequence}",
        sent_at_s=1_767_225_600.0,
        body=_BODY,
    )


if __name__ == "__main__":
    print(*HEADER, sep="\t")
    for row in rows():
        print(row.server, row.agents, f"{row.connect_s:.2f}", f"{row.letters_per_s:.0f}", sep="\t")
