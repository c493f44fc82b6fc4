"""Portals of a community: agents that people and programs outside speak through, one a role or site."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence

from agents.portal import Portal, portal_of
from behaviours.agent import Agent
from environments.http.answers import NotThere
from launch.parts import AddressBook, Part
from ontology.base import Concept
from ontology.delegation import ProxyAnswer, ProxyRequest
from ontology.errors import Refused, Unavailable
from ontology.ownership import Party
from ontology.performatives import Performative
from ontology.roles import Role

__all__ = ["CommunityPortals", "portal_parts"]

OPERATORS = (
    Role.DSO,
    Role.AGGREGATOR,
    Role.MARKET_OPERATOR,
    Role.EXTERNAL_MARKETS,
    Role.DSTATCOM,
    Role.REPOSITORY,
)
WITHIN_S = 150.0
"""How long an answer may take in the agents' time; who asks from outside waits by a clock of its own."""


def portal_parts(at: AddressBook, sites: Sequence[str]) -> Iterator[Part]:
    """Cast a portal for each role of the operators, and one for each site."""
    for role in OPERATORS:
        yield Part(portal_of(role), at[_name(role)], None)
    for site in sites:
        yield Part(Portal, at[f"{site}-portal"], None, site)


class CommunityPortals:
    """The `Portals` port over the agents of a running community.

    Args: agents: those that live here, by address; addresses: of all members.
    """

    def __init__(self, agents: Mapping[str, Agent], addresses: Sequence[str]) -> None:
        self._agents = agents
        self._address_of = {address.partition("@")[0]: address for address in addresses}

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
        """Say something to an agent in the name of a party, and return its answer.

        With a speaker, that agent of the party's says it, in its own name.

        Raises: NotThere when there is no such agent, what the agent raises, TimeoutError when it has not
            answered in time.
        """
        portal, receiver = self._portal(party), self._address(to)
        if speaker and self._address(speaker) != receiver:
            proxy = ProxyRequest(to=receiver, act=act, content=content, until_agreed=until_agreed)  # type: ignore[arg-type]
            receiver, content, act = self._address(speaker), proxy, Performative.REQUEST
        if act is Performative.INFORM:
            portal.tell(receiver, content, act)
            return content
        asked = portal.ask(receiver, content, Concept, within_s=WITHIN_S, act=act)
        answer = await asyncio.wait_for(asked, deadline_s)
        return answer.content if isinstance(answer, ProxyAnswer) else answer

    def _portal(self, party: Party) -> Agent:
        name = f"{party.subjects[0]}-portal" if party.is_bound and party.subjects else _name(party.role)
        address = self._address_of.get(name)
        if address is None:
            raise Refused(f"there is no portal for a {party.role} here")
        agent = self._agents.get(address)
        if agent is None:
            raise Unavailable("the portal is not running")
        return agent

    def _address(self, name: str) -> str:
        address = self._address_of.get(name)
        if address is None:
            raise NotThere(f"there is no agent {name}")
        return address


def _name(role: Role) -> str:
    return f"portal-{role}"
