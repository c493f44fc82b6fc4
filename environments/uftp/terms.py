"""What the parties of a flexibility market have agreed on: the local day, its ISPs, and names.

Inside, time is epoch seconds and a congestion point has any name. UFTP counts ISPs of a local day from 1 and
names congestion points by entity address: both are translated here and nowhere else (SPEC 1.2).
"""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ontology.base import INTERVAL_S
from ontology.errors import InvalidInput, Problem, problem

__all__ = ["ANY_DAY", "EAN", "ENTITY_ADDRESS", "ISP_DURATION", "TIME_ZONE", "LocalDay", "MarketTerms"]

ISP_DURATION = f"PT{INTERVAL_S // 60}M"
TIME_ZONE = re.compile(r"(Africa|America|Australia|Europe|Pacific)/[a-zA-Z0-9_/]{3,}")
ENTITY_ADDRESS = re.compile(r"ea1\.[0-9]{4}-[0-9]{2}\..{1,244}:.{1,244}|ean\.[0-9]{12,34}")
EAN = re.compile(r"[Ee][0-9]{16}([0-9]{2})?")
"""A meter: 16 digits in the schema of UFTP 3.0, 18 in later ones."""


class LocalDay(NamedTuple):
    """A day of a time zone in epoch seconds, [start_s, end_s); when clocks change it is longer or shorter."""

    date: date
    start_s: int
    end_s: int

    @property
    def isps(self) -> int:
        """How many ISPs the day has: 96, or 92 or 100 when clocks change in Europe."""
        return (self.end_s - self.start_s) // INTERVAL_S

    def isp_at(self, start_s: int) -> int:
        """Return the number, from 1, of the ISP that begins at an epoch second."""
        return (start_s - self.start_s) // INTERVAL_S + 1

    def start_of(self, isp: int) -> int:
        """Return when the ISP of a number begins, in epoch seconds."""
        return self.start_s + (isp - 1) * INTERVAL_S


ANY_DAY = LocalDay(date(1970, 1, 2), 86_400, 172_800)
"""Stands in for a day that does not exist, so that all else that is wrong is found too."""


class MarketTerms:
    """The terms of one market, alike for all who trade in it.

    Args:
        time_zone: the IANA zone whose days are the periods.
        inside_zone: the zone that documents name inside; empty when they name the same.
        congestion_points: entity address of each congestion point, by its name inside; others are called
            the same inside and outside.
        meters: EAN of the meter of each congestion point, by its name inside; an `ean.` address of 16 or 18
            digits needs none.
    Raises: InvalidInput with all that is wrong.
    """

    def __init__(
        self,
        time_zone: str,
        *,
        inside_zone: str = "",
        congestion_points: Mapping[str, str] | None = None,
        meters: Mapping[str, str] | None = None,
    ) -> None:
        self.time_zone = time_zone
        self.inside_zone = inside_zone or time_zone
        self._addresses = dict(congestion_points or {})
        self._eans = dict(meters or {})
        if wrong := [*_zone_problems(time_zone), *self._name_problems()]:
            raise InvalidInput(wrong)
        self._zone = ZoneInfo(time_zone)
        self._names = {address: name for name, address in self._addresses.items()}
        self._metered = {ean.upper(): name for name, ean in self._eans.items()}

    def day(self, day: date, zone: str = "") -> LocalDay:
        """Return a calendar day of the market's zone, or of another.

        Raises: InvalidInput when the zone is unknown, the day is the last of the calendar, or its midnight
            is on no boundary of an interval.
        """
        where = self._zone if zone in ("", self.time_zone) else _zone(zone)
        try:
            start_s, end_s = (_midnight_s(each, where) for each in (day, day + timedelta(days=1)))
        except OverflowError as error:
            raise InvalidInput(problem("Period", day, "a day of the calendar")) from error
        if start_s < 0 or start_s % INTERVAL_S or end_s % INTERVAL_S:
            raise InvalidInput(problem("Period", day, f"a day since 1970 of whole {ISP_DURATION}"))
        return LocalDay(day, start_s, end_s)

    def day_at(self, instant_s: int) -> LocalDay:
        """Return the market's day in which an epoch second lies.

        Raises: InvalidInput as `day` does.
        """
        return self.day(datetime.fromtimestamp(instant_s, UTC).astimezone(self._zone).date())

    def entity_address(self, name: str) -> str:
        """Return what a congestion point is called outside."""
        return self._addresses.get(name, name)

    def name_of(self, address: str) -> str:
        """Return what a congestion point is called inside."""
        return self._names.get(address, address)

    def meter_of(self, name: str) -> str:
        """Return the EAN of a congestion point's meter; what is none when it has none."""
        address = self.entity_address(name)
        return self._eans.get(name) or (
            address.replace("ean.", "E", 1) if address.startswith("ean.") else address
        )

    def metered_by(self, ean: str) -> str:
        """Return the congestion point, as it is called inside, of a meter."""
        known = self._metered.get(ean.upper())
        return known if known is not None else self.name_of(f"ean.{ean[1:]}")

    def _name_problems(self) -> list[Problem]:
        wrong = [
            problem(
                f"congestion_points[{name}]",
                address,
                "an entity address, ea1.yyyy-mm.domain:name or ean.digits",
            )
            for name, address in self._addresses.items()
            if not ENTITY_ADDRESS.fullmatch(address)
        ]
        wrong += [
            problem(f"meters[{name}]", ean, "E and 16 or 18 digits")
            for name, ean in self._eans.items()
            if not EAN.fullmatch(ean)
        ]
        for path, table in (("congestion_points", self._addresses), ("meters", self._eans)):
            if len(set(table.values())) < len(table):
                wrong.append(problem(path, sorted(table.values()), "each address once"))
        return wrong


def _zone_problems(name: str) -> list[Problem]:
    try:
        _zone(name)
    except InvalidInput as error:
        return list(error.problems)
    return []


def _zone(name: str) -> ZoneInfo:
    if TIME_ZONE.fullmatch(name):
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            pass
    raise InvalidInput(problem("TimeZone", name, "an IANA zone of a continent, such as Europe/Amsterdam"))


def _midnight_s(day: date, zone: ZoneInfo) -> int:
    """Return the first instant of a local day; where midnight is skipped or comes twice, the earlier one."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp())
