"""By how much a segment's power must change so that nothing is violated (SPEC 2.1, 4.10)."""

from math import ceil

from behaviours.decisions.grid.traffic_light import STANDARD, Strain, Thresholds

__all__ = ["needed_w"]


def needed_w(strain: Strain, net_w: int, loading_max: float = 1.0, thresholds: Thresholds = STANDARD) -> int:
    """Return the deviation that a segment needs, in W: negative is consuming less, 0 is none.

    Flows and voltage drops count as proportional to the net power, and everybody on the segment as
    contributing in proportion; that is what is known of a flow that was solved once.

    Args:
        strain: how hard the segment is used.
        net_w: what its sites draw together; negative is giving.
        loading_max: the loading that is aimed at.
        thresholds: voltages at which red begins must be kept.
    """
    shares = [_excess(strain.loading, loading_max)]
    if net_w > 0:
        shares.append(_excess(1 - strain.voltage_min_pu, 1 - thresholds.low_red_pu))
    else:
        shares.append(_excess(strain.voltage_max_pu - 1, thresholds.high_red_pu - 1))
    power_w = ceil(abs(net_w) * max(shares) - 1e-6)
    return -power_w if net_w > 0 else power_w


def _excess(value: float, limit: float) -> float:
    """Return the share of a value that is above its limit."""
    return 1 - limit / value if value > limit else 0.0


def still_needed_w(needed_w: int, promised_w: int) -> int:
    """Return what is needed beside what is promised already, in W; both negative for consuming less.

    What is promised the other way, or beyond the need, is not needed back.
    """
    left_w = needed_w - promised_w
    return min(0, left_w) if needed_w < 0 else max(0, left_w)
