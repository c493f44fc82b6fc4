"""The Transport port over XMPP: each address a SPADE agent with an account and a connection of its own."""

import asyncio
import zlib
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import NamedTuple
from xml.etree.ElementTree import Element
from xml.sax.saxutils import quoteattr

import numpy as np
import structlog

from environments.live.endpoint import Endpoint
from environments.live.server import name_in
from environments.live.spade_host import SpadeHost
from environments.live.stanzas import Stanza, read_stanza, write_stanza
from environments.simulation.clock import WallClock
from ontology.codec import encode_body, from_fipa, message_type_of, to_fipa
from ontology.discourse import Rejection
from ontology.errors import InvalidInput, NotUnderstood, Unavailable
from ontology.letter import Envelope
from ontology.performatives import Performative

__all__ = ["XmppTransport"]

log = structlog.get_logger()

_AT_ONCE = 64


class _Held(NamedTuple):
    to: str
    stanza: str


class _Account:
    """An address that lives here: its connection, and its letters that have not left yet."""

    def __init__(self, host: SpadeHost) -> None:
        self.host = host
        self.outbox: deque[_Held] = deque()
        self.leaving = False


class XmppTransport:
    """Carries envelopes over XMPP between addresses here and anywhere else in the community's domain.

    Every letter takes the wire. While a connection is away, here or of a receiver here, letters wait
    (as many as `outbox_max` a sender; beyond, the oldest is dropped) and leave in order when it is back.
    What a server loses is for the layer above to repeat.

    `counts` tells what became of letters: `sent`, `received`, `dropped` (outbox full), `malformed`,
    `bounced` (the server could not deliver), `undelivered` (nobody listens here), `failed` (the receiver
    raised).
    """

    def __init__(
        self,
        server: Endpoint,
        *,
        seed: int = 0,
        now_s: Callable[[], float] | None = None,
        outbox_max: int = 10_000,
        start_timeout_s: float = 20.0,
        resumes: bool = False,
    ) -> None:
        """Prepare to connect to a server.

        Args:
            server: where it is, and the TLS context that all connections share.
            seed: of the jitter with which lost connections are tried again.
            now_s: the agents' time in epoch seconds, for answers of our own to malformed letters.
            outbox_max: letters that wait for a connection, a sender.
            start_timeout_s: real seconds within which an address must be connected.
            resumes: whether lost streams are resumed where the server offers that (XEP-0198): then it
                takes longer to tell others that one is gone.
        """
        self.counts: Counter[str] = Counter()
        self._server = server
        self._seed = seed
        self._now_s = now_s or WallClock().now_s
        self._outbox_max = outbox_max
        self._start_timeout_s = start_timeout_s
        self._resumes = resumes
        self._accounts: dict[str, _Account] = {}
        self._receivers: dict[str, Callable[[Envelope], None]] = {}
        self._on_change: dict[str, Callable[[bool], None]] = {}
        self._watched: dict[tuple[str, str], Callable[[str, bool], None]] = {}

    # -------------------------------------------------------------------------------------- the port

    def send(self, envelope: Envelope) -> None:
        """Hand an envelope over; it leaves as soon as the connections it needs stand.

        Raises: Unavailable when the receiver is not in the community's domain or the sender has no
        account here, InvalidInput when the envelope cannot be written as XML.
        """
        account = self._accounts.get(envelope.sender)
        if account is None:
            raise Unavailable(f"{envelope.sender} is not connected here")
        if not self._inside(envelope.to):
            raise Unavailable(f"{envelope.to} is outside {self._server.domain}: the letter stays here")
        metadata, body = to_fipa(envelope)
        stanza = write_stanza(envelope.to, envelope.message_id, envelope.conversation, metadata, body)
        self._hold(account, _Held(envelope.to, stanza))

    def deliver_to(self, address: str, receive: Callable[[Envelope], None]) -> None:
        """Deliver what arrives for an address to a callable from now on."""
        self._receivers[address] = receive

    def forget(self, address: str) -> None:
        """Deliver nothing to an address any more; its connection stays."""
        self._receivers.pop(address, None)

    # ---------------------------------------------------------------------------- addresses that live here

    async def start(self, address: str, password: str) -> None:
        """Connect an address, and keep it connected.

        Raises: Unavailable naming server, port and cause when it is not connected in time, InvalidInput
        when the address is outside the domain or is connected already.
        """
        account = self._accounts[address] = _Account(self._host(address, password))
        host = account.host
        try:
            await host.start()
        except BaseException:
            host.kill()
            if self._accounts.get(address) is account:
                del self._accounts[address]
            raise
        if self._accounts.get(address) is not account:
            host.kill()
            raise Unavailable(f"{address} was stopped while it connected")

    def begin(self, address: str, password: str) -> None:
        """Connect an address in the background, for as long as it takes; until then its letters wait.

        Raises: InvalidInput when the address is outside the domain or is connected already.
        """
        account = self._accounts[address] = _Account(self._host(address, password))
        account.host.begin()

    def _host(self, address: str, password: str) -> SpadeHost:
        name_in(self._server.domain, address)
        if address in self._accounts:
            raise InvalidInput(f"{address} is connected already")
        return SpadeHost(
            address,
            password,
            self._server,
            receive=lambda message: self._arrive(address, message),
            noticed=lambda presence: self._notice(address, presence),
            changed=lambda: self._note_change(address),
            rng=np.random.default_rng([self._seed, zlib.crc32(address.encode())]),
            start_timeout_s=self._start_timeout_s,
            resumes=self._resumes,
        )

    async def start_all(self, accounts: Mapping[str, str]) -> None:
        """Connect many addresses (with their passwords) at the same time, all or none.

        Raises: Unavailable as `start`, for the first that fails.
        """
        gate = asyncio.Semaphore(_AT_ONCE)

        async def start_one(address: str, password: str) -> None:
            async with gate:
                await self.start(address, password)

        tasks = [asyncio.create_task(start_one(*account)) for account in accounts.items()]
        try:
            await asyncio.gather(*tasks)
        except BaseException:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(*(self.stop(address) for address in accounts))
            raise

    async def stop(self, address: str) -> None:
        """Disconnect an address after its letters have left; does nothing when it is not connected."""
        account = self._accounts.get(address)
        if account is None:
            return
        self._release(account)
        del self._accounts[address]
        await account.host.stop()
        self._release_all()

    async def stop_all(self) -> None:
        """Disconnect every address."""
        await asyncio.gather(*(self.stop(address) for address in list(self._accounts)))

    def kill(self, address: str) -> None:
        """Drop an address as a crash would: its connection breaks, its waiting letters are gone."""
        self.forget(address)
        self._on_change.pop(address, None)
        account = self._accounts.pop(address, None)
        if account is not None:
            account.host.kill()
            self._release_all()

    def connected(self, address: str) -> bool:
        """Whether an address is connected from here at this moment."""
        account = self._accounts.get(address)
        return account is not None and account.host.connected

    @property
    def losses(self) -> int:
        """How often connections of addresses here were lost."""
        return sum(account.host.losses for account in self._accounts.values())

    def away(self) -> dict[str, str]:
        """Return the addresses here that have no connection at this moment, and why."""
        return {
            address: account.host.why_down
            for address, account in self._accounts.items()
            if not account.host.connected
        }

    def on_change(self, address: str, changed: Callable[[bool], None]) -> None:
        """Tell from now on when the connection of an address here comes (True) or goes (False)."""
        self._on_change[address] = changed

    def _note_change(self, address: str) -> None:
        self._release_all()
        changed = self._on_change.get(address)
        if changed is not None:
            changed(self.connected(address))

    # ----------------------------------------------------------------------------------------- presence

    def watch(self, watcher: str, address: str, changed: Callable[[str, bool], None]) -> None:
        """Ask the server to tell a watcher that is connected here when an address comes or is gone."""
        account = self._accounts.get(watcher)
        if account is not None and account.host.connected and self._inside(address):
            self._watched[watcher, address] = changed
            account.host.write(f'<presence type="subscribe" to={quoteattr(address)}/>')

    def _notice(self, address: str, presence: Element) -> None:
        """Let members of the domain see that we are here, and pass on what one hears of them."""
        kind, sender = presence.get("type", ""), presence.get("from", "").partition("/")[0]
        if kind == "subscribe" and self._inside(sender):
            self._accounts[address].host.write(f'<presence type="subscribed" to={quoteattr(sender)}/>')
        elif kind in ("", "unavailable") and (changed := self._watched.get((address, sender))):
            changed(sender, kind == "")

    # ---------------------------------------------------------------------------------------- going out

    def _inside(self, address: str) -> bool:
        return address.partition("/")[0].rpartition("@")[2] == self._server.domain

    def _hold(self, account: _Account, letter: _Held) -> None:
        """Queue a letter, and see to it that the queue leaves at the end of this turn of the loop."""
        if len(account.outbox) >= self._outbox_max:
            account.outbox.popleft()
            self._count_drop(account)
        account.outbox.append(letter)
        if account.host.connected and not account.leaving:
            account.leaving = True
            asyncio.get_running_loop().call_soon(self._release, account)

    def _count_drop(self, account: _Account) -> None:
        self.counts["dropped"] += 1
        if self.counts["dropped"] == 1:
            log.error(
                "outbox full: oldest letter dropped", address=account.host.address, max=self._outbox_max
            )

    def _release_all(self) -> None:
        for account in self._accounts.values():
            if account.outbox:
                self._release(account)

    def _release(self, account: _Account) -> None:
        """Write what can leave in one go; what goes to an address here that is away waits for it."""
        account.leaving = False
        if not account.host.connected:
            return
        leaving: list[str] = []
        staying: deque[_Held] = deque()
        for letter in account.outbox:
            if self._away(letter.to):
                staying.append(letter)
            else:
                leaving.append(letter.stanza)
        if leaving:
            account.host.write(*leaving)
            account.outbox = staying
            self.counts["sent"] += len(leaving)

    def _away(self, address: str) -> bool:
        account = self._accounts.get(address)
        return account is not None and not account.host.connected

    # ---------------------------------------------------------------------------------------- coming in

    def _arrive(self, address: str, message: Element) -> None:
        stanza = read_stanza(message)
        if stanza.kind == "error":
            self.counts["bounced"] += 1
            log.info("letter bounced", address=address, to=stanza.sender, message_id=stanza.id)
            return
        receive = self._receivers.get(address)
        if receive is None:
            self.counts["undelivered"] += 1
            return
        envelope = self._read(address, stanza)
        if envelope is None:
            return
        self.counts["received"] += 1
        try:
            receive(envelope)
        except Exception:
            self.counts["failed"] += 1
            log.exception("receiver failed", address=address, conversation=envelope.conversation)

    def _read(self, address: str, stanza: Stanza) -> Envelope | None:
        """Return the envelope in a stanza; what is none is counted and, if it was meant as one, answered."""
        try:
            return from_fipa(stanza.sender, address, stanza.thread, stanza.metadata or {}, stanza.body)
        except NotUnderstood as error:
            self.counts["malformed"] += 1
            log.info("malformed letter", address=address, sender=stanza.sender, problems=str(error))
            self._reject(address, stanza, error)
            return None

    def _reject(self, address: str, stanza: Stanza, error: NotUnderstood) -> None:
        metadata = stanza.metadata or {}
        rejected = metadata.get("msgId") or stanza.id
        if not rejected or metadata.get("performative") in (None, Performative.NOT_UNDERSTOOD):
            return
        answer = Envelope(
            performative=Performative.NOT_UNDERSTOOD.value,
            sender=address,
            to=stanza.sender,
            message_type=message_type_of(Rejection),
            conversation=metadata.get("conversationId") or stanza.thread or rejected,
            sequence=0,
            message_id=f"{rejected}-not-understood",
            sent_at_s=self._now_s(),
            in_reply_to=rejected,
            protocol=metadata.get("protocol", ""),
            body=encode_body(Rejection(problems=list(error.problems))),
        )
        try:
            self.send(answer)
        except (Unavailable, InvalidInput):
            log.info("malformed letter not answered", address=address, sender=stanza.sender)
