"""What a replay of charging sessions came to: energy, demands met, highest power and cost."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from behaviours.charging.settings import Tariff
from behaviours.decisions.series import FloatArray
from environments.simulation.charging_site import Stay
from launch.charging_stays import ReplaySettings

__all__ = ["Book", "Outcome", "costs"]

MET = 0.99
"""The share of its need with which a session counts as met."""


class Outcome(NamedTuple):
    """What a replay came to: energies in Wh, highest power in W, cost in currency, CPU seconds a plan.

    `met` counts sessions that got what they need, −1 where that is not known.
    """

    name: str
    requested_wh: float
    delivered_wh: float
    sessions: int
    met: int
    peak_w: float
    energy_cost: float
    peak_cost: float
    solve_s: tuple[float, ...] = ()
    served_wh: dict[str, float] = {}

    @property
    def share(self) -> float:
        """Delivered of requested energy, in percent."""
        return 100.0 * self.delivered_wh / self.requested_wh if self.requested_wh else 100.0


class Book:
    """Sums what a site draws: its highest power, and what it costs."""

    def __init__(self, settings: ReplaySettings, zone: str) -> None:
        """Begin a book of a replay, at a site in a time zone."""
        self._settings, self._zone = settings, ZoneInfo(zone)
        self._starts_s: list[int] = []
        self._powers_w: list[float] = []

    def note(self, start_s: int, power_w: FloatArray) -> None:
        """Note the powers of the points over a step."""
        self._starts_s.append(start_s)
        self._powers_w.append(float(power_w.sum()))

    def outcome(
        self,
        name: str,
        stays: Sequence[Stay],
        served_wh: dict[str, float],
        solve_s: tuple[float, ...] = (),
    ) -> Outcome:
        """Return what a replay came to."""
        energy_cost, peak_cost = costs(
            self._starts_s, self._powers_w, self._settings.step_s, self._settings.tariff, self._zone
        )
        return Outcome(
            name=name,
            requested_wh=sum(stay.need_wh for stay in stays),
            delivered_wh=sum(served_wh.values()),
            sessions=len(stays),
            met=sum(served_wh.get(stay.session_id, 0.0) >= MET * stay.need_wh - 1 for stay in stays),
            peak_w=max(self._powers_w, default=0.0),
            energy_cost=energy_cost,
            peak_cost=peak_cost,
            solve_s=solve_s,
            served_wh=dict(served_wh),
        )


def costs(
    starts_s: Sequence[int], powers_w: Sequence[float], step_s: int, tariff: Tariff, zone: ZoneInfo
) -> tuple[float, float]:
    """Return what energy and the months' highest powers cost, in currency."""
    energy, peaks = 0.0, dict[str, float]()
    for start_s, power_w in zip(starts_s, powers_w, strict=True):
        local = datetime.fromtimestamp(start_s, zone)
        prices = tariff.charge_per_kwh if power_w >= 0 else tariff.discharge_per_kwh
        energy += prices[local.hour] * power_w * step_s / 3.6e6
        month = local.strftime("%Y-%m")
        peaks[month] = max(peaks.get(month, 0.0), power_w)
    return energy, tariff.peak_per_kw * sum(peaks.values()) / 1000
