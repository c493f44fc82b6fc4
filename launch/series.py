"""The columns of a run as matrices over time, thinned to what a chart can show."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np

from launch.run_folder import RunResult
from ontology.base import INTERVAL_S

__all__ = ["Series"]

POINTS = 700
"""At most so many points are drawn."""


@dataclass(frozen=True)
class Series:
    """The columns of a result as matrices: site (or segment, or account) × interval, missing = NaN."""

    result: RunResult

    @cached_property
    def starts(self) -> np.ndarray:
        """Return the starts of all intervals, epoch seconds."""
        return np.unique(np.asarray(self.result.tables.market["start_s"], dtype=np.int64))

    @cached_property
    def every(self) -> int:
        """Return how many intervals are drawn as one point."""
        choices = (1, 2, 4, 8, 16, 24, 48, 96, 192, 384, 672)
        return next((n for n in choices if len(self.starts) <= n * POINTS), 2688)

    @cached_property
    def times(self) -> np.ndarray:
        """Return the starts of the points, as local times without zone, for an axis."""
        zone = ZoneInfo(self.result.scenario.zone)
        points = self.starts[:: self.every]
        local = [datetime.fromtimestamp(int(s), UTC).astimezone(zone).replace(tzinfo=None) for s in points]
        return np.asarray(local, dtype="datetime64[s]")

    @cached_property
    def width(self) -> np.timedelta64:
        """Return the time between points."""
        return np.timedelta64(self.every * INTERVAL_S, "s")

    def names(self, table: str, key: str) -> list[str]:
        """Return the sites, segments or accounts of a table, in order."""
        return sorted(set(getattr(self.result.tables, table)[key]))

    def matrix(self, table: str, key: str, column: str) -> np.ndarray:
        """Return a column as a matrix, one row a name, one column a point."""
        columns = getattr(self.result.tables, table)
        rows = {name: i for i, name in enumerate(self.names(table, key))}
        whole = np.full((len(rows), len(self.starts)), np.nan)
        at = np.searchsorted(self.starts, columns["start_s"])
        inside = at < len(self.starts)
        which = np.fromiter((rows[name] for name in columns[key]), int, len(columns[key]))
        whole[which[inside], at[inside]] = np.asarray(columns[column], dtype=float)[inside]
        return self.thinned(whole)

    def total(self, table: str, key: str, column: str) -> np.ndarray:
        """Return the sum over sites or segments."""
        matrix = self.matrix(table, key, column)
        return np.where(np.isnan(matrix).all(axis=0), np.nan, np.nansum(matrix, axis=0))

    def thinned(self, matrix: np.ndarray) -> np.ndarray:
        """Return means over as many intervals as one point stands for."""
        if self.every == 1:
            return matrix
        missing = -matrix.shape[1] % self.every
        padded = np.pad(matrix, ((0, 0), (0, missing)), constant_values=np.nan)
        blocks = padded.reshape(len(matrix), -1, self.every)
        filled = (~np.isnan(blocks)).sum(axis=2)
        return np.where(filled > 0, np.nansum(blocks, axis=2) / np.maximum(filled, 1), np.nan)

    @cached_property
    def states(self) -> list[str]:
        """Return the worst traffic light of each point."""
        market = self.result.tables.market
        rank = {"GREEN": 0, "YELLOW": 1, "RED": 2}
        worst = np.zeros(len(self.starts), int)
        level = np.fromiter((rank.get(s, 0) for s in market["grid_state"]), int, len(market["grid_state"]))
        np.maximum.at(worst, np.searchsorted(self.starts, market["start_s"]), level)
        blocks = [worst[i : i + self.every].max() for i in range(0, len(worst), self.every)]
        return [("GREEN", "YELLOW", "RED")[i] for i in blocks]
