"""What intervals of sensors are as facts: readings of sites, means of devices, with their gaps filled."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from behaviours.decisions.interval_aggregation import (
    CONTEXT_S,
    WEEK_S,
    IntervalValue,
    fill_energies,
    fill_means,
)
from behaviours.decisions.sample_cleansing import cleanse_samples
from behaviours.decisions.series import FloatArray
from environments.iml.catalogue import Catalogue, KnownSensor
from environments.iml.sample_store import SampleStore
from ontology.base import INTERVAL_S, INTERVALS_A_DAY, Concept
from ontology.measurements import IntervalReading, Measurement, Quality

__all__ = ["FilledReadings", "interval_subject", "series_of"]

TAKEN, GIVEN = ">taken", ">given"
"""The two series that a meter of power is read as: within an interval, one does not undo the other."""
REACH_S = (INTERVALS_A_DAY + 1) * INTERVAL_S
"""How far before an interval a gap may begin that its value helps to fill."""
_WORST = (Quality.VALID, Quality.ESTIMATED, Quality.SUBSTITUTED, Quality.MISSING)
HOURS_AN_INTERVAL = INTERVAL_S / 3_600


def series_of(sensor: KnownSensor, values: FloatArray) -> dict[str, FloatArray]:
    """Return the series that are made of a sensor's values, by name."""
    if sensor.type != "site-power":
        return {sensor.key: values}
    return {sensor.key + TAKEN: np.maximum(values, 0), sensor.key + GIVEN: np.maximum(-values, 0)}


def series_names(sensor: KnownSensor) -> tuple[str, ...]:
    """Return the names of the series that are made of a sensor's values."""
    return (sensor.key + TAKEN, sensor.key + GIVEN) if sensor.type == "site-power" else (sensor.key,)


def interval_subject(subject: str) -> str:
    """Return what the 15-minute means of a device are about, beside its live values."""
    return f"{subject}:15min"


class FilledReadings:
    """Turns what changed into facts for the repository.

    Args:
        store: has the intervals, and what was told of them.
        catalogue: says what they are of.
    """

    def __init__(self, store: SampleStore, catalogue: Catalogue) -> None:
        self._store = store
        self._sensor_of = {name: sensor for sensor in catalogue.sensors() for name in series_names(sensor)}
        self._meters: dict[str, dict[str, str]] = {}
        for sensor in catalogue.sensors():
            if sensor.type == "site-power":
                self._meters[sensor.site] = {"taken": sensor.key + TAKEN, "given": sensor.key + GIVEN}
            elif sensor.meters_site:
                way = "taken" if sensor.type == "import-register" else "given"
                self._meters.setdefault(sensor.site, {})[way] = sensor.key

    def of(
        self, changes: Sequence[tuple[str, int, int]]
    ) -> tuple[Mapping[tuple[str, int], IntervalValue], list[Concept]]:
        """Return the values to be told after changes of series, and the facts that tell them."""
        news: dict[tuple[str, int], IntervalValue] = {}
        for series, first_s, last_s in spans(changes):
            if series in self._sensor_of:
                news |= {(series, at): value for at, value in self._news(series, first_s, last_s).items()}
        facts: dict[tuple[str, int], Concept] = {}
        for (series, start_s), value in sorted(news.items(), key=lambda each: (each[0][1], each[0][0])):
            sensor = self._sensor_of[series]
            if not sensor.meters_site:
                facts[series, start_s] = _mean(sensor, start_s, value)
                continue
            reading = self._reading(sensor.site, start_s, news)
            if reading is not None:
                facts[sensor.site, start_s] = reading
        return news, list(facts.values())

    def _news(self, series: str, first_s: int, last_s: int) -> dict[int, IntervalValue]:
        """Return what is known, or filled in, of a series around changes and was not told like this."""
        begin_s = first_s - 2 * REACH_S
        known = self._store.intervals(series, begin_s - WEEK_S, last_s + REACH_S)
        last_s = max([last_s, *known])
        if self._sensor_of[series].rules.is_register:
            filled = fill_energies(known, self._counted(series, known, begin_s, last_s), begin_s, last_s)
        else:
            filled = fill_means(known, begin_s, last_s)
        told = self._store.told(series, first_s - REACH_S, last_s + 1)
        return {
            start: value
            for start, value in filled.items()
            if start >= first_s - REACH_S
            and value.quality is not Quality.MISSING
            and told.get(start) != value
        }

    def _counted(
        self, series: str, known: Mapping[int, IntervalValue], begin_s: int, last_s: int
    ) -> dict[int, float]:
        """Return what a register counted in each gap that it was read on both sides of."""
        counted: dict[int, float] = {}
        gap_s: int | None = None
        for start in range(begin_s, last_s + INTERVAL_S, INTERVAL_S):
            at = known.get(start)
            missing = at is None or at.quality is Quality.MISSING
            if missing and gap_s is None:
                gap_s = start
            elif not missing and gap_s is not None:
                first, last = self._read(series, gap_s), self._read(series, start)
                if first is not None and last is not None and last >= first:
                    counted[gap_s] = last - first
                gap_s = None
        return counted

    def _read(self, series: str, instant_s: int) -> float | None:
        """Return a register's reading at an instant, linear between believed samples."""
        before = self._store.nearest(series, instant_s, after=False)
        after = self._store.nearest(series, instant_s, after=True)
        if before is None or after is None:
            return None
        found = [
            *self._store.samples(series, before[0] - CONTEXT_S, before[0] + 1),
            *self._store.samples(series, max(after[0], before[0] + 1), after[0] + CONTEXT_S),
        ]
        times = [at for at, _ in found]
        cleansed = cleanse_samples(times, [value for _, value in found], self._sensor_of[series].rules)
        return float(
            np.interp(instant_s, cleansed.time_s[cleansed.believed], cleansed.values[cleansed.believed])
        )

    def _reading(
        self, site: str, start_s: int, news: Mapping[tuple[str, int], IntervalValue]
    ) -> IntervalReading | None:
        """Return a site's reading of an interval when all its series are known."""
        parts: dict[str, IntervalValue] = {}
        for way, series in self._meters[site].items():
            value = news.get((series, start_s)) or self._store.told(series, start_s, start_s + 1).get(start_s)
            if value is None:
                return None
            parts[way] = value
        taken_wh, given_wh = (self._energy_wh(site, parts, way) for way in ("taken", "given"))
        return IntervalReading(
            subject=site,
            start_s=start_s,
            consumed_wh=max(0, round(taken_wh)),
            produced_wh=max(0, round(given_wh)),
            consumed_w=max(0, round(taken_wh / HOURS_AN_INTERVAL)),
            produced_w=max(0, round(given_wh / HOURS_AN_INTERVAL)),
            quality=max((value.quality for value in parts.values()), key=_WORST.index),
        )

    def _energy_wh(self, site: str, parts: Mapping[str, IntervalValue], way: str) -> float:
        if way not in parts:
            return 0.0
        is_register = self._sensor_of[self._meters[site][way]].rules.is_register
        return parts[way].value * (1.0 if is_register else HOURS_AN_INTERVAL)


def _mean(sensor: KnownSensor, start_s: int, value: IntervalValue) -> Measurement:
    return Measurement(
        subject=interval_subject(sensor.subject),
        quantity=sensor.rules.quantity,
        time_s=start_s,
        value=value.value,
        quality=value.quality,
    )


def spans(changes: Iterable[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    """Return each series with the first and last start of its changes."""
    found: dict[str, tuple[int, int]] = {}
    for series, start_s, _ in changes:
        first, last = found.get(series, (start_s, start_s))
        found[series] = (min(first, start_s), max(last, start_s))
    return [(series, *span) for series, span in found.items()]
