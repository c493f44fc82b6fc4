"""Speaking for people and programs outside: what a portal brings is said in the agent's own name.

```
program  HTTP → portal  ProxyRequest(DstatcomCommand) → DSO  DstatcomCommand → D-STATCOM
                portal  ←         ProxyAnswer           DSO  ←  Acknowledgement
```
Whoever addresses the agents from outside is let in by its portal: one a role of the operators, one a site.
"""

from behaviours.behaviour import Behaviour, on
from behaviours.membership import Member
from ontology.delegation import ProxyAnswer, ProxyRequest
from ontology.discourse import Acknowledgement
from ontology.errors import Refused
from ontology.letter import Letter
from ontology.performatives import Performative
from ontology.roles import Role

__all__ = ["Delegation"]

WITHIN_S = 120.0
"""How long the other may take, in the agents' time; who asks from outside waits by a clock of its own."""


class Delegation(Behaviour):
    """Says what its own portal wants said, as far as the agent's role may say it."""

    @on(ProxyRequest, Performative.REQUEST)
    async def say(self, proxy: ProxyRequest, letter: Letter) -> ProxyAnswer:
        """Say it and return the answer; what expects none is acknowledged with its message id.

        Raises: Refused for anyone but the agent's own portal, and whatever the other raises.
        """
        membership = self.agent.surroundings.membership
        if not speaks_for(membership[letter.sender], self.agent.member):
            raise Refused(f"{letter.sender} is no portal of {self.agent.address}")
        if proxy.to not in membership:
            raise Refused(f"there is no agent {proxy.to}")
        if proxy.act is Performative.INFORM:
            return ProxyAnswer(content=Acknowledgement(of=self.tell(proxy.to, proxy.content, proxy.act)))
        self.agent.commit()
        by_s = self.clock.now_s() + WITHIN_S
        answer = await self.agent.post.ask(
            proxy.to, proxy.content, by_s, proxy.act, until_agreed=proxy.until_agreed
        )
        return ProxyAnswer(content=answer.content)  # type: ignore[arg-type]


def speaks_for(portal: Member, agent: Member) -> bool:
    """Whether a member is the portal of an agent: of its role, or of the site that it belongs to."""
    if not portal.is_portal or portal.site != agent.site:
        return False
    return portal.role is Role.UI if agent.site else portal.role is agent.role
