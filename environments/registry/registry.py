"""The registry: people come in, agree, get pseudonyms, are told what is known of them, and are forgotten.

Each action is written down with who did it. Personal details never leave but to who may have them.
"""

from collections.abc import Sequence

import msgspec

from behaviours.decisions.onboarding import Catalogues, onboarding_problems
from behaviours.repository_port import Repository, Selection
from behaviours.sealing import opened_by
from environments.registry.actions import AuditLog
from environments.registry.catalogue import Catalogue
from environments.registry.enrolment import consent_of, owned_by, person_of, subject_of, things_of
from environments.registry.keys import KeyStore
from environments.registry.people import People, Person
from environments.registry.pseudonym_service import PseudonymService
from environments.registry.traces import facts_about, forget_facts_about, settled_for
from environments.repository.store import SqlRepository
from ontology.assets import AssetType, BuildingType
from ontology.base import Concept
from ontology.codec import message_type_of
from ontology.errors import InvalidInput, Problem, problem
from ontology.measurements import SensorType
from ontology.privacy import PseudonymScope
from ontology.reading import read_struct
from ontology.registration import Consent, ConsentPurpose, Onboarding, PersonalDetails
from ontology.users import User, UserRole, UserStatus

__all__ = ["Registry"]

_CONSENT = message_type_of(Consent)


class Registry:
    """People and their sites, kept apart from what is measured and traded.

    Args:
        facts: the database of people, catalogues, consents and the sealed link table.
        keys: of the people, in another place.
    """

    def __init__(self, facts: SqlRepository, keys: KeyStore) -> None:
        self._keys = keys
        self._facts = facts
        self._people = People(facts.engines, keys)
        self.catalogue = Catalogue(facts)
        self.audit = AuditLog(facts.engines)
        self.pseudonyms = PseudonymService(self._people, keys, facts, self.audit)
        for user_id in self._people.cut_off():
            self._people.erase(user_id)

    @property
    def public_key(self) -> bytes:
        """The key (X25519) that personal details are sealed for."""
        return self._keys.box_public_key

    @property
    def organisations_key(self) -> bytes:
        """The key under which aggregator and grid operator have their pseudonyms, which never change."""
        return self._keys.organisations_key

    def close(self) -> None:
        """Let go of database and keys."""
        self._facts.close()
        self._keys.close()

    # -- registration -----------------------------------------------------------------------------

    async def register(
        self, told: Onboarding, time_s: int, actor: str, details: PersonalDetails | None = None
    ) -> User:
        """Register a person with site, equipment, consents, wallet and a pseudonym in each scope.

        Args:
            told: who is to be registered; its details are sealed unless they are given.
            time_s: now.
            actor: who registers.
            details: name and e-mail.

        Raises: InvalidInput with every problem; then nothing is kept.
        """
        details, problems = self._details(told, details)
        self._drop_unfinished(told, details)
        problems += onboarding_problems(told, await self._known(told, details))
        if problems or details is None:
            raise InvalidInput(problems)
        person = person_of(told, details, time_s)
        self._people.add(person)
        await self.catalogue.put(*things_of(person, told))
        agreed = [consent_of(person, purpose, True, time_s, "registration") for purpose in told.consents]
        await self._facts.store(agreed)
        for scope in PseudonymScope:
            await self.pseudonyms.issued(person, scope, time_s)
        self._people.activate(person.user_id)
        self.audit.note(time_s, actor, "register", person.user_id)
        return _user(person)

    def _details(
        self, told: Onboarding, given: PersonalDetails | None
    ) -> tuple[PersonalDetails | None, list[Problem]]:
        try:
            if given is None:
                plain = msgspec.json.decode(opened_by(self._keys.box_key, told.details_sealed))
                given = read_struct(PersonalDetails, plain)
        except InvalidInput as error:
            return None, list(error.problems)
        except msgspec.DecodeError:
            return None, [problem("details_sealed", "…", "name and email as JSON, sealed for the registry")]
        return given, []

    def _drop_unfinished(self, told: Onboarding, details: PersonalDetails | None) -> None:
        """Let go of a registration that was cut off, so that it can be made again."""
        found = [self._people.of_site(told.site), details and self._people.of_email(details.email)]
        for person in found:
            if person and self._people.status(person.user_id) is UserStatus.INVITED:
                self._people.erase(person.user_id, person.registered_at_s)

    async def _known(self, told: Onboarding, details: PersonalDetails | None) -> Catalogues:
        roles = await self.catalogue.entries("roles")
        assets = await self.catalogue.entries("asset-types")
        buildings = await self.catalogue.entries("building-types")
        sensors = await self.catalogue.entries("sensor-types")
        return Catalogues(
            roles={each.role_id: each.code for each in roles if isinstance(each, UserRole)},
            building_types=[each.type_id for each in buildings if isinstance(each, BuildingType)],
            asset_types={each.type_id: each.code for each in assets if isinstance(each, AssetType)},
            sensor_types=[each.sensor_type_id for each in sensors if isinstance(each, SensorType)],
            taken_sites=[told.site] if self._people.of_site(told.site) else [],
            has_email=details is not None and self._people.of_email(details.email) is not None,
        )

    # -- people -----------------------------------------------------------------------------------

    def user(self, user_id: str) -> User | None:
        """Return a user with name and e-mail, one who was erased without; nothing where there was none."""
        person = self._people.get(user_id)
        if person is not None:
            return _user(person)
        status = self._people.status(user_id)
        return None if status is None else User(user_id=user_id, role_id="erased", status=UserStatus.ERASED)

    def users(self) -> list[User]:
        """Return all registered users with name and e-mail, in the order of registration."""
        return [_user(person) for person in self._people.all()]

    def user_of(self, site: str) -> str | None:
        """Return the id of the user whose a site is."""
        person = self._people.of_site(site)
        return person.user_id if person else None

    def correct(self, user_id: str, details: PersonalDetails, time_s: int, actor: str) -> User:
        """Put name and e-mail right (GDPR Art. 16).

        Raises: InvalidInput when there is no such user, Conflict when the e-mail is somebody else's.
        """
        person = msgspec.structs.replace(self._required(user_id), name=details.name, email=details.email)
        self._people.replace(person)
        self.audit.note(time_s, actor, "correct", user_id)
        return _user(person)

    def portfolio(self) -> list[tuple[str, str, str]]:
        """Return site, segment and user of everybody that the aggregator acts for, by site."""
        return sorted((each.site, each.segment_id, each.user_id) for each in self._people.all() if each.site)

    def accounts(self, user_id: str) -> list[str]:
        """Return a user's pseudonyms in the market, those of forgotten epochs excepted.

        Raises: InvalidInput when there is no such user.
        """
        return self.pseudonyms.accounts(self._required(user_id))

    def rotate_master_key(self, time_s: int, actor: str) -> None:
        """Wrap all keys anew under a new master key."""
        self._keys.rotate()
        self.audit.note(time_s, actor, "rotate master key", "")

    # -- consent ----------------------------------------------------------------------------------

    async def consent(
        self, user_id: str, purpose: ConsentPurpose, given: bool, time_s: int, actor: str, text: str = ""
    ) -> Consent:
        """Write down that somebody agrees, or does not any more; what was before stays in the history.

        Raises: InvalidInput when there is no such user.
        """
        said = consent_of(self._required(user_id), purpose, given, time_s, text)
        await self._facts.store([said])
        self.audit.note(time_s, actor, f"{'give' if given else 'withdraw'} {purpose}", user_id)
        return said

    async def consents(self, user_id: str) -> list[Consent]:
        """Return what a user agreed to and withdrew, in order.

        Raises: InvalidInput when there is no such user.
        """
        return await self._consents(Selection(_CONSENT, (subject_of(self._required(user_id)),)))

    async def consents_since(self, time_s: int) -> list[Consent]:
        """Return what anybody agreed to and withdrew since a time, in order."""
        return await self._consents(Selection(_CONSENT, start_s=time_s))

    async def _consents(self, which: Selection) -> list[Consent]:
        return [each for each in await self._facts.select(which) if isinstance(each, Consent)]

    # -- what is known, and forgetting it ---------------------------------------------------------

    async def export(self, user_id: str, time_s: int, actor: str, *others: Repository) -> dict[str, object]:
        """Return all that is stored about a user, as plain data (GDPR Art. 15 and 20).

        Args:
            user_id: whom it is about.
            time_s: now.
            actor: who wants to know.
            others: repositories with what was measured and foreseen at the user's site.

        Raises: InvalidInput when there is no such user.
        """
        person = self._required(user_id)
        lines = await self.pseudonyms.lines(person)
        things = [await self.catalogue.get(kind, name) for kind, name in owned_by(person)]
        facts = [each for other in others for each in await facts_about(other, person.site)]
        accounts = self.pseudonyms.accounts(person)
        settled = await self.settled(accounts, *others)
        self.audit.note(time_s, actor, "export", user_id)
        exported = {
            "user": _user(person),
            "registered": things,
            "consents": await self.consents(user_id),
            "pseudonyms": lines,
            "actions": [each._asdict() for each in self.audit.about(user_id)],
            "measured_and_foreseen": facts,
            "settled": settled,
        }
        plain: dict[str, object] = msgspec.to_builtins(exported)
        return plain

    async def settled(self, accounts: Sequence[str], *others: Repository) -> list[Concept]:
        """Return what repositories have of what was settled and paid under some pseudonyms."""
        return [each for other in others for each in await settled_for(other, accounts)]

    async def erase(self, user_id: str, time_s: int, actor: str, *others: Repository) -> None:
        """Forget who a user was: facts about the site, then the key, then the record (GDPR Art. 17).

        What was settled stays under its pseudonyms, which lead nowhere any more. Killed on the way it is
        begun again; done again it changes nothing.

        Raises: InvalidInput when there never was such a user.
        """
        if self._people.status(user_id) is None:
            raise InvalidInput(problem("user_id", user_id, "a user that is or was registered"))
        person = self._people.get(user_id)
        if person is not None:
            for other in others:
                await forget_facts_about(other, person.site)
            await self._forget_own_facts(person)
        self._people.erase(user_id, time_s)
        self.audit.note(time_s, actor, "erase", user_id)

    async def _forget_own_facts(self, person: Person) -> None:
        await self.pseudonyms.forget(person)
        await self._facts.delete(Selection(_CONSENT, (subject_of(person),)))
        for kind, name in reversed(owned_by(person)):
            await self.catalogue.remove(kind, name)

    def _required(self, user_id: str) -> Person:
        person = self._people.get(user_id)
        if person is None:
            raise InvalidInput(problem("user_id", user_id, "a registered user"))
        return person


def _user(person: Person) -> User:
    """Return what may be shown of a person; the pseudonym is for who works under it."""
    return User(
        user_id=person.user_id,
        role_id=person.role_id,
        wallet_id=person.wallet_id,
        building_ids=person.building_ids,
        name=person.name,
        email=person.email,
        preferences=person.preferences,
        consent_reference=subject_of(person),
    )
