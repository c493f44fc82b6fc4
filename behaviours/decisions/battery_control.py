"""What a battery does from second to second: peak shaving and frequency reserve."""

from dataclasses import dataclass
from math import ceil, floor

from ontology.storage import StorageModel

__all__ = [
    "PeakShaving",
    "fcr_d_power_w",
    "fcr_d_reserve_wh",
    "peak_shaving_power_w",
    "reserve_of",
    "rule_for",
    "threshold_of_rest_w",
]

FCR_D_EDGE_HZ = 0.1
FCR_D_RANGE_HZ = 0.4
FCR_D_ENDURANCE_S = 1200
NOMINAL_HZ = 50.0
DEADBAND_W = 500


@dataclass(frozen=True, slots=True)
class PeakShaving:
    """The rule of a peak-shaving battery (SPEC 4.7, real-time engine)."""

    threshold_w: int
    """Import that shall not be exceeded."""
    recharge_below_w: int
    """Import below which the battery recharges, never above the threshold."""
    deadband_w: int = DEADBAND_W
    quantum_w: int = 100
    ramp_w_per_s: int = 5_000
    reserve_wh: int = 0
    """Content above the lowest fill that is kept for other duties."""
    floor_wh: float = 0.0
    """Content that shaving needs at the end of the step: nothing else takes it."""


def peak_shaving_power_w(
    rule: PeakShaving,
    model: StorageModel,
    load_w: int,
    stored_wh: float,
    previous_w: int,
    step_s: float,
    wanted_w: int | None = None,
) -> int:
    """Return the battery's power for the next step, in W (charging positive).

    It gives what exceeds the threshold once that is exceeded by the deadband, and keeps giving until the
    load is below the threshold. Beside that it does what is wanted of it, as far as that neither takes
    the import above the threshold nor the content below what shaving needs; if nothing is wanted it
    recharges below the recharge level.

    Args:
        rule: threshold and shape of the control.
        model: limits of the battery.
        load_w: import of the site without the battery.
        stored_wh: present content.
        previous_w: present power of the battery.
        step_s: time until the next decision, in seconds.
        wanted_w: power that is ordered of the battery, such as flexibility; None: recharge.

    Source: SPEC 4.7; OpenDSS StorageController PeakShave.
    """
    excess = load_w - rule.threshold_w
    if excess > rule.deadband_w or (previous_w < 0 and excess > 0):
        most = -quantised_up(min(excess, model.discharge_max_w), rule.quantum_w, model.discharge_max_w)
    else:
        most = max(0, min(model.charge_max_w, -excess)) // rule.quantum_w * rule.quantum_w
    if wanted_w is None:
        wanted_w = most if load_w < rule.recharge_below_w or most < 0 else 0
    least = power_to_content(rule.floor_wh, model, stored_wh, step_s)
    wanted = min(most, max(least, wanted_w))
    ramp = ceil(rule.ramp_w_per_s * step_s)
    wanted = max(previous_w - ramp, min(previous_w + ramp, wanted))
    return within_content(wanted, model, stored_wh, rule.reserve_wh, step_s)


def power_to_content(content_wh: float, model: StorageModel, stored_wh: float, step_s: float) -> int:
    """Return the power in W that brings a battery to a content within a step."""
    missing_w = (content_wh - stored_wh) * 3600 / step_s
    if missing_w > 0:
        return ceil(missing_w / model.charge_efficiency)
    return ceil(missing_w * model.discharge_efficiency)


def threshold_of_rest_w(threshold_w: int, mean_w: float, elapsed_s: float, interval_s: float) -> int:
    """Return the import to keep to in the rest of an interval, so that its mean keeps the threshold, in W.

    What was too much is made up for; what was too little is not used up, it may be needed.

    Args:
        threshold_w: most that the mean of the interval may be.
        mean_w: mean import since the interval began.
        elapsed_s: how long ago that was.
        interval_s: length of the interval.
    """
    left_s = interval_s - elapsed_s
    if left_s <= 0 or mean_w <= threshold_w:
        return threshold_w
    return floor(threshold_w - (mean_w - threshold_w) * elapsed_s / left_s)


def rule_for(threshold_w: int, floor_wh: float = 0.0, deadband_w: int = DEADBAND_W) -> PeakShaving:
    """Return the rule that keeps the mean import of an interval within a threshold.

    The deadband lies below it, so that what the rule lets pass does not exceed the threshold either; for
    small sites it is a twentieth of the threshold at most.

    Args:
        threshold_w: import that shall not be exceeded.
        floor_wh: content that shaving needs at the end of the step.
        deadband_w: how far the rule's own threshold is exceeded before the battery gives.
    """
    deadband = min(deadband_w, max(0, threshold_w) // 20)
    own = threshold_w - deadband
    return PeakShaving(own, own, deadband_w=deadband, floor_wh=floor_wh)


def fcr_d_power_w(frequency_hz: float, up_w: int, down_w: int = 0) -> int:
    """Return a battery's response to the frequency: giving (negative) when low, taking when high.

    Nothing between 49.9 and 50.1 Hz, everything reserved at 49.5 and 50.5 Hz, linear between.

    Args:
        frequency_hz: measured frequency.
        up_w: power reserved for low frequency (FCR-D up).
        down_w: power reserved for high frequency (FCR-D down).

    Source: SPEC 4.7, 2.6 (Nordic FCR-D droop).
    """
    low = (NOMINAL_HZ - FCR_D_EDGE_HZ - frequency_hz) / FCR_D_RANGE_HZ
    high = (frequency_hz - NOMINAL_HZ - FCR_D_EDGE_HZ) / FCR_D_RANGE_HZ
    return round(down_w * min(1.0, max(0.0, high)) - up_w * min(1.0, max(0.0, low)))


def fcr_d_reserve_wh(up_w: int, discharge_efficiency: float) -> int:
    """Return the content that a battery keeps to give its reserve for 20 minutes."""
    return ceil(up_w * FCR_D_ENDURANCE_S / 3600 / discharge_efficiency)


def reserve_of(model: StorageModel, state_of_charge: float, share: float = 0.5) -> tuple[int, int]:
    """Return the power in W that a battery can hold ready for low and for high frequency, for 20 minutes.

    Args:
        model: limits of the battery.
        state_of_charge: 0 to 1.
        share: part of power and of content that is offered; the rest is left to its plan.
    """
    stored_wh = state_of_charge * model.capacity_wh
    hours = FCR_D_ENDURANCE_S / 3600
    able_up = max(0.0, stored_wh - model.fill_min_wh) * model.discharge_efficiency / hours
    able_down = max(0.0, model.fill_max_wh - stored_wh) / model.charge_efficiency / hours
    up_w, down_w = min(able_up, model.discharge_max_w), min(able_down, model.charge_max_w)
    return floor(share * up_w), floor(share * down_w)


def within_content(
    power_w: int, model: StorageModel, stored_wh: float, reserve_wh: int, step_s: float
) -> int:
    """Return the power nearest to the one wanted that keeps the content within its limits over the step."""
    hours = step_s / 3600
    most = floor(max(0.0, model.fill_max_wh - stored_wh) / model.charge_efficiency / hours)
    spare_wh = max(0.0, stored_wh - model.fill_min_wh - reserve_wh)
    least = -floor(spare_wh * model.discharge_efficiency / hours)
    return max(least, -model.discharge_max_w, min(most, model.charge_max_w, power_w))


def quantised_up(power_w: int, quantum_w: int, limit_w: int) -> int:
    """Round up to whole quanta, but not above a limit."""
    return min(limit_w, -(-power_w // quantum_w) * quantum_w)
