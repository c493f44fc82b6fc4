"""Answers to remember: a request that is repeated under its Idempotency-Key is answered as before."""

import hashlib
from collections.abc import Callable
from typing import NamedTuple

import sqlalchemy as sa

from environments.http.access_database import AccessDatabase
from environments.http.tables import replies
from ontology.errors import Conflict, InvalidInput, problem

__all__ = ["KEPT_S", "Replies", "Reply"]

KEPT_S = 86_400
"""How long an answer is remembered."""
LONGEST_KEY = 255


class Reply(NamedTuple):
    """An answer as it was given."""

    status: int
    body: bytes


class Replies:
    """Remembers answers by token and key.

    The answer is written down after the work: who died in between and asks again has the work done again,
    which changes nothing, as facts are kept by their keys.
    """

    def __init__(self, database: AccessDatabase, now_s: Callable[[], float]) -> None:
        self._database = database
        self._now_s = now_s

    def known(self, token_id: str, key: str, request: str) -> Reply | None:
        """Return the answer that was given under a key, if any.

        Raises: Conflict when the key was used for another request, InvalidInput when it is too long.
        """
        if len(key) > LONGEST_KEY:
            raise InvalidInput(problem("Idempotency-Key", key, f"at most {LONGEST_KEY} characters"))
        asked = sa.select(replies).where(replies.c.token_id == token_id, replies.c.key == key)
        row = self._database.run(lambda connection: connection.execute(asked).mappings().first())
        if row is None or row["time_s"] < self._now_s() - KEPT_S:
            return None
        if row["request"] != request:
            raise Conflict("this Idempotency-Key was used for another request")
        return Reply(row["status"], row["body"].encode())

    def remember(self, token_id: str, key: str, request: str, reply: Reply) -> None:
        """Remember an answer, and forget those that are past."""
        now_s = int(self._now_s())
        row = {
            "token_id": token_id,
            "key": key,
            "request": request,
            "status": reply.status,
            "body": reply.body.decode(),
            "time_s": now_s,
        }

        def write(connection: sa.Connection) -> None:
            same = (replies.c.token_id == token_id) & (replies.c.key == key)
            connection.execute(replies.delete().where(same | (replies.c.time_s < now_s - KEPT_S)))
            connection.execute(replies.insert().values(row))

        self._database.run(write)


def request_of(method: str, path: str, body: bytes) -> str:
    """Return what tells requests apart: a hash of method, path and body."""
    return hashlib.sha256(b"\n".join((method.encode(), path.encode(), body))).hexdigest()
