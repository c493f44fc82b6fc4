"""Charging profiles: what a connector is told in OCPP's words, in W or in A, by its rules of rounding."""

import math
from enum import StrEnum
from typing import Any, NamedTuple

from environments.devices.ocpp.settings import ChargePointSettings, Rate
from environments.wire.frames import iso
from ontology.charging import ChargingSchedule

__all__ = ["MOST_PERIODS", "Period", "Profile", "Purpose", "limit_of", "periods_of", "schedule_payload"]

MOST_PERIODS = 96
"""Periods in one profile: a day of quarters of an hour."""


class Purpose(StrEnum):
    """What a profile is for (OCPP ChargingProfilePurpose)."""

    SESSION = "TxProfile"
    DEFAULT = "TxDefaultProfile"
    STATION = "ChargePointMaxProfile"


class Period(NamedTuple):
    """From how many seconds after the start on a connector may draw how much, in W."""

    offset_s: int
    power_w: float


class Profile(NamedTuple):
    """A charging profile: limits from `start_s` (None: the session's) for `duration_s` (None: always)."""

    profile_id: int
    purpose: Purpose
    stack_level: int
    periods: tuple[Period, ...]
    start_s: int | None = None
    duration_s: int | None = None


def limit_of(power_w: float, settings: ChargePointSettings) -> float:
    """Return a limit as a charge point takes it: a multiple of 0.1, never above what is meant.

    What is below the least that a vehicle can charge with is 0: it would draw that least, more than is meant.
    """
    power_w = min(power_w, float(settings.power_max_w))
    if power_w < settings.least_w:
        return 0.0
    amount = power_w / (settings.voltage_v * settings.phases) if settings.rate is Rate.AMPERES else power_w
    return math.floor(round(amount * 10, 6)) / 10


def periods_of(schedule: ChargingSchedule, now_s: int) -> tuple[Period, ...]:
    """Return the periods of a planned session from a time on; equal ones that follow each other are one.

    A plan that gives back is told as one that rests: these profiles only limit charging.
    """
    found = list[Period]()
    for step, power_w in enumerate(schedule.power_w):
        start_s = schedule.start_s + step * schedule.step_s
        if start_s + schedule.step_s <= now_s:
            continue
        most_w = float(max(0, power_w))
        if not found or found[-1].power_w != most_w:
            found.append(Period(max(0, start_s - now_s), most_w))
    return tuple(found[:MOST_PERIODS])


def schedule_payload(profile: Profile, settings: ChargePointSettings) -> dict[str, Any]:
    """Return a profile's schedule, the same in both versions but for its id."""
    told: dict[str, Any] = {
        "charging_rate_unit": settings.rate.value,
        "charging_schedule_period": [
            {"start_period": offset_s, "limit": limit_of(power_w, settings)} | _phases(settings)
            for offset_s, power_w in profile.periods
        ],
    }
    if profile.start_s is not None:
        told["start_schedule"] = iso(profile.start_s)
    if profile.duration_s is not None:
        told["duration"] = profile.duration_s
    return told


def _phases(settings: ChargePointSettings) -> dict[str, int]:
    return {"number_phases": settings.phases} if settings.rate is Rate.AMPERES else {}
