"""A host's record of letters, offered to those who may see it: the subscription, and what it brings."""

from typing import Annotated

from msgspec import Meta

from ontology.base import Concept, Count, Identifier, Label, Part

__all__ = ["MOST_BODY", "LetterNote", "RecordSubscription", "RecordedLetters"]

MOST_BODY = 12_000
"""Characters of a body that are passed on; longer ones are cut."""
MOST_NOTES = 200

_Time = Annotated[float, Meta(ge=0, le=253_402_300_799, description="epoch seconds, UTC")]


class RecordSubscription(Concept, frozen=True, kw_only=True, tag="parity:RecordSubscription"):
    """Asks a host for the letters that it records from now on, of one agent or site (FIPA SC00035)."""

    agent: Label
    """Empty: of all."""
    bodies: bool = False
    """Also what they say, which needs a right of its own."""


class LetterNote(Part, frozen=True, kw_only=True):
    """A letter that was recorded: when, what became of it, and its envelope."""

    time_s: _Time
    outcome: Label
    performative: Label
    sender: Label
    to: Label
    message_type: Label
    conversation: Annotated[str, Meta(max_length=1024)]
    sequence: Count
    message_id: Annotated[str, Meta(max_length=1024)]
    sent_at_s: _Time
    in_reply_to: Annotated[str, Meta(max_length=1024)] = ""
    protocol: Label = ""
    body: Annotated[str, Meta(max_length=MOST_BODY)] = ""


class RecordedLetters(Concept, frozen=True, kw_only=True, tag="parity:RecordedLetters"):
    """Letters that a host recorded, in order; `dropped` were left out, unfetched (FIPA SC00035)."""

    host: Identifier
    letters: Annotated[list[LetterNote], Meta(max_length=MOST_NOTES)]
    dropped: Count = 0
