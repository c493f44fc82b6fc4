"""What each session still needs, as a demand that can be planned: the driver's word, or what is foreseen."""

from collections.abc import Iterable
from typing import NamedTuple

from behaviours.decisions.charging.sessions import ChargingSession
from behaviours.decisions.charging.terms import ChargingDemand, ChargingPlan
from behaviours.decisions.charging.usage import UsageForecast
from ontology.charging import EvSessionState

__all__ = ["VehicleModel", "demand_of", "is_full", "kept_whole", "within_reserve"]

TOLD_W = 500
"""A vehicle that draws nothing although it was told at least this is full."""
GIVEN_BACK = 2.0
OPEN_WH = 2_000.0
"""What a vehicle is thought to take at least whose driver said nothing, until it takes no more."""
KEPT_WHOLE = 2.0
"""How the shortfall of a session weighs that would be served without what others ask of the site."""
WHOLE_WH = 1.0
"""How the shortfall of a vehicle that has given back weighs: what was taken from it comes first."""


class VehicleModel(NamedTuple):
    """What is assumed of vehicles: capacity in Wh and one-way efficiency."""

    capacity_wh: int
    efficiency: float


def is_full(session: ChargingSession, told_w: int) -> bool:
    """Tell whether a vehicle takes no more, by what it was told to draw in the step that it reported on."""
    return told_w >= TOLD_W and session.state is EvSessionState.SUSPENDED


def demand_of(
    session: ChargingSession,
    expected: UsageForecast,
    model: VehicleModel,
    power_max_w: int,
    now_s: int,
    *,
    full: bool = False,
    phases: str = "ABC",
) -> ChargingDemand:
    """Return what a session still needs and may do.

    The driver's word holds over what is foreseen. Without it, the demand is what 90 % of such sessions do
    not exceed, then whatever the vehicle still takes, to be met by the time before which only 10 % leave.
    A driver who stays beyond the time named is expected to leave as others do that have stayed so long.

    Args:
        session: the session, not completed.
        expected: departure and energy of sessions like it that have lasted as long.
        model: the vehicle's battery.
        power_max_w: what the point can give.
        now_s: the time being in epoch seconds.
        full: whether the vehicle takes no more (`is_full`).
        phases: phases of the point.
    """
    wish, progress = session.wish, session.progress
    departure_s = wish.departure_s if wish else expected.departure_low_s
    if departure_s <= now_s:
        departure_s = max(expected.departure_low_s, now_s + 1)
    requested_wh = wish.requested_energy_wh if wish else expected.energy_high_wh
    remaining_wh = max(0.0, requested_wh - session.delivered_wh)
    power_w = min(power_max_w, session.connection.power_max_w)
    if full:
        remaining_wh = 0.0
    elif wish is None:
        remaining_wh = max(remaining_wh, OPEN_WH)
    if wish is None or not wish.v2g_allowed or progress is None or session.first is None:
        return ChargingDemand(session.session_id, remaining_wh, departure_s, power_w, phases=phases)
    gained = progress.state_of_charge - session.first.state_of_charge
    gained_wh = gained * model.capacity_wh / model.efficiency
    spare = max(0.0, progress.state_of_charge - wish.minimum_state_of_charge)
    return ChargingDemand(
        session.session_id,
        max(0.0, requested_wh - gained_wh - session.first.energy_delivered_wh),
        departure_s,
        power_w,
        discharge_max_w=power_w,
        spare_wh=spare * model.capacity_wh / model.efficiency,
        priority=GIVEN_BACK if session.gave_back else 1.0,
        phases=phases,
    )


def within_reserve(demands: Iterable[ChargingDemand], share_w: float) -> list[ChargingDemand]:
    """Return demands that give back no more than each could regain by a share of the site of its own.

    The site's power divided by its points is a vehicle's whoever else may come. What has given back is
    served first, so as long as the limits stay, giving back makes nobody miss a request.

    Args:
        demands: the sessions plugged in.
        share_w: the site's least power ahead, divided by its points.
    """
    return [each._replace(regain_w=min(share_w, each.power_max_w)) for each in demands]


def kept_whole(demands: Iterable[ChargingDemand], plan: ChargingPlan) -> list[ChargingDemand]:
    """Return demands of which those that a plan serves come before those that it cannot serve anyway.

    So what others ask of a site is at nobody's expense who would be served without it.
    """
    return [
        each._replace(priority=KEPT_WHOLE * each.priority)
        if plan.shortfall_wh.get(each.session_id, WHOLE_WH) < WHOLE_WH
        else each
        for each in demands
    ]
