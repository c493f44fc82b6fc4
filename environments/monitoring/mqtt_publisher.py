"""The side of a monitoring system that publishes by MQTT: one topic a node, the newest retained."""

from collections import Counter, deque
from collections.abc import Iterable

from behaviours.ports import Barrier, Clock
from environments.monitoring.frames import frame_from
from environments.monitoring.http_client import MONITORING
from environments.monitoring.mqtt_client import measurement_topic
from environments.wire.frames import write_frame
from environments.wire.mqtt_link import Broker, MqttLink
from environments.wire.pauses import USUAL_PAUSES, Pauses
from ontology.errors import Unavailable
from ontology.grid import GridMeasurement

__all__ = ["MeasurementPublisher"]

_UNFIT = str.maketrans({"/": "-", "+": "-", "#": "-", "\0": "-"})


class MeasurementPublisher:
    """Publishes measurements in order; what the broker does not have yet waits, the oldest is dropped."""

    def __init__(
        self,
        broker: Broker,
        name: str,
        network: Clock,
        *,
        capacity: int = 100_000,
        pauses: Pauses = USUAL_PAUSES,
        barrier: Barrier | None = None,
    ) -> None:
        """Prepare to publish; a barrier is told of each measurement that the broker has taken."""
        self._prefix = broker.place.path
        self._link = MqttLink(broker, name, network, pauses=pauses)
        self._waiting: deque[GridMeasurement] = deque()
        self._capacity, self._barrier = capacity, barrier
        self._counts: Counter[str] = Counter()

    @property
    def counts(self) -> Counter[str]:
        """What was published and dropped; how often the link came and went."""
        return self._counts + self._link.counts

    async def start(self, wait_s: float = 5.0) -> None:
        """Connect.

        Raises: Unavailable when the broker is not there; the link goes on trying.
        """
        await self._link.start(wait_s)

    async def publish(self, measurements: Iterable[GridMeasurement]) -> None:
        """Publish measurements, after those that wait; where the broker is away they wait too."""
        for each in measurements:
            if len(self._waiting) >= self._capacity:
                self._waiting.popleft()
                self._counts["dropped"] += 1
            self._waiting.append(each)
        while self._waiting:
            try:
                await self._publish(self._waiting[0])
            except Unavailable:
                return
            self._waiting.popleft()

    async def close(self) -> None:
        """Disconnect."""
        await self._link.close()

    async def _publish(self, measurement: GridMeasurement) -> None:
        topic = measurement_topic(self._prefix, measurement.node_id.translate(_UNFIT))
        if self._barrier is not None:
            self._barrier.sent(MONITORING)
        try:
            await self._link.publish(topic, write_frame(frame_from(measurement)), retain=True)
        except Unavailable:
            if self._barrier is not None:
                self._barrier.handled(MONITORING)
            raise
        self._counts["published"] += 1
