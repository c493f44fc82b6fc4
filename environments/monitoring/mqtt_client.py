"""The DSO's monitoring system by MQTT: one topic a node; what comes is held until it is asked for."""

from collections import Counter
from collections.abc import Sequence

from behaviours.ports import Barrier, Clock
from environments.monitoring.http_client import MONITORING
from environments.monitoring.intake import ANY_NODE, Intake, IntakeRules
from environments.wire.mqtt_link import Broker, MqttLink, Received
from environments.wire.pauses import USUAL_PAUSES, Pauses
from ontology.errors import Unavailable
from ontology.grid import GridMeasurement

__all__ = ["MqttMonitoring"]


class MqttMonitoring:
    """The port `MonitoringSystem` over MQTT: `<prefix>/measurements/<node>`, retained, quality of service 1.

    The broker keeps the session: what is published while the link is down comes when it is back.
    """

    def __init__(
        self,
        broker: Broker,
        name: str,
        clock: Clock,
        network: Clock,
        *,
        rules: IntakeRules = ANY_NODE,
        pauses: Pauses = USUAL_PAUSES,
        resumes: bool = True,
        barrier: Barrier | None = None,
    ) -> None:
        """Prepare to listen.

        Args:
            broker: where; its path is the prefix of topics.
            name: the client's, unique at the broker and the same after a restart.
            clock: the time that measurements are stamped in.
            network: the machine's time, for pauses.
            rules: what is taken.
            pauses: between attempts to connect.
            resumes: whether what came while this client was not running is wanted.
            barrier: is told of each measurement that has come.
        """
        self._clock, self._barrier = clock, barrier
        self._intake = Intake(rules)
        self._link = MqttLink(
            broker,
            name,
            network,
            subscribe=[measurement_topic(broker.place.path, "+")],
            receive=self._take,
            resumes=resumes,
            pauses=pauses,
        )

    @property
    def counts(self) -> Counter[str]:
        """What was taken, and what was not, by reason; how often the link came and went."""
        return self._intake.counts + self._link.counts

    async def start(self, wait_s: float = 5.0) -> None:
        """Begin to listen; where the broker is away the link goes on trying."""
        try:
            await self._link.start(wait_s)
        except Unavailable:
            self._intake.counts["late connections"] += 1

    async def measurements(self, since_s: int) -> Sequence[GridMeasurement]:
        """Return what was measured at metered nodes from a time on, ascending.

        Raises: Unavailable when the system has been silent, or nothing came yet and there is no connection.
        """
        found = self._intake.since(since_s, self._clock.now_s())
        if not found and not self._link.is_up:
            raise Unavailable(f"the monitoring system's broker: {self._link.why_down}")
        return found

    async def close(self) -> None:
        """Disconnect."""
        await self._link.close()

    def _take(self, message: Received) -> None:
        try:
            self._intake.take(message.payload, self._clock.now_s())
        finally:
            if self._barrier is not None and not message.is_retained:
                self._barrier.handled(MONITORING)


def measurement_topic(prefix: str, node: str) -> str:
    """Return the topic of a node's measurements."""
    return "/".join(part for part in (prefix, "measurements", node) if part)
