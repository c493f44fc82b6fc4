"""A run folder as a community: its letters, and the facts that were told to its repository."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from behaviours.repository_port import Repository
from environments.http.console.community import AgentView, Mode
from environments.repository.keys import ENTITIES
from environments.repository.letter_archive import LetterArchive, LetterSelection, RecordedLetter
from ontology.base import Concept
from ontology.codec import decode_body
from ontology.errors import ParityError, Refused
from ontology.performatives import Performative

__all__ = ["RecordedCommunity"]

_PAGE = 1_000
_TOLD = frozenset({Performative.INFORM, Performative.REQUEST})


class RecordedCommunity:
    """A run that is over, or that still writes its record.

    Args:
        name: of the scenario.
        record: the file of letters.
        repository: where the facts are put that the letters tell.
        agents: who takes part, with nothing heard of anybody yet.
        finished: whether nothing more will come.
    """

    def __init__(
        self,
        name: str,
        record: Path,
        repository: Repository,
        agents: Sequence[AgentView],
        *,
        finished: bool,
    ) -> None:
        self.name = name
        self.mode = Mode.FINISHED if finished else Mode.SIMULATION
        self.archive: LetterArchive | None = LetterArchive(record)
        self._record = self.archive
        self._repository = repository
        self._agents = agents
        self._read = 0
        self._now_s = 0.0
        self._heard: dict[str, float] = {}
        self._counts: dict[str, dict[str, int]] = {}

    def now_s(self) -> float:
        """Return the agents' time of the last letter."""
        return self._now_s

    def agents(self) -> Sequence[AgentView]:
        """Return the agents, with what they sent and received."""
        return [
            msgspec.structs.replace(
                agent, heard_s=self._heard.get(agent.address), counts=self._counts.get(agent.address, {})
            )
            for agent in self._agents
        ]

    async def stop(self, address: str) -> None:
        """Refuse: what is recorded cannot be changed.

        Raises: Refused always.
        """
        raise Refused("this is a record; its agents are not here")

    async def start(self, address: str) -> None:
        """Refuse: what is recorded cannot be changed.

        Raises: Refused always.
        """
        await self.stop(address)

    async def catch_up(self) -> None:
        """Read what has been recorded since the last time."""
        everything = LetterSelection()
        while letters := self._record.select(everything, after=self._read, limit=_PAGE, oldest_first=True):
            for letter in letters:
                self._note(letter)
            await self._repository.store([fact for each in letters if (fact := _fact_told(each)) is not None])
            self._read = letters[-1].number

    def close(self) -> None:
        """Let go of the record."""
        self._record.close()

    def _note(self, letter: RecordedLetter) -> None:
        envelope, self._now_s = letter.envelope, max(self._now_s, letter.time_s)
        self._heard[envelope.sender] = envelope.sent_at_s
        for address, what in ((envelope.sender, "sent"), (envelope.to, letter.outcome)):
            counts = self._counts.setdefault(address, {})
            counts[what] = counts.get(what, 0) + 1


def _fact_told(letter: RecordedLetter) -> Concept | None:
    """Return the fact that a letter told the repository, if it did."""
    envelope = letter.envelope
    if not envelope.to.startswith("repository@") or envelope.message_type not in ENTITIES:
        return None
    if letter.outcome != "handled" or envelope.performative not in _TOLD:
        return None
    try:
        return decode_body(envelope.message_type, envelope.body)
    except ParityError:
        return None
