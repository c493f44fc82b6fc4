"""Tokens: what a component or a person shows to be let in. Only their hashes are kept."""

import hashlib
import secrets
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from behaviours.repository_port import DEFAULT_MARKET
from environments.http.access_database import AccessDatabase
from environments.http.tables import tokens
from ontology.errors import InvalidInput, Problem, Refused, problem
from ontology.ownership import Party
from ontology.roles import Role

__all__ = ["Caller", "TokenStore"]

RIGHTS = ("bodies",)
PREFIX = "pm_"
"""Lets scanners for leaked secrets find our tokens."""
REMEMBERED_S = 1.0
"""How long a token that was good is taken for good: within it a revocation becomes effective."""
MOST_REMEMBERED = 10_000
DAY_S = 86_400


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds a token, and what it grants."""

    token_id: str
    name: str
    role: Role
    subjects: tuple[str, ...] = ()
    """Sites and pseudonyms that are its own; none for operators."""
    market: str = DEFAULT_MARKET
    created_s: int = 0
    expires_s: int
    revoked_s: int | None = None
    requests_per_s: float | None = None
    rights: tuple[str, ...] = ()
    """What it grants beyond its role: `bodies`, to read what letters of others say."""

    @property
    def party(self) -> Party:
        """The caller as the rights on single facts know it."""
        return Party(self.role, self.subjects)


class TokenStore:
    """Creates, looks up and revokes tokens.

    Args: now_s: the wall's time, which expiry is measured by.
    """

    def __init__(self, database: AccessDatabase, now_s: Callable[[], float]) -> None:
        self._database = database
        self._now_s = now_s
        self._known: dict[str, tuple[float, Caller]] = {}

    def create(
        self,
        name: str,
        role: str,
        subjects: Sequence[str] = (),
        *,
        market: str = DEFAULT_MARKET,
        days: int = 90,
        requests_per_s: float | None = None,
        rights: Sequence[str] = (),
    ) -> tuple[str, Caller]:
        """Make a token and return it, once, with what it grants.

        Raises: InvalidInput with all that is wrong: an unknown role, a role of a site without one, a lifetime
            that is none.
        """
        _require_good(name, role, subjects, days, requests_per_s, rights)
        secret = PREFIX + secrets.token_urlsafe(32)
        now_s = int(self._now_s())
        caller = Caller(
            token_id=secrets.token_hex(6),
            name=name,
            role=Role(role),
            subjects=tuple(subjects),
            market=market,
            created_s=now_s,
            expires_s=now_s + days * DAY_S,
            requests_per_s=requests_per_s,
            rights=tuple(rights),
        )
        row = {**msgspec.structs.asdict(caller), "hash": _hash(secret)}
        row["subjects"] = msgspec.json.encode(caller.subjects).decode()
        row["rights"] = msgspec.json.encode(caller.rights).decode()
        self._database.run(lambda connection: connection.execute(tokens.insert().values(row)))
        return secret, caller

    def caller(self, secret: str) -> Caller | None:
        """Return who holds a token; None when it is unknown, expired or revoked."""
        hashed, now_s = _hash(secret), self._now_s()
        looked_up_s, caller = self._known.get(hashed, (0.0, None))
        if caller is None or not looked_up_s <= now_s < looked_up_s + REMEMBERED_S:
            caller = self._look_up(hashed)
            if caller is None:
                self._known.pop(hashed, None)
                return None
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            self._known[hashed] = (now_s, caller)
        good = caller.revoked_s is None and now_s < caller.expires_s
        return caller if good else None

    def holder(self, token_id: str) -> Caller | None:
        """Return who holds the token of a public name; None when it is unknown, expired or revoked."""
        asked = sa.select(tokens).where(tokens.c.token_id == token_id)
        row = self._database.run(lambda connection: connection.execute(asked).mappings().first())
        caller = None if row is None else _caller(row)
        good = caller is not None and caller.revoked_s is None and self._now_s() < caller.expires_s
        return caller if good else None

    def listed(self) -> list[Caller]:
        """Return all tokens, the newest last; not the secrets, which nobody has."""
        asked = sa.select(tokens).order_by(tokens.c.created_s, tokens.c.token_id)
        return [_caller(row) for row in self._database.run(lambda c: c.execute(asked).mappings().all())]

    def revoke(self, token_id: str) -> None:
        """Let a token be good for nothing from now on; again changes nothing.

        Raises: Refused when there is none of that name.
        """
        change = tokens.update().where(tokens.c.token_id == token_id)
        at_s = sa.func.coalesce(tokens.c.revoked_s, int(self._now_s()))
        found = self._database.run(lambda c: c.execute(change.values(revoked_s=at_s)).rowcount)
        if not found:
            raise Refused(f"there is no token {token_id}")
        self._known.clear()

    def _look_up(self, hashed: str) -> Caller | None:
        asked = sa.select(tokens).where(tokens.c.hash == hashed)
        row = self._database.run(lambda connection: connection.execute(asked).mappings().first())
        return None if row is None else _caller(row)


def _caller(row: Any) -> Caller:
    fields = {name: row[name] for name in Caller.__struct_fields__}
    fields["role"] = Role(fields["role"])
    for name in ("subjects", "rights"):
        fields[name] = tuple(msgspec.json.decode(fields[name], type=list[str]))
    return Caller(**fields)


def _hash(secret: str) -> str:
    """A random token of 256 bits needs no slow hash: there is nothing to guess."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _require_good(
    name: str,
    role: str,
    subjects: Sequence[str],
    days: int,
    requests_per_s: float | None,
    rights: Sequence[str],
) -> None:
    found: list[Problem] = []
    if not 0 < len(name) <= 100:
        found.append(problem("name", name, "1 to 100 characters"))
    if role not in list(Role):
        found.append(problem("role", role, "one of " + ", ".join(Role)))
    elif Party(Role(role)).is_bound and not subjects:
        found.append(problem("subjects", "none", f"at least one site: a {role} is bound to its own"))
    found.extend(problem("subjects", each, "not empty") for each in subjects if not each.strip())
    if not 1 <= days <= 3650:
        found.append(problem("days", days, "1 to 3650"))
    if requests_per_s is not None and not 0 < requests_per_s <= 100_000:
        found.append(problem("requests_per_s", requests_per_s, "above 0, at most 100000"))
    found.extend(
        problem("rights", each, "one of " + ", ".join(RIGHTS)) for each in rights if each not in RIGHTS
    )
    if found:
        raise InvalidInput(found)
