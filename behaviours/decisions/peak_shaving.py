"""The forecasting engine of a peak-shaving battery: the lowest threshold, and what is kept for it (SPEC 4.7).

The days before stand for what the next may bring: the threshold is the lowest that the battery would have
kept on all but the worst of them, from its present content. What keeps a threshold on such a day is its
corridor of content; the rest of the battery is free, and is offered as an envelope.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from behaviours.decisions.envelopes import bounded, hours
from behaviours.decisions.series import FloatArray
from ontology.base import INTERVAL_S, INTERVALS_A_DAY, require
from ontology.flexibility import FlexEnvelope
from ontology.storage import StorageModel, StorageStatus

__all__ = [
    "DAYS_KEPT",
    "LoadRecord",
    "ShavingPlan",
    "lowest_thresholds_w",
    "planned_shaving",
    "rest_envelope",
]

DAYS_KEPT = 28
"""Days that stand for what may come: four of each day of the week."""
CONFIDENCE = 0.95
"""Share of such days on which the threshold is kept."""
HIGH = 0.90
"""The quantile of the load that limits what the rest of the battery may take in a step."""
PARTS = 24
SLACK_W = 1e-6
WATTS_FOUND = 25.0
"""How exactly a threshold is sought."""
SECONDS_AN_HOUR = 3600


@dataclass(frozen=True, slots=True, eq=False)
class LoadRecord:
    """The mean load in W of the intervals of the last days; adding one returns a new record."""

    load_w: FloatArray
    """One value an interval, the oldest first; nan where nothing was metered."""
    end_s: int = 0

    @classmethod
    def empty(cls) -> "LoadRecord":
        """Return the record of a battery that has just begun."""
        return cls(np.full((DAYS_KEPT + 1) * INTERVALS_A_DAY, np.nan))

    def after(self, start_s: int, load_w: float) -> "LoadRecord":
        """Return the record with one more interval; one that is not newer changes nothing."""
        passed = (start_s + INTERVAL_S - self.end_s) // INTERVAL_S if self.end_s else 1
        if passed <= 0:
            return self
        values = np.roll(self.load_w, -min(passed, self.load_w.size))
        values[-min(passed, self.load_w.size) :] = np.nan
        values[-1] = load_w
        return LoadRecord(values, start_s + INTERVAL_S)

    def days_w(self, start_s: int) -> FloatArray:
        """Return what was drawn in the 96 intervals from the same time on, on each of the days before.

        One row a day of which everything was metered, the latest first.
        """
        behind = (self.end_s - start_s) // INTERVAL_S
        ends = [
            self.load_w.size - behind - day * INTERVALS_A_DAY + INTERVALS_A_DAY
            for day in range(1, DAYS_KEPT + 1)
        ]
        rows = [
            self.load_w[end - INTERVALS_A_DAY : end]
            for end in ends
            if INTERVALS_A_DAY <= end <= self.load_w.size
        ]
        days = np.array(rows).reshape(-1, INTERVALS_A_DAY)
        whole: FloatArray = days[~np.isnan(days).any(axis=1)]
        return whole


@dataclass(frozen=True, slots=True, eq=False)
class ShavingPlan:
    """The import that a battery keeps to, and what that takes in each step of the day ahead."""

    start_s: int
    threshold_w: int
    corridor_wh: FloatArray
    """Least content at the start of each step, and at the end of the last."""
    load_w: FloatArray
    """The load that each step is prepared for: a high quantile."""
    reserved_w: FloatArray
    """Power that shaving may take in each step."""

    @property
    def reserved_wh(self) -> float:
        """The content that is reserved now."""
        return float(self.corridor_wh[0])

    def floor_wh(self, time_s: float) -> float:
        """Return the content that is to be there at a time, in Wh; before and after, what is at the ends."""
        position = (time_s - self.start_s) / INTERVAL_S
        return float(np.interp(position, np.arange(self.corridor_wh.size), self.corridor_wh))

    def high_load_w(self, time_s: float) -> int:
        """Return the load that is prepared for at a time, in W."""
        step = int((time_s - self.start_s) // INTERVAL_S)
        return round(float(self.load_w[max(0, min(step, self.load_w.size - 1))]))


def planned_shaving(
    days_w: npt.ArrayLike,
    model: StorageModel,
    stored_wh: float,
    start_s: int,
    *,
    least_w: float = 0,
    confidence: float = CONFIDENCE,
) -> ShavingPlan:
    """Return the lowest threshold that a battery is likely to keep, and the corridor that keeps it.

    Args:
        days_w: what the day ahead may bring: one row a possibility, in W, steps of 15 minutes.
        model: limits of the battery.
        stored_wh: present content.
        start_s: start of the first step in epoch seconds.
        least_w: import below which nothing is gained, such as the peak of the month so far.
        confidence: share of the possibilities in which the threshold is kept.

    Raises: InvalidInput when there is no possibility.
    Source: SPEC 4.7 (forecast engine); a quantile over whole days rather than over steps, since what
    empties a battery is a long evening, not a high minute.
    """
    days = np.atleast_2d(np.asarray(days_w, dtype=np.float64))
    require(days.size > 0, "days_w", days.shape, "at least one possible day")
    whole_threshold = int(np.ceil(least_w))
    held = np.full((1, len(days)), float(whole_threshold))
    if keeps(days, held, model, stored_wh, INTERVAL_S).mean() < confidence:
        lowest = float(np.quantile(lowest_thresholds_w(days, model, stored_wh), confidence))
        whole_threshold = max(whole_threshold, int(np.ceil(lowest)))
    needed = needed_wh(days, whole_threshold, model)
    high = np.quantile(days, HIGH, axis=0)
    return ShavingPlan(
        start_s=start_s,
        threshold_w=whole_threshold,
        corridor_wh=np.quantile(needed, confidence, axis=0),
        load_w=high,
        reserved_w=np.clip(high - whole_threshold, 0.0, model.discharge_max_w),
    )


def lowest_thresholds_w(
    days_w: FloatArray, model: StorageModel, stored_wh: float, step_s: int = INTERVAL_S
) -> FloatArray:
    """Return the lowest import that the battery can keep over each of some days, in W.

    The interval in which it lies is divided into many parts at once, again and again.

    Args:
        days_w: load without the battery, one row a day.
        model: limits of the battery.
        stored_wh: content at the start.
        step_s: length of a step in seconds.
    """
    high: FloatArray = days_w.max(axis=1)
    width = float(model.discharge_max_w)
    while width > WATTS_FOUND:
        width /= PARTS
        tried = high - width * np.arange(PARTS + 1)[:, None]
        kept = keeps(days_w, tried, model, stored_wh, step_s).sum(axis=0)
        high = high - width * np.maximum(kept - 1, 0)
    return high


def keeps(
    days_w: FloatArray, thresholds_w: FloatArray, model: StorageModel, stored_wh: float, step_s: int
) -> npt.NDArray[np.bool_]:
    """Tell whether a battery keeps each threshold on each day when it recharges whenever there is room.

    Args:
        days_w: load, one row a day.
        thresholds_w: one row a try, a column a day, falling; the first of each day is kept anyway.
        model: limits of the battery.
        stored_wh: content at the start.
        step_s: length of a step in seconds.
    """
    stored = np.full(thresholds_w.shape, float(stored_wh))
    lowest = stored.copy()
    for change in moved_wh(thresholds_w - days_w.T[:, None], model, step_s):
        stored += change
        np.minimum(stored, model.fill_max_wh, out=stored)
        np.minimum(lowest, stored, out=lowest)
    able = days_w.max(axis=1) - thresholds_w <= model.discharge_max_w + SLACK_W
    kept: npt.NDArray[np.bool_] = able & (lowest >= min(stored_wh, model.fill_min_wh))
    return kept


def needed_wh(
    days_w: FloatArray, threshold_w: float, model: StorageModel, step_s: int = INTERVAL_S
) -> FloatArray:
    """Return the content that keeps a threshold from each step on, one row a day, a column more than steps.

    At the end of the horizon nothing is needed; what cannot be held is not asked for.
    """
    changes = moved_wh(threshold_w - days_w, model, step_s)
    needed = np.full((len(days_w), days_w.shape[1] + 1), float(model.fill_min_wh))
    for step in range(days_w.shape[1] - 1, -1, -1):
        before = needed[:, step + 1] - changes[:, step]
        needed[:, step] = np.clip(before, model.fill_min_wh, model.fill_max_wh)
    return needed


def moved_wh(room_w: FloatArray, model: StorageModel, step_s: int) -> FloatArray:
    """Return by how much a step changes the content when room is used and excess is covered."""
    step_hours = step_s / SECONDS_AN_HOUR
    charged = np.clip(room_w, 0.0, model.charge_max_w) * model.charge_efficiency
    given = np.clip(-room_w, 0.0, model.discharge_max_w) / model.discharge_efficiency
    change: FloatArray = (charged - given) * step_hours
    return change


def rest_envelope(plan: ShavingPlan, model: StorageModel, status: StorageStatus) -> FlexEnvelope:
    """Return what a battery could do beside shaving: nothing that would break or empty its corridor.

    Where shaving takes power, the envelope asks for it; it prefers to recharge as soon as there is room.

    Args:
        plan: threshold and corridor.
        model: limits of the battery.
        status: how full it is; its state of health scales the capacity.

    Source: SPEC 4.7 (FlexEnvelope of the rest).
    """
    steps = plan.load_w.size
    capacity_wh = model.capacity_wh * status.state_of_health
    stored_wh = status.state_of_charge * capacity_wh
    leaked_wh = model.leakage_w * hours(steps, INTERVAL_S)
    most = np.floor(np.clip(plan.threshold_w - plan.load_w, -model.discharge_max_w, model.charge_max_w))
    efficiencies = model.charge_efficiency, model.discharge_efficiency
    return bounded(
        model.asset_id,
        plan.start_s,
        INTERVAL_S,
        np.full(steps, -float(model.discharge_max_w)),
        most,
        plan.corridor_wh[1:] - stored_wh + leaked_wh,
        min(model.fill_max_wh, capacity_wh) - stored_wh + leaked_wh,
        efficiencies=efficiencies,
        stored_wh=round(stored_wh),
        preferred=soonest_w(most, stored_wh, model),
    )


def soonest_w(most_w: FloatArray, stored_wh: float, model: StorageModel) -> FloatArray:
    """Return the powers of a battery that recharges as soon as it may, within its content."""
    step_hours = INTERVAL_S / SECONDS_AN_HOUR
    powers = np.zeros(most_w.size)
    for step, most in enumerate(most_w.tolist()):
        room = (model.fill_max_wh - stored_wh) / model.charge_efficiency / step_hours
        left = max(0.0, stored_wh - model.fill_min_wh) * model.discharge_efficiency / step_hours
        power = float(np.trunc(max(-left, min(most, room))))
        efficiency = model.charge_efficiency if power > 0 else 1 / model.discharge_efficiency
        stored_wh += power * efficiency * step_hours
        powers[step] = power
    return powers
