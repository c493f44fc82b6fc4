"""What a connector has been told, a plan and a limit apart, and the profiles that say so."""

from typing import NamedTuple

from environments.devices.ocpp.profiles import MOST_PERIODS, Period, Profile, Purpose
from environments.devices.ocpp.settings import ChargePointSettings
from ontology.control import Instruction, Priority

__all__ = ["ConnectorControls", "Told", "standing_profiles"]

_DEFAULT, _STATION, _SESSION, _LIMIT = 1, 2, 3, 4
_ROOM = 10


class Told(NamedTuple):
    """Powers from times on (epoch seconds, W), until when they hold, and with what priority."""

    powers: tuple[tuple[int, float], ...]
    until_s: int
    priority: Priority

    def at(self, time_s: int) -> float | None:
        """Return the power at a time; None where none holds."""
        if time_s >= self.until_s:
            return None
        begun = [power_w for start_s, power_w in self.powers if start_s <= time_s]
        return begun[-1] if begun else None


class ConnectorControls:
    """The plan and the limit of one connector.

    The newer prevails over the older, unless the older still holds and has a higher priority. A plan is for
    the session it was told in; what has run out is gone.
    """

    def __init__(self, connector: int, settings: ChargePointSettings) -> None:
        """Begin with nothing told; `connector` counts from 1."""
        self.connector, self._settings = connector, settings
        self.by_connector = len(settings.names) > 1
        """Whether limits are told to the connector: of several, or where the station takes none."""
        self.plan: Told | None = None
        self.limit: Told | None = None

    def is_outranked(self, instruction: Instruction) -> bool:
        """Tell whether something of a higher priority holds where and when an instruction would."""
        held = self.limit if instruction.setpoint_w is None else self.plan
        later = held is not None and held.until_s > instruction.execution_time_s
        return held is not None and later and held.priority > instruction.priority

    def take(self, instruction: Instruction, now_s: int) -> None:
        """Hold what an instruction says: its set-point as the plan, its highest power as the limit.

        What begins later leaves what holds until then.
        """
        self.expire(now_s)
        if instruction.setpoint_w is not None:
            told = _told(instruction, float(instruction.setpoint_w))
            self.plan = _joined(self.plan, told, now_s, float(self._settings.fallback_w))
        if instruction.power_max_w is not None:
            told = _told(instruction, max(0.0, float(instruction.power_max_w)))
            self.limit = _joined(self.limit, told, now_s, float(self._settings.power_max_w))

    def release(self, priority: Priority, now_s: int) -> list[int]:
        """Let go of what has that priority or a lower one, and return the ids of its profiles."""
        self.expire(now_s)
        gone = []
        if self.plan is None or self.plan.priority <= priority:
            self.plan = None
            gone.append(self._id(_SESSION))
        if self.limit is None or self.limit.priority <= priority:
            self.limit = None
            gone.append(self._id(_LIMIT))
        return gone

    def expire(self, now_s: int) -> None:
        """Let go of what has run out."""
        self.plan = self.plan if self.plan and self.plan.until_s > now_s else None
        self.limit = self.limit if self.limit and self.limit.until_s > now_s else None

    def profiles(self, now_s: int, *, in_session: bool) -> list[Profile]:
        """Return the profiles that say what is held now: of the running session, and of whoever comes."""
        self.expire(now_s)
        found = [self._limiting(self.limit, now_s)] if self.limit else []
        if in_session and self.plan:
            found.append(self._planned(self.plan, now_s))
        return found

    def _limiting(self, limit: Told, now_s: int) -> Profile:
        """Return a limit as a profile: of the station, or of whoever comes to the connector."""
        purpose = Purpose.DEFAULT if self.by_connector else Purpose.STATION
        most_w = float(self._settings.fallback_w if self.by_connector else self._settings.power_max_w)
        start_s = max(now_s, limit.powers[0][0])
        turns = sorted({start_s} | {when_s for when_s, _ in limit.powers if when_s > start_s})
        periods = [Period(when_s - start_s, min(most_w, limit.at(when_s) or 0.0)) for when_s in turns]
        return Profile(self._id(_LIMIT), purpose, 1, tuple(periods), start_s, max(1, limit.until_s - start_s))

    def _planned(self, plan: Told, now_s: int) -> Profile:
        """Return the plan as the session's profile, nowhere above the limit."""
        start_s = max(now_s, plan.powers[0][0])
        turns = {start_s} | {when_s for when_s, _ in plan.powers}
        if self.limit:
            turns |= {when_s for when_s, _ in self.limit.powers} | {self.limit.until_s}
        periods = list[Period]()
        for when_s in sorted(each for each in turns if start_s <= each < plan.until_s):
            power_w = max(0.0, plan.at(when_s) or 0.0)
            limit_w = self.limit.at(when_s) if self.limit else None
            power_w = power_w if limit_w is None else min(power_w, limit_w)
            if not periods or periods[-1].power_w != power_w:
                periods.append(Period(when_s - start_s, power_w))
        until_s = plan.until_s
        if len(periods) > MOST_PERIODS:
            until_s = start_s + periods[MOST_PERIODS].offset_s
        return Profile(
            self._id(_SESSION),
            Purpose.SESSION,
            1,
            tuple(periods[:MOST_PERIODS]),
            start_s,
            max(1, until_s - start_s),
        )

    def _id(self, kind: int) -> int:
        return self.connector * _ROOM + kind


def _told(instruction: Instruction, power_w: float) -> Told:
    return Told(((instruction.execution_time_s, power_w),), instruction.valid_until_s, instruction.priority)


def _joined(held: Told | None, told: Told, now_s: int, between_w: float) -> Told:
    """Return what holds now and then what is told for later; with the higher priority of both."""
    start_s = told.powers[0][0]
    if held is None or start_s <= now_s:
        return told
    before = tuple(each for each in held.powers if each[0] < start_s)
    if held.until_s < start_s:
        before = (*before, (held.until_s, between_w))
    return Told((*before, *told.powers), told.until_s, max(held.priority, told.priority))


def standing_profiles(settings: ChargePointSettings, now_s: int) -> list[tuple[int, Profile]]:
    """Return what a charge point always keeps to, by connector (0 is the whole).

    Each session's default is what may be drawn when nobody says anything, so that a charge point without its
    central system, or whose instructions have run out, stays within what the site can always bear.
    """
    most_w = float(settings.power_max_w * len(settings.names))
    found = [(0, Profile(_STATION, Purpose.STATION, 0, (Period(0, most_w),), now_s))]
    for connector in range(1, len(settings.names) + 1):
        default = Profile(
            connector * _ROOM + _DEFAULT, Purpose.DEFAULT, 0, (Period(0, float(settings.fallback_w)),)
        )
        found.append((connector, default))
    return found
