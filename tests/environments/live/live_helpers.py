"""What the live tests share: running a coroutine, connecting agents, a letter, waiting for one."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from environments.live.server import LocalServer, new_accounts
from environments.live.xmpp import XmppTransport
from ontology.codec import encode_body, message_type_of
from ontology.discourse import Query
from ontology.letter import Envelope

_names = itertools.count(1)


def run(coroutine: Coroutine[Any, Any, Any], timeout_s: float = 25.0) -> Any:
    async def in_time() -> Any:
        async with asyncio.timeout(timeout_s):
            return await coroutine

    return asyncio.run(in_time())


def letter(sender: str, to: str, sequence: int = 1, **changes: Any) -> Envelope:
    content = Query(entity="parity:Lem", subject='élec <1> & "2"', start_s=0, end_s=900)
    fields = {
        "performative": "request",
        "message_type": message_type_of(Query),
        "conversation": f"{sender} to {to}",
        "message_id": f"{sender}-{to}-{sequence}",
        "sent_at_s": 1_767_225_600.25,
        "reply_by_s": 1_767_225_660.0,
        "protocol": "fipa-request",
        "body": encode_body(content),
    }
    return Envelope(sender=sender, to=to, sequence=sequence, **(fields | changes))


class Inbox:
    """Collects what a transport delivers to an address."""

    def __init__(self, transport: XmppTransport, address: str) -> None:
        self._queue: asyncio.Queue[Envelope] = asyncio.Queue()
        transport.deliver_to(address, self._queue.put_nowait)

    async def next(self, timeout_s: float = 10.0) -> Envelope:
        return await asyncio.wait_for(self._queue.get(), timeout_s)

    async def take(self, count: int, timeout_s: float = 10.0) -> list[Envelope]:
        async with asyncio.timeout(timeout_s):
            return [await self._queue.get() for _ in range(count)]

    def empty(self) -> bool:
        return self._queue.empty()


def fresh_accounts(server: LocalServer, *names: str) -> dict[str, str]:
    """Accounts that no other test uses, in the order of the names."""
    number = next(_names)
    accounts = new_accounts(f"{name}-{number}@{server.domain}" for name in names)
    for address, password in accounts.items():
        server.register(address, password)
    return accounts


@asynccontextmanager
async def connected(
    server: LocalServer, *names: str, **settings: Any
) -> AsyncIterator[tuple[XmppTransport, list[str]]]:
    """A transport to the server with an account a name, and their addresses."""
    accounts = fresh_accounts(server, *names)
    transport = XmppTransport(server.endpoint(), **settings)
    await transport.start_all(accounts)
    try:
        yield transport, list(accounts)
    finally:
        await transport.stop_all()


async def until(true: Any, timeout_s: float = 10.0) -> None:
    """Return when something is true."""
    async with asyncio.timeout(timeout_s):
        while not true():  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0.01)  # noqa: TID251 - a real server is waited for
