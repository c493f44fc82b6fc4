"""A charging platform by OCPI 2.2.1: its sessions are read, its profiles set; each EVSE is a device."""

import asyncio
import hmac
import secrets
import ssl
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import structlog
from aiohttp import web

from behaviours.ports import AgentStore, Clock
from environments.devices.ocpi.link import OcpiLink, authorization, envelope
from environments.devices.ocpp.controls import ConnectorControls
from environments.devices.ocpp.meter_values import MeterSample
from environments.devices.ocpp.profiles import Profile, Purpose, limit_of
from environments.devices.ocpp.settings import ChargePointSettings
from environments.devices.ocpp.transactions import Transaction, TransactionRecord
from environments.wire.frames import iso, seconds_of
from ontology.base import Concept
from ontology.control import Instruction, InstructionState, InstructionStatus
from ontology.errors import ParityError, Refused, Unavailable

__all__ = ["OcpiEvse", "OcpiPlatform", "OcpiSettings"]

log = structlog.get_logger()

_NOWHERE = "https://nobody.invalid"
"""A platform wants an address for its answers, also of who cannot be reached."""
_OVER = ("COMPLETED", "INVALID")
_BEFORE_S = 86_400
_RESULTS = "/ocpi/2.2.1/chargingprofiles/results/{number}"


class OcpiSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A platform: its list of versions, its EVSEs by their uid and what agents call them.

    Powers are in W and of each EVSE. `answers_url` is where the platform reaches `listen_host`:`listen_port`
    with what became of a profile; a site that cannot be reached leaves it empty.
    """

    versions_url: str
    evses: dict[str, str]
    identity: str = "platform"
    power_max_w: int = 22_000
    poll_s: int = 30
    answer_s: float = 10.0
    answers_url: str = ""
    listen_host: str = "127.0.0.1"
    listen_port: int = 0
    tokens: dict[str, str] = {}
    """Who the drivers' tokens stand for."""


class OcpiPlatform:
    """Follows the sessions of a platform's EVSEs, and sends each its profile.

    OCPI modules: versions, sessions (the platform is SENDER), chargingprofiles (it is RECEIVER); what became
    of a profile is posted to an address of ours.
    """

    def __init__(
        self,
        settings: OcpiSettings,
        token: str,
        store: AgentStore,
        clock: Clock,
        *,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        """Prepare to ask a platform, whose token lets one in."""
        self.settings, self._token, self._clock = settings, token, clock
        self._link = OcpiLink(settings.versions_url, token, trust=trust, answer_s=settings.answer_s)
        names = tuple(settings.evses.values())
        self._point = ChargePointSettings(
            identity=settings.identity,
            password_file="",
            names=names,
            power_max_w=settings.power_max_w,
            fallback_w=settings.power_max_w,
            current_min_a=0.0,
        )
        self.record = TransactionRecord(self._point, store, clock)
        self.counts: Counter[str] = Counter()
        self.record.count_by(lambda what: self.counts.update([what]))
        self.controls = {
            number: ConnectorControls(number, self._point) for number in range(1, len(names) + 1)
        }
        self._numbers = {uid: number for number, uid in enumerate(settings.evses, start=1)}
        self._polled_s = float("-inf")
        self._turn = asyncio.Lock()
        self._results: dict[str, asyncio.Future[str]] = {}
        self._runner: web.AppRunner | None = None
        self.port = settings.listen_port

    def devices(self) -> list["OcpiEvse"]:
        """Return every EVSE as a device, in the order of the settings."""
        return [OcpiEvse(self, number, self._clock) for number in self.controls]

    async def start(self) -> None:
        """Listen for what becomes of profiles, where the platform can reach us.

        Raises: Unavailable when the address is taken.
        """
        if not self.settings.answers_url:
            return
        app = web.Application(client_max_size=65_536)
        app.router.add_post(_RESULTS, self._take_result)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self.settings.listen_host, self.port, shutdown_timeout=1).start()
        except OSError as error:
            raise Unavailable(f"{self.settings.listen_host}:{self.port}: {error}") from error
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Stop listening, and let go of the connections."""
        if self._runner is not None:
            await self._runner.cleanup()
        await self._link.close()

    # -- sessions -----------------------------------------------------------------------------

    async def poll(self) -> None:
        """Read the sessions anew, unless that was just done.

        Raises: Unavailable, Refused when the platform does not let us.
        """
        async with self._turn:
            now_s = self._clock.now_s()
            if now_s < self._polled_s + self.settings.poll_s:
                return
            url = await self._link.endpoint("sessions", "SENDER")
            sessions = await self._link.all_of(url, {"date_from": iso(now_s - _BEFORE_S)})
            self._polled_s = now_s
        before = {number: self.record.running(number) for number in self.controls}
        for session in sorted(sessions, key=lambda each: str(each.get("last_updated", ""))):
            try:
                self._take(session)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                self.counts["sessions malformed"] += 1
                log.info("OCPI session not understood", why=f"{type(error).__name__}: {error}")
        for number, controls in self.controls.items():
            if controls.limit and self.record.running(number) not in (None, before[number]):
                await self._limited(number)

    async def _limited(self, number: int) -> None:
        """Tell a session that has begun the limit that it finds."""
        try:
            await self.tell(number)
        except ParityError as error:
            self.counts["limits not told"] += 1
            log.warning("limit not told", evse=self._point.names[number - 1], why=str(error))

    def _take(self, session: Mapping[str, Any]) -> None:
        number = self._numbers.get(session["evse_uid"])
        status, name = session["status"], str(session["id"])
        if number is None or status not in ("ACTIVE", *_OVER) or self.record.has_ended(name):
            return
        running = self.record.transaction(name)
        if running is None:
            token = str((session.get("cdr_token") or {}).get("uid", ""))
            self.record.begin(
                number,
                self.record.time_of(session["start_date_time"]),
                origin=name,
                transaction_id=name,
                vehicle=self.settings.tokens.get(token, ""),
                meter_wh=0.0,
            )
            running = self.record.transaction(name)
        assert running is not None
        self.record.measure(running, [self._sample(running, session)])
        if status in _OVER:
            ended = session.get("end_date_time") or session["last_updated"]
            self.record.end(running, self.record.time_of(ended), reason=status.lower())
            self.controls[number].plan = None

    def _sample(self, running: Transaction, session: Mapping[str, Any]) -> MeterSample:
        """Return the energy of a session, and the mean power since it was told last."""
        energy_wh, timestamp = float(session["kwh"]) * 1_000, str(session["last_updated"])
        passed_s = seconds_of(timestamp) - max(running.measured_s, running.began_s)
        if passed_s <= 0:
            return MeterSample(timestamp, energy_wh)
        power_w = (energy_wh - running.register.delivered_wh) * 3_600 / passed_s
        return MeterSample(timestamp, energy_wh, power_w)

    # -- profiles -----------------------------------------------------------------------------

    async def tell(self, number: int) -> InstructionState:
        """Send the profile of an EVSE's session, within its limit; returns what became of it.

        Raises: Unavailable, Refused.
        """
        running = self.record.running(number)
        profile = self._profile(number) if running is not None else None
        if running is None or profile is None:
            return InstructionState.ACCEPTED
        url = await self._link.endpoint("chargingprofiles", "RECEIVER")
        reply, result = self._awaited()
        body = {"charging_profile": self._body(profile), "response_url": reply}
        answer = await self._link.put(f"{url}/{running.transaction_id}", body)
        return await self._outcome(answer, result, reply)

    async def clear(self, number: int) -> InstructionState:
        """Take the profile of an EVSE's session back.

        Raises: Unavailable, Refused.
        """
        running = self.record.running(number)
        if running is None:
            return InstructionState.REJECTED
        url = await self._link.endpoint("chargingprofiles", "RECEIVER")
        reply, result = self._awaited()
        answer = await self._link.delete(f"{url}/{running.transaction_id}", {"response_url": reply})
        return await self._outcome(answer, result, reply)

    def _profile(self, number: int) -> Profile | None:
        """Return what a session is told: its plan within the limit, or the limit alone."""
        controls, now_s = self.controls[number], int(self._clock.now_s())
        found = controls.profiles(now_s, in_session=True)
        return next((each for each in found if each.purpose is Purpose.SESSION), found[0] if found else None)

    def _body(self, profile: Profile) -> dict[str, Any]:
        return {
            "start_date_time": iso(profile.start_s or self._clock.now_s()),
            "duration": profile.duration_s,
            "charging_rate_unit": "W",
            "charging_profile_period": [
                {"start_period": offset_s, "limit": limit_of(power_w, self._point)}
                for offset_s, power_w in profile.periods
            ],
        }

    def _awaited(self) -> tuple[str, asyncio.Future[str]]:
        """Return an address of ours for a result, and the result to come; without one it is never awaited."""
        number = secrets.token_urlsafe(12)
        result: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        base = (self.settings.answers_url or _NOWHERE).replace("{port}", str(self.port)).rstrip("/")
        reply = base + _RESULTS.replace("{number}", number)
        self._results[reply] = result
        return reply, result

    async def _outcome(
        self, answer: Mapping[str, Any], result: asyncio.Future[str], reply: str
    ) -> InstructionState:
        """Return what became of a request: what the platform says later, where it can tell us."""
        try:
            first = str(answer.get("result", ""))
            if first != "ACCEPTED":
                self.counts[f"profiles {first.lower()}"] += 1
                return InstructionState.REJECTED
            if self._runner is None:
                return InstructionState.ACCEPTED
            wait_s = min(float(answer.get("timeout", 10)), self.settings.answer_s)
            told = await asyncio.wait_for(result, wait_s)
        except TimeoutError:
            self.counts["results missing"] += 1
            raise Unavailable(f"{self.settings.identity}: no word of what became of a profile") from None
        finally:
            self._results.pop(reply, None)
        return InstructionState.STARTED if told == "ACCEPTED" else InstructionState.REJECTED

    async def _take_result(self, request: web.Request) -> web.Response:
        """Take what became of a profile; only from who shows the token, and only what is awaited."""
        shown = request.headers.get("Authorization", "")
        if not hmac.compare_digest(shown.encode(), authorization(self._token).encode()):
            return web.Response(status=401)
        number = request.match_info["number"]
        awaited = [each for reply, each in self._results.items() if reply.endswith(f"/{number}")]
        if not awaited:
            return web.Response(status=404)
        try:
            content = msgspec.json.decode(await request.read())
            told = str(content["result"])
        except (msgspec.DecodeError, KeyError, TypeError):
            return web.Response(status=400)
        if not awaited[0].done():
            awaited[0].set_result(told)
        body = msgspec.json.encode(envelope(None, iso(self._clock.now_s())))
        return web.Response(body=body, content_type="application/json")


class OcpiEvse:
    """An EVSE of a platform as the port `Device`."""

    def __init__(self, platform: OcpiPlatform, number: int, clock: Clock) -> None:
        """Stand for an EVSE, from 1."""
        self.name = tuple(platform.settings.evses.values())[number - 1]
        self._platform, self._number, self._clock = platform, number, clock

    async def percepts(self) -> Sequence[Concept]:
        """Return comings and goings, in order, and the session's progress as the platform last told it.

        Raises: Unavailable when the platform cannot be asked.
        """
        platform = self._platform
        try:
            await platform.poll()
        except Refused as error:
            raise Unavailable(str(error)) from error
        progress = platform.record.progress(self._number)
        reports = platform.record.take_reports(self._number)
        return reports if progress is None else [*reports, progress]

    async def instruct(self, instruction: Instruction) -> InstructionStatus:
        """Put a set-point, a limit, or the mode `auto` into effect; profiles are of sessions only in OCPI.

        A limit without a session is kept for the next one, and told with its first instruction.

        Raises: Unavailable when the platform does not answer.
        """
        now_s = int(self._clock.now_s())
        try:
            state = await self._state_after(instruction, now_s)
        except Refused as error:
            log.info("profile refused", evse=self.name, why=str(error))
            state = InstructionState.REJECTED
        return InstructionStatus(instruction_id=instruction.instruction_id, status=state, time_s=now_s)

    async def _state_after(self, told: Instruction, now_s: int) -> InstructionState:
        platform, controls = self._platform, self._platform.controls[self._number]
        if told.valid_until_s <= now_s:
            return InstructionState.REJECTED
        if told.setpoint_w is None and told.power_max_w is None:
            if told.mode.lower() != "auto":
                return InstructionState.REJECTED
            controls.release(told.priority, now_s)
            return await (platform.tell if controls.limit else platform.clear)(self._number)
        in_session = platform.record.running(self._number) is not None
        refused = told.setpoint_w is not None and (told.setpoint_w < 0 or not in_session)
        if refused or controls.is_outranked(told):
            return InstructionState.REJECTED
        controls.take(told, now_s)
        return await platform.tell(self._number)
