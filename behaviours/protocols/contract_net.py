"""FIPA's contract net, plain and iterated (SC00029, SC00030), as one conversation with each participant.

```
net = ContractNet(agent, CoalitionBid)
bids = await net.call(members, product, within_s=5)        # cfp → propose | refuse
bids |= await net.call(net.bidders, revised, within_s=5)   # the same conversations, a second round
result = await net.accept(member, invitation, Commitment, within_s=60)   # → inform | failure
net.reject(other, "not needed")
```
A proposal that comes after its deadline is rejected as late by the post. What the protocol does not
allow at a point of a conversation is not said.
"""

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Generic, TypeVar

from behaviours.protocols.conformance import Conversation, Side
from ontology.base import Concept
from ontology.codec import message_type_of
from ontology.discourse import Refusal
from ontology.errors import Conflict, Failed, ParityError
from ontology.letter import Letter
from ontology.performatives import Performative

if TYPE_CHECKING:
    from behaviours.agent import Agent

__all__ = ["ContractNet"]

C = TypeVar("C", bound=Concept)
R = TypeVar("R", bound=Concept)

PROTOCOL = "fipa-iterated-contract-net"


class _Contract:
    """The conversation with one participant: its id, and where it stands."""

    def __init__(self, conversation: str) -> None:
        self.conversation = conversation
        self.progress = Conversation(PROTOCOL)
        self.proposed: Letter | None = None

    def say(self, act: Performative) -> None:
        """Go on with an act of the initiator.

        Raises: Conflict when it may not be said now.
        """
        violation = self.progress.say(Side.INITIATOR, act)
        if violation is not None:
            raise Conflict(f"{act} may not be said now; {', '.join(violation.allowed) or 'nothing'} may")


class ContractNet(Generic[C]):
    """A call for proposals to several participants, from the first cfp to the results."""

    def __init__(self, agent: "Agent", proposal: type[C]) -> None:
        """Begin nothing yet; proposals are of one type."""
        self._agent = agent
        self._proposal = proposal
        self._contracts: dict[str, _Contract] = {}

    @property
    def bidders(self) -> list[str]:
        """Those whose proposals wait for a decision."""
        return [
            who
            for who, contract in self._contracts.items()
            if Performative.ACCEPT_PROPOSAL in contract.progress.allowed(Side.INITIATOR)
        ]

    def proposal_letter(self, who: str) -> Letter:
        """Return the letter with which a participant proposed.

        Raises: Conflict when the participant has no proposal that waits.
        """
        letter = self._contract_of(who).proposed
        if letter is None:
            raise Conflict(f"{who} has made no proposal yet")
        return letter

    async def call(self, participants: Iterable[str], content: Concept, *, within_s: float) -> dict[str, C]:
        """Call for proposals, or for revised ones from who proposed before; return what came in time."""
        asked = list(participants)
        answers = await asyncio.gather(*(self._proposal_of(who, content, within_s) for who in asked))
        return {who: answer for who, answer in zip(asked, answers, strict=True) if answer is not None}

    async def accept(self, who: str, content: Concept, result: type[R], *, within_s: float) -> R:
        """Accept a proposal and wait for what becomes of it.

        Raises: Conflict when the participant has no proposal that waits; Failed or Refused as it says;
        Unavailable when nothing is heard in time.
        """
        contract = self._contract_of(who)
        contract.say(Performative.ACCEPT_PROPOSAL)
        self._agent.commit()
        try:
            answer = await self._agent.post.ask(
                who,
                content,
                self._agent.clock.now_s() + within_s,
                Performative.ACCEPT_PROPOSAL,
                conversation=contract.conversation,
                protocol=PROTOCOL,
            )
        finally:
            self._end(who)
        return _of_type(answer.content, result, who)

    def reject(self, who: str, reason: str) -> None:
        """Turn a proposal down.

        Raises: Conflict when the participant has no proposal that waits.
        """
        contract = self._contract_of(who)
        contract.say(Performative.REJECT_PROPOSAL)
        self._agent.post.send(
            who,
            Refusal(reason=reason),
            Performative.REJECT_PROPOSAL,
            conversation=contract.conversation,
            protocol=PROTOCOL,
        )
        self._end(who)

    def reject_rest(self, reason: str) -> None:
        """Turn down every proposal that still waits."""
        for who in self.bidders:
            self.reject(who, reason)

    def cancel(self) -> None:
        """Call off everything that participants are still busy with, and turn down what they proposed."""
        for contract in list(self._contracts.values()):
            self._agent.post.cancel(contract.conversation)
        self.reject_rest("called off")

    async def _proposal_of(self, who: str, content: Concept, within_s: float) -> C | None:
        """Return a participant's proposal; who declines or is silent is out, late proposals included."""
        if who not in self._contracts:
            self._contracts[who] = _Contract(self._agent.post.new_conversation())
        contract = self._contracts[who]
        contract.say(Performative.CFP)
        try:
            answer = await self._agent.post.ask(
                who,
                content,
                self._agent.clock.now_s() + within_s,
                Performative.CFP,
                conversation=contract.conversation,
                protocol=PROTOCOL,
            )
            proposal = _of_type(answer.content, self._proposal, who)
        except ParityError:
            self._end(who)
            return None
        contract.progress.say(Side.PARTICIPANT, Performative.PROPOSE)
        contract.proposed = answer
        return proposal

    def _contract_of(self, who: str) -> _Contract:
        contract = self._contracts.get(who)
        if contract is None:
            raise Conflict(f"{who} has made no proposal that waits for a decision")
        return contract

    def _end(self, who: str) -> None:
        self._agent.post.conclude(self._contracts.pop(who).conversation)


def _of_type(content: Concept, wanted: type[R], who: str) -> R:
    if not isinstance(content, wanted):
        raise Failed(f"{who} answered {message_type_of(type(content))}, not {message_type_of(wanted)}")
    return content
