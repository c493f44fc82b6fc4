"""The outbox of an agent: what it has said and nobody has confirmed yet, oldest first for each peer.

A letter is written down in the transaction of the state that it belongs to, and leaves afterwards. It
stays until a `DeliveryReceipt` names it or its time is over. As many as `WINDOW` are on their way to a
peer at once; they are sent again with growing pauses, and at once when the peer, or the connection, is back.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import NamedTuple

import structlog

from behaviours.decisions.resending import pause_s
from behaviours.ports import Cancellable, Clock
from ontology.codec import decode_envelope, encode_envelope
from ontology.discourse import DeliveryGap, DeliveryReceipt
from ontology.letter import Envelope

__all__ = ["Outbox"]

log = structlog.get_logger()

WINDOW = 32
"""Letters to a peer that are on their way unconfirmed at once."""

PEER_MAX = 10_000
"""Letters that wait for a peer; beyond, the oldest is given up, with an alarm."""

_LETTER, _NUMBER = "outbox ", "sent "

Keep = Callable[[str, bytes | None], None]


class _Kept(NamedTuple):
    """A letter that waits for its receipt; one that has no name is not written down."""

    envelope: Envelope
    expires_s: float
    name: str


class _Peer:
    """What goes to one peer: letters on their way, and those that wait for their turn."""

    __slots__ = ("attempts", "flying", "is_full", "timer", "waiting")

    def __init__(self) -> None:
        self.flying: dict[str, _Kept] = {}
        self.waiting: deque[_Kept] = deque()
        self.attempts = 0
        self.timer: Cancellable | None = None
        self.is_full = False

    def __len__(self) -> int:
        return len(self.flying) + len(self.waiting)

    def letters(self) -> Iterator[_Kept]:
        """Yield all letters, oldest first."""
        return chain(self.flying.values(), self.waiting)

    def oldest(self) -> _Kept:
        """Take out the oldest letter."""
        if self.flying:
            return self.flying.pop(next(iter(self.flying)))
        return self.waiting.popleft()


class Outbox:
    """Letters of one agent that must arrive."""

    def __init__(
        self,
        address: str,
        epoch: str,
        *,
        clock: Clock,
        draw: Callable[[], float],
        keep: Keep,
        send: Callable[[Envelope], None],
        is_connected: Callable[[], bool],
        counts: Counter[str],
    ) -> None:
        """Begin empty.

        Args:
            address: whose letters these are.
            epoch: names the store that numbers are kept in: a new store never counts on from an old one.
            clock: times the pauses, and says when a letter's time is over.
            draw: uniform in [0, 1), for the jitter of the pauses.
            keep: stages a change of the agent's state, to be written with its next transaction.
            send: hands an envelope to the transport.
            is_connected: whether that makes sense at the moment.
            counts: takes `resent`, `expired` and `outbox full`.
        """
        self._address = address
        self._epoch = epoch
        self._clock = clock
        self._draw = draw
        self._keep = keep
        self._send = send
        self._is_connected = is_connected
        self._counts = counts
        self._peers: dict[str, _Peer] = {}
        self._staged: list[_Kept] = []
        self._numbers: dict[str, int] = {}
        self._kept_in_all = 0

    def recall(self, kept: Mapping[str, bytes]) -> None:
        """Take up letters and numbers from before a restart, in the order in which they were said."""
        for name in sorted(each for each in kept if each.startswith(_LETTER)):
            expires, _, wire = kept[name].partition(b" ")
            self._staged.append(_Kept(decode_envelope(wire), float(expires), name))
            self._kept_in_all = int(name.removeprefix(_LETTER))
        for name in kept:
            if name.startswith(_NUMBER):
                self._numbers[name.removeprefix(_NUMBER)] = int(kept[name])

    def __len__(self) -> int:
        """Return how many letters wait for a receipt, those not written down yet included."""
        return len(self._staged) + sum(map(len, self._peers.values()))

    # -- saying something ---------------------------------------------------------------------

    def conversation_with(self, to: str) -> str:
        """Return the standing conversation in which numbers go on over restarts."""
        return f"{self._epoch}/{self._address}=>{to}"

    def next_number(self, conversation: str) -> int:
        """Return the next number of a standing conversation, and keep count."""
        number = self._numbers[conversation] = self._numbers.get(conversation, 0) + 1
        self._keep(_NUMBER + conversation, str(number).encode())
        return number

    def put(self, envelope: Envelope, expires_s: float, *, outlives_restart: bool = True) -> None:
        """Stage a letter; it leaves when the transaction that it belongs to is written."""
        name = ""
        if outlives_restart:
            self._kept_in_all += 1
            name = f"{_LETTER}{self._kept_in_all:012d}"
            self._keep(name, f"{expires_s:.3f} ".encode() + encode_envelope(envelope))
        self._staged.append(_Kept(envelope, expires_s, name))

    def leave(self) -> None:
        """Send what has been written down, as far as the windows are open."""
        staged, self._staged = self._staged, []
        peers = dict.fromkeys(letter.envelope.to for letter in staged)
        for letter in staged:
            self._peer(letter.envelope.to).waiting.append(letter)
        for address in peers:
            self._make_room(address)
            self._fill(address)

    def withdraw(self, message_id: str, to: str) -> None:
        """Let go of a letter that needs no receipt any more."""
        peer = self._peers.get(to)
        letter = peer.flying.pop(message_id, None) if peer else None
        if letter is not None:
            self._let_go(letter)
            self._fill(to)

    # -- hearing of it ------------------------------------------------------------------------

    def confirm(self, address: str, receipt: DeliveryReceipt) -> list[DeliveryGap]:
        """Let go of what a peer has confirmed; return what it must be told that will not come any more."""
        peer = self._peers.get(address)
        if peer is None:
            return []
        through = {each.conversation: each.number for each in receipt.read}
        self._check_numbers(address, through)
        arrived = [
            message_id
            for message_id, letter in peer.flying.items()
            if 0 < letter.envelope.sequence <= through.get(letter.envelope.conversation, 0)
        ]
        for message_id in (*arrived, *receipt.message_ids):
            letter = peer.flying.pop(message_id, None)
            if letter is not None:
                peer.attempts = 1
                self._let_go(letter)
        gaps = self._gaps(peer, through)
        self._fill(address)
        return gaps

    def heard_from(self, address: str) -> None:
        """Send again at once what a peer that was silent for long, and is back, has not confirmed."""
        peer = self._peers.get(address)
        if peer is not None and peer.attempts > 2 and peer.flying:
            peer.attempts = 1
            self._wind_up(address, peer, 0.0)

    def resume(self) -> None:
        """Send again what is unconfirmed: the connection is back."""
        for address, peer in self._peers.items():
            peer.attempts = 0
            if len(peer):
                self._wind_up(address, peer, 0.0)

    def close(self) -> None:
        """Send nothing any more."""
        for peer in self._peers.values():
            if peer.timer is not None:
                peer.timer.cancel()
        self._peers.clear()

    # -- sending ------------------------------------------------------------------------------

    def _peer(self, address: str) -> _Peer:
        return self._peers.setdefault(address, _Peer())

    def _fill(self, address: str) -> None:
        """Let letters leave until as many are on their way as may be; none is ever waited for twice."""
        peer = self._peers[address]
        now_s = self._clock.now_s()
        while peer.waiting and len(peer.flying) < WINDOW:
            letter = peer.waiting.popleft()
            if letter.expires_s <= now_s:
                self._expire(letter)
                continue
            peer.flying[letter.envelope.message_id] = letter
            if self._is_connected():
                self._send(letter.envelope)
        if not peer.flying:
            self._stop(address, peer)
        elif peer.timer is None:
            peer.attempts = 1
            self._wind_up(address, peer, pause_s(1, self._draw()))

    def _wind_up(self, address: str, peer: _Peer, wait_s: float) -> None:
        if peer.timer is not None:
            peer.timer.cancel()
        peer.timer = self._clock.call_at(self._clock.now_s() + wait_s, lambda: self._send_again(address))

    def _stop(self, address: str, peer: _Peer) -> None:
        if peer.timer is not None:
            peer.timer.cancel()
        del self._peers[address]

    def _send_again(self, address: str) -> None:
        """Send once more what is on its way to a peer, oldest first, and wait longer for a receipt."""
        peer = self._peers.get(address)
        if peer is None:
            return
        peer.timer = None
        now_s = self._clock.now_s()
        for message_id in [key for key, letter in peer.flying.items() if letter.expires_s <= now_s]:
            self._expire(peer.flying.pop(message_id))
        if self._is_connected():
            for letter in peer.flying.values():
                self._counts["resent"] += 1
                self._send(letter.envelope)
        peer.attempts += 1
        if peer.flying:
            self._wind_up(address, peer, pause_s(peer.attempts, self._draw()))
        self._fill(address)

    # -- letting go ---------------------------------------------------------------------------

    def _gaps(self, peer: _Peer, through: Mapping[str, int]) -> list[DeliveryGap]:
        """Return where a peer waits for numbers that are not here any more."""
        gaps = []
        for conversation, number in through.items():
            flying = (letter.envelope for letter in peer.flying.values())
            first = next((each.sequence for each in flying if each.conversation == conversation), 0)
            if first > number + 1:
                gaps.append(DeliveryGap(conversation=conversation, next_number=first))
        return gaps

    def _check_numbers(self, address: str, through: Mapping[str, int]) -> None:
        """Sound the alarm when a peer has read more than was said from this store: it is an old copy."""
        conversation = self.conversation_with(address)
        if through.get(conversation, 0) > self._numbers.get(conversation, 0):
            self._counts["numbers used before"] += 1
            log.error(
                "ALARM: numbers were used before; the store is an old copy and must be renewed",
                agent=self._address,
                to=address,
            )

    def _make_room(self, address: str) -> None:
        """Give up the oldest letters to a peer of which too many wait."""
        peer = self._peers[address]
        while len(peer) > PEER_MAX:
            self._counts["outbox full"] += 1
            if not peer.is_full:
                log.error("outbox full: oldest letters given up", agent=self._address, to=address)
            peer.is_full = True
            self._let_go(peer.oldest())

    def _expire(self, letter: _Kept) -> None:
        self._counts["expired"] += 1
        log.warning(
            "letter expired before it was confirmed",
            agent=self._address,
            to=letter.envelope.to,
            type=letter.envelope.message_type,
        )
        self._let_go(letter)

    def _let_go(self, letter: _Kept) -> None:
        if letter.name:
            self._keep(letter.name, None)
