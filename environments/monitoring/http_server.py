"""The side of a monitoring system that answers by HTTP: the newest measurements, and those of a time."""

from bisect import bisect_left, insort
from collections.abc import Iterable
from typing import NamedTuple

from aiohttp import web

from environments.monitoring.frames import frame_from
from environments.wire.frames import iso, seconds_of
from environments.wire.http_service import answered
from ontology.errors import InvalidInput, Problem, problem
from ontology.grid import GridMeasurement

__all__ = ["MonitoringServer"]

PAGE = 1_000
_RANGE = frozenset({"since", "until", "node", "after", "limit"})
_LATEST = frozenset({"node"})


class _Asked(NamedTuple):
    """A range of measurements: half-open in time, after a node of its first second, of some nodes or all."""

    since: tuple[int, str]
    until: tuple[int, str]
    nodes: frozenset[str]
    limit: int


class MonitoringServer:
    """Keeps measurements and answers for them:

    ```
    GET /measurements/latest?node=…                 the newest of each node
    GET /measurements?since=…&until=…&node=…        in [since, until); `next` where more follow
    GET /nodes                                      which nodes are metered
    ```
    """

    def __init__(self, capacity: int = 200_000) -> None:
        """Keep so many measurements; the oldest give way."""
        self._capacity = capacity
        self._held: dict[tuple[int, str], GridMeasurement] = {}
        self._order: list[tuple[int, str]] = []
        self._latest: dict[str, GridMeasurement] = {}

    @property
    def routes(self) -> list[web.RouteDef]:
        """What an `HttpService` answers for it."""
        return [
            web.get("/measurements", self._range),
            web.get("/measurements/latest", self._newest),
            web.get("/nodes", self._nodes),
        ]

    def publish(self, measurements: Iterable[GridMeasurement]) -> None:
        """Keep measurements, those of a node and time that are known already left aside."""
        for each in measurements:
            key = (each.time_s, each.node_id)
            if key in self._held:
                continue
            self._held[key] = each
            insort(self._order, key)
            if each.time_s >= self._latest.get(each.node_id, each).time_s:
                self._latest[each.node_id] = each
            if len(self._order) > self._capacity:
                del self._held[self._order.pop(0)]

    async def _nodes(self, request: web.Request) -> web.Response:
        _only(request, frozenset())
        return answered({"nodes": sorted(self._latest)})

    async def _newest(self, request: web.Request) -> web.Response:
        _only(request, _LATEST)
        nodes = request.query.getall("node", [])
        found = [self._latest[node] for node in sorted(self._latest) if not nodes or node in nodes]
        return answered({"measurements": [frame_from(each) for each in found]})

    async def _range(self, request: web.Request) -> web.Response:
        asked = _asked(request)
        first, last = bisect_left(self._order, asked.since), bisect_left(self._order, asked.until)
        chosen: list[tuple[int, str]] = []
        for key in self._order[first:last]:
            if asked.nodes and key[1] not in asked.nodes:
                continue
            if len(chosen) == asked.limit:
                following = {"since": iso(chosen[-1][0]), "after": chosen[-1][1]}
                return answered({"measurements": self._frames(chosen), "next": following})
            chosen.append(key)
        return answered({"measurements": self._frames(chosen), "next": None})

    def _frames(self, keys: Iterable[tuple[int, str]]) -> list[object]:
        return [frame_from(self._held[key]) for key in keys]


def _asked(request: web.Request) -> _Asked:
    """Read what is asked for.

    Raises: InvalidInput with all that is wrong.
    """
    wrong: list[Problem] = []
    query = request.query
    times = {"since": 0, "until": 2**40}
    for name in times:
        if name in query:
            try:
                times[name] = seconds_of(query[name].replace(" ", "+"), name)
            except InvalidInput as error:
                wrong += error.problems
    limit = query.get("limit", str(PAGE))
    if not (limit.isascii() and limit.isdigit() and 1 <= int(limit) <= PAGE):
        wrong.append(problem("limit", limit, f"a whole number from 1 to {PAGE}"))
    wrong += _unknown(request, _RANGE)
    if wrong:
        raise InvalidInput(wrong)
    after = query.get("after", "")
    since = (times["since"], after + "\0" if after else "")
    return _Asked(since, (times["until"], ""), frozenset(query.getall("node", [])), int(limit))


def _only(request: web.Request, known: frozenset[str]) -> None:
    """Check that nothing is asked that is not known here.

    Raises: InvalidInput.
    """
    if wrong := _unknown(request, known):
        raise InvalidInput(wrong)


def _unknown(request: web.Request, known: frozenset[str]) -> list[Problem]:
    expected = f"one of {', '.join(sorted(known))}" if known else "nothing"
    return [problem(name, request.query[name], expected) for name in request.query if name not in known]
