"""Files of charging sessions: ACN-Data as its public API returns it, and queues that acnportal stored.

Both are read into the same records. All that is wrong with a file is said at once.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from zoneinfo import available_timezones

import msgspec

from ontology.errors import InvalidInput, Problem, problem

__all__ = ["RecordedSession", "RecordedWish", "read_sessions", "sessions_of"]

T = TypeVar("T")

MOST_KWH = 1000.0
LONGEST_STAY_S = 31 * 86_400
ACNPORTAL_START = "%H:%M:%S.%f %d%m%Y"
PERIOD_MIN = 5
QUEUE_START = datetime(2000, 1, 3, tzinfo=UTC)
"""When a queue begins that does not say it: a Monday."""
MOST_PROBLEMS = 50


class RecordedWish(NamedTuple):
    """What a driver said: when, how much (Wh) and until when (epoch seconds)."""

    said_s: int
    energy_wh: int
    departure_s: int


class RecordedSession(NamedTuple):
    """A session as it was: where, when (epoch seconds), whose (empty: unknown), and how many Wh it got."""

    session_id: str
    point: str
    arrival_s: int
    departure_s: int
    delivered_wh: int
    done_s: int | None
    driver: str
    wishes: tuple[RecordedWish, ...]
    zone: str


def read_sessions(path: Path) -> list[RecordedSession]:
    """Read a file of sessions, in the order of arrival.

    Raises: InvalidInput naming everything that is wrong with it.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(
            problem(str(path), error.strerror or "unreadable", "a file that can be read")
        ) from None
    except ValueError as error:
        raise InvalidInput(problem(str(path), str(error), "JSON")) from None
    return sessions_of(content)


def sessions_of(content: object) -> list[RecordedSession]:
    """Return the sessions of a document, in the order of arrival.

    Args: content: `{"_items": […]}` or a list of items (ACN-Data), or acnportal's registry of a queue or a
        simulator (`{"id": …, "context_dict": {…}}`).

    Raises: InvalidInput naming everything that is wrong with it.
    """
    found: list[RecordedSession] = []
    problems: list[Problem] = []
    if isinstance(content, dict) and "context_dict" in content:
        _read_queue(content, found, problems)
    else:
        items = content.get("_items") if isinstance(content, dict) else content
        if not isinstance(items, list):
            raise InvalidInput(
                problem("_items", type(items).__name__, "a list of sessions, as ACN-Data has it")
            )
        for number, item in enumerate(items):
            _read_item(f"_items[{number}]", item, found, problems)
    if not found and not problems:
        problems.append(problem("_items", "empty", "at least one session"))
    problems += _repeated(found)
    if problems:
        raise InvalidInput(_shown(problems))
    return sorted(found, key=lambda each: (each.arrival_s, each.session_id))


def _shown(problems: Sequence[Problem]) -> Sequence[Problem]:
    if len(problems) <= MOST_PROBLEMS:
        return problems
    more = problem("…", f"{len(problems) - MOST_PROBLEMS} more", "no problems")
    return [*problems[:MOST_PROBLEMS], more]


class _Fields:
    """Reads the fields of an object and notes what is wrong with each."""

    def __init__(self, path: str, content: Mapping[str, Any], problems: list[Problem]) -> None:
        self._path, self._content, self._problems = path, content, problems
        self._known = len(problems)

    @property
    def sound(self) -> bool:
        """Whether nothing has been wrong so far."""
        return len(self._problems) == self._known

    def wrong(self, name: str, expected: str) -> None:
        """Note that a field is not what it should be."""
        value = self._content.get(name, "missing")
        self._problems.append(problem(f"{self._path}.{name}", value, expected))

    def read(self, name: str, parse: Callable[[Any], T], expected: str, default: T) -> T:
        """Return a field, or the default where it is wrong."""
        try:
            return parse(self._content[name])
        except (KeyError, TypeError, ValueError, OverflowError):
            self.wrong(name, expected)
            return default

    def text(self, *names: str) -> str:
        """Return the first field that is there as text."""
        name = next((each for each in names if self._content.get(each) not in (None, "")), names[0])
        return self.read(name, _text, "a name", "")

    def time(self, name: str) -> int:
        """Return a moment in epoch seconds."""
        return self.read(name, _epoch, "a date such as Mon, 01 Apr 2019 13:37:01 GMT", 0)

    def energy(self, name: str) -> int:
        """Return an energy in Wh that stands there in kWh."""
        return self.read(name, _wh, f"kWh from 0 to {MOST_KWH:.0f}", 0)


def _read_item(path: str, item: object, found: list[RecordedSession], problems: list[Problem]) -> None:
    """Read a session as ACN-Data's interface returns it."""
    if not isinstance(item, dict):
        problems.append(problem(path, type(item).__name__, "an object"))
        return
    fields = _Fields(path, item, problems)
    session = RecordedSession(
        session_id=fields.text("sessionID", "_id"),
        point=fields.text("spaceID", "stationID"),
        arrival_s=fields.time("connectionTime"),
        departure_s=fields.time("disconnectTime"),
        delivered_wh=fields.energy("kWhDelivered"),
        done_s=fields.time("doneChargingTime") if item.get("doneChargingTime") else None,
        driver=str(item["userID"]) if item.get("userID") not in (None, "") else "",
        wishes=tuple(_wishes(path, item, problems)),
        zone=fields.read("timezone", _zone, "a time zone such as America/Los_Angeles", "UTC"),
    )
    _check_stay(fields, session, "disconnectTime")
    if fields.sound:
        found.append(session)


def _check_stay(fields: _Fields, session: RecordedSession, name: str) -> None:
    if fields.sound and not 0 < session.departure_s - session.arrival_s <= LONGEST_STAY_S:
        fields.wrong(name, "later than the arrival, by 31 days at most")


def _wishes(path: str, item: Mapping[str, Any], problems: list[Problem]) -> Iterable[RecordedWish]:
    """Return what the driver said, first things first; a session without a word has none."""
    inputs = item.get("userInputs")
    if inputs is None:
        return
    if not isinstance(inputs, list):
        problems.append(problem(f"{path}.userInputs", type(inputs).__name__, "null or a list"))
        return
    for number, each in enumerate(inputs):
        place = f"{path}.userInputs[{number}]"
        if not isinstance(each, dict):
            problems.append(problem(place, type(each).__name__, "an object"))
            continue
        fields = _Fields(place, each, problems)
        wish = RecordedWish(
            fields.time("modifiedAt"), fields.energy("kWhRequested"), fields.time("requestedDeparture")
        )
        if fields.sound:
            yield wish


def _read_queue(content: Mapping[str, Any], found: list[RecordedSession], problems: list[Problem]) -> None:
    """Read the vehicles of a queue's plug-in events, or of a simulator's queue, by acnportal."""
    registry = content.get("context_dict")
    if not isinstance(registry, dict):
        problems.append(problem("context_dict", type(registry).__name__, "objects by their number"))
        return
    attributes = _attributes(registry, content.get("id"))
    start, period_min = QUEUE_START, PERIOD_MIN
    if "event_queue" in attributes:
        fields = _Fields("simulator", attributes, problems)
        start = fields.read("start", _simulator_start, f"a time as {ACNPORTAL_START}", QUEUE_START)
        period_min = fields.read("period", _whole, "minutes", PERIOD_MIN)
        attributes = _attributes(registry, attributes["event_queue"])
    queue = attributes.get("_queue")
    if not isinstance(queue, list):
        problems.append(
            problem("_queue", type(queue).__name__, "a list of times and events, as acnportal has it")
        )
        return
    for number, entry in enumerate(queue):
        event_id = entry[1] if isinstance(entry, list) and len(entry) == 2 else None
        event = _attributes(registry, event_id)
        if not event:
            problems.append(problem(f"_queue[{number}]", repr(entry), "a time and the number of an event"))
        elif event.get("event_type", event.get("type")) == "Plugin":
            path = f"_queue[{number}].ev"
            _read_vehicle(path, registry, event.get("ev"), start, 60 * period_min, found, problems)


def _read_vehicle(
    path: str,
    registry: Mapping[str, Any],
    number: object,
    start: datetime,
    period_s: int,
    found: list[RecordedSession],
    problems: list[Problem],
) -> None:
    """Read a vehicle of acnportal: times in periods, the energy requested in kWh."""
    vehicle = _attributes(registry, number)
    if not vehicle:
        problems.append(problem(path, number, "the number of a vehicle"))
        return
    fields = _Fields(path, vehicle, problems)
    origin_s = int(start.timestamp())
    arrival, departure = (
        fields.read(name, _whole, "a whole number of periods", 0) for name in ("_arrival", "_departure")
    )
    estimated = fields.read("_estimated_departure", _whole, "a whole number of periods", departure)
    energy_wh = fields.energy("_requested_energy")
    arrival_s = origin_s + arrival * period_s
    wish = RecordedWish(arrival_s, energy_wh, origin_s + estimated * period_s)
    session = RecordedSession(
        session_id=fields.text("_session_id"),
        point=fields.text("_station_id"),
        arrival_s=arrival_s,
        departure_s=origin_s + departure * period_s,
        delivered_wh=energy_wh,
        done_s=None,
        driver="",
        wishes=(wish,),
        zone="UTC",
    )
    _check_stay(fields, session, "_departure")
    if fields.sound:
        found.append(session)


def _attributes(registry: Mapping[str, Any], number: object) -> Mapping[str, Any]:
    entry = registry.get(str(number))
    attributes = entry.get("attributes") if isinstance(entry, dict) else None
    return attributes if isinstance(attributes, dict) else {}


def _repeated(sessions: Iterable[RecordedSession]) -> list[Problem]:
    seen: set[str] = set()
    twice = []
    for each in sessions:
        if each.session_id in seen:
            twice.append(problem("sessionID", each.session_id, "a session that is there once"))
        seen.add(each.session_id)
    return twice


def _text(value: object) -> str:
    if not isinstance(value, str | int) or isinstance(value, bool) or not 0 < len(str(value)) <= 256:
        raise ValueError(value)
    return str(value)


def _whole(value: object) -> int:
    return msgspec.convert(value, int)


def _wh(value: object) -> int:
    kwh = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else float("nan")
    if not isfinite(kwh) or not 0 <= kwh <= MOST_KWH:
        raise ValueError(value)
    return round(kwh * 1000)


def _epoch(value: object) -> int:
    """Return epoch seconds of an RFC 1123 or ISO 8601 date; without a zone it is UTC."""
    if not isinstance(value, str):
        raise TypeError(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        moment = datetime.fromisoformat(value)
    seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if seconds < 0:
        raise ValueError(value)
    return int(seconds)


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _zone(value: object) -> str:
    if not isinstance(value, str) or value not in _zones():
        raise ValueError(value)
    return value


def _simulator_start(value: object) -> datetime:
    if not isinstance(value, str):
        raise TypeError(value)
    return datetime.strptime(value, ACNPORTAL_START).replace(tzinfo=UTC)
