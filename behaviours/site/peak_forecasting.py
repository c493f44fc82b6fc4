"""The peak-shaving forecasting engine: which import a battery can keep to (SPEC 4.7).

It learns the load from the meter of what it shaves, plans threshold and corridor every quarter of an
hour, and again when the content falls below the corridor. Within a month the threshold never goes
below the highest import that there has been: to shave below it would gain nothing.
"""

from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from behaviours.behaviour import Behaviour, every, on
from behaviours.decisions.peak_shaving import LoadRecord, ShavingPlan, planned_shaving
from behaviours.decisions.series import FloatArray
from behaviours.site.battery_settings import BatterySettings
from ontology.base import INTERVAL_S
from ontology.letter import Letter
from ontology.measurements import Measurement, Quantity
from ontology.storage import StorageStatus

__all__ = ["PeakForecasting"]

_PEAK, _RECORD = "peak of the month", "load record"
DAYS_LEARNT = 7
"""So many days of its own the battery must know before it does without the usual profile."""
USUAL_SPREAD = (0.8, 1.0, 1.2)
"""What a day may be like until then, as shares of the usual one."""
REPLANNED_AFTER_S = 300
"""Within an interval a plan that does not hold is made again after so long at the earliest."""
SHORT_OF = 0.01
"""How far below its corridor the content may be, as a share of the capacity."""


class Peak(msgspec.Struct, array_like=True, frozen=True):
    """The highest mean import of an interval in a month, in W."""

    month: str = ""
    import_w: float = 0.0


class Sum(msgspec.Struct):
    """What has been measured of an interval: load and import in W, added up, and how often."""

    start_s: int = 0
    load_w: float = 0.0
    import_w: float = 0.0
    count: int = 0


class PeakForecasting(Behaviour):
    """Knows the load without the battery, and plans the threshold that the battery keeps to."""

    settings: BatterySettings

    def setup(self) -> None:
        """Recall the month's peak and the load of the days before a restart."""
        self.plan: ShavingPlan | None = None
        self.load_w: tuple[float, float] | None = None
        """The last load measured, in W, and when, in epoch seconds."""
        self._status: StorageStatus | None = None
        self._sum = Sum()
        self._planned_s = 0
        kept = self.agent.kept_bytes(_PEAK)
        self._peak = msgspec.json.decode(kept, type=Peak) if kept else Peak()
        self._record = self._recalled()

    @on(StorageStatus)
    def note_status(self, status: StorageStatus, letter: Letter) -> None:
        """Note what the battery does and how full it is."""
        self._status = status

    @on(Measurement)
    def note(self, measured: Measurement, letter: Letter) -> None:
        """Take a measurement of what is shaved; the load is what remains without the battery."""
        settings, status = self.settings, self._status
        if measured.subject != settings.shaves or measured.quantity is not Quantity.ACTIVE_POWER_W:
            return
        if status is None or status.time_s != measured.time_s:
            return
        load_w = measured.value - status.power_w
        self.load_w = load_w, measured.time_s
        start_s = (measured.time_s - 1) // INTERVAL_S * INTERVAL_S
        if start_s != self._sum.start_s:
            self._close()
            self._sum = Sum(start_s)
        self._sum.load_w += load_w
        self._sum.import_w += measured.value
        self._sum.count += 1

    @every(minutes=15, offset_s=8)
    def plan_ahead(self) -> None:
        """Plan for the day ahead, from the present content."""
        if self.settings.shaves and self._status is not None:
            self._close()
            self._make_plan(self.now_s() // INTERVAL_S * INTERVAL_S)

    @every(minutes=240, offset_s=9)
    def remember(self) -> None:
        """Keep the load of the days before over a restart."""
        if self.settings.shaves:
            record = self._record
            loads = [None if np.isnan(each) else round(each) for each in record.load_w.tolist()]
            self.keep(_RECORD, msgspec.json.encode((record.end_s, loads)))

    def measured(self) -> tuple[float, float]:
        """Return the mean import in W since the running interval began, and how many seconds that were."""
        now_s = self.now_s()
        if not self._sum.count or self._sum.start_s != now_s // INTERVAL_S * INTERVAL_S:
            return 0.0, 0.0
        return self._sum.import_w / self._sum.count, now_s - self._sum.start_s

    def check(self, stored_wh: float) -> None:
        """Plan again, with the content that there is, where it has fallen below the corridor."""
        plan, now_s = self.plan, self.now_s()
        if plan is None or now_s < self._planned_s + REPLANNED_AFTER_S:
            return
        if plan.floor_wh(now_s) - stored_wh > SHORT_OF * self.settings.model.capacity_wh:
            self.agent.counts["thresholds raised"] += 1
            self._make_plan(plan.start_s)

    def _make_plan(self, start_s: int) -> None:
        assert self._status is not None
        self._planned_s = self.now_s()
        if self._month(start_s) != self._peak.month:
            self._keep_peak(Peak(self._month(start_s)))
        self.plan = planned_shaving(
            self._possible_days_w(start_s),
            self.settings.model,
            self._status.state_of_charge * self.settings.model.capacity_wh,
            start_s,
            least_w=self._peak.import_w,
        )

    def _possible_days_w(self, start_s: int) -> FloatArray:
        """Return what the day ahead may bring, in W: days before, and the usual one while they are few."""
        days = self._record.days_w(start_s)
        if len(days) >= DAYS_LEARNT:
            return days
        slot = start_s // INTERVAL_S % len(self.settings.usual_load_w)
        usual = np.roll(np.asarray(self.settings.usual_load_w, dtype=np.float64), -slot)
        return np.concatenate([days, np.outer(USUAL_SPREAD, usual)])

    def _close(self) -> None:
        """Take the interval that has been measured into the record."""
        done = self._sum
        if not done.count or done.start_s + INTERVAL_S > self.now_s():
            return
        self._sum = Sum()
        self._record = self._record.after(done.start_s, done.load_w / done.count)
        month, import_w = self._month(done.start_s), done.import_w / done.count
        if month != self._peak.month or import_w > self._peak.import_w:
            self._keep_peak(Peak(month, import_w))

    def _keep_peak(self, peak: Peak) -> None:
        self._peak = peak
        self.keep(_PEAK, msgspec.json.encode(peak))

    def _month(self, time_s: int) -> str:
        return datetime.fromtimestamp(time_s, ZoneInfo(self.settings.zone)).strftime("%Y-%m")

    def _recalled(self) -> LoadRecord:
        kept = self.agent.kept_bytes(_RECORD)
        if kept is None:
            return LoadRecord.empty()
        end_s, loads = msgspec.json.decode(kept, type=tuple[int, list[float | None]])
        return LoadRecord(np.array([np.nan if each is None else each for each in loads]), end_s)
