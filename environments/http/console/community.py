"""What the console shows: a live community, a running simulation, or a finished run, all behind one port."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

from environments.repository.letter_archive import LetterArchive
from ontology.roles import Role

__all__ = ["AgentView", "Community", "Mode"]


class Mode(StrEnum):
    """How the community that is shown is there."""

    LIVE = "live"
    SIMULATION = "simulation"
    FINISHED = "finished"


class AgentView(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an agent; times are epoch seconds of the agents' clock.

    `running` is None where nobody can tell, as after a run.
    """

    address: str
    role: Role
    site: str = ""
    running: bool | None = None
    heard_s: float | None = None
    behaviours: Mapping[str, Sequence[str]] = {}
    """Each behaviour and what it handles."""
    counts: Mapping[str, int] = {}
    inbox: int = 0
    """Letters on their way to it, waiting for their turn, or being worked on."""
    faults: Sequence[tuple[float, str, str]] = ()
    """Errors of its handlers, oldest first: when, where, what."""


class Community(Protocol):
    """A community as the console sees it. Facts come from the repository of the application's services."""

    name: str
    mode: Mode
    archive: LetterArchive | None
    """Its letters, where they are recorded."""

    def now_s(self) -> float:
        """Return the agents' time, or when the run ended."""

    def agents(self) -> Sequence[AgentView]:
        """Return all its agents, by address."""

    async def stop(self, address: str) -> None:
        """Stop an agent.

        Raises: Refused where that cannot be, as after a run.
        """

    async def start(self, address: str) -> None:
        """Start an agent that was stopped.

        Raises: Refused where that cannot be.
        """
