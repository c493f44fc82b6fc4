"""What a charging site will draw, and how far it could deviate (SPEC 4.5.5, 4.5.6)."""

import numpy as np

from behaviours.behaviour import Behaviour, every
from behaviours.charging.control import ChargingControl
from behaviours.charging.settings import ChargingSiteSettings
from behaviours.charging.site_outlook import SiteOutlook
from behaviours.charging.usage_monitoring import UsageMonitoring
from behaviours.decisions.charging.flexibility import site_flexibility
from behaviours.decisions.series import FloatArray, IntArray
from ontology.base import INTERVAL_S, INTERVALS_A_DAY
from ontology.flexibility import FlexibilityForecast
from ontology.forecasts import Forecast, ForecastKind

__all__ = ["StationForecasting"]

_WEAR_TICKS_PER_KWH = 0


class StationForecasting(Behaviour):
    """Forecasts load and flexibility of the next day, after the plan of each interval."""

    settings: ChargingSiteSettings

    @every(minutes=15, offset_s=5)
    def forecast(self) -> None:
        """Tell the repository what will be drawn, and it and the aggregator what could be otherwise."""
        start_s = self.now_s() // INTERVAL_S * INTERVAL_S
        plan_w = self._planned(start_s)
        self._tell_load(start_s, plan_w)
        if plan_w:
            self._tell_flexibility(start_s, plan_w)

    def _planned(self, start_s: int) -> dict[str, FloatArray]:
        """Return the plan of each session by quarter of an hour."""
        plan = self.sibling(ChargingControl).plan
        if plan is None:
            return {}
        bounds = start_s + INTERVAL_S * np.arange(INTERVALS_A_DAY + 1)
        return {
            session: _by_quarter(power_w, plan.starts_s, bounds) for session, power_w in plan.power_w.items()
        }

    def _tell_load(self, start_s: int, plan_w: dict[str, FloatArray]) -> None:
        monitoring = self.sibling(UsageMonitoring)
        newcomers = monitoring.load.newcomers(
            start_s, INTERVALS_A_DAY, INTERVAL_S, begun_today=monitoring.begun_today
        )
        known = np.zeros(INTERVALS_A_DAY)
        for power_w in plan_w.values():
            known = known + power_w
        self.tell(
            self.settings.contacts.repository,
            Forecast(
                subject=self.settings.site,
                kind=ForecastKind.EV,
                issued_at_s=self.now_s(),
                start_s=start_s,
                power_w=_whole(known + newcomers.power_w),
                low_w=_whole(known + np.minimum(newcomers.low_w, newcomers.power_w)),
                high_w=_whole(known + np.maximum(newcomers.high_w, newcomers.power_w)),
            ),
        )

    def _tell_flexibility(self, start_s: int, plan_w: dict[str, FloatArray]) -> None:
        settings, control = self.settings, self.sibling(ChargingControl)
        bounds = start_s + INTERVAL_S * np.arange(INTERVALS_A_DAY + 1)
        flexibility = site_flexibility(
            control.demands,
            plan_w,
            start_s,
            INTERVAL_S,
            self.sibling(SiteOutlook).room_w(bounds, plan_w, control.demands, control.requests),
            round_trip=settings.efficiency**2,
        )
        forecast = FlexibilityForecast(
            subject=settings.site,
            start_s=start_s,
            up_w=_whole(flexibility.up_w),
            down_w=_whole(flexibility.down_w),
            duration_max_s=_whole(flexibility.duration_max_s),
            cost_ticks_per_kwh=[_WEAR_TICKS_PER_KWH] * INTERVALS_A_DAY,
            rebound_factor=1.0,
        )
        for receiver in (settings.contacts.repository, settings.contacts.aggregator):
            if receiver:
                self.tell(receiver, forecast)


def _by_quarter(power_w: FloatArray, starts_s: IntArray, bounds: IntArray) -> FloatArray:
    """Return a plan's power as means over quarters of an hour; after its end there is none."""
    fine = np.unique(np.concatenate([starts_s, bounds]))
    index = np.clip(np.searchsorted(starts_s, fine[:-1], side="right") - 1, 0, len(power_w) - 1)
    values = np.where((fine[:-1] >= starts_s[0]) & (fine[:-1] < starts_s[-1]), power_w[index], 0.0)
    energy = np.concatenate([[0.0], (values * np.diff(fine)).cumsum()])
    means: FloatArray = np.diff(np.interp(bounds, fine, energy)) / np.diff(bounds)
    return means


def _whole(values: FloatArray) -> list[int]:
    return [round(value) for value in values.tolist()]
