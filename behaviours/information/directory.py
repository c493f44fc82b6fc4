"""The directory: who offers what, for as long as its lease (FIPA SC00023, on any XMPP server).

```
member       DirectoryEntry → facilitator     registers, and renews at half of its lease
server       presence → facilitator           says earlier than the lease that a member is gone, where it can
anybody      DirectorySearch → facilitator    looks up by role, segment and product
facilitator  DirectoryNotice → subscribers    somebody came, left, or let its lease run out
```
"""

from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial

import msgspec

from behaviours.behaviour import Behaviour, every, on, when
from behaviours.ports import Cancellable
from ontology.directory import (
    CoarseProfile,
    DirectoryEntry,
    DirectoryListing,
    DirectoryNotice,
    DirectorySearch,
)
from ontology.discourse import Acknowledgement
from ontology.errors import ParityError, Refused
from ontology.letter import Letter
from ontology.performatives import Performative
from ontology.roles import Role

__all__ = ["LEASE_S", "DirectoryFacilitator", "DirectoryMembership", "look_up"]

LEASE_S = 3600
LEASE_MIN_S, LEASE_MAX_S = 10, 86_400
ABSENCE_S = 60.0
"""How long a member may be away, its connection lost, before it counts as gone (SPEC 5.3 E)."""
PAGE = 50
"""Entries in a listing: with their profiles they stay well under 48 kB."""


class DirectoryFacilitator(Behaviour):
    """Keeps the register, looks up in it, and tells who came and who is gone."""

    publishes = (DirectoryNotice,)

    def setup(self) -> None:
        """Recall who was registered; after a restart everybody has one more lease to renew in."""
        self._entries: dict[str, DirectoryEntry] = {}
        self._expires_s: dict[str, float] = {}
        self._timer: Cancellable | None = None
        self._absent: dict[str, Cancellable] = {}
        for name in self.agent.kept_names("entry "):
            entry = self.kept(name, DirectoryEntry)
            if entry is not None:
                self._entries[entry.agent] = entry
                self._expires_s[entry.agent] = self.clock.now_s() + entry.lease_s

    @when("started")
    def watch(self) -> None:
        """Wait for the first lease to run out, and for what the server says of those that are known."""
        self._wind_up()
        for agent in self._entries:
            self._watch(agent)

    @on(DirectoryEntry)
    def register(self, entry: DirectoryEntry, letter: Letter) -> Acknowledgement:
        """Take up or renew an entry, or with `cancel` let it go.

        Raises: Refused when it is not the sender's own, or its lease is out of bounds.
        """
        role = self.agent.surroundings.membership[letter.sender].role
        if entry.agent != letter.sender or entry.role != role:
            raise Refused(f"{letter.sender} registers itself, as a {role}, and nobody else")
        if letter.performative is Performative.CANCEL:
            self._remove(entry.agent)
        elif not LEASE_MIN_S <= entry.lease_s <= LEASE_MAX_S:
            raise Refused(f"a lease of {entry.lease_s} s; {LEASE_MIN_S} to {LEASE_MAX_S} s are granted")
        else:
            self._enter(entry)
        return Acknowledgement(of=letter.message_id)

    @on(DirectorySearch)
    def search(self, search: DirectorySearch, letter: Letter) -> DirectoryListing:
        """Return a page of the entries that fit, in order of address."""
        found = sorted(agent for agent, entry in self._entries.items() if fits(entry, search))
        page = [agent for agent in found if agent > search.after][: min(search.limit, PAGE)]
        return DirectoryListing(entries=[self._entries[agent] for agent in page], total=len(found))

    def _enter(self, entry: DirectoryEntry) -> None:
        known = self._entries.get(entry.agent)
        self._entries[entry.agent] = entry
        self._expires_s[entry.agent] = self.clock.now_s() + entry.lease_s
        if known is None or not is_alike(known, entry):
            self.keep(f"entry {entry.agent}", entry)
        if known is None:
            self._watch(entry.agent)
            self._tell(entry, present=True)
        if self._timer is None:
            self._wind_up()

    def _remove(self, agent: str) -> None:
        entry = self._entries.pop(agent, None)
        self._expires_s.pop(agent, None)
        if entry is not None:
            self.keep(f"entry {agent}", None)
            self._tell(entry, present=False)

    def _watch(self, agent: str) -> None:
        """Hear of an agent's connection, where the server tells."""
        presence = self.agent.surroundings.presence
        if presence is not None:
            presence.watch(self.agent.address, agent, self._note_presence)

    def _note_presence(self, agent: str, present: bool) -> None:
        """Give one whose connection is lost a while to come back."""
        waiting = self._absent.pop(agent, None)
        if waiting is not None:
            waiting.cancel()
        if not present and agent in self._entries:
            due_s = self.clock.now_s() + ABSENCE_S
            self._absent[agent] = self.clock.call_at(due_s, partial(self._give_up, agent))

    def _give_up(self, agent: str) -> None:
        """Let go of one whose connection did not come back."""
        self._absent.pop(agent, None)
        self.agent.counts["connections gone"] += 1
        self._remove(agent)
        self.agent.commit()

    def _tell(self, entry: DirectoryEntry, *, present: bool) -> None:
        notice = DirectoryNotice(
            agent=entry.agent,
            role=entry.role,
            segment_id=entry.segment_id,
            present=present,
            time_s=self.now_s(),
        )
        self.publish(notice, entry.segment_id)

    def _wind_up(self) -> None:
        self._timer = None
        if self._expires_s:
            self._timer = self.clock.call_at(min(self._expires_s.values()), self._expire)

    def _expire(self) -> None:
        """Let go of everyone whose lease has run out."""
        now_s = self.clock.now_s()
        for agent in [agent for agent, due_s in self._expires_s.items() if due_s <= now_s]:
            self.agent.counts["leases run out"] += 1
            self._remove(agent)
        self.agent.commit()
        self._wind_up()


class DirectoryMembership(Behaviour):
    """Registers its agent and renews in time; another behaviour may tell more of what is offered."""

    def setup(self) -> None:
        """Nothing is offered yet but to be there."""
        self.profile: CoarseProfile | None = None
        self.offers_products = True
        """Whether others may find the agent for the products that it takes part in."""

    @property
    def directory(self) -> str:
        """The address of the facilitator, or nothing where there is none."""
        return str(self.settings.directory)

    @when("started")
    async def join(self) -> None:
        """Register; when the facilitator is away, the next renewal does it."""
        if self.directory:
            with suppress(ParityError):
                await self.ask(self.directory, self.entry(), Acknowledgement)

    @every(minutes=LEASE_S / 120, offset_s=110)
    def renew(self) -> None:
        """Renew at half of the lease, so that one lost renewal costs nothing."""
        if self.directory:
            self.tell(self.directory, self.entry(), Performative.REQUEST)

    @when("stopping")
    def leave(self) -> None:
        """Say that the agent is gone."""
        if self.directory:
            self.tell(self.directory, self.entry(), Performative.CANCEL)

    def entry(self) -> DirectoryEntry:
        """Return what the agent offers."""
        return DirectoryEntry(
            agent=self.agent.address,
            role=self.agent.role,
            segment_id=getattr(self.settings, "segment_id", ""),
            products=list(getattr(self.settings, "offers", ())) if self.offers_products else [],
            profile=self.profile if self.offers_products else None,
            lease_s=LEASE_S,
            registered_at_s=self.now_s(),
        )


async def look_up(
    behaviour: Behaviour, directory: str, *, role: Role | None = None, segment_id: str = "", product: str = ""
) -> list[DirectoryEntry]:
    """Return all entries that fit, page by page.

    Raises: Unavailable when the facilitator does not answer.
    """
    search = DirectorySearch(role=role, segment_id=segment_id, product=product)
    return [entry async for entry in _pages(behaviour, directory, search)]


async def _pages(
    behaviour: Behaviour, directory: str, search: DirectorySearch
) -> AsyncIterator[DirectoryEntry]:
    while True:
        listing = await behaviour.ask(directory, search, DirectoryListing, act=Performative.QUERY_REF)
        for entry in listing.entries:
            yield entry
        if len(listing.entries) < PAGE:
            return
        search = msgspec.structs.replace(search, after=listing.entries[-1].agent)


def fits(entry: DirectoryEntry, search: DirectorySearch) -> bool:
    """Tell whether an entry is what is looked for."""
    return (
        search.role in (None, entry.role)
        and search.segment_id in ("", entry.segment_id)
        and (not search.product or search.product in entry.products)
    )


def is_alike(known: DirectoryEntry, entry: DirectoryEntry) -> bool:
    """Tell whether an entry says nothing new but its time and its profile."""
    return known == msgspec.structs.replace(
        entry, registered_at_s=known.registered_at_s, profile=known.profile
    )
