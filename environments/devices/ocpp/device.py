"""One connector of a charge point as the port `Device`: percepts in, instructions out."""

from collections.abc import Sequence

from behaviours.ports import Clock
from environments.devices.ocpp.controls import Told
from environments.devices.ocpp.profiles import MOST_PERIODS, periods_of
from environments.devices.ocpp.station import Station
from ontology.base import Concept
from ontology.charging import ChargingSchedule
from ontology.control import Instruction, InstructionState, InstructionStatus, Priority
from ontology.errors import Refused

__all__ = ["ChargePointDevice"]

_AUTO, _START, _STOP = "auto", "start", "stop"
_STALE = 4


class ChargePointDevice:
    """A connector: who came and went since it was last asked, how the session goes, and what it is told."""

    def __init__(self, station: Station, connector: int, clock: Clock, *, token: str = "") -> None:
        """Stand for a connector, from 1; `token` is what a session started from here is for."""
        self.name = station.settings.names[connector - 1]
        self.connector, self._station, self._clock, self._token = connector, station, clock, token
        self._reservations = 0

    async def percepts(self) -> Sequence[Concept]:
        """Return comings and goings, in order, and the session's progress where it was measured lately.

        Where it was not, the charge point is asked for meter values, which come with the next percepts.

        Raises: Unavailable when nothing is to be told and the charge point is not connected.
        """
        station, record = self._station, self._station.record
        reports = record.take_reports(self.connector)
        if not reports:
            station.link()
        progress = record.progress(self.connector)
        if progress is not None and not self._is_stale(progress.time_s):
            return [*reports, progress]
        if record.running(self.connector) is not None:
            station.ask_meter(self.connector)
        return reports

    async def instruct(self, instruction: Instruction) -> InstructionStatus:
        """Put an instruction into effect: a set-point for the session, a limit for whatever comes, or a mode.

        A set-point is refused when nobody is there, and one below zero always: OCPP limits charging only.
        Modes are `auto` (back to what always holds), `start` and `stop`. What cannot be told now is told when
        the charge point is connected again, as long as it holds.

        Raises: Unavailable when the charge point is not connected or does not answer.
        """
        now_s = int(self._clock.now_s())
        state = await self._state_after(instruction, now_s)
        return InstructionStatus(instruction_id=instruction.instruction_id, status=state, time_s=now_s)

    async def follow(self, schedule: ChargingSchedule) -> InstructionState:
        """Tell the session its whole plan (at most 96 periods), which it keeps to without a connection, too.

        Raises: Unavailable when the charge point is not connected or does not answer.
        """
        now_s, station = int(self._clock.now_s()), self._station
        running = station.record.running(self.connector)
        periods = periods_of(schedule, now_s)
        if running is None or running.session_id != schedule.session_id or not periods:
            return InstructionState.REJECTED
        end_s = schedule.start_s + len(schedule.power_w) * schedule.step_s
        powers = tuple((now_s + offset_s, power_w) for offset_s, power_w in periods[:MOST_PERIODS])
        station.controls[self.connector].plan = Told(powers, end_s, Priority.MARKET)
        return await self._told(InstructionState.STARTED)

    async def reserve(self, token: str, until_s: int) -> int:
        """Keep the connector for a token until a time, and return the reservation's number.

        Raises: Unavailable, Refused when the charge point will not.
        """
        self._reservations = max(self._reservations + 1, int(self._clock.now_s()) % 1_000_000_000)
        await self._station.link().reserve(self.connector, self._reservations, token, until_s)
        return self._reservations

    async def release(self, reservation: int) -> None:
        """Give a reservation back.

        Raises: Unavailable, Refused when the charge point does not know it.
        """
        await self._station.link().release(reservation)

    async def _state_after(self, told: Instruction, now_s: int) -> InstructionState:
        station, controls = self._station, self._station.controls[self.connector]
        if told.valid_until_s <= now_s:
            return InstructionState.REJECTED
        if told.setpoint_w is None and told.power_max_w is None:
            return await self._put_in_mode(told.mode.lower(), told.priority)
        if controls.is_outranked(told):
            return InstructionState.REJECTED
        if told.setpoint_w is not None and (
            told.setpoint_w < 0 or station.record.running(self.connector) is None
        ):
            return InstructionState.REJECTED
        controls.take(told, now_s)
        begun = told.execution_time_s <= now_s
        return await self._told(InstructionState.STARTED if begun else InstructionState.ACCEPTED)

    async def _told(self, state: InstructionState) -> InstructionState:
        try:
            await self._station.tell(self.connector)
        except Refused:
            return InstructionState.REJECTED
        return state

    async def _put_in_mode(self, mode: str, priority: Priority) -> InstructionState:
        station, running = self._station, self._station.record.running(self.connector)
        try:
            if mode == _AUTO:
                await station.take_back(self.connector, priority)
            elif mode == _START and running is None and self._token:
                await station.link().start_transaction(self.connector, self._token)
            elif mode == _STOP and running is not None:
                await station.link().stop_transaction(running.transaction_id)
            else:
                return InstructionState.REJECTED
        except Refused:
            return InstructionState.REJECTED
        return InstructionState.STARTED

    def _is_stale(self, measured_s: int) -> bool:
        return measured_s < self._clock.now_s() - _STALE * self._station.settings.meter_every_s
