"""What the routes work with, in one place: handed to the application, found again in each request."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from litestar import Request

from behaviours.repository_port import Repository
from environments.http.access_database import AccessDatabase
from environments.http.audit import AuditLog
from environments.http.console.control_leases import LeaseStore
from environments.http.console.sessions import SessionStore
from environments.http.idempotency import Replies
from environments.http.portals import Portals
from environments.http.rates import Rates
from environments.http.tokens import Caller, TokenStore

__all__ = ["REQUESTS_PER_S", "Services", "services_of"]

REQUESTS_PER_S = 50.0
DEADLINE_S = 10.0


class Services:
    """The ports and stores behind the interface.

    Args:
        repository: where facts are.
        database: of tokens, idempotency keys and the audit log.
        now_s: the wall's time.
        portals: the way to the agents; None where no community runs here.
        requests_per_s: what a token without a rate of its own is granted.
        deadline_s: how long an agent may take to answer, in real seconds.
        more: what route modules added by others need, by name.
    """

    def __init__(
        self,
        repository: Repository,
        database: AccessDatabase,
        now_s: Callable[[], float],
        *,
        portals: Portals | None = None,
        requests_per_s: float = REQUESTS_PER_S,
        deadline_s: float = DEADLINE_S,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        self.repository = repository
        self.tokens = TokenStore(database, now_s)
        self.sessions = SessionStore(database, self.tokens, now_s)
        self.leases = LeaseStore(database)
        self.audit = AuditLog(database, now_s)
        self.replies = Replies(database, now_s)
        self.rates = Rates(requests_per_s, now_s)
        self.now_s = now_s
        self.portals = portals
        self.conditional = asyncio.Lock()
        """Held from looking at a fact to replacing it."""
        self.deadline_s = deadline_s
        self.more = dict(more or {})

    def repository_of(self, caller: Caller) -> Repository:
        """Return the repository as the caller's market sees it."""
        return self.repository.of_market(caller.market)


def services_of(request: Request[Any, Any, Any]) -> Services:
    """Return the services of the application that a request is for."""
    found = request.app.state["services"]
    assert isinstance(found, Services)
    return found
