"""FIPA Subscribe (SC00035) at application level: it needs nothing of the server.

subscribe → agree | refuse, then inform, inform, … until cancel.
A subscription outlives a restart of either side.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from ontology.base import Concept
from ontology.codec import message_type_of
from ontology.discourse import Acknowledgement, Refusal, Subscription
from ontology.errors import Failed, Unavailable
from ontology.letter import Letter
from ontology.performatives import Performative
from ontology.policy import may_receive

if TYPE_CHECKING:
    from behaviours.agent import Agent

__all__ = ["Subscriptions"]

RETRY_S = 60.0
"""How long a subscriber waits for agreement before it asks again."""


class Subscriptions:
    """Who gets what from an agent, and what it gets from others."""

    MESSAGE_TYPE: ClassVar[str] = message_type_of(Subscription)

    def __init__(self, agent: "Agent") -> None:
        """Serve an agent; what it publishes is what its behaviours declare."""
        self._agent = agent
        self._topics = {message_type_of(c) for b in agent.behaviours for c in b.publishes}
        self._subscribers: dict[str, dict[tuple[str, str], str]] = {}
        for name in agent.kept_names("subscriber "):
            _, topic, address, subject = name.split(" ", 3)
            self._subscribers.setdefault(topic, {})[address, subject] = ""

    def handle(self, subscription: Subscription, letter: Letter) -> Acknowledgement | Refusal:
        """Take up a subscriber, if the topic exists and its role may be told, or let it go."""
        topic = subscription.topic
        if letter.performative is Performative.CANCEL:
            self._subscribers.get(topic, {}).pop((letter.sender, subscription.subject), None)
            self._agent.keep(_name(topic, letter.sender, subscription.subject), None)
            return Acknowledgement(of=letter.message_id)
        role = self._agent.surroundings.membership[letter.sender].role
        if topic not in self._topics or not may_receive(role, topic):
            return Refusal(reason=f"no {topic} for a {role} here")
        self._subscribers.setdefault(topic, {})[letter.sender, subscription.subject] = ""
        self._agent.keep(_name(topic, letter.sender, subscription.subject), b"")
        return Acknowledgement(of=letter.message_id)

    def publish(self, content: Concept, subject: str) -> None:
        """Inform the subscribers of a kind of content, encoded once for all."""
        self._agent.post.broadcast(self._recipients(message_type_of(type(content)), subject), content)

    async def subscribe(self, to: str, concept: type[Concept], subject: str) -> None:
        """Ask until the publisher agrees; a refusal is final."""
        topic = message_type_of(concept)
        while True:
            by_s = self._agent.clock.now_s() + RETRY_S
            try:
                await self._agent.post.ask(
                    to, Subscription(topic=topic, subject=subject), by_s, Performative.SUBSCRIBE
                )
            except (Unavailable, Failed):
                await self._agent.clock.sleep_until(by_s)
            else:
                return

    def _recipients(self, topic: str, subject: str) -> Iterator[tuple[str, str]]:
        subscribers = self._subscribers.get(topic, {})
        wishing = (who for who, wanted in subscribers if not wanted or not subject or wanted == subject)
        for address in dict.fromkeys(wishing):
            yield address, self._agent.post.conversation_with(address)


def _name(topic: str, address: str, subject: str) -> str:
    """Return the name under which a subscription is kept."""
    return f"subscriber {topic} {address} {subject}"
