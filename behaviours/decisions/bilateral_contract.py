"""Bilateral contracts of DSO and aggregator for emergencies: what they allow and what they pay (SPEC 2.7)."""

from collections.abc import Collection, Sequence
from datetime import datetime
from math import ceil
from zoneinfo import ZoneInfo

import msgspec

from ontology.base import INTERVAL_S
from ontology.flexibility_trading import DemandResponseReport, DRSignal

__all__ = [
    "BilateralContract",
    "Window",
    "activation_ticks",
    "availability_ticks",
    "is_kept",
    "member_ticks",
    "ramped",
    "reason_to_refuse_signal",
    "relief_w",
]

FRESH_S = 30
"""A signal that is older is not served."""
RAMP_PERCENT_A_MINUTE = 20
KEPT_PERCENT = 90
"""Share of what was ordered that must be delivered once the response time has passed."""
SECONDS_AN_HOUR = 3600
W_PER_KW = 1000


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """When a contract holds, in local time; empty months or weekdays mean all (0 = Monday)."""

    months: tuple[int, ...] = ()
    weekdays: tuple[int, ...] = ()
    from_minute: int = 0
    to_minute: int = 1440

    def holds(self, local: datetime) -> bool:
        """Tell whether a local time lies in the window, its end excluded."""
        minute = local.hour * 60 + local.minute
        return (
            (not self.months or local.month in self.months)
            and (not self.weekdays or local.weekday() in self.weekdays)
            and self.from_minute <= minute < self.to_minute
        )


class BilateralContract(msgspec.Struct, frozen=True, kw_only=True):
    """Power that an aggregator holds ready for a DSO's emergencies, and what both pay for it (SPEC 2.7)."""

    contract_id: str
    segment_id: str = ""
    """The grid segment that it is for; empty = any."""
    reserved_w: int
    availability_ticks_per_kw_hour: int = 0
    activation_ticks_per_kwh: int = 0
    response_s: int = 60
    activations_a_day: int = 4
    windows: tuple[Window, ...] = ()
    """When it holds; none = always."""
    zone: str = "UTC"
    payee: str = ""
    """The aggregator's account."""
    members_percent: int = 80
    """What the aggregator hands on of the payment for energy to the members that delivered it."""

    def is_valid_at(self, time_s: int) -> bool:
        """Tell whether a time lies in one of the windows."""
        local = datetime.fromtimestamp(time_s, ZoneInfo(self.zone))
        return not self.windows or any(window.holds(local) for window in self.windows)

    def day_of(self, time_s: int) -> str:
        """Return the local day in which activations are counted."""
        return datetime.fromtimestamp(time_s, ZoneInfo(self.zone)).date().isoformat()


def reason_to_refuse_signal(
    contract: BilateralContract, signal: DRSignal, now_s: float, sent_at_s: float, activated: Collection[int]
) -> str:
    """Return why a contract does not allow a signal now, or nothing.

    Args:
        contract: what was agreed.
        signal: what is called for.
        now_s: when it was read.
        sent_at_s: when it was sent.
        activated: starts of the activations before it, in epoch seconds.

    Source: SPEC 2.7.
    """
    if signal.contract_id != contract.contract_id:
        return f"{signal.contract_id} is another contract"
    if contract.segment_id not in ("", signal.segment_id):
        return f"the contract is for segment {contract.segment_id}"
    if now_s - sent_at_s > FRESH_S or now_s > signal.deadline_s:
        return "the signal is too late"
    if not contract.is_valid_at(signal.start_s):
        return "the contract does not hold at that time"
    if abs(signal.delta_w or 0) > contract.reserved_w:
        return f"{contract.reserved_w} W are reserved"
    day = contract.day_of(signal.start_s)
    today = {start_s for start_s in activated if contract.day_of(start_s) == day}
    if signal.start_s not in today and len(today) >= contract.activations_a_day:
        return f"activated {contract.activations_a_day} times that day already"
    return ""


def availability_ticks(contract: BilateralContract, start_s: int, end_s: int) -> int:
    """Return what holding the power ready is paid from one interval's start to another's, in ticks."""
    intervals = sum(contract.is_valid_at(time_s) for time_s in range(start_s, end_s, INTERVAL_S))
    kw_seconds = contract.reserved_w * intervals * INTERVAL_S
    return kw_seconds * contract.availability_ticks_per_kw_hour // (W_PER_KW * SECONDS_AN_HOUR)


def activation_ticks(contract: BilateralContract, report: DemandResponseReport) -> int:
    """Return what the energy that a signal brought about is paid, in ticks; more than was ordered is not."""
    return useful_joules(report) * contract.activation_ticks_per_kwh // (W_PER_KW * SECONDS_AN_HOUR)


def member_ticks(
    contract: BilateralContract, income_ticks: int, reports: Sequence[DemandResponseReport]
) -> dict[str, int]:
    """Return what each member gets of the payment for an activation, in ticks, by who reports.

    The members' part is divided by the energy that each delivered of what it was asked for, rounded down: the
    rest stays with the aggregator.
    """
    useful = {each.subject: useful_joules(each) for each in reports}
    total = sum(useful.values())
    part_ticks = income_ticks * contract.members_percent // 100
    return {subject: part_ticks * joules // total for subject, joules in useful.items() if joules}


def is_kept(contract: BilateralContract, report: DemandResponseReport) -> bool:
    """Tell whether nine tenths of what was ordered were there once the response time had passed."""
    late = -(-contract.response_s // report.step_s) if report.step_s <= contract.response_s else 0
    after = report.delivered_w[late:]
    wanted = KEPT_PERCENT * abs(report.ordered_w)
    return all(100 * useful_w(report, delivered_w) >= wanted for delivered_w in after)


def useful_joules(report: DemandResponseReport) -> int:
    """Return the energy that was delivered of what was ordered, in J."""
    return sum(useful_w(report, delivered_w) for delivered_w in report.delivered_w) * report.step_s


def useful_w(report: DemandResponseReport, delivered_w: int) -> int:
    """Return how much of a delivery is in the direction of the order and not beyond it, in W."""
    sign = -1 if report.ordered_w < 0 else 1
    return max(0, min(abs(report.ordered_w), sign * delivered_w))


def relief_w(limit_w: int, import_w: Sequence[float]) -> int:
    """Return the change of power that brings a segment's flow back within a limit; 0 where it is within.

    Args:
        limit_w: most that may flow either way.
        import_w: flows that were measured or are foreseen, import positive; the greatest counts.
    """
    worst_w = max(import_w, key=abs)
    excess_w = max(0, ceil(abs(worst_w)) - limit_w)
    return -excess_w if worst_w > 0 else excess_w


def ramped(before_w: int, after_w: int, elapsed_s: float) -> int:
    """Return a power on the way back from an emergency to the plan: a fifth of the way a minute at most.

    Args:
        before_w: power that was held in the emergency.
        after_w: power that is planned.
        elapsed_s: since the emergency ended.

    Source: SPEC 2.7 (ramp, to avoid rebound).
    """
    percent = min(100, RAMP_PERCENT_A_MINUTE * int(elapsed_s // 60))
    return before_w + (after_w - before_w) * percent // 100
