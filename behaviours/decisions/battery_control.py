"""What a battery does from second to second: peak shaving and frequency reserve."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor

from ontology.storage import StorageModel

__all__ = [
    "PeakShaving",
    "fcr_d_power_w",
    "fcr_d_reserve_wh",
    "lowest_threshold_w",
    "peak_shaving_power_w",
    "reserve_of",
]

FCR_D_EDGE_HZ = 0.1
FCR_D_RANGE_HZ = 0.4
FCR_D_ENDURANCE_S = 1200
NOMINAL_HZ = 50.0


@dataclass(frozen=True, slots=True)
class PeakShaving:
    """The rule of a peak-shaving battery (SPEC 4.7, real-time engine)."""

    threshold_w: int
    """Import that shall not be exceeded."""
    recharge_below_w: int
    """Import below which the battery recharges, never above the threshold."""
    deadband_w: int = 500
    quantum_w: int = 100
    ramp_w_per_s: int = 5_000
    reserve_wh: int = 0
    """Content above the lowest fill that is kept for other duties."""


def peak_shaving_power_w(
    rule: PeakShaving, model: StorageModel, load_w: int, stored_wh: float, previous_w: int, step_s: float
) -> int:
    """Return the battery's power for the next step, in W (charging positive).

    It gives what exceeds the threshold once that is exceeded by the deadband, and keeps giving until the
    load is below the threshold; it recharges below the recharge level without ever creating a peak.

    Args:
        rule: threshold and shape of the control.
        model: limits of the battery.
        load_w: import of the site without the battery.
        stored_wh: present content.
        previous_w: present power of the battery.
        step_s: time until the next decision, in seconds.

    Source: SPEC 4.7; OpenDSS StorageController PeakShave.
    """
    excess = load_w - rule.threshold_w
    giving = excess > rule.deadband_w or (previous_w < 0 and excess > 0)
    wanted = 0
    if giving:
        wanted = -quantised_up(min(excess, model.discharge_max_w), rule.quantum_w, model.discharge_max_w)
    elif load_w < rule.recharge_below_w:
        room = min(model.charge_max_w, -excess)
        wanted = max(0, room // rule.quantum_w * rule.quantum_w)
    ramp = ceil(rule.ramp_w_per_s * step_s)
    wanted = max(previous_w - ramp, min(previous_w + ramp, wanted))
    return within_content(wanted, model, stored_wh, rule.reserve_wh, step_s)


def lowest_threshold_w(
    load_w: Sequence[int], model: StorageModel, stored_wh: float, step_s: int = 900, reserve_wh: int = 0
) -> int:
    """Return the lowest import that the battery can keep over an expected load, by bisection, in W.

    Args:
        load_w: expected import without the battery; a high quantile is prudent.
        model: limits of the battery.
        stored_wh: present content.
        step_s: length of a step in seconds.
        reserve_wh: content above the lowest fill that is kept.

    Source: SPEC 4.7 (forecast engine).
    """
    if not load_w:
        return 0
    low, high = max(load_w) - model.discharge_max_w, max(load_w)
    while low < high:
        middle = (low + high) // 2
        if keeps_threshold(middle, load_w, model, stored_wh, step_s, reserve_wh):
            high = middle
        else:
            low = middle + 1
    return high


def keeps_threshold(
    threshold_w: int,
    load_w: Sequence[int],
    model: StorageModel,
    stored_wh: float,
    step_s: int,
    reserve_wh: int,
) -> bool:
    """Tell whether a battery can keep a threshold when it recharges whenever there is room."""
    floor_wh = min(stored_wh, model.fill_min_wh + reserve_wh)
    hours = step_s / 3600
    for load in load_w:
        room = threshold_w - load
        if room >= 0:
            stored_wh += min(room, model.charge_max_w) * model.charge_efficiency * hours
            stored_wh = min(stored_wh, model.fill_max_wh)
        else:
            stored_wh += room / model.discharge_efficiency * hours
            if stored_wh < floor_wh or -room > model.discharge_max_w:
                return False
    return True


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
