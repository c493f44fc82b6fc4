"""Evidence for indicators from what was read of a player: facts aligned by interval (SPEC 2.9, 4.4)."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from behaviours.decisions.kpi import Evidence
from ontology.base import INTERVAL_S, INTERVALS_A_DAY
from ontology.charging import EvSession, EvSessionState
from ontology.coalition import VppPayoff
from ontology.forecasts import Forecast, ForecastKind
from ontology.measurements import IntervalReading, Measurement, Quality

__all__ = ["BASELINE_DAYS", "Facts", "SameSlot", "day_ahead_w", "evidence_of"]

BASELINE_DAYS = 7
"""Days before a period whose same quarter-hours make its baseline (SPEC 2.5, SAME_SLOT_7D)."""
DAY_S = INTERVALS_A_DAY * INTERVAL_S
INTERVALS_AN_HOUR = 4


class Facts(NamedTuple):
    """What was read of a player for a period; `past` are the readings of the days before it.

    Of plants: what the payoffs say, and the starts of the intervals in which something was ordered.
    """

    readings: Sequence[IntervalReading] = ()
    past: Sequence[IntervalReading] = ()
    forecasts: Sequence[Forecast] = ()
    production: Sequence[Measurement] = ()
    indoor: Sequence[Measurement] = ()
    payoffs: Sequence[VppPayoff] = ()
    ordered_s: Collection[int] = ()
    responses: Sequence[Measurement] = ()
    sessions: Sequence[EvSession] = ()


def evidence_of(facts: Facts, start_s: int, end_s: int, member: str = "") -> Evidence:
    """Return the evidence of a period [start_s, end_s) from valid facts only.

    Args:
        facts: what was read.
        start_s: start of the period in epoch seconds.
        end_s: end of the period.
        member: whose deliveries count: the address of the player's prosumer.

    Source: SPEC 2.9; estimated and missing readings are no evidence.
    """
    valid = [reading for reading in facts.readings if reading.quality is Quality.VALID]
    net_w = {each.start_s: each.consumed_w - each.produced_w for each in valid}
    usual_w = SameSlot([*facts.past, *valid])
    expected_w = day_ahead_w(facts.forecasts)
    ordinary = [s for s in range(start_s, end_s, INTERVAL_S) if s not in facts.ordered_s]
    baseline_w = {s: w for s in ordinary if s in net_w and (w := usual_w(s)) is not None}
    foreseen = [s for s in net_w if s in expected_w]
    generated_w = {each.time_s: -each.value for each in facts.production if each.quality is Quality.VALID}
    behind = [(net_w[s], generated_w[s]) for s in net_w if s in generated_w]
    deliveries = [each for payoff in facts.payoffs for each in payoff.members if each.member == member]
    ended = [
        each
        for each in facts.sessions
        if start_s <= each.departure_s < end_s and each.state is EvSessionState.COMPLETED
    ]
    return Evidence(
        expected=(end_s - start_s) // INTERVAL_S,
        consumed_wh=[each.consumed_wh for each in valid],
        produced_wh=[each.produced_wh for each in valid],
        net_w=list(net_w.values()),
        load_wh=[max(0.0, net + own) / INTERVALS_AN_HOUR for net, own in behind],
        generated_wh=[own / INTERVALS_AN_HOUR for _, own in behind],
        ordinary=len(ordinary),
        ordinary_w=[net_w[s] for s in baseline_w],
        baseline_w=list(baseline_w.values()),
        foreseen_w=[net_w[s] for s in foreseen],
        forecast_w=[expected_w[s] for s in foreseen],
        indoor_degc=[each.value for each in facts.indoor if each.quality is Quality.VALID],
        ordered_wh=[each.committed_wh for each in deliveries],
        delivered_wh=[each.delivered_wh for each in deliveries],
        signals_s=[each.time_s for each in facts.responses],
        responses_s=[each.time_s + each.value for each in facts.responses],
        requested_wh=[each.requested_energy_wh for each in ended],
        charged_wh=[min(each.delivered_energy_wh, each.requested_energy_wh) for each in ended],
    )


class SameSlot:
    """The baseline SAME_SLOT_7D: the mean of valid readings of a quarter-hour on the seven days before."""

    def __init__(self, readings: Iterable[IntervalReading]) -> None:
        self._by_slot: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for each in readings:
            if each.quality is Quality.VALID:
                slot = each.start_s % DAY_S
                self._by_slot[slot].append((each.start_s, each.consumed_w - each.produced_w))

    def __call__(self, start_s: int) -> float | None:
        """Return the mean power in W for an interval; None when none of those days has a reading."""
        since_s = start_s - BASELINE_DAYS * DAY_S
        found = [w for at_s, w in self._by_slot[start_s % DAY_S] if since_s <= at_s < start_s]
        return sum(found) / len(found) if found else None


def day_ahead_w(forecasts: Iterable[Forecast]) -> Mapping[int, int]:
    """Return, by start of interval, the net power in W of the earliest forecast of it: a day ahead."""
    expected_w: dict[int, int] = {}
    net = (each for each in forecasts if each.kind is ForecastKind.NET)
    for forecast in sorted(net, key=lambda each: (each.issued_at_s, each.start_s)):
        for step, power_w in enumerate(forecast.power_w):
            expected_w.setdefault(forecast.start_s + step * forecast.step_s, power_w)
    return expected_w
