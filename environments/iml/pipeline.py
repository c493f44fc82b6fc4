"""The one way of samples into the repository, whether they came by MQTT, REST or XMPP.

```
take      checks  →  stored on disk  →  receipt                         (what has a receipt is not lost)
forward   live values within bounds  →  repository                      (within seconds)
close     marked intervals that have ended  →  cleansed, aggregated     (10 s after their end, and again
          →  gaps filled  →  readings  →  repository                     whenever late samples change them)
```
"""

from collections.abc import Sequence

import numpy as np

from behaviours.decisions.interval_aggregation import CONTEXT_S, WATERMARK_S, IntervalValue, aggregate
from behaviours.decisions.sample_cleansing import CleansedSamples, cleanse_samples
from behaviours.ports import Clock, Repository
from environments.iml.catalogue import Catalogue, KnownSensor
from environments.iml.readings import FilledReadings, series_names, series_of
from environments.iml.sample_store import OutgoingSample, SampleStore, StoredSample
from ontology.base import INTERVAL_S, INTERVALS_A_DAY
from ontology.errors import Problem, Refused, problem
from ontology.measurements import Measurement, Quality
from ontology.samples import Sample, SampleBatch, SampleReceipt

__all__ = ["SamplePipeline"]

GRACE_S = 10
"""After the end of an interval, for what is still on its way."""
AHEAD_S = 120
"""How far a gateway's clock may be ahead."""
OLDEST_S = 35 * 86_400
"""Older samples are not taken: markets are corrected for less long."""
LETTERS = 1_000
"""Facts that the repository is told at once."""


class SamplePipeline:
    """Takes samples, and tells the repository what they come to.

    Args:
        store: where samples are kept before anybody is told that they are.
        repository: where readings and measurements go; while it is away they wait.
        catalogue: which sensors there are.
        clock: tells when intervals end.
    """

    def __init__(
        self, store: SampleStore, repository: Repository, catalogue: Catalogue, clock: Clock
    ) -> None:
        self._store = store
        self._repository = repository
        self._clock = clock
        self._catalogue = catalogue
        self._by_key = {sensor.key: sensor for sensor in catalogue.sensors()}
        self._readings = FilledReadings(store, catalogue)

    async def take(self, site: str, batch: SampleBatch) -> SampleReceipt:
        """Store a batch of a site's gateway and say so; what came before is stored once.

        Samples that cannot be taken are named in the receipt and need not come again.

        Raises: Refused when the batch is of another site than its sender, Unavailable when the disk does
        not take it.
        """
        if batch.site != site:
            raise Refused("a gateway sends samples of its own site only")
        taken: list[StoredSample] = []
        refused: list[Problem] = []
        for index, sample in enumerate(batch.samples):
            sensor = self._catalogue.find(site, sample.sensor_id)
            wrong = self._wrong_with(sample, sensor, f"samples[{index}]")
            if wrong is None and sensor is not None:
                taken.append(StoredSample(sensor.key, sample.time_s, sample.value))
            elif wrong is not None:
                refused.append(wrong)
        stored = self._store.add(taken, self._is_plausible)
        return SampleReceipt(
            batch_id=batch.batch_id, stored=stored, duplicates=len(taken) - stored, refused=refused
        )

    def _wrong_with(self, sample: Sample, sensor: KnownSensor | None, path: str) -> Problem | None:
        now_s = self._clock.now_s()
        if sensor is None:
            return problem(f"{path}.sensor_id", sample.sensor_id, "a sensor of the site that is registered")
        if not now_s - OLDEST_S <= sample.time_s <= now_s + AHEAD_S:
            return problem(f"{path}.time_s", sample.time_s, "of the last 35 days, and not of the future")
        return None

    def _is_plausible(self, sample: StoredSample) -> bool:
        rules = self._by_key[sample.sensor].rules
        return rules.low <= sample.value <= rules.high

    async def forward(self) -> int:
        """Tell the repository the live values that it does not have yet, and return how many.

        Raises: Unavailable when it is away; then they wait.
        """
        waiting = self._store.outgoing()
        for first in range(0, len(waiting), LETTERS):
            some = waiting[first : first + LETTERS]
            await self._repository.store(
                [self._measurement(each) for each in some if each.sensor in self._by_key]
            )
            self._store.note_sent(some)
        return len(waiting)

    def _measurement(self, sample: OutgoingSample) -> Measurement:
        sensor = self._by_key[sample.sensor]
        return Measurement(
            subject=sensor.subject,
            quantity=sensor.rules.quantity,
            time_s=sample.time_s,
            value=sample.value,
            quality=sample.quality,
        )

    async def close_intervals(self) -> int:
        """Make the intervals that have ended and are marked, tell the repository, return how many changed.

        Raises: Unavailable when it is away; then what they came to waits.
        """
        now_s = int(self._clock.now_s())
        self._mark_the_silent(now_s)
        while due := self._store.due(now_s - GRACE_S):
            if not self._make(due, now_s):
                break
        return await self._tell()

    def _make(self, due: Sequence[tuple[str, int]], now_s: int) -> bool:
        """Make some marked intervals; tell whether any need not be made again."""
        made: dict[tuple[str, int], IntervalValue] = {}
        treated: dict[tuple[str, int], Sequence[OutgoingSample]] = {}
        done = []
        for key, start_s in due:
            sensor = self._by_key.get(key)
            if sensor is not None:
                samples = self._cleansed(sensor, start_s)
                treated[key, start_s] = treated_in(samples, sensor, start_s)
                for series, values in series_of(sensor, samples.values).items():
                    part = samples._replace(values=values)
                    made[series, start_s] = aggregate(part, start_s, sensor.rules)
            if sensor is None or start_s + INTERVAL_S + WATERMARK_S <= now_s:
                done.append((key, start_s))
        self._store.settle(made, treated, done)
        return bool(done)

    def _cleansed(self, sensor: KnownSensor, start_s: int) -> CleansedSamples:
        """Return the samples that an interval depends on, judged."""
        end_s = start_s + INTERVAL_S + WATERMARK_S
        found = self._store.samples(sensor.key, start_s - CONTEXT_S, end_s)
        times = np.array([at for at, _ in found], dtype=np.int64)
        return cleanse_samples(times, [value for _, value in found], sensor.rules)

    def _mark_the_silent(self, now_s: int) -> None:
        """Mark the intervals in which sensors said nothing, for up to a day of silence."""
        start_s = (now_s - GRACE_S) // INTERVAL_S * INTERVAL_S - INTERVAL_S
        silent = []
        for key in self._by_key:
            newest_s = self._store.newest_s(key)
            if newest_s is not None and newest_s < start_s:
                first = max(newest_s // INTERVAL_S * INTERVAL_S, start_s - INTERVALS_A_DAY * INTERVAL_S)
                known = self._store.intervals(series_names(self._by_key[key])[0], first, start_s + 1)
                silent += [(key, at) for at in range(first, start_s + 1, INTERVAL_S) if at not in known]
        if silent:
            self._store.mark(silent)

    async def _tell(self) -> int:
        """Tell the repository the readings that changed, gaps filled, and what stands in for spikes."""
        total = 0
        while changes := self._store.changed():
            told, facts = self._readings.of(changes)
            for first in range(0, len(facts), LETTERS):
                await self._repository.store(facts[first : first + LETTERS])
            self._store.note_told(changes, told)
            total += len(facts)
        await self.forward()
        return total


def treated_in(samples: CleansedSamples, sensor: KnownSensor, start_s: int) -> list[OutgoingSample]:
    """Return what stands in for the samples of an interval that were not believed: linear between others."""
    believed = samples.believed
    within = (samples.time_s >= start_s) & (samples.time_s < start_s + INTERVAL_S)
    if not believed.any():
        return []
    return [
        OutgoingSample(
            sensor.key,
            int(samples.time_s[index]),
            float(np.interp(samples.time_s[index], samples.time_s[believed], samples.values[believed])),
            Quality.SUBSTITUTED,
        )
        for index in np.flatnonzero(within & ~believed)
    ]
