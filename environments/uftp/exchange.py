"""The `FlexibilityExchange` port over UFTP: one gateway outside, and inside one exchange a participant."""

import asyncio
import ssl
from collections.abc import Iterable, Mapping

import structlog

from behaviours.ports import AgentStore, Clock, Heard
from environments.uftp.delivery import Carrier, Delivery, RetryPolicy
from environments.uftp.gateway import Identity, Incoming, UftpGateway
from environments.uftp.participants import AddressBook
from environments.uftp.terms import MarketTerms
from ontology.base import Concept
from ontology.discourse import FailureReport
from ontology.performatives import Performative

__all__ = ["UftpExchange", "UftpOffice"]

log = structlog.get_logger()

ROUTINE = RetryPolicy()


class UftpExchange:
    """Speaks with one participant outside; what it says waits here until somebody has dealt with it."""

    def __init__(self, gateway: UftpGateway, domain: str) -> None:
        """Speak with the participant of a domain."""
        self._gateway, self._domain = gateway, domain
        self._waiting: asyncio.Queue[tuple[Heard, asyncio.Event]] = asyncio.Queue()
        self._current: tuple[Heard, asyncio.Event] | None = None

    def say(self, content: Concept, *, message_id: str, conversation: str, in_reply_to: str = "") -> None:
        """Say what a letter says; see the port."""
        self._gateway.say(
            content,
            to=self._domain,
            message_id=message_id,
            conversation=conversation,
            in_reply_to=in_reply_to,
        )

    def has_said(self, message_id: str) -> bool:
        """Tell whether a letter of an id was said before."""
        return self._gateway.has_said(message_id)

    async def hear(self) -> Heard:
        """Return the oldest message that nobody has dealt with; waits for one."""
        if self._current is None:
            self._current = await self._waiting.get()
        return self._current[0]

    def dealt_with(self, heard: Heard) -> None:
        """Let go of the message that was heard last."""
        if self._current is not None and self._current[0] == heard:
            self._current[1].set()
            self._current = None

    async def hand_over(self, heard: Heard) -> None:
        """Have a message heard, and return when it has been dealt with."""
        done = asyncio.Event()
        self._waiting.put_nowait((heard, done))
        await done.wait()

    def fail(self, message_id: str, why: str) -> None:
        """Tell as a failure that a letter could not be delivered."""
        report = FailureReport(reason=f"not delivered to {self._domain}: {why}"[:4096])
        failed = Heard(Performative.FAILURE, report, f"undelivered {message_id}", "", message_id)
        self._waiting.put_nowait((failed, asyncio.Event()))


class UftpOffice:
    """A community's place in the market outside: its gateway, and an exchange with each participant.

    Args:
        identity: who the community's party is outside.
        terms: what the market has agreed on.
        book: the participants, of whom those in `domains` are traded with.
        domains: of the participants.
        store: where the gateway keeps what must survive a restart.
        clock: tells what time messages bear.
        carrier: brings messages to the participants; by default HTTP, which waits in real time.
        network: tells the real time in which HTTP is tried again.
        retry: how often a message is posted before it is given up.
        trust: whose TLS certificates are trusted; by default those of the system's authorities.
    """

    def __init__(
        self,
        identity: Identity,
        terms: MarketTerms,
        book: AddressBook,
        domains: Iterable[str],
        store: AgentStore,
        clock: Clock,
        *,
        carrier: Carrier | None = None,
        network: Clock | None = None,
        retry: RetryPolicy = ROUTINE,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self.gateway = UftpGateway(
            identity,
            terms,
            book,
            store,
            clock,
            self._deliver,
            undelivered=self._undelivered,
            carrier=carrier or Delivery(network or clock, retry, trust),
        )
        self.exchanges: Mapping[str, UftpExchange] = {
            domain: UftpExchange(self.gateway, domain) for domain in domains
        }

    @property
    def port(self) -> int:
        """Where the gateway listens."""
        return self.gateway.port

    async def start(self, host: str, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        """Listen, and go on with what was not finished before a restart.

        Raises: OSError when the address is taken.
        """
        await self.gateway.start(host, port, tls)

    async def close(self) -> None:
        """Stop listening and delivering."""
        await self.gateway.close()

    async def _deliver(self, incoming: Incoming) -> None:
        exchange = self.exchanges.get(incoming.domain)
        if exchange is None:
            log.warning("UFTP message of a participant that nobody trades with", domain=incoming.domain)
            return
        heard = Heard(
            incoming.act,
            incoming.content,
            incoming.message_id,
            incoming.conversation,
            incoming.in_reply_to,
        )
        await exchange.hand_over(heard)

    async def _undelivered(self, domain: str, message_id: str, why: str) -> None:
        if domain in self.exchanges:
            self.exchanges[domain].fail(message_id, why)
