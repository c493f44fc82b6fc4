"""The inbox of an agent: what it has read of letters that their senders keep, and the receipts it owes.

A number is read once: the mark that says so is written in the transaction of what the letter changed, and
only then is the receipt sent. So a letter is either still with its sender or has had its effect.
"""

from collections.abc import Callable, Mapping

from behaviours.ports import Clock
from ontology.discourse import DeliveryReceipt, ReadMark
from ontology.letter import Envelope

__all__ = ["SKEW_S", "Inbox"]

SKEW_S = 120.0
"""How far clocks may be apart: that long after its deadline a letter is still known as read (SPEC 7.3)."""

DAY_S = 86_400.0
TIDY_EVERY_S = 600.0
RECEIPTS_A_LETTER = 100

_MARK = "mark "

Key = tuple[str, str]
"""A sender and a conversation."""


class Inbox:
    """Marks of one agent that outlive it, and receipts that are due."""

    def __init__(
        self,
        *,
        clock: Clock,
        keep: Callable[[str, bytes | None], None],
        confirm: Callable[[str, DeliveryReceipt], None],
    ) -> None:
        """Begin with nothing read.

        Args:
            clock: says when a mark can be forgotten.
            keep: stages a change of the agent's state, to be written with its next transaction.
            confirm: sends a receipt to an address.
        """
        self._clock = clock
        self._keep = keep
        self._confirm = confirm
        self._written: dict[Key, int] = {}
        self._unwritten: dict[Key, int] = {}
        self._forget_at_s: dict[Key, float] = {}
        self._unwritten_ids: list[tuple[str, str]] = []
        self._owed: dict[str, dict[str, None]] = {}
        self._owed_ids: dict[str, dict[str, None]] = {}
        self._is_confirming = False
        self._tidy_at_s = 0.0

    def recall(self, kept: Mapping[str, bytes]) -> dict[Key, int]:
        """Take up the marks from before a restart, and return them."""
        for name, value in kept.items():
            if name.startswith(_MARK):
                _, sender, conversation = name.split(" ", 2)
                number, _, forget_at = value.partition(b" ")
                self._written[sender, conversation] = int(number)
                if forget_at:
                    self._forget_at_s[sender, conversation] = float(forget_at)
        return dict(self._written)

    def is_stale(self, envelope: Envelope) -> bool:
        """Whether a letter comes so long after its deadline that it may have been read and forgotten."""
        return 0 < envelope.reply_by_s < self._clock.now_s() - SKEW_S

    def note(self, envelope: Envelope) -> None:
        """Stage that a letter is read; its receipt is due once that is written."""
        if envelope.sequence == 0:
            self._unwritten_ids.append((envelope.sender, envelope.message_id))
            return
        self.note_mark((envelope.sender, envelope.conversation), envelope.sequence, envelope.reply_by_s)

    def note_mark(self, key: Key, number: int, reply_by_s: float = 0.0) -> None:
        """Stage that a conversation is read up to a number."""
        self._unwritten[key] = number
        value = str(number)
        if ">" not in key[1]:
            forget_at_s = (reply_by_s or self._clock.now_s() + DAY_S) + 2 * SKEW_S
            self._forget_at_s[key] = max(forget_at_s, self._forget_at_s.get(key, 0.0))
            value = f"{number} {self._forget_at_s[key]:.0f}"
        self._keep(f"{_MARK}{key[0]} {key[1]}", value.encode())

    def written(self) -> None:
        """Let the receipts go of all that was staged: it is written."""
        for key, number in self._unwritten.items():
            self._written[key] = number
            self.owe(*key)
        self._unwritten.clear()
        for sender, message_id in self._unwritten_ids:
            self.owe_id(sender, message_id)
        self._unwritten_ids.clear()

    def owe(self, sender: str, conversation: str) -> None:
        """Tell a sender, at the end of this turn, how far its letters in a conversation are written."""
        self._owed.setdefault(sender, {})[conversation] = None
        self._confirm_soon()

    def owe_id(self, sender: str, message_id: str) -> None:
        """Tell a sender that a letter without a number has been read."""
        self._owed_ids.setdefault(sender, {})[message_id] = None
        self._confirm_soon()

    def _confirm_soon(self) -> None:
        if not self._is_confirming:
            self._is_confirming = True
            self._clock.call_at(self._clock.now_s(), self._confirm_all)

    def _confirm_all(self) -> None:
        """Send every sender one receipt for all that it is owed."""
        self._is_confirming = False
        owed, self._owed = self._owed, {}
        owed_ids, self._owed_ids = self._owed_ids, {}
        for sender in dict.fromkeys((*owed, *owed_ids)):
            conversations, ids = list(owed.get(sender, ())), list(owed_ids.get(sender, ()))
            for start in range(0, max(len(conversations), len(ids)), RECEIPTS_A_LETTER):
                part = slice(start, start + RECEIPTS_A_LETTER)
                marks = [
                    ReadMark(conversation=each, number=self._written.get((sender, each), 0))
                    for each in conversations[part]
                ]
                self._confirm(sender, DeliveryReceipt(read=marks, message_ids=ids[part]))
        self._tidy()

    def _tidy(self) -> None:
        """Forget, now and then, the marks of questions whose deadline is long over."""
        now_s = self._clock.now_s()
        if now_s < self._tidy_at_s:
            return
        self._tidy_at_s = now_s + TIDY_EVERY_S
        for key in [each for each, forget_at_s in self._forget_at_s.items() if forget_at_s < now_s]:
            del self._forget_at_s[key]
            self._written.pop(key, None)
            self._keep(f"{_MARK}{key[0]} {key[1]}", None)
