"""Several processes, on one machine or many, that together run one community: shards of a population.

Each shard connects its own component to the same XMPP server, has the agents of its own sites, and keeps
its clock in step with the others: scenario time moves on only when no letter is on its way between shards
and nothing is due earlier anywhere. The letters of the clocks take the same wire as all others.

```
shard 1  ClockRound(round, due, sent, received) → all others
shard 2  ClockRound(round, due, sent, received) → all others
each     the same rounds give the same verdict: advance to the least due, or another round
```
Source: Mattern 1987, Algorithms for distributed termination detection (two equal waves).
"""

import asyncio
from collections.abc import Callable
from math import inf

import msgspec
import structlog

from environments.live.population import PopulationTransport, domain_of
from environments.simulation.clock import ScaledClock
from ontology.errors import Unavailable
from ontology.letter import Envelope

__all__ = ["ClockRound", "ShardClock", "ShardTransport", "shard_domain"]

log = structlog.get_logger()

HOST = "shard"
"""The name before the `@` of the address at which a shard's clock is reached."""
MEETING_S = 60.0
"""Real seconds that a shard waits for the others to appear."""
SILENCE_S = 30.0
"""Real seconds without a word after which another shard counts as gone."""
HELLO_EVERY_S = 0.5
LOST_AFTER_ROUNDS = 400
"""Equal rounds after which letters between shards count as lost."""
PAUSE_S = 0.005


def shard_domain(index: int, domain: str) -> str:
    """Return the domain of a shard's agents; shards are numbered from 1."""
    return f"s{index}.{domain}"


class ClockRound(msgspec.Struct, frozen=True):
    """What a shard says of its clock: when it next has something to do, and how many letters it has seen."""

    round: int
    due_s: float
    sent: int
    received: int


class ShardTransport:
    """A population's transport that counts the letters to and from other shards."""

    def __init__(self, population: PopulationTransport, domain: str) -> None:
        """Wrap the transport of one shard, whose agents are in a domain."""
        self._population = population
        self._domain = domain
        self.sent_away = 0
        self.received_from_away = 0
        self.arrived: Callable[[str], None] = lambda address: None
        """Told of each letter from another shard, before it is read."""
        self.now_s: Callable[[], float] = lambda: inf
        self._early: list[tuple[str, Callable[[Envelope], None], Envelope]] = []

    @property
    def counts(self) -> dict[str, int]:
        """What became of letters, as the population's transport counts."""
        return self._population.counts

    def send(self, envelope: Envelope) -> None:
        """Hand an envelope over.

        Raises: as `PopulationTransport.send`.
        """
        self._population.send(envelope)
        if domain_of(envelope.to) != self._domain:
            self.sent_away += 1

    def deliver_to(self, address: str, receive: Callable[[Envelope], None]) -> None:
        """Deliver what arrives for an address to a callable from now on."""

        def counted(envelope: Envelope) -> None:
            if domain_of(envelope.sender) == self._domain:
                receive(envelope)
            elif envelope.sent_at_s > self.now_s():
                self._early.append((address, receive, envelope))
            else:
                self._take(address, receive, envelope)

        self._population.deliver_to(address, counted)

    def release(self) -> None:
        """Read what came from shards that were ahead, up to the present."""
        early, self._early = self._early, []
        for address, receive, envelope in early:
            if envelope.sent_at_s > self.now_s():
                self._early.append((address, receive, envelope))
            else:
                self._take(address, receive, envelope)

    def _take(self, address: str, receive: Callable[[Envelope], None], envelope: Envelope) -> None:
        self.received_from_away += 1
        self.arrived(address)
        receive(envelope)

    def forget(self, address: str) -> None:
        """Read nothing more for an address; letters from elsewhere still count as received."""
        self.deliver_to(address, lambda envelope: None)

    async def start(self, address: str, password: str = "") -> None:
        """Do nothing: an address of the component is there as soon as somebody listens."""

    def kill(self, address: str) -> None:
        """Let an address fall silent, as a crash would."""
        self.forget(address)

    async def stop_all(self) -> None:
        """Disconnect after the letters have left."""
        await self._population.stop_all()


class ShardClock(ScaledClock):
    """A scaled clock that is in step with those of the other shards."""

    def __init__(
        self,
        start_s: float,
        *,
        me: str,
        others: tuple[str, ...],
        real_seconds_an_interval: float = 0.0,
        patience_s: float = 10.0,
    ) -> None:
        """Start at an epoch second; `me` and `others` are the shards' domains."""
        super().__init__(start_s, real_seconds_an_interval=real_seconds_an_interval, patience_s=patience_s)
        self._me = me
        self._others = others
        self._round = 0
        self._heard: dict[str, dict[int, ClockRound]] = {other: {} for other in others}
        self._news = asyncio.Event()
        self._offset = 0
        """Letters between shards that were given up."""

    def attach(self, population: PopulationTransport, transport: ShardTransport) -> None:
        """Speak to the other clocks, and count what goes between shards."""
        self._population, self._transport = population, transport
        transport.arrived, transport.now_s = self._note_arrival, self.now_s
        population.deliver_to(f"{HOST}@{self._me}", self._hear)

    async def meet(self) -> None:
        """Wait until every other shard is there.

        Raises: Unavailable naming those that do not appear.
        """
        hello = ClockRound(0, self.now_s(), 0, 0)
        try:
            async with asyncio.timeout(MEETING_S):
                while not all(heard for heard in self._heard.values()):
                    self._say(hello)
                    await self._wait(HELLO_EVERY_S)
        except TimeoutError:
            missing = [other for other, heard in self._heard.items() if not heard]
            raise Unavailable(f"no word from {', '.join(missing)} in {MEETING_S:g} s") from None
        self._say(hello)

    async def next_due(self, due_s: float) -> float:
        """Agree with the other shards on the next time at which anything happens anywhere.

        Raises: Unavailable when another shard falls silent.
        """
        before: list[ClockRound] = []
        alike = 0
        while alike < LOST_AFTER_ROUNDS:
            now = await self._exchange(due_s)
            settled = sum(each.sent - each.received for each in now) == self._offset
            alike = alike + 1 if before and _counts(now) == _counts(before) else 0
            if alike and settled:
                return min(each.due_s for each in now)
            if alike:
                await asyncio.sleep(PAUSE_S)  # noqa: TID251 - a letter is on a real wire
            before = now
            await self.quiescence()
            due_s = min(due_s, self._next_timer_s())
        return self._give_up(before)

    def _give_up(self, rounds: list[ClockRound]) -> float:
        """Wait no longer for letters that were lost between shards; all shards do so in the same round."""
        lost = sum(each.sent - each.received for each in rounds) - self._offset
        self._offset += lost
        self.missed += abs(lost)
        log.warning("letters between shards lost", number=lost)
        return min(each.due_s for each in rounds)

    async def _pass(self, when_s: float) -> None:
        """Let scenario time become an epoch second; a shard that was faster may have written from it."""
        await super()._pass(when_s)
        self._transport.release()

    async def _exchange(self, due_s: float) -> list[ClockRound]:
        """Tell the others how it stands here, and wait until they have told for the same round."""
        self._round += 1
        own = ClockRound(self._round, due_s, self._transport.sent_away, self._transport.received_from_away)
        self._say(own)
        while not all(self._round in heard for heard in self._heard.values()):
            if not await self._wait(SILENCE_S):
                silent = [other for other, heard in self._heard.items() if self._round not in heard]
                raise Unavailable(f"{', '.join(silent)} fell silent")
        told = [heard.pop(self._round) for heard in self._heard.values()]
        return [own, *told]

    async def _wait(self, timeout_s: float) -> bool:
        """Wait for a word of another clock; tell whether one came."""
        self._news.clear()
        try:
            await asyncio.wait_for(self._news.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    def _say(self, what: ClockRound) -> None:
        for other in self._others:
            self._population.send(
                Envelope(
                    performative="inform",
                    sender=f"{HOST}@{self._me}",
                    to=f"{HOST}@{other}",
                    message_type="parity:ClockRound",
                    conversation=f"{self._me}>{other}",
                    sequence=0,
                    message_id=f"{self._me} {what.round}",
                    sent_at_s=self.now_s(),
                    body=msgspec.json.encode(what),
                )
            )

    def _hear(self, envelope: Envelope) -> None:
        told = msgspec.json.decode(envelope.body, type=ClockRound)
        self._heard.setdefault(domain_of(envelope.sender), {})[told.round] = told
        self._news.set()

    def _note_arrival(self, address: str) -> None:
        """Wait, too, until a letter from another shard has been dealt with."""
        if address in self._alive:
            self._in_flight[address] += 1


def _counts(rounds: list[ClockRound]) -> list[tuple[int, int]]:
    return [(each.sent, each.received) for each in rounds]
