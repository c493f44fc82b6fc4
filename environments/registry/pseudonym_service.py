"""Pseudonyms on request, and the sealed link table (D8.1 3.2, SPEC 7.2)."""

from collections.abc import Mapping, Sequence

from behaviours.decisions.pseudonyms import (
    EPOCH_S,
    EpochKeys,
    epoch_of,
    is_pseudonym,
    pseudonym,
    secret_identity,
)
from behaviours.decisions.rate_limit import TokenBucket
from behaviours.information.pseudonymisation import pseudonym_record
from behaviours.repository_port import Repository, Selection
from environments.registry.actions import AuditLog
from environments.registry.keys import KeyStore
from environments.registry.people import People, Person
from ontology.codec import message_type_of
from ontology.errors import InvalidInput, Refused, problem
from ontology.privacy import PseudonymRecord, PseudonymScope
from ontology.registration import IssuedPseudonym

__all__ = ["PseudonymService"]

ASKED_AT_ONCE, ASKED_EACH_S = 120, 1.0
"""So many pseudonyms somebody may ask for at once, and one more each second."""
_RECORD = message_type_of(PseudonymRecord)


class PseudonymService:
    """Knows what people are called in each scope and epoch, as long as their keys are there."""

    def __init__(self, people: People, keys: KeyStore, facts: Repository, audit: AuditLog) -> None:
        """Serve for some people, with the link table among some facts."""
        self._people = people
        self._keys = keys
        self._facts = facts
        self._audit = audit
        self._asked: dict[str, TokenBucket] = {}

    async def issue(
        self, name: str, scope: PseudonymScope, time_s: int, now_s: float, actor: str
    ) -> IssuedPseudonym:
        """Return the pseudonym of a site or user in a scope at a time.

        Raises: InvalidInput when it is a pseudonym already or nobody's name, Refused when somebody asks too
            often, Unavailable when the key of that time was destroyed.
        """
        if not self._asked.setdefault(actor, TokenBucket(ASKED_AT_ONCE, ASKED_EACH_S)).take(now_s):
            self._audit.note(now_s, actor, f"pseudonym {scope}", "", "too often")
            raise Refused(f"too many pseudonyms asked for; one more each {ASKED_EACH_S:.0f} s")
        if is_pseudonym(name):
            raise InvalidInput(problem("identity", name, "a name; this is a pseudonym already"))
        person = self._people.of_site(name) or self._people.get(name)
        if person is None:
            self._audit.note(now_s, actor, f"pseudonym {scope}", "", "unknown")
            raise InvalidInput(problem("identity", "…", "a registered site or user"))
        issued = await self.issued(person, scope, time_s)
        self._audit.note(now_s, actor, f"pseudonym {scope}", person.user_id)
        return issued

    async def issued(self, person: Person, scope: PseudonymScope, time_s: int) -> IssuedPseudonym:
        """Return a person's pseudonym, with its line in the link table."""
        epoch = epoch_of(time_s)
        name, key = self.called(person, scope, epoch), self._key_of(person)
        await self._facts.store([pseudonym_record(name, scope, epoch, person.user_id, key)])
        return IssuedPseudonym(
            scope=scope, pseudonym=name, valid_from_s=epoch * EPOCH_S, valid_to_s=(epoch + 1) * EPOCH_S
        )

    def called(self, person: Person, scope: PseudonymScope, epoch: int) -> str:
        """Return what a person is called in a scope and epoch.

        Raises: InvalidInput when the person was erased, Unavailable when the epoch's key was destroyed.
        """
        return pseudonym(secret_identity(self._key_of(person)), self._keys.of_scope(scope, epoch))

    def accounts(self, person: Person) -> list[str]:
        """Return a person's pseudonyms in the market, those of forgotten epochs excepted."""
        lem = PseudonymScope.LEM
        return [self.called(person, lem, epoch) for epoch in self._keys.epochs(lem)]

    async def lines(self, person: Person) -> list[PseudonymRecord]:
        """Return the lines of the link table that name a person."""
        scopes = ((scope, epoch) for scope in PseudonymScope for epoch in self._keys.epochs(scope))
        names = [self.called(person, scope, epoch) for scope, epoch in scopes]
        found = await self._facts.select(Selection(_RECORD, names)) if names else []
        return [each for each in found if isinstance(each, PseudonymRecord)]

    async def forget(self, person: Person) -> None:
        """Delete the lines of the link table that name a person."""
        names = [line.pseudonym for line in await self.lines(person)]
        if names:
            await self._facts.delete(Selection(_RECORD, names))

    def epoch_keys(self, scope: PseudonymScope, epochs: Sequence[int]) -> EpochKeys:
        """Return the keys of a scope in some epochs, and what registered sites stand for: for the oracles."""
        sites = [(each.site, each.user_id) for each in self._people.all() if each.site]
        return self._keys.epoch_keys(scope, epochs, sites)

    def subject_keys(self) -> Mapping[str, bytes]:
        """Return the keys of people by site, under which oracles seal the link table."""
        return {each.site: self._key_of(each) for each in self._people.all() if each.site}

    def forget_epochs(self, before_s: int, time_s: int, actor: str) -> int:
        """Destroy the scopes' keys of all epochs that ended before a time; return how many there were."""
        forgotten = self._keys.forget_epochs(epoch_of(before_s))
        self._audit.note(time_s, actor, "forget epochs", f"before {epoch_of(before_s)}")
        return forgotten

    def _key_of(self, person: Person) -> bytes:
        key = self._keys.of_person(person.user_id)
        if key is None:
            raise InvalidInput(problem("user_id", person.user_id, "a registered user"))
        return key
