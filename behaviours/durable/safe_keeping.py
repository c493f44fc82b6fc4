"""Ties an agent's handlers, marks and letters into transactions of its store.

A transaction is one run of a handler, or of one step of a longer one. What it changed, what it has read and
what it says are written together; then its letters and receipts leave. When the store takes nothing (a
filled disk) nothing leaves, nothing is confirmed, and it is tried again until it does.
"""

import inspect
from asyncio import CancelledError
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
import structlog

from behaviours.durable.inbox import Inbox
from behaviours.durable.keeping_post import KeepingPost
from behaviours.durable.outbox import Outbox
from behaviours.ports import Cancellable
from ontology.codec import decode_envelope, encode_envelope, open_letter
from ontology.errors import NotUnderstood, Unavailable
from ontology.letter import Letter

if TYPE_CHECKING:
    from behaviours.agent import Agent

__all__ = ["SafeKeeping"]

log = structlog.get_logger()

RETRY_S = 5.0
"""How long after the store refused it is asked again."""

TIDY_S = 5.0
"""How long confirmed letters stay written when nothing else is; a crash repeats them, harmlessly."""

_UNFINISHED = "inbox "
_JITTER = 0xDE11


class SafeKeeping:
    """Transactions of one agent, over its state, its outbox and its inbox."""

    def __init__(self, agent: "Agent", post: KeepingPost, epoch: str) -> None:
        """Take up what an agent kept: letters that nobody confirmed, and marks of what it has read."""
        surroundings = agent.surroundings
        seed = [surroundings.seed, crc32(agent.address.encode()), _JITTER]
        link = surroundings.link
        self._agent = agent
        self._post = post
        self._depth = 0
        self._taken_up = 0
        self._retry: Cancellable | None = None
        self._is_tidying = False
        self.outbox = Outbox(
            agent.address,
            epoch,
            clock=agent.clock,
            draw=np.random.default_rng(seed).random,
            keep=self._keep,
            send=post.send_again,
            is_connected=(lambda: link.connected(agent.address)) if link else (lambda: True),
            counts=agent.counts,
        )
        self.inbox = Inbox(clock=agent.clock, keep=agent.keep, confirm=post.confirm)
        kept = {name: agent.kept_bytes(name) or b"" for name in agent.kept_names("")}
        self.outbox.recall(kept)
        self.inbox.recall(kept)
        post.keep_letters(self.outbox, self.inbox, self.transaction)

    def begin(self) -> None:
        """Send what nobody confirmed before the restart, and finish what was begun."""
        link = self._agent.surroundings.link
        if link is not None:
            link.on_change(self._agent.address, self._note_connection)
        with self.transaction():
            for name in self._agent.kept_names(_UNFINISHED):
                self._take_up_again(name)

    def _note_connection(self, is_connected: bool) -> None:
        if is_connected:
            self.outbox.resume()
            self._agent.emit("connected")

    def _keep(self, name: str, value: bytes | None) -> None:
        """Stage a change; what is only let go of is written with the next transaction, or a little later."""
        self._agent.keep(name, value)
        if not self._depth and not self._is_tidying:
            self._is_tidying = True
            self._agent.clock.call_at(self._agent.clock.now_s() + TIDY_S, self._tidy)

    def _tidy(self) -> None:
        self._is_tidying = False
        if self._agent.is_running:
            with self.transaction():
                pass

    # -- transactions -------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Gather what is changed, read and said; write it at the end, then let it leave."""
        if self._depth:
            yield
            return
        self._depth = 1
        self._post.hold()
        try:
            yield
        finally:
            self._depth = 0
            self._settle()

    def commit(self) -> None:
        """Write what is staged, unless a transaction will at its end.

        Raises: Unavailable when the store does not take it.
        """
        if self._depth:
            return
        try:
            self._agent.write_changes()
        except Unavailable as error:
            self._sound_alarm(error)
            raise
        self._note_written()
        self._post.release(is_written=True)

    def _settle(self) -> None:
        try:
            self._agent.write_changes()
        except Unavailable as error:
            self._sound_alarm(error)
            self._post.release(is_written=False)
        else:
            self._note_written()
            self._post.release(is_written=True)

    def _sound_alarm(self, error: Unavailable) -> None:
        """Say once that nothing can be written, and go on trying."""
        agent = self._agent
        agent.counts["store unavailable"] += 1
        if self._retry is None:
            log.error("ALARM: nothing can be written, letters wait", agent=agent.address, why=str(error))
            self._retry = agent.clock.call_at(agent.clock.now_s() + RETRY_S, self._try_again)

    def _try_again(self) -> None:
        if not self._agent.is_running:
            return
        try:
            self._agent.write_changes()
        except Unavailable:
            self._retry = self._agent.clock.call_at(self._agent.clock.now_s() + RETRY_S, self._try_again)
        else:
            self._note_written()
            self._post.release(is_written=True)

    def _note_written(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
            log.warning("alarm over: the store takes changes again", agent=self._agent.address)

    # -- handlers -----------------------------------------------------------------------------

    def run(self, method: Callable[..., Any], arguments: tuple[Any, ...], letter: Letter | None) -> None:
        """Run a handler in a transaction; one that takes longer is written down until it has finished."""
        agent = self._agent
        with self.transaction():
            try:
                result = method(*arguments)
                if inspect.iscoroutine(result):
                    key = self._take_up(method, letter)
                    agent.follow(self.finish(result, method.__qualname__, letter, key), letter)
                    return
                agent.reply(letter, result)
            except Exception as error:
                agent.report(method.__qualname__, letter, error)
            if letter is not None and not letter.envelope.wants_receipt and agent.has_changes:
                agent.remember_mark(letter)

    async def finish(
        self, work: Coroutine[Any, Any, Any], name: str, letter: Letter | None, key: str = ""
    ) -> None:
        """See a longer handler to its end; its last changes and its reply are one transaction."""
        try:
            result = await work
        except CancelledError:
            if self._agent.is_running:
                self._lay_down(key)
            raise
        except Exception as error:
            with self.transaction():
                self._lay_down(key)
                self._agent.report(name, letter, error)
        else:
            with self.transaction():
                self._lay_down(key)
                try:
                    self._agent.reply(letter, result)
                except Exception as error:
                    self._agent.report(name, letter, error)

    def _take_up(self, method: Callable[..., Any], letter: Letter | None) -> str:
        """Write down that a kept letter is being worked on, and return under which name."""
        if letter is None or not letter.envelope.wants_receipt:
            return ""
        self._taken_up += 1
        key = f"{_UNFINISHED}{self._agent.boots:06d} {self._taken_up:012d} {method.__qualname__}"
        self._agent.keep(key, encode_envelope(letter.envelope))
        return key

    def _lay_down(self, key: str) -> None:
        if key:
            self._agent.keep(key, None)

    def _take_up_again(self, key: str) -> None:
        """Work once more on a letter with which the agent had not finished when it died."""
        wire = self._agent.kept_bytes(key) or b""
        self._lay_down(key)
        try:
            letter = open_letter(decode_envelope(wire))
        except NotUnderstood as error:  # written by an older version
            log.error("unfinished letter dropped", agent=self._agent.address, why=str(error))
            return
        self._agent.counts["taken up again"] += 1
        name = key.rpartition(" ")[2]
        for method in self._agent.methods_for(letter.message_type, letter.performative):
            if method.__qualname__ == name:
                self.run(method, (letter.content, letter), letter)
