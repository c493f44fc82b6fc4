"""Who is registered: one sealed record a person, found by keyed hashes of site and e-mail."""

import hmac
import os
from base64 import b32encode
from hashlib import sha256
from typing import Any

import msgspec
import sqlalchemy as sa

from behaviours.sealing import opened, sealed
from environments.registry.keys import KeyStore
from environments.repository.engines import Engines
from environments.repository.people_tables import people
from ontology.errors import Conflict, InvalidInput, problem
from ontology.users import Preference, UserStatus

__all__ = ["People", "Person", "new_id"]


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of a person; at rest it is sealed under the person's key."""

    user_id: str
    role_id: str
    wallet_id: str
    name: str
    email: str
    site: str = ""
    segment_id: str = ""
    building_ids: list[str] = []
    usage_point_ids: list[str] = []
    asset_ids: list[str] = []
    sensor_ids: list[str] = []
    preferences: list[Preference] = []
    registered_at_s: int = 0


class People:
    """The table of people; what it returns is opened, what it keeps is sealed."""

    def __init__(self, engines: Engines, keys: KeyStore) -> None:
        """Work on a database with the keys of a registry."""
        self._engines = engines
        self._keys = keys

    def add(self, person: Person) -> None:
        """Add a person under a new key, not yet active.

        Raises: Conflict when the site or the e-mail is somebody's already.
        """
        key = self._keys.create_person(person.user_id)
        row = {
            "user_id": person.user_id,
            "status": UserStatus.INVITED.value,
            "registered_at_s": person.registered_at_s,
            **self._found_by(person),
            "record": _sealed(person, key),
        }
        try:
            with self._engines.writing(durable=True) as connection:
                connection.execute(sa.insert(people).values(row))
        except sa.exc.IntegrityError:
            self._keys.destroy_person(person.user_id)
            raise Conflict("the site or the e-mail is somebody's already") from None

    def activate(self, user_id: str) -> None:
        """Say that all that belongs to a person is in place."""
        with self._engines.writing(durable=True) as connection:
            connection.execute(
                sa.update(people).where(people.c.user_id == user_id).values(status=UserStatus.ACTIVE.value)
            )

    def get(self, user_id: str) -> Person | None:
        """Return a person; nothing when it is unknown or was erased."""
        return self._one(people.c.user_id == user_id)

    def of_site(self, site: str) -> Person | None:
        """Return whose a site is."""
        return self._one(people.c.site_index == self._index("site", site)) if site else None

    def of_email(self, email: str) -> Person | None:
        """Return who is registered under an e-mail."""
        return self._one(people.c.email_index == self._index("email", email))

    def all(self) -> list[Person]:
        """Return everybody, in the order of registration."""
        with self._engines.reading() as connection:
            found = sa.select(people).order_by(people.c.registered_at_s, people.c.user_id)
            rows = connection.execute(found).mappings().all()
        return [person for row in rows if (person := self._opened(row)) is not None]

    def status(self, user_id: str) -> UserStatus | None:
        """Return where an account stands; nothing when there never was one."""
        with self._engines.reading() as connection:
            status = connection.scalar(sa.select(people.c.status).where(people.c.user_id == user_id))
        return None if status is None else UserStatus(status)

    def replace(self, person: Person) -> None:
        """Write a person down anew, as after a correction.

        Raises: Conflict when the e-mail is somebody else's, InvalidInput when there is no such person.
        """
        key = self._keys.of_person(person.user_id)
        if key is None:
            raise InvalidInput(problem("user_id", person.user_id, "a registered user"))
        values = {**self._found_by(person), "record": _sealed(person, key)}
        try:
            with self._engines.writing(durable=True) as connection:
                connection.execute(sa.update(people).where(people.c.user_id == person.user_id).values(values))
        except sa.exc.IntegrityError:
            raise Conflict("the site or the e-mail is somebody else's") from None

    def erase(self, user_id: str, time_s: int | None = None) -> None:
        """Destroy a person's key, and then all that was sealed under it; again, it changes nothing."""
        self._keys.destroy_person(user_id)
        emptied = {"site_index": None, "email_index": None, "record": None}
        with self._engines.writing(durable=True) as connection:
            connection.execute(
                sa.update(people)
                .where(people.c.user_id == user_id, people.c.status != UserStatus.ERASED.value)
                .values(status=UserStatus.ERASED.value, erased_at_s=time_s, **emptied)
            )

    def cut_off(self) -> list[str]:
        """Return whose erasure was begun and not finished: the key is gone, the row is not."""
        with self._engines.reading() as connection:
            found = sa.select(people.c.user_id).where(people.c.status != UserStatus.ERASED.value)
            return [each for each in connection.scalars(found) if self._keys.of_person(each) is None]

    def _one(self, condition: sa.ColumnElement[bool]) -> Person | None:
        with self._engines.reading() as connection:
            row = connection.execute(sa.select(people).where(condition)).mappings().first()
        return None if row is None else self._opened(row)

    def _opened(self, row: Any) -> Person | None:
        key = self._keys.of_person(row["user_id"])
        if key is None or row["record"] is None:
            return None
        return msgspec.json.decode(opened(bytes(row["record"]), key, row["user_id"]), type=Person)

    def _found_by(self, person: Person) -> dict[str, str | None]:
        return {
            "site_index": self._index("site", person.site) if person.site else None,
            "email_index": self._index("email", person.email),
        }

    def _index(self, kind: str, value: str) -> str:
        told = f"{kind} {value.strip().casefold()}".encode()
        return hmac.digest(self._keys.index_key, told, sha256).hex()


def new_id(prefix: str) -> str:
    """Return a random id that says nothing."""
    return prefix + b32encode(os.urandom(16)).decode().lower().rstrip("=")


def _sealed(person: Person, key: bytes) -> bytes:
    return sealed(msgspec.json.encode(person), key, person.user_id)
