"""A charging platform's side of OCPI 2.2.1 for tests: strict about tokens, pages and what a profile is."""

import asyncio
from typing import Any

import aiohttp
from aiohttp import web

from environments.devices.ocpi.link import authorization, envelope
from environments.simulation.clock import WallClock
from environments.wire.frames import iso, seconds_of

__all__ = ["OcpiPeer", "session"]

RATE_UNITS, PAGE = ("A", "W"), 2


def session(number: int, kwh: float, updated: str, status: str = "ACTIVE", **changes: Any) -> dict[str, Any]:
    """Return a session as the platform lists it (OCPI 2.2.1, 9.3.1)."""
    return {
        "country_code": "CH",
        "party_id": "SUP",
        "id": f"s-{number}",
        "start_date_time": updated,
        "kwh": kwh,
        "cdr_token": {
            "country_code": "CH",
            "party_id": "SUP",
            "uid": "T-1",
            "type": "RFID",
            "contract_id": "c",
        },
        "auth_method": "WHITELIST",
        "location_id": "l-1",
        "evse_uid": f"evse-{number}",
        "connector_id": "1",
        "currency": "CHF",
        "status": status,
        "last_updated": updated,
    } | changes


class OcpiPeer:
    """Lists sessions two a page, takes charging profiles, and posts what became of them."""

    def __init__(self, token: str) -> None:
        self.token, self.sessions = token, list[dict[str, Any]]()
        self.profiles: dict[str, dict[str, Any]] = {}
        self.result, self.answers, self.away = "ACCEPTED", True, False
        self.port = 0
        self._posts: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/ocpi"

    async def __aenter__(self) -> "OcpiPeer":
        app = web.Application(middlewares=[self._guarded])
        app.router.add_get("/ocpi/versions", self._versions)
        app.router.add_get("/ocpi/2.2.1", self._details)
        app.router.add_get("/ocpi/2.2.1/sessions", self._listed)
        app.router.add_put("/ocpi/2.2.1/chargingprofiles/{session}", self._put)
        app.router.add_delete("/ocpi/2.2.1/chargingprofiles/{session}", self._delete)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, shutdown_timeout=1).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*self._posts, return_exceptions=True)
        await self._runner.cleanup()

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if self.away:
            return web.Response(status=503)
        if request.headers.get("Authorization") != authorization(self.token):
            return self._answer(None, status=401, code=2001)
        if not request.headers.get("X-Request-ID") or not request.headers.get("X-Correlation-ID"):
            return self._answer(None, status=400, code=2001)
        answer: web.StreamResponse = await handler(request)
        return answer

    def _answer(self, data: object, status: int = 200, code: int = 1000, **headers: str) -> web.Response:
        body = envelope(data, iso(WallClock().now_s()), code)
        return web.json_response(body, status=status, headers=headers)

    async def _versions(self, request: web.Request) -> web.Response:
        versions = [{"version": "2.1.1", "url": f"{self.url}/2.1.1"}]
        return self._answer([*versions, {"version": "2.2.1", "url": f"{self.url}/2.2.1"}])

    async def _details(self, request: web.Request) -> web.Response:
        endpoints = [
            {"identifier": "sessions", "role": "SENDER", "url": f"{self.url}/2.2.1/sessions"},
            {
                "identifier": "chargingprofiles",
                "role": "RECEIVER",
                "url": f"{self.url}/2.2.1/chargingprofiles",
            },
        ]
        return self._answer({"version": "2.2.1", "endpoints": endpoints})

    async def _listed(self, request: web.Request) -> web.Response:
        seconds_of(request.query["date_from"])
        first = int(request.query.get("offset", "0"))
        headers = {"X-Total-Count": str(len(self.sessions)), "X-Limit": str(PAGE)}
        if first + PAGE < len(self.sessions):
            following = request.url.update_query(offset=str(first + PAGE))
            headers["Link"] = f'<{following}>; rel="next"'
        return self._answer(self.sessions[first : first + PAGE], **headers)

    async def _put(self, request: web.Request) -> web.Response:
        body = await request.json()
        profile, name = body["charging_profile"], request.match_info["session"]
        if name not in {each["id"] for each in self.sessions if each["status"] == "ACTIVE"}:
            return self._answer({"result": "UNKNOWN_SESSION", "timeout": 0})
        assert profile["charging_rate_unit"] in RATE_UNITS
        assert profile["charging_profile_period"][0]["start_period"] == 0
        assert seconds_of(profile["start_date_time"])
        assert body["response_url"].startswith("http")
        self.profiles[name] = profile
        self._post(body["response_url"])
        return self._answer({"result": "ACCEPTED", "timeout": 5})

    async def _delete(self, request: web.Request) -> web.Response:
        self.profiles.pop(request.match_info["session"], None)
        self._post(request.query["response_url"])
        return self._answer({"result": "ACCEPTED", "timeout": 5})

    def _post(self, url: str) -> None:
        async def post() -> None:
            headers = {"Authorization": authorization(self.token)}
            async with (
                aiohttp.ClientSession(headers=headers) as client,
                client.post(url, json={"result": self.result}) as answer,
            ):
                assert answer.status == 200

        if self.answers:
            task = asyncio.create_task(post())
            self._posts.add(task)
