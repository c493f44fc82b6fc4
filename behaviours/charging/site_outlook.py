"""What a charging site may draw and pays in the day ahead, and who is still to come."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from behaviours.behaviour import Behaviour, on
from behaviours.charging.settings import ChargingSiteSettings
from behaviours.charging.usage_monitoring import UsageMonitoring
from behaviours.decisions.charging.limits import SiteRequest, bounds_w
from behaviours.decisions.charging.load import spread_by_limit
from behaviours.decisions.charging.terms import ChargingDemand, SiteTerms, averaged, plan_steps
from behaviours.decisions.series import FloatArray, IntArray
from ontology.base import INTERVAL_S, TICKS_PER_CURRENCY
from ontology.letter import Letter
from ontology.market import PriceProfile

__all__ = ["SiteOutlook"]

_PEAK = "peak"
_HORIZON_S = 86_400
_UNKNOWN_USE = 0.3
"""The share of all points' power that is kept for newcomers while it is not known when they come."""


class ObservedPeak(msgspec.Struct):
    """The highest mean power of a billing month so far, in W."""

    month: str
    power_w: float


class SiteOutlook(Behaviour):
    """Knows the limits, the tariff, the month's highest power and the usual load."""

    settings: ChargingSiteSettings

    def setup(self) -> None:
        """Recall the month's highest power; until prices are told the tariff holds."""
        self._zone = ZoneInfo(self.settings.zone)
        self._prices: PriceProfile | None = None
        kept = self.agent.kept_bytes(_PEAK)
        self._peak = msgspec.json.decode(kept, type=ObservedPeak) if kept else ObservedPeak("", 0.0)

    @on(PriceProfile)
    def note_prices(self, prices: PriceProfile, letter: Letter) -> None:
        """Plan with these prices from now on; beyond them the tariff holds."""
        self._prices = prices

    @property
    def observed_peak_w(self) -> float:
        """The highest mean power of this local month so far, base load included."""
        return self._peak.power_w if self._peak.month == self._month() else 0.0

    def room_w(
        self,
        steps: IntArray,
        plan_w: Mapping[str, FloatArray],
        demands: Sequence[ChargingDemand],
        requests: Sequence[SiteRequest],
    ) -> FloatArray:
        """Return what a plan may be changed to draw at most, by step: within site, requests and each phase.

        The phase with the least room decides, whichever phases are used.
        """
        settings = self.settings
        most, _ = bounds_w(steps, settings.power_max_w, requests)
        room = most - self._hourly(settings.base_w, steps)
        total = np.zeros(len(room))
        on_phase = {phase: np.zeros(len(room)) for phase in settings.phase_max_w}
        for demand in demands:
            power_w = plan_w.get(demand.session_id, np.zeros(len(room)))
            total = total + power_w
            for phase in set(demand.phases) & set(on_phase):
                on_phase[phase] += power_w / len(demand.phases)
        for phase, limit_w in settings.phase_max_w.items():
            room = np.minimum(room, total + limit_w - on_phase[phase])
        return room

    def terms(self, demands: Sequence[ChargingDemand], requests: Sequence[SiteRequest]) -> SiteTerms:
        """Return limits, loads and prices from now until the last of some sessions ends, a day at most."""
        settings, now_s = self.settings, self.now_s()
        until_s = now_s + _HORIZON_S
        steps = plan_steps(
            now_s,
            [min(each.departure_s, until_s) for each in demands],
            settings.step_s,
            extra_s=[moment for each in requests for moment in (each.start_s, each.end_s)],
        )
        base = self._hourly(settings.base_w, steps)
        most, least = bounds_w(steps, settings.power_max_w, requests)
        expected_w, reserved_w = self._newcomers(steps, most - base)
        return SiteTerms(
            starts_s=steps,
            power_max_w=most,
            at_least_w=least,
            base_w=base,
            expected_w=expected_w,
            reserved_w=reserved_w,
            charge_price_per_kwh=self._priced(settings.tariff.charge_per_kwh, steps, "buy_ticks_per_kwh"),
            discharge_price_per_kwh=self._priced(
                settings.tariff.discharge_per_kwh, steps, "sell_ticks_per_kwh"
            ),
            power_min_w=-float(settings.export_max_w),
            peak_price_per_kw=settings.tariff.peak_per_kw,
            observed_peak_w=self.observed_peak_w,
            phase_max_w={phase: float(limit) for phase, limit in settings.phase_max_w.items()},
            round_trip=settings.efficiency**2,
        )

    def _newcomers(self, steps: IntArray, room_w: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return what sessions still to come will want, and may want at most, by step of the plan.

        Both are delayed by the limit. While the site is not known yet, newcomers are thought to want a
        fixed share of what the points can give.
        """
        now_s, number = int(steps[0]), -(-int(steps[-1] - steps[0]) // INTERVAL_S)
        monitoring = self.sibling(UsageMonitoring)
        begun_today = monitoring.begun_today
        expected = monitoring.load.newcomers(now_s, number, INTERVAL_S, begun_today=begun_today)
        quarters = now_s + INTERVAL_S * np.arange(number)
        room = np.interp(quarters, steps[:-1], room_w)
        mean_w, high_w = (
            averaged(spread_by_limit(power_w, room), now_s, INTERVAL_S, steps)
            for power_w in (expected.power_w, np.maximum(expected.high_w, expected.power_w))
        )
        if monitoring.load.knows(now_s):
            return mean_w, high_w
        wanted_w = _UNKNOWN_USE * sum(point.power_max_w for point in self.settings.points)
        return mean_w, np.concatenate([[0.0], np.clip(room_w[1:], 0.0, wanted_w)])

    def _hourly(self, values: tuple[float, ...] | tuple[int, ...], steps: IntArray) -> FloatArray:
        """Return values by local hour as means over the steps of a plan."""
        first_s = int(steps[0]) // 3600 * 3600
        hours = range(first_s, int(steps[-1]) + 3600, 3600)
        local = [values[datetime.fromtimestamp(each, self._zone).hour] for each in hours]
        return averaged(local, first_s, 3600, steps)

    def _priced(self, tariff: tuple[float, ...], steps: IntArray, name: str) -> FloatArray:
        prices, by_tariff = self._prices, self._hourly(tariff, steps)
        if prices is None:
            return by_tariff
        said = np.array(getattr(prices, name)) / TICKS_PER_CURRENCY
        end_s = prices.start_s + len(said) * prices.step_s
        if not len(said):
            return by_tariff
        covered = (steps[:-1] >= prices.start_s) & (steps[:-1] < end_s)
        return np.where(covered, averaged(said, prices.start_s, prices.step_s, steps), by_tariff)

    def least_share_w(self, terms: SiteTerms) -> float:
        """Return what each point can count on, were all of them taken."""
        points = self.settings.points
        shares = [float((terms.power_max_w - terms.base_w).min()) / len(points)]
        for phase, limit_w in terms.phase_max_w.items():
            on_phase = sum((phase in point.phases) / len(point.phases) for point in points)
            shares.append(limit_w / max(1.0, on_phase))
        return max(0.0, min(shares))

    def note_peak(self) -> None:
        """Note the power of the step that has ended."""
        sessions = self.sibling(UsageMonitoring).active.values()
        local = datetime.fromtimestamp(self.now_s() - self.settings.step_s, self._zone)
        drawn_w = sum(each.progress.power_w for each in sessions if each.progress)
        drawn_w += self.settings.base_w[local.hour]
        if drawn_w > self.observed_peak_w:
            self._peak = ObservedPeak(self._month(), float(drawn_w))
            self.keep(_PEAK, msgspec.json.encode(self._peak))

    def _month(self) -> str:
        return datetime.fromtimestamp(self.now_s() - self.settings.step_s, self._zone).strftime("%Y-%m")
