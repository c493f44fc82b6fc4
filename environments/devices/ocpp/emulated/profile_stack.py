"""The charging profiles that a charge point holds, and what they allow together (OCPP 1.6, 3.13)."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from environments.devices.ocpp.profiles import Period, Purpose
from environments.wire.frames import seconds_of
from ontology.errors import InvalidInput, Refused

__all__ = ["HeldProfile", "ProfileStack", "held_profile"]

_PURPOSES = {each.value: each for each in Purpose} | {"ChargingStationMaxProfile": Purpose.STATION}
MOST_LEVEL = 8


class HeldProfile(NamedTuple):
    """A profile as it was given; times in epoch seconds, limits in W."""

    profile_id: int
    connector: int
    purpose: Purpose
    stack_level: int
    periods: tuple[Period, ...]
    start_s: int | None
    duration_s: int | None
    valid_from_s: float
    valid_to_s: float
    transaction_id: str

    def limit_w(self, now_s: float, session_start_s: float) -> float | None:
        """Return what it allows at a time; None where it says nothing."""
        offset_s = now_s - (self.start_s if self.start_s is not None else session_start_s)
        over = self.duration_s is not None and offset_s >= self.duration_s
        if over or not self.valid_from_s <= now_s < self.valid_to_s:
            return None
        begun = [each.power_w for each in self.periods if each.offset_s <= offset_s]
        return begun[-1] if begun else None


class ProfileStack:
    """Of each purpose the highest level that says something counts; the session's beats the default."""

    def __init__(self, most_periods: int = 96) -> None:
        """Hold nothing yet."""
        self._held: dict[int, HeldProfile] = {}
        self._most_periods = most_periods

    @property
    def held(self) -> list[HeldProfile]:
        """What is held, by id."""
        return [self._held[each] for each in sorted(self._held)]

    def put(self, profile: HeldProfile) -> None:
        """Hold a profile, in place of one of the same id, or of the same purpose, level and connector.

        Raises: Refused when it has too many periods or too high a level.
        """
        if not 1 <= len(profile.periods) <= self._most_periods or profile.stack_level > MOST_LEVEL:
            raise Refused("too many periods, or too high a stack level")
        place = (profile.purpose, profile.stack_level, profile.connector)
        rest = {
            number: each
            for number, each in self._held.items()
            if (each.purpose, each.stack_level, each.connector) != place
        }
        self._held = rest | {profile.profile_id: profile}

    def clear(self, profile_id: int | None) -> bool:
        """Let go of a profile, or (None) of all; tell whether there was any."""
        gone = list(self._held) if profile_id is None else [profile_id] if profile_id in self._held else []
        for number in gone:
            del self._held[number]
        return bool(gone)

    def end_session(self, connector: int) -> None:
        """Let go of the profiles of a connector's session."""
        self._held = {
            number: each
            for number, each in self._held.items()
            if each.purpose is not Purpose.SESSION or each.connector != connector
        }

    def limit_w(self, connector: int, now_s: float, session_start_s: float) -> float:
        """Return what a session may draw at a time: infinity where nothing is said."""
        found = {purpose: self._highest(purpose, connector, now_s, session_start_s) for purpose in Purpose}
        own = found[Purpose.SESSION] if found[Purpose.SESSION] is not None else found[Purpose.DEFAULT]
        limits = [each for each in (own, found[Purpose.STATION]) if each is not None]
        return min(limits, default=float("inf"))

    def _highest(self, purpose: Purpose, connector: int, now_s: float, start_s: float) -> float | None:
        mine = [
            each
            for each in self._held.values()
            if each.purpose is purpose and each.connector in (0, connector)
        ]
        for each in sorted(mine, key=lambda held: (held.stack_level, held.connector), reverse=True):
            limit_w = each.limit_w(now_s, start_s)
            if limit_w is not None:
                return limit_w
        return None


def held_profile(
    connector: int, told: Mapping[str, Any], schedule: Mapping[str, Any], profile_id: int, phase_v: float
) -> HeldProfile:
    """Return a profile from what a central system sent, keys in snake case.

    Args:
        connector: whom it is for, 0 for the whole.
        told: the profile.
        schedule: its schedule.
        profile_id: its id.
        phase_v: volts of a phase, by which amperes become watts.

    Raises: Refused when a time cannot be read or a period is amiss.
    """
    in_amperes = schedule["charging_rate_unit"] == "A"
    periods = [
        Period(
            int(each["start_period"]),
            float(each["limit"]) * (phase_v * int(each.get("number_phases", 3)) if in_amperes else 1.0),
        )
        for each in schedule["charging_schedule_period"]
    ]
    if not periods or periods[0].offset_s != 0 or periods != sorted(periods):
        raise Refused("periods begin at 0 and ascend")
    kind, start = told["charging_profile_kind"], _time(schedule.get("start_schedule"))
    if kind == "Absolute" and start is None:
        raise Refused("an absolute profile has a start")
    return HeldProfile(
        profile_id,
        connector,
        _PURPOSES[told["charging_profile_purpose"]],
        int(told["stack_level"]),
        tuple(periods),
        None if kind == "Relative" else start,
        schedule.get("duration"),
        _time(told.get("valid_from")) or 0.0,
        _time(told.get("valid_to")) or float("inf"),
        str(told.get("transaction_id", "")),
    )


def _time(timestamp: str | None) -> int | None:
    """Return a time in epoch seconds.

    Raises: Refused when it cannot be read.
    """
    if timestamp is None:
        return None
    try:
        return seconds_of(timestamp)
    except InvalidInput as error:
        raise Refused(str(error)) from None
