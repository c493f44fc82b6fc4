"""UFTP within one process: sealed messages go from gateway to gateway without HTTP, also in virtual time."""

import asyncio
from collections.abc import Awaitable, Callable

from environments.uftp.delivery import Ended, Parcel
from environments.uftp.endpoint import Receipt

__all__ = ["InProcessCarrier", "MessageRoom"]

Take = Callable[[bytes], Awaitable[Receipt]]


class MessageRoom:
    """Knows who takes messages at which address; an address that is closed takes none until it opens."""

    def __init__(self) -> None:
        """Begin with no address open."""
        self._takers: dict[str, Take] = {}
        self._waiting: dict[str, list[tuple[Parcel, Ended]]] = {}

    def open(self, url: str, take: Take) -> None:
        """Let what is posted to an address be taken, what waited for it first."""
        self._takers[url] = take
        waiting = self._waiting.pop(url, [])
        if waiting:
            asyncio.get_running_loop().create_task(self._bring(waiting))

    def close(self, url: str) -> None:
        """Let nothing be taken at an address."""
        self._takers.pop(url, None)

    async def _bring(self, waiting: list[tuple[Parcel, Ended]]) -> None:
        for parcel, ended in waiting:
            await self.bring(parcel, ended)

    async def bring(self, parcel: Parcel, ended: Ended) -> None:
        """Have a parcel taken, or let it wait until its address is open."""
        take = self._takers.get(parcel.url)
        if take is None:
            self._waiting.setdefault(parcel.url, []).append((parcel, ended))
            return
        status, reason = await take(parcel.body)
        await ended(parcel.message_id, "" if status == 200 else f"refused with {status}: {reason}")


class InProcessCarrier:
    """Brings a gateway's parcels to the others in a room, in order."""

    def __init__(self, room: MessageRoom) -> None:
        """Post into a room."""
        self._room = room
        self._queue: asyncio.Queue[Parcel] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self, ended: Ended) -> None:
        """Begin to deliver, and tell how each delivery ends."""
        self._task = asyncio.get_running_loop().create_task(self._carry(ended))

    def post(self, parcel: Parcel) -> None:
        """Have a parcel delivered; returns at once."""
        self._queue.put_nowait(parcel)

    async def close(self) -> None:
        """Stop; what is not delivered by now is not."""
        if self._task is not None:
            self._task.cancel()

    async def _carry(self, ended: Ended) -> None:
        while True:
            await self._room.bring(await self._queue.get(), ended)
