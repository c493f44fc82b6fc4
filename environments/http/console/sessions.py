"""Who is signed in at the console: a session begins with a token and ends with it, at sign-out, or in time.

The browser holds a random cookie, which scripts cannot read; kept is its hash only. Whatever changes
something must also bring the session's own sign, which another site cannot know (cross-site request forgery).
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from typing import NamedTuple

import sqlalchemy as sa

from environments.http.access_database import AccessDatabase
from environments.http.tables import sessions
from environments.http.tokens import Caller, TokenStore

__all__ = ["COOKIE", "LIFETIME_S", "SIGN_HEADER", "Session", "SessionStore", "sign_of"]

COOKIE = "parity_session"
SIGN_HEADER = "x-parity-sign"
LIFETIME_S = 12 * 3600


class Session(NamedTuple):
    """Somebody who is signed in, and the sign that changes must bring."""

    caller: Caller
    sign: str


class SessionStore:
    """Begins, finds and ends sessions; they outlive a restart of the server.

    Args: now_s: the wall's time, which lifetimes are measured by.
    """

    def __init__(self, database: AccessDatabase, tokens: TokenStore, now_s: Callable[[], float]) -> None:
        self._database = database
        self._tokens = tokens
        self._now_s = now_s

    def begin(self, token: str) -> str | None:
        """Begin a session for who holds a token, and return its cookie; None when the token is not good."""
        caller = self._tokens.caller(token)
        if caller is None:
            return None
        cookie, now_s = secrets.token_urlsafe(32), int(self._now_s())
        row = {"hash": _hash(cookie), "token_id": caller.token_id, "expires_s": now_s + LIFETIME_S}

        def write(connection: sa.Connection) -> None:
            connection.execute(sessions.delete().where(sessions.c.expires_s <= now_s))
            connection.execute(sessions.insert().values(row))

        self._database.run(write)
        return cookie

    def session(self, cookie: str) -> Session | None:
        """Return the session of a cookie; None when there is none, or its token has been revoked."""
        asked = sa.select(sessions.c.token_id).where(
            sessions.c.hash == _hash(cookie), sessions.c.expires_s > int(self._now_s())
        )
        token_id = self._database.run(lambda connection: connection.scalar(asked))
        caller = self._tokens.holder(token_id) if token_id else None
        return Session(caller, sign_of(cookie)) if caller else None

    def end(self, cookie: str) -> None:
        """Forget a session."""
        self._database.run(lambda c: c.execute(sessions.delete().where(sessions.c.hash == _hash(cookie))))


def sign_of(cookie: str) -> str:
    """Return what changes in a session must bring along."""
    return hmac.new(cookie.encode(), b"sign of changes", hashlib.sha256).hexdigest()


def _hash(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()
