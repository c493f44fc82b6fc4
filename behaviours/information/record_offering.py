"""A host's record of letters for those who look on from elsewhere: authorised, buffered, bounded.

```
watcher  RecordSubscription (subscribe) → keeper   agree, or refuse
keeper   RecordedLetters (inform)       → watcher  answered by an acknowledgement of each
watcher  RecordSubscription (cancel)    → keeper   inform (done)
```
A watcher that falls behind loses the oldest letters, and is told how many; nobody waits for it. One that
acknowledges nothing for a while is forgotten. The letters that carry records are not recorded themselves.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
import structlog

from behaviours.behaviour import Behaviour, on, when
from ontology.codec import message_type_of
from ontology.discourse import Acknowledgement
from ontology.errors import ParityError, Refused
from ontology.letter import Envelope, Letter
from ontology.letter_record import MOST_BODY, LetterNote, RecordedLetters, RecordSubscription
from ontology.performatives import Performative

__all__ = ["RecordGathering", "RecordKeeperSettings", "RecordOffering"]

log = structlog.get_logger()

BUFFERED = 5_000
"""Letters that wait for a watcher at most."""
UNACKNOWLEDGED = 4
"""Batches that a watcher may have before it acknowledges one."""
BATCH_LETTERS = 100
BATCH_BYTES = 36_000
PATIENT_TURNS = 120
"""Turns without an acknowledgement after which a watcher is forgotten; turns are taken in real time."""
CARRIES_RECORDS = message_type_of(RecordedLetters)


@dataclass(frozen=True)
class RecordKeeperSettings:
    """Who may look on, by address, and whether it may read bodies; and whose records are gathered here."""

    host: str
    watchers: Mapping[str, bool]
    gathered: tuple[str, ...] = ()


@dataclass
class _Subscriber:
    wanted: RecordSubscription
    waiting: deque[LetterNote] = field(default_factory=deque)
    dropped: int = 0
    on_their_way: set[str] = field(default_factory=set)
    silent_turns: int = 0

    def add(self, note: LetterNote) -> None:
        if len(self.waiting) >= BUFFERED:
            self.waiting.popleft()
            self.dropped += 1
        self.waiting.append(note if self.wanted.bodies else without_body(note))

    def batch(self) -> list[LetterNote]:
        """Take the oldest letters, as many as one body holds."""
        taken: list[LetterNote] = []
        size = 0
        while self.waiting and len(taken) < BATCH_LETTERS:
            size += _size(self.waiting[0])
            if taken and size > BATCH_BYTES:
                break
            taken.append(self.waiting.popleft())
        return taken


class RecordOffering(Behaviour):
    """Passes on what the host records to those who subscribed and may see it."""

    settings: RecordKeeperSettings

    def setup(self) -> None:
        """Begin without subscribers."""
        self._subscribers: dict[str, _Subscriber] = {}

    @on(RecordSubscription, Performative.SUBSCRIBE)
    def take_up(self, wanted: RecordSubscription, letter: Letter) -> Acknowledgement:
        """Take up a watcher, or what it wants instead of what it wanted before.

        Raises: Refused when it may not look on, or may not read bodies.
        """
        may_read = self.settings.watchers.get(letter.sender)
        if may_read is None:
            raise Refused("letters are shown to the watchers of the scenario only (watch.clients)")
        if wanted.bodies and not may_read:
            raise Refused("what letters say needs a right of its own (watch.bodies)")
        self._subscribers[letter.sender] = _Subscriber(wanted)
        return Acknowledgement(of=letter.message_id)

    @on(RecordSubscription, Performative.CANCEL)
    def let_go(self, wanted: RecordSubscription, letter: Letter) -> Acknowledgement:
        """Forget a watcher."""
        self._subscribers.pop(letter.sender, None)
        return Acknowledgement(of=letter.message_id)

    @on(Acknowledgement, Performative.INFORM)
    def receive_receipt(self, receipt: Acknowledgement, letter: Letter) -> None:
        """Note that a watcher has read a batch."""
        subscriber = self._subscribers.get(letter.sender)
        if subscriber is not None:
            subscriber.on_their_way.discard(receipt.of)
            subscriber.silent_turns = 0

    def note(self, envelope: Envelope, outcome: str, time_s: float) -> None:
        """Lay a letter that was recorded aside for those who want it."""
        if not self._subscribers:
            return
        note = note_of(envelope, outcome, time_s)
        for subscriber in self._subscribers.values():
            if concerns(note, subscriber.wanted.agent):
                subscriber.add(note)

    def send_waiting(self) -> None:
        """Send what waits, as far as the watchers keep up; the host calls it a few times a second."""
        for address, subscriber in list(self._subscribers.items()):
            if subscriber.on_their_way:
                subscriber.silent_turns += 1
            if subscriber.silent_turns > PATIENT_TURNS:
                del self._subscribers[address]
                log.info("watcher forgotten", watcher=address, dropped=subscriber.dropped)
                continue
            self._send(address, subscriber)

    def _send(self, address: str, subscriber: _Subscriber) -> None:
        while subscriber.waiting and len(subscriber.on_their_way) < UNACKNOWLEDGED:
            letters = subscriber.batch()
            batch = RecordedLetters(host=self.settings.host, letters=letters, dropped=subscriber.dropped)
            try:
                subscriber.on_their_way.add(self.tell(address, batch))
            except ParityError as error:
                subscriber.dropped += len(letters)
                log.warning("letters not passed on", watcher=address, why=str(error))
                return


class RecordGathering(Behaviour):
    """Writes what other hosts record into the record of this one, so that one place shows all."""

    settings: RecordKeeperSettings

    @when("started")
    async def gather(self) -> None:
        """Ask the keepers of other hosts, again until they agree."""
        for keeper in self.settings.gathered:
            await self._subscribe_to(keeper)

    @on(RecordedLetters, Performative.INFORM)
    def write_down(self, batch: RecordedLetters, letter: Letter) -> Acknowledgement:
        """Write down what another host recorded.

        Raises: Refused when it is none of those that were asked.
        """
        if letter.sender not in self.settings.gathered:
            raise Refused("not asked for")
        recorder = self.agent.surroundings.recorder
        if recorder is not None:
            for note in batch.letters:
                recorder.record(envelope_of(note), note.outcome, note.time_s)
        return Acknowledgement(of=letter.message_id)

    async def _subscribe_to(self, keeper: str) -> None:
        wanted = RecordSubscription(agent="", bodies=True)
        while True:
            try:
                await self.ask(keeper, wanted, Acknowledgement, within_s=60.0, act=Performative.SUBSCRIBE)
            except Refused:
                raise
            except ParityError:
                await self.clock.sleep_until(self.clock.now_s() + 60.0)
            else:
                return


def note_of(envelope: Envelope, outcome: str, time_s: float) -> LetterNote:
    """Return what is passed on of a letter."""
    return LetterNote(
        time_s=time_s,
        outcome=outcome,
        performative=envelope.performative,
        sender=envelope.sender,
        to=envelope.to,
        message_type=envelope.message_type,
        conversation=envelope.conversation,
        sequence=envelope.sequence,
        message_id=envelope.message_id,
        sent_at_s=envelope.sent_at_s,
        in_reply_to=envelope.in_reply_to,
        protocol=envelope.protocol,
        body=envelope.body.decode("utf-8", "replace")[:MOST_BODY],
    )


def envelope_of(note: LetterNote) -> Envelope:
    """Return the letter that a note is of, as far as it tells; unsigned, as signatures are not passed on."""
    return Envelope(
        performative=note.performative,
        sender=note.sender,
        to=note.to,
        message_type=note.message_type,
        conversation=note.conversation,
        sequence=note.sequence,
        message_id=note.message_id,
        sent_at_s=note.sent_at_s,
        in_reply_to=note.in_reply_to,
        protocol=note.protocol,
        body=note.body.encode(),
    )


def without_body(note: LetterNote) -> LetterNote:
    """Return a note that does not tell what its letter says."""
    return msgspec.structs.replace(note, body="")


def concerns(note: LetterNote, agent: str) -> bool:
    """Tell whether a letter is from or to an agent, by address, name, or the name of its site."""
    return not agent or any(
        side == agent or side.partition("@")[0] == agent or side.startswith(f"{agent}-")
        for side in (note.sender, note.to)
    )


def _size(note: LetterNote) -> int:
    """Return about how many bytes a note takes in a body, escapes included."""
    return 400 + 3 * len(note.conversation) + 2 * len(note.body.encode())
