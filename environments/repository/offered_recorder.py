"""A recorder that also offers what it records, and leaves out the letters that carry records."""

from collections.abc import Callable, Container

from behaviours.ports import Recorder
from ontology.letter import Envelope

__all__ = ["OfferedRecorder"]

Offer = Callable[[Envelope, str, float], None]


class OfferedRecorder:
    """The `Recorder` port before another one.

    Args:
        recorder: writes letters down, if any does.
        left_out: message types that are neither written down nor offered.
    """

    def __init__(self, recorder: Recorder | None, left_out: Container[str]) -> None:
        self._recorder = recorder
        self._left_out = left_out
        self.offer: Offer = lambda envelope, outcome, time_s: None
        """Told of every letter; whoever keeps the record puts itself here."""

    def record(self, envelope: Envelope, outcome: str, time_s: float) -> None:
        """Note an envelope and its outcome at a time (epoch seconds)."""
        if envelope.message_type in self._left_out:
            return
        if self._recorder is not None:
            self._recorder.record(envelope, outcome, time_s)
        self.offer(envelope, outcome, time_s)
