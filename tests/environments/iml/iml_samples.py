"""A site with sensors, a clock that is set by hand, and batches of samples."""

from collections.abc import Sequence

from environments.iml.catalogue import Catalogue, SensorSettings, SiteSensors
from environments.iml.pipeline import SamplePipeline
from environments.iml.sample_store import SampleStore
from environments.repository import MemoryRepository
from ontology.errors import Unavailable
from ontology.samples import Sample, SampleBatch

START_S = 1_750_000_500
"""The start of an interval."""

SITE = SiteSensors(
    site="h001",
    sensors=(
        SensorSettings(id="meter", type="site-power", period_s=10),
        SensorSettings(id="bess-power", type="power", asset="h001-bess", period_s=10),
        SensorSettings(id="heat-register", type="energy-register", asset="h001-heat_pump", period_s=60),
    ),
)


class SetClock:
    """The `Clock` port, as far as the pipeline needs it: the time is what it is set to."""

    def __init__(self, time_s=START_S):
        self.time_s = time_s

    def now_s(self):
        return self.time_s

    async def sleep_until(self, when_s):
        self.time_s = max(self.time_s, when_s)


class MoodyRepository(MemoryRepository):
    """A repository that may be away, and counts what it is told."""

    away = False
    told = 0

    async def store(self, items):
        if self.away:
            raise Unavailable("away")
        self.told += len(items)
        await super().store(items)


class Layer:
    """The pipeline with its surroundings at hand; opened again on a path it is the restarted one."""

    def __init__(self, path, repository=None, sites: Sequence[SiteSensors] = (SITE,), time_s=START_S):
        self.clock = SetClock(time_s)
        self.repository = repository or MoodyRepository()
        self.store = SampleStore(path / "samples.sqlite")
        self.pipeline = SamplePipeline(self.store, self.repository, Catalogue(sites), self.clock)

    async def take(self, values, sensor="meter", site="h001", batch_id="b"):
        """Hand in (time, value) pairs, in batches, not before they were measured; return the receipts."""
        self.clock.time_s = max([self.clock.time_s, *(at for at, _ in values)])
        samples = [Sample(sensor_id=sensor, time_s=int(at), value=float(value)) for at, value in values]
        return [
            await self.pipeline.take(
                site,
                SampleBatch(site=site, batch_id=f"{batch_id}{first}", samples=samples[first : first + 500]),
            )
            for first in range(0, len(samples), 500)
        ]

    async def close_at(self, time_s):
        self.clock.time_s = time_s
        await self.pipeline.forward()
        await self.pipeline.close_intervals()

    async def readings(self, site="h001", entity="parity:IntervalReading"):
        return await self.repository.query(entity, site, 0, START_S * 2)

    async def everything(self):
        """Return all that the repository was told, as a set of texts."""
        return {
            str(fact)
            for entity in ("parity:IntervalReading", "parity:Measurement")
            for fact in await self.repository.query(entity, "", 0, START_S * 2)
        }


def day_of(value, hours=1.0, step_s=10, start_s=START_S):
    """Return (time, value) pairs of a constant, or of a function of the time."""
    times = range(start_s, start_s + round(hours * 3_600) + 1, step_s)
    return [(at, value(at) if callable(value) else value) for at in times]
