"""The REST interface for tests: in memory, called without a network, with a clock that the test moves."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import msgspec

from environments.http import Services, application
from environments.http.access_database import AccessDatabase
from environments.http.portals import Portals
from environments.http.routes import ROUTES
from environments.repository.store import SqlRepository
from ontology.base import Concept
from ontology.measurements import IntervalReading
from ontology.ownership import Party
from ontology.roles import Role

NOW_S = 1_750_000_500
API = "/api/v1"
READINGS = f"{API}/facts/IntervalReading"


class House:
    """An application and the tokens of those who call it."""

    def __init__(
        self, *, repository: Any = None, portals: Portals | None = None, routes: Any = ROUTES, **settings: Any
    ) -> None:
        self.now_s = float(NOW_S)
        self.database = AccessDatabase()
        self.repository = repository or SqlRepository()
        usual = {"requests_per_s": 1e6} | settings
        self.services = Services(self.repository, self.database, lambda: self.now_s, portals=portals, **usual)
        self.api = application(self.services, routes)
        self._secrets: dict[tuple[str, tuple[str, ...], str], str] = {}

    def token(self, role: str, *subjects: str, market: str = "defaultmarket") -> str:
        """Return a token; a role that is bound has h001 where no site is named."""
        if not subjects and Party(Role(role)).is_bound:
            subjects = ("h001",)
        key = (role, subjects, market)
        if key not in self._secrets:
            self._secrets[key], _ = self.services.tokens.create("a test", role, subjects, market=market)
        return self._secrets[key]

    def call(
        self,
        method: str,
        path: str,
        *,
        role: str = "",
        subjects: Sequence[str] = (),
        token: str = "",
        json: Any = None,
        content: Any = None,
        headers: dict[str, str] | None = None,
        market: str = "defaultmarket",
        query: Mapping[str, Any] | None = None,
        **parameters: Any,
    ) -> httpx.Response:
        """Call the interface as somebody, and return the answer; parameters may be in `query`, too."""
        secret = token or (self.token(role, *subjects, market=market) if role else "")
        sent = {"Authorization": f"Bearer {secret}"} if secret else {}
        asked = {**parameters, **(query or {})}
        body = msgspec.json.encode(json) if json is not None else content
        transport = httpx.ASGITransport(app=self.api, raise_app_exceptions=False)

        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
                return await client.request(
                    method, path, content=body, headers=sent | (headers or {}), params=asked or None
                )

        return asyncio.run(ask())


def reading(site: str = "h001", start_s: int = 900, consumed_wh: int = 250) -> IntervalReading:
    return IntervalReading(
        subject=site, start_s=start_s, consumed_wh=consumed_wh, produced_wh=0, consumed_w=1000, produced_w=0
    )


def plain(fact: Concept) -> dict[str, Any]:
    """Return a fact as JSON has it."""
    return msgspec.to_builtins(fact)


def faults(answer: httpx.Response) -> dict[str, str]:
    """Return what a failed answer complains of, by field."""
    body = answer.json()
    assert body["status"] == "failed"
    return {each["field"]: each["value"] for each in body["errors"]}


class Played:
    """The `Portals` port whose agents answer as they are told to, and which notes what was said."""

    def __init__(self, answer: Concept | Exception | None = None) -> None:
        self.answer = answer
        self.said: list[tuple[Any, ...]] = []

    async def say(
        self, party: Any, to: str, content: Any, act: Any, deadline_s: float, **how: Any
    ) -> Concept:
        self.said.append((party, to, content, act, how))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer if self.answer is not None else content
