"""The DSO's monitoring system by HTTP: asked for what was measured since a time, page by page."""

from collections import Counter
from collections.abc import Mapping, Sequence

from behaviours.ports import Barrier, Clock
from environments.monitoring.intake import ANY_NODE, Intake, IntakeRules
from environments.wire.frames import iso
from environments.wire.http_link import HttpLink, Service, held
from environments.wire.pauses import USUAL_PAUSES, Pauses
from ontology.errors import Refused, Unavailable
from ontology.grid import GridMeasurement

__all__ = ["MONITORING", "HttpMonitoring"]

MONITORING = "monitoring"
"""What a scaled clock knows the wait for measurements by."""
_PAGES = 1_000


class HttpMonitoring:
    """The port `MonitoringSystem` over HTTP and JSON.

    The system keeps what it measured, so nothing is lost while nobody asks. What was fetched is held here
    too, and only what is newer is fetched again, with an overlap for values that come late.
    """

    def __init__(
        self,
        service: Service,
        clock: Clock,
        network: Clock,
        *,
        rules: IntakeRules = ANY_NODE,
        pauses: Pauses = USUAL_PAUSES,
        barrier: Barrier | None = None,
        late_s: int = 300,
    ) -> None:
        """Prepare to ask.

        Args:
            service: where, and by which token.
            clock: the time that measurements are stamped in.
            network: the machine's time, for timeouts and pauses.
            rules: what is taken.
            pauses: after failures.
            barrier: is held while an answer is on its way.
            late_s: how much later than others a node's measurement may appear.
        """
        self._link = HttpLink(service, network, pauses=pauses)
        self._clock, self._barrier, self._late_s = clock, barrier, late_s
        self._intake = Intake(rules)
        self._fetched: tuple[int, int] | None = None
        """From when to when everything was fetched."""

    @property
    def counts(self) -> Counter[str]:
        """What was taken, and what was not, by reason."""
        return self._intake.counts

    async def measurements(self, since_s: int) -> Sequence[GridMeasurement]:
        """Return what was measured at metered nodes from a time on, ascending.

        Raises: Unavailable when the system does not answer, does not take the token, or has been silent.
        """
        async with held(self._barrier, MONITORING):
            try:
                await self._fetch(since_s)
            except Refused as error:
                raise Unavailable(str(error)) from error
        return self._intake.since(since_s, self._clock.now_s())

    async def close(self) -> None:
        """Let go of the connections."""
        await self._link.close()

    async def _fetch(self, since_s: int) -> None:
        first_s, last_s = self._fetched or (since_s, since_s)
        from_s = since_s if since_s < first_s else max(since_s, last_s - self._late_s)
        query = {"since": iso(from_s)}
        newest_s = last_s
        for _ in range(_PAGES):
            frames, query["since"], query["after"] = await self._page(query)
            for frame in frames:
                taken = self._intake.take(frame, self._clock.now_s())
                newest_s = max(newest_s, taken.time_s if taken else 0)
            if not query["since"]:
                break
        self._fetched = min(since_s, first_s), newest_s

    async def _page(self, query: Mapping[str, str]) -> tuple[list[object], str, str]:
        """Return a page's frames, and from which time and after which node the next begins."""
        asked = {name: value for name, value in query.items() if value}
        status, content = await self._link.get("measurements", asked)
        frames = content.get("measurements") if isinstance(content, dict) else None
        if status != 200 or not isinstance(frames, list):
            raise Unavailable(f"the monitoring system answered with status {status} and no measurements")
        following = content.get("next")
        if following is None:
            return frames, "", ""
        if not isinstance(following, dict):
            raise Unavailable("the monitoring system's pages have no order")
        return frames, str(following.get("since", "")), str(following.get("after", ""))
