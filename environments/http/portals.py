"""The way from a call to an agent: whoever hosts the community hands the interface one."""

from typing import Protocol

from ontology.base import Concept
from ontology.ownership import Party
from ontology.performatives import Performative

__all__ = ["Portals"]


class Portals(Protocol):
    """Says things to agents in the name of callers, and brings their answers back."""

    async def say(
        self, party: Party, to: str, content: Concept, act: Performative, deadline_s: float
    ) -> Concept:
        """Say something to an agent, named without its domain, and return its answer.

        Args:
            party: in whose name; a site's is its first subject.
            to: such as `dstatcom` or `h001-gateway`.
            content: what is said.
            act: how: a request, a query, a proposal; an inform returns an acknowledgement of its own.
            deadline_s: real seconds to wait.

        Raises: Refused, NotUnderstood or Failed as the agent says, Unavailable when there is no such agent,
            TimeoutError when it has not answered in time.
        """
