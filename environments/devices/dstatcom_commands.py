"""The commander's side of commands: each with an id of its own, and given again before it runs out."""

import secrets
from typing import NamedTuple

from behaviours.ports import Clock
from environments.devices.dstatcom_frames import AcknowledgementFrame, CommandFrame, command_frame
from ontology.errors import Refused
from ontology.grid import DstatcomCommand

__all__ = ["USUAL_TERMS", "CommandBook", "CommandTerms", "accepted"]


class CommandTerms(NamedTuple):
    """How long a command holds, and how long to wait for its acknowledgement, in seconds."""

    valid_s: int = 1_800
    answer_s: float = 2.0
    attempts: int = 2
    """The same command, with the same id, is sent so often before it counts as not delivered."""


USUAL_TERMS = CommandTerms()


class CommandBook:
    """What was commanded last, whether the unit has it, and when it must be given again."""

    def __init__(self, clock: Clock, terms: CommandTerms) -> None:
        """Begin without a command; ids are unique over restarts."""
        self._clock, self._terms = clock, terms
        self._prefix, self._number = secrets.token_hex(4), 0
        self._wanted: DstatcomCommand | None = None
        self._renew_s = 0.0

    def wanted(self, command: DstatcomCommand) -> CommandFrame:
        """Note a new command, not delivered yet, and return its frame."""
        self._wanted, self._renew_s = command, self._clock.now_s()
        return self._frame(command)

    def delivered(self) -> None:
        """Note that the unit has the command, for a third of its time."""
        self._renew_s = self._clock.now_s() + self._terms.valid_s / 3

    def refused(self) -> None:
        """Note that the unit will not have the command: it is not given again."""
        self._wanted = None

    def due(self) -> CommandFrame | None:
        """Return the command to give (again) now: not delivered yet, or soon to run out."""
        if self._wanted is None or self._clock.now_s() < self._renew_s:
            return None
        return self._frame(self._wanted)

    def _frame(self, command: DstatcomCommand) -> CommandFrame:
        self._number += 1
        command_id = f"{self._prefix}-{self._number}"
        return command_frame(command, command_id, self._clock.now_s(), self._terms.valid_s)


def accepted(answer: AcknowledgementFrame) -> None:
    """Check that a command was taken.

    Raises: Refused with the unit's reasons when it was not.
    """
    if not answer.accepted:
        raise Refused("; ".join(str(each) for each in answer.problems) or "the unit does not say why")
