"""The port to the registry of people: what the repository agent asks of it."""

from collections.abc import Sequence
from typing import Protocol

from behaviours.repository_port import Repository
from ontology.privacy import PseudonymScope
from ontology.registration import Consent, ConsentPurpose, IssuedPseudonym, Onboarding
from ontology.users import User

__all__ = ["PseudonymSource", "UserRegistry"]


class PseudonymSource(Protocol):
    """Gives people their names in each scope."""

    async def issue(
        self, name: str, scope: PseudonymScope, time_s: int, now_s: float, actor: str
    ) -> IssuedPseudonym:
        """Return the pseudonym of a site or user in a scope at a time.

        Raises: InvalidInput when it is a pseudonym already or nobody's name, Refused when somebody asks too
            often, Unavailable when the key of that time was destroyed.
        """


class UserRegistry(Protocol):
    """Knows who is behind a site, what was agreed to, and can forget it."""

    @property
    def pseudonyms(self) -> PseudonymSource:
        """The pseudonyms on request."""

    async def register(self, told: Onboarding, time_s: int, actor: str) -> User:
        """Register a person whose details are sealed for the registry.

        Raises: InvalidInput with every problem; then nothing is kept.
        """

    def user_of(self, site: str) -> str | None:
        """Return the id of the user whose a site is."""

    async def consent(
        self, user_id: str, purpose: ConsentPurpose, given: bool, time_s: int, actor: str, text: str = ""
    ) -> Consent:
        """Write down that somebody agrees, or does not any more."""

    async def consents_since(self, time_s: int) -> Sequence[Consent]:
        """Return what anybody agreed to and withdrew since a time, in order."""

    async def erase(self, user_id: str, time_s: int, actor: str, *others: Repository) -> None:
        """Forget who a user was, with what repositories know of the site.

        Raises: InvalidInput when there never was such a user.
        """
