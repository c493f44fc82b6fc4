"""The unit's own side of the wire: each command once while it is fresh, and a watchdog."""

import asyncio
from collections import Counter, OrderedDict

import msgspec
import structlog

from behaviours.ports import Clock, PhaseCompensator
from environments.devices.dstatcom_frames import (
    AcknowledgementFrame,
    CommandFrame,
    StatusFrame,
    commanded,
    status_frame,
)
from environments.wire.frames import iso, read_frame, seconds_of
from ontology.errors import InvalidInput, ParityError, Problem, problem
from ontology.grid import DstatcomCommand, DstatcomMode, DstatcomStatus, GridMeasurement

__all__ = ["GuardedUnit"]

log = structlog.get_logger()

_REMEMBERED = 256
_AHEAD_S = 60
"""How far a commander's clock may be ahead."""


class GuardedUnit:
    """A D-STATCOM that is commanded from outside, with a watchdog.

    A command is carried out once, whatever comes twice; one that is older than that in force, or that has run
    out on its way, is not. When the command in force runs out, the unit falls back.
    """

    def __init__(
        self,
        plant: PhaseCompensator,
        clock: Clock,
        *,
        fallback: DstatcomMode = DstatcomMode.OFF,
        watchdog_s: int = 1_800,
    ) -> None:
        """Guard a converter.

        Args:
            plant: what carries commands out.
            clock: the time of commands.
            fallback: OFF, or BALANCE or VOLT by its own measurement.
            watchdog_s: the longest that a command holds, whatever it says.
        """
        self._plant, self._clock, self._watchdog_s = plant, clock, watchdog_s
        self._fallback = DstatcomCommand(asset_id=plant.asset_id, mode=fallback)
        self._answered: OrderedDict[str, AcknowledgementFrame] = OrderedDict()
        self._in_force = ""
        self._given_s = 0
        self._until_s = 0.0
        self._turn = asyncio.Lock()
        self.counts: Counter[str] = Counter()

    @property
    def asset_id(self) -> str:
        """Which unit it is."""
        return self._plant.asset_id

    async def take(self, raw: bytes) -> AcknowledgementFrame:
        """Carry a command out, or say all that is wrong with it; the same id is answered as before."""
        async with self._turn:
            return await self._taken(raw)

    async def status(self) -> StatusFrame:
        """Return what the unit does now; the watchdog looks first."""
        await self.watch()
        percepts = await self._plant.percepts()
        status = next(each for each in percepts if isinstance(each, DstatcomStatus))
        head = next((each for each in percepts if isinstance(each, GridMeasurement)), None)
        return status_frame(status, head, self._in_force, self._until_s)

    async def watch(self) -> bool:
        """Fall back when the command in force has run out; tell whether that was so."""
        if not self._in_force or self._clock.now_s() < self._until_s:
            return False
        log.warning("D-STATCOM without commands falls back", asset=self.asset_id, to=self._fallback.mode)
        self._in_force = ""
        self.counts["fallbacks"] += 1
        await self._plant.command(self._fallback)
        return True

    async def _taken(self, raw: bytes) -> AcknowledgementFrame:
        try:
            frame = read_frame(CommandFrame, raw)
            known = self._answered.get(frame.id)
            if known is not None:
                self.counts["repeated"] += 1
                return known
            wrong = self._why_not(frame)
        except InvalidInput as error:
            self.counts["malformed"] += 1
            answer = self._answer(_id_in(raw), error.problems)
            return msgspec.structs.replace(answer, is_malformed=True)
        if wrong is not None:
            self.counts["refused"] += 1
            return self._remembered(self._answer(frame.id, (wrong,)))
        try:
            await self._plant.command(commanded(frame, self.asset_id))
        except ParityError as error:
            self.counts["not carried out"] += 1
            return self._answer(frame.id, (problem("", frame.mode, str(error)),))
        self._in_force, self._given_s = frame.id, seconds_of(frame.time)
        self._until_s = self._given_s + min(frame.valid_s, self._watchdog_s)
        self.counts["taken"] += 1
        return self._remembered(self._answer(frame.id, ()))

    def _why_not(self, frame: CommandFrame) -> Problem | None:
        """Return why a well-formed command is not carried out.

        Raises: InvalidInput when its time is none.
        """
        now_s, given_s = self._clock.now_s(), seconds_of(frame.time)
        if given_s > now_s + _AHEAD_S:
            return problem("time", frame.time, f"at most {_AHEAD_S} s ahead of {iso(now_s)}")
        if given_s + frame.valid_s <= now_s:
            return problem("valid_s", frame.valid_s, f"a command that has not run out by {iso(now_s)}")
        if given_s < self._given_s:
            return problem("time", frame.time, f"not before the command in force, of {iso(self._given_s)}")
        return None

    def _answer(self, command_id: str, problems: tuple[Problem, ...]) -> AcknowledgementFrame:
        return AcknowledgementFrame(
            id=command_id, time=iso(self._clock.now_s()), accepted=not problems, problems=list(problems)
        )

    def _remembered(self, answer: AcknowledgementFrame) -> AcknowledgementFrame:
        self._answered[answer.id] = answer
        if len(self._answered) > _REMEMBERED:
            self._answered.popitem(last=False)
        return answer


def _id_in(raw: bytes) -> str:
    """Return the id of a command that is wrong otherwise, as far as it has one."""
    try:
        content = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    found = content.get("id") if isinstance(content, dict) else None
    return found[:64] if isinstance(found, str) else ""
