"""The way from a call to an agent: whoever hosts the community hands the interface one."""

from typing import Protocol

from ontology.base import Concept
from ontology.ownership import Party
from ontology.performatives import Performative

__all__ = ["Portals"]


class Portals(Protocol):
    """Says things to agents in the name of callers, and brings their answers back."""

    async def say(
        self,
        party: Party,
        to: str,
        content: Concept,
        act: Performative,
        deadline_s: float,
        *,
        speaker: str = "",
        until_agreed: bool = False,
    ) -> Concept:
        """Say something to an agent, named without its domain, and return its answer.

        Args:
            party: in whose name; a site's is its first subject.
            to: such as `dstatcom` or `h001-gateway`.
            content: what is said.
            act: how: a request, a query, a call for proposals; an inform expects no answer, and its content
                is returned.
            deadline_s: real seconds to wait.
            speaker: which agent of the party's own says it, such as `dso`; none: the portal itself.
            until_agreed: whether the agent's `agree` is answer enough.

        Raises: Refused, NotUnderstood or Failed as the agent says, NotThere when there is no such agent,
            Unavailable when the portal is down, TimeoutError when there is no answer in time.
        """
