"""Who is a member, told to hosts that learn it: certificates by the market operator, page by page.

```
gateway          MemberQuery(since) → market operator     each minute, and at the start
market operator  MemberListing → gateway                  what was issued or revoked since
```
"""

from contextlib import suppress

import structlog

from behaviours.behaviour import Behaviour, on, when
from behaviours.membership import MemberRegister
from ontology.errors import ParityError, Refused
from ontology.letter import Letter
from ontology.membership import MAX_CERTIFICATES, MemberListing, MemberQuery
from ontology.performatives import Performative

__all__ = ["Certification", "MemberLearning"]

log = structlog.get_logger()

ASK_EVERY_S = 60.0
OVERLAP_S = 1
"""Certificates of the newest second are asked for again: more may have been issued in it."""


class Certification(Behaviour):
    """Tells hosts which certificates there are; where everybody is known from the start, nobody asks."""

    @on(MemberQuery)
    def tell_of_members(self, query: MemberQuery, letter: Letter) -> MemberListing:
        """Return a page of the certificates issued since a time.

        Raises: Refused where no certificates are issued.
        """
        register = self.agent.surroundings.membership
        if not isinstance(register, MemberRegister):
            raise Refused("everybody is known from the start here")
        found = sorted(
            (
                each
                for each in register.certificates.values()
                if each.issued_at_s >= query.since_s and each.site > query.after
            ),
            key=lambda each: each.site,
        )
        return MemberListing(
            certificates=found[:MAX_CERTIFICATES], is_complete=len(found) <= MAX_CERTIFICATES
        )


class MemberLearning(Behaviour):
    """Keeps a host's register up to date, where it has one that learns."""

    @when("started")
    async def learn(self) -> None:
        """Ask each minute for what is new; when the market operator is away, what is known holds on."""
        register = self.agent.surroundings.membership
        market = getattr(self.settings, "directory", "")
        while market and isinstance(register, MemberRegister):
            with suppress(ParityError):
                await self._ask(register, market)
            await self.clock.sleep_until(self.clock.now_s() + ASK_EVERY_S)

    async def _ask(self, register: MemberRegister, market: str) -> None:
        """Learn all that was issued since the newest that is known, page by page.

        Raises: Unavailable when the market operator does not answer.
        """
        since_s, after = max(0, register.newest_s - OVERLAP_S), ""
        while True:
            query = MemberQuery(since_s=since_s, after=after)
            listing = await self.ask(market, query, MemberListing, act=Performative.QUERY_REF)
            for certificate in listing.certificates:
                try:
                    register.learn(certificate)
                except Refused as error:
                    self.agent.counts["certificates refused"] += 1
                    log.warning("certificate refused", agent=self.agent.address, why=str(error))
            if listing.is_complete or not listing.certificates:
                return
            after = listing.certificates[-1].site
