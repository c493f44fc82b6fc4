"""The repository agent's services for members: registration, pseudonyms, consent (D8.1 3.2, SPEC 4.2, 7.2).

```
market operator       Onboarding, ErasureRequest → repository    User, without name and e-mail
oracle, chain agent   PseudonymRequest → repository              IssuedPseudonym, of one's own site alone
prosumer, operator    Consent → repository → who subscribed      the newest holds, the history stays
```
Personal details are sealed for the registry: no letter names anybody.
"""

import msgspec

from behaviours.behaviour import Behaviour, every, on, when
from behaviours.information.facts import required_repository
from behaviours.registry_port import UserRegistry
from ontology.discourse import Acknowledgement
from ontology.errors import InvalidInput, Refused
from ontology.letter import Letter
from ontology.registration import (
    Consent,
    ErasureRequest,
    IssuedPseudonym,
    Onboarding,
    PseudonymRequest,
)
from ontology.roles import Role
from ontology.users import User

__all__ = ["ConsentKeeping", "PseudonymIssuing", "UserRegistration"]

_SEEN = "consents seen"


class UserRegistration(Behaviour):
    """Takes up new members for the market operator, and forgets those who want to be forgotten."""

    @on(Onboarding)
    async def register(self, told: Onboarding, letter: Letter) -> User:
        """Register a person; the answer has neither name nor e-mail.

        Raises: InvalidInput with every problem, Refused where there is no registry.
        """
        registry = required_registry(self)
        user = await registry.register(told, self.now_s(), letter.sender)
        return msgspec.structs.replace(user, name="", email="")

    @on(ErasureRequest)
    async def erase(self, request: ErasureRequest, letter: Letter) -> Acknowledgement:
        """Forget who a user was, with all that is known of the site.

        Raises: InvalidInput when there never was such a user, Refused where there is no registry.
        """
        registry = required_registry(self)
        await registry.erase(request.user_id, self.now_s(), letter.sender, required_repository(self))
        return Acknowledgement(of=letter.message_id)


class PseudonymIssuing(Behaviour):
    """Tells an oracle or a blockchain agent what its own site is called."""

    @on(PseudonymRequest)
    async def issue(self, request: PseudonymRequest, letter: Letter) -> IssuedPseudonym:
        """Return a pseudonym.

        Raises: Refused when it is not the sender's own site, or it asks too often; InvalidInput when it is a
            pseudonym already.
        """
        if self.agent.surroundings.membership[letter.sender].site != request.identity:
            raise Refused("a pseudonym is told to those who work for its site")
        return await required_registry(self).pseudonyms.issue(
            request.identity, request.scope, request.time_s, self.clock.now_s(), letter.sender
        )


class ConsentKeeping(Behaviour):
    """Keeps what members agree to, and tells at once those who have to heed it."""

    publishes = (Consent,)

    def setup(self) -> None:
        """Recall up to when what the registry was told has been published."""
        self._seen_s = int(self.agent.kept_bytes(_SEEN) or b"0")
        self._told: set[Consent] = set()
        """What was told since the last second seen."""

    @on(Consent)
    async def keep_consent(self, consent: Consent, letter: Letter) -> Acknowledgement:
        """Keep what somebody says for its own site, or the market operator for anybody.

        Raises: Refused when it is about another's site, InvalidInput when nobody is registered there.
        """
        speaker = self.agent.surroundings.membership[letter.sender]
        if speaker.role is not Role.MARKET_OPERATOR and speaker.site != consent.subject:
            raise Refused("everybody agrees for the own site only")
        registry = self.agent.surroundings.registry
        said = msgspec.structs.replace(consent, time_s=self.now_s())
        if registry is not None:
            user_id = registry.user_of(consent.subject)
            if user_id is None:
                raise InvalidInput("nobody is registered at this site")
            text = consent.text_version
            await registry.consent(user_id, said.purpose, said.given, said.time_s, letter.sender, text)
        await self._tell(said)
        return Acknowledgement(of=letter.message_id)

    @when("started")
    async def begin(self) -> None:
        """Tell what holds as soon as others have had time to subscribe."""
        if self.agent.surroundings.registry is not None:
            await self.clock.sleep_until(self.clock.now_s() + 2)
            await self._publish_since(0)

    @every(minutes=15, offset_s=1)
    async def publish_new(self) -> None:
        """Tell what was said elsewhere, as at the command line, in the interval that ended."""
        await self._publish_since(self._seen_s)

    async def _publish_since(self, time_s: int) -> None:
        """Tell what is new, of the last second seen what came since."""
        registry = self.agent.surroundings.registry
        if registry is None:
            return
        found = [each for each in await registry.consents_since(time_s) if each not in self._told]
        for consent in found:
            await self._tell(consent)
        if found:
            self._seen_s = max(self._seen_s, *(each.time_s for each in found))
            self._told = {each for each in self._told if each.time_s >= self._seen_s}
            self.keep(_SEEN, str(self._seen_s).encode())

    async def _tell(self, consent: Consent) -> None:
        self._told.add(consent)
        await required_repository(self).store([consent])
        self.publish(consent, consent.subject)


def required_registry(behaviour: Behaviour) -> UserRegistry:
    """Return the registry that the agent was handed.

    Raises: Refused when there is none.
    """
    registry = behaviour.agent.surroundings.registry
    if registry is None:
        raise Refused("this community has no registry of users")
    return registry
