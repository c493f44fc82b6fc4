"""How a prosumer behaved over a window, in the figures that a VPP manager shows (D8.1 Table 4, test 3)."""

from collections.abc import Sequence

import numpy as np

from behaviours.decisions.kpi import baseline_error, peak_import_w, self_consumption, self_sufficiency
from ontology.base import INTERVAL_S
from ontology.vpp import ProsumerMetrics

__all__ = ["prosumer_metrics"]

WH_PER_W = INTERVAL_S / 3600


def prosumer_metrics(
    player: str,
    start_s: int,
    net_w: Sequence[float],
    pv_w: Sequence[float],
    foreseen_w: Sequence[float],
    *,
    up_w: Sequence[int] = (),
    down_w: Sequence[int] = (),
    reliability: float = 1.0,
    response_time_s: float = 0.0,
) -> ProsumerMetrics:
    """Return a prosumer's metrics over intervals that follow each other; shares of nothing are 0.

    Args:
        player: whom they are about.
        start_s: of the first interval.
        net_w: mean power at the meter in each interval, import positive.
        pv_w: mean power of the plant in each interval, negative when giving.
        foreseen_w: what the prosumer had planned for each interval; not a number where it had no plan.
        up_w: by how much it could consume less now, in W by interval ahead.
        down_w: by how much it could consume more now, in W by interval ahead.
        reliability: share of what it promised to plants that it delivered.
        response_time_s: from an invitation to its commitment, the last time.

    Source: SPEC 3.4 (48), 2.9.
    """
    net, pv = np.asarray(net_w, dtype=np.float64), np.asarray(pv_w, dtype=np.float64)
    foreseen = np.asarray(foreseen_w, dtype=np.float64)
    known = np.isfinite(foreseen)
    produced_wh, consumed_wh = np.maximum(-pv, 0) * WH_PER_W, np.maximum(net - pv, 0) * WH_PER_W
    peak_w = peak_import_w(net) or 0.0
    return ProsumerMetrics(
        player=player,
        start_s=start_s,
        end_s=start_s + max(1, net.size) * INTERVAL_S,
        peak_w=round(peak_w),
        load_factor=float(np.maximum(net, 0).mean() / peak_w) if peak_w else 0.0,
        flexibility_up_wh=round(sum(up_w) * WH_PER_W),
        flexibility_down_wh=round(sum(down_w) * WH_PER_W),
        reliability=reliability,
        response_time_s=response_time_s,
        forecast_error=baseline_error(net[known], foreseen[known]) or 0.0,
        self_sufficiency=self_sufficiency(consumed_wh, produced_wh) or 0.0,
        self_consumption=self_consumption(consumed_wh, produced_wh) or 0.0,
    )
