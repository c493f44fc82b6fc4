"""The linear programme of a charging plan, written down for HiGHS in kW and kWh."""

from collections.abc import Sequence
from typing import NamedTuple

import highspy
import numpy as np
from scipy.sparse import csc_matrix

from behaviours.decisions.charging.terms import ChargingDemand, Objective, SiteTerms
from behaviours.decisions.series import FloatArray, IntArray

__all__ = ["Powers", "powers_of", "programme"]

KILO = 1000.0
SECONDS_AN_HOUR = 3600.0
RESERVE_S = 300
"""How long before its departure a vehicle shall have regained what it gave back: a step of re-planning."""
BRIEF = 0.01
"""A vehicle that is there for a smaller share of a step does not charge in it."""
FIRST = 3.0 / BRIEF
"""How many times the dearest Wh a Wh of shortfall weighs. Serving one Wh more moves, whatever else it moves,
the site's load of one step, by 1 Wh or, as the site counts a power for the whole step, by `1 / BRIEF` Wh at
most; so the order is lexicographic."""
CROWDING_SHARE = 0.3
"""What a Wh where newcomers will want the power weighs beside a Wh of shortfall."""
LACK_SHARE = 0.5
"""What a Wh less than the site was asked to draw, or to feed in, weighs beside a Wh of shortfall."""
EARLINESS = 1e-4
"""What an hour of waiting weighs beside the dearest Wh: it decides ties only."""
RAMP = 1e-3
"""What a kW of change weighs beside a kW of peak (SPEC 4.5.4, 2b)."""
SMALLEST = 1e-3
"""Least that the dearest Wh counts as, so that weights keep their order where all is free."""

Triple = tuple[IntArray, IntArray, FloatArray]
"""Rows, columns and values of a matrix."""


class Powers(NamedTuple):
    """The power variables: session, step, 1 for charging or -1, upper bound, and the share of the step
    for which the vehicle is there."""

    session: IntArray
    step: IntArray
    sign: FloatArray
    upper_kw: FloatArray
    there: FloatArray


def powers_of(demands: Sequence[ChargingDemand], terms: SiteTerms) -> Powers:
    """Return a charging variable for each session and step that it is there, and one to discharge for V2G.

    What leaves within a step does not discharge in it: it would not relieve the site to its end. Nor does
    what would still have to charge by then, at the power it can count on, to be served.
    """
    departures = np.array([each.departure_s for each in demands])[:, None]
    lengths_s = np.diff(terms.starts_s)
    there = np.clip(departures - terms.starts_s[:-1], 0, lengths_s) / lengths_s
    wanted = np.array([each.remaining_wh > 0 or each.discharge_max_w > 0 for each in demands])
    charge_kw = np.array([each.power_max_w for each in demands]) * wanted / KILO
    discharge_kw = np.array([each.discharge_max_w for each in demands]) / KILO
    lacking = np.array([_lacking_kwh(each, terms) > 0 for each in demands])
    charges = np.nonzero((there > BRIEF) & (charge_kw > 0)[:, None])
    discharges = np.nonzero((there >= 1) & (discharge_kw > 0)[:, None] & ~lacking)
    session, step = (np.concatenate(pair) for pair in zip(charges, discharges, strict=True))
    sign = np.repeat([1.0, -1.0], [len(charges[0]), len(discharges[0])])
    upper_kw = np.where(sign > 0, charge_kw[session], discharge_kw[session])
    return Powers(session, step, sign, upper_kw, there[session, step])


def _lacking_kwh(demand: ChargingDemand, terms: SiteTerms) -> FloatArray:
    """Return by step what a vehicle must hold more than now at its end, to regain the rest in time."""
    needed = max(0.0, demand.remaining_wh) / KILO
    if demand.regain_w == np.inf:
        return np.full(len(terms.hours), -np.inf)
    left_h = np.maximum(demand.departure_s - RESERVE_S - terms.starts_s[1:], 0) / SECONDS_AN_HOUR
    lacking: FloatArray = needed - demand.regain_w / KILO * left_h
    return lacking


class _Rows:
    """Rows of the programme, gathered bit by bit."""

    def __init__(self) -> None:
        self.lower: list[FloatArray] = []
        self.upper: list[FloatArray] = []
        self.count = 0
        self._triples: list[Triple] = []

    def add(self, lower: FloatArray | float, upper: FloatArray | float, count: int, *terms: Triple) -> None:
        """Add some rows; the terms count rows from the first of them."""
        self.lower.append(np.broadcast_to(np.asarray(lower, dtype=np.float64), count))
        self.upper.append(np.broadcast_to(np.asarray(upper, dtype=np.float64), count))
        self._triples += [(row + self.count, column, value) for row, column, value in terms]
        self.count += count

    def matrix(self, columns: int) -> csc_matrix:
        """Return all rows as one matrix."""
        row, column, value = (np.concatenate(part) for part in zip(*self._triples, strict=True))
        return csc_matrix((value, (row, column)), shape=(self.count, columns))


class _Layout:
    """Where the variables are: powers, shortfalls; by step four of the site; the peak; contents."""

    def __init__(self, demands: Sequence[ChargingDemand], powers: Powers, steps: int) -> None:
        count, sessions = len(powers.step), len(demands)
        self.power = np.arange(count)
        self.short = count + np.arange(sessions)
        self.site = count + sessions + np.arange(steps)
        self.crowding, self.ramp = self.site + steps, self.site + 2 * steps
        self.lack = self.site + 3 * steps
        self.peak = np.full(steps, count + sessions + 4 * steps)
        self.steps_of = {
            index: int(powers.step[powers.session == index].max())
            for index in np.unique(powers.session[powers.sign < 0]).tolist()
        }
        """By session that may give back, the last step that it is there."""
        contents = sum(last + 1 for last in self.steps_of.values())
        self.content = self.peak[-1] + 1 + np.arange(contents)
        self.count = int(self.peak[-1]) + 1 + contents


def programme(
    demands: Sequence[ChargingDemand], terms: SiteTerms, objective: Objective, powers: Powers
) -> highspy.HighsLp:
    """Write the programme down.

    Shortfalls weigh most, then what is above the limit once newcomers are there, then cost (or peak and
    ramps), then waiting, the more the less a session can wait.
    """
    layout = _Layout(demands, powers, len(terms.hours))
    energy_h = powers.sign * powers.there * terms.hours[powers.step]
    energy_h = np.where(powers.sign < 0, energy_h / terms.round_trip, energy_h)
    rows = _Rows()
    _add_requests(rows, demands, powers, layout, energy_h)
    _add_site(rows, terms, powers, layout)
    if objective is Objective.PEAK:
        _add_ramps(rows, layout)
    _add_contents(rows, demands, powers, layout, energy_h)
    _add_phases(rows, demands, terms, powers)
    return _lp(
        rows, _costs(demands, terms, objective, powers, layout), *_bounds(demands, terms, powers, layout)
    )


def _add_requests(
    rows: _Rows, demands: Sequence[ChargingDemand], powers: Powers, layout: _Layout, energy_h: FloatArray
) -> None:
    """What a session gets and what it is missing make up what it needs."""
    needed = np.array([max(0.0, each.remaining_wh) for each in demands]) / KILO
    sessions = np.arange(len(demands))
    got = (powers.session, layout.power, energy_h)
    rows.add(needed, needed, len(demands), got, (sessions, layout.short, np.ones(len(demands))))


def _add_site(rows: _Rows, terms: SiteTerms, powers: Powers, layout: _Layout) -> None:
    """Sum the powers; hold crowding and peak against what they and the newcomers come to."""
    steps = np.arange(len(terms.hours))
    ones = np.ones(len(steps))
    total = (steps, layout.site, -ones)
    rows.add(0.0, 0.0, len(steps), (powers.step, layout.power, powers.sign), total)
    expected, base = terms.expected_w / KILO, terms.base_w / KILO
    reserved = terms.reserved_w / KILO
    rows.add(reserved - _room_kw(terms), np.inf, len(steps), (steps, layout.crowding, ones), total)
    rows.add(base + expected, np.inf, len(steps), (steps, layout.peak, ones), total)
    if terms.at_least_w is not None:
        wanted = np.minimum(terms.at_least_w / KILO - base, _room_kw(terms))
        rows.add(wanted, np.inf, len(steps), (steps, layout.lack, ones), (steps, layout.site, ones))
    if (terms.power_max_w < 0).any():  # to feed in: as far as vehicles can
        wanted = np.where(terms.power_max_w < 0, (base - terms.power_max_w / KILO), -np.inf)
        rows.add(wanted, np.inf, len(steps), (steps, layout.lack, ones), total)


def _add_ramps(rows: _Rows, layout: _Layout) -> None:
    """Hold each ramp against the change of power in both directions."""
    steps = np.arange(len(layout.site) - 1)
    ones = np.ones(len(steps))
    for sign in (1.0, -1.0):
        before, after = (steps, layout.site[:-1], sign * ones), (steps, layout.site[1:], -sign * ones)
        rows.add(0.0, np.inf, len(steps), before, after, (steps, layout.ramp[1:], ones))


def _add_contents(
    rows: _Rows, demands: Sequence[ChargingDemand], powers: Powers, layout: _Layout, energy_h: FloatArray
) -> None:
    """Let what a V2G vehicle holds follow from its powers, step by step."""
    first = layout.content[0] if len(layout.content) else 0
    for index, last in layout.steps_of.items():
        own = np.flatnonzero(powers.session == index)
        steps = np.arange(last + 1)
        content = first + steps
        first += last + 1
        rows.add(
            0.0,
            0.0,
            last + 1,
            (powers.step[own], own, energy_h[own]),
            (steps, content, -np.ones(last + 1)),
            (steps[1:], content[:-1], np.ones(last)),
        )


def _add_phases(rows: _Rows, demands: Sequence[ChargingDemand], terms: SiteTerms, powers: Powers) -> None:
    """Keep each phase that has a limit within it; a session's power is shared equally by its phases."""
    for phase, limit_w in terms.phase_max_w.items():
        share = np.array([(phase in each.phases) / len(each.phases) for each in demands])
        value = powers.sign * share[powers.session]
        own = np.flatnonzero(value)
        rows.add(-np.inf, limit_w / KILO, len(terms.hours), (powers.step[own], own, value[own]))


def _room_kw(terms: SiteTerms) -> FloatArray:
    """Return what the limits leave to charging."""
    return np.maximum(terms.power_max_w - terms.base_w, 0.0) / KILO


def _bounds(
    demands: Sequence[ChargingDemand], terms: SiteTerms, powers: Powers, layout: _Layout
) -> tuple[FloatArray, FloatArray]:
    """Return the bounds of all variables; a V2G vehicle holds between its driver's minimum and its need."""
    lower, upper = np.zeros(layout.count), np.full(layout.count, np.inf)
    upper[layout.power] = powers.upper_kw
    lower[layout.site] = np.minimum((terms.power_min_w - terms.base_w) / KILO, 0.0)
    upper[layout.site] = _room_kw(terms)
    lower[layout.peak[-1]] = terms.observed_peak_w / KILO
    lasts = [last + 1 for last in layout.steps_of.values()]
    own = [demands[index] for index in layout.steps_of]
    floors = [
        np.maximum(-max(0.0, each.spare_wh) / KILO, np.minimum(_lacking_kwh(each, terms)[:last], 0.0))
        for each, last in zip(own, lasts, strict=True)
    ]
    lower[layout.content] = np.concatenate([np.empty(0), *floors])
    upper[layout.content] = np.repeat([max(0.0, each.remaining_wh) / KILO for each in own], lasts)
    return lower, upper


def _costs(
    demands: Sequence[ChargingDemand],
    terms: SiteTerms,
    objective: Objective,
    powers: Powers,
    layout: _Layout,
) -> FloatArray:
    """Return what each variable costs, in currency."""
    hours, priced = terms.hours, objective is Objective.COST
    peak_price = terms.peak_price_per_kw if priced else 1.0
    charge = terms.charge_price_per_kwh * priced
    discharge = terms.discharge_price_per_kwh * priced
    dearest = float(max(np.abs(charge).max(), np.abs(discharge).max())) / terms.round_trip
    dearest = max(dearest + peak_price / float(hours.min()), SMALLEST)
    waiting_h = (terms.starts_s[:-1] - terms.starts_s[0]) / SECONDS_AN_HOUR + hours / 2
    waiting = EARLINESS * dearest * _urgency(demands, terms)[powers.session] * waiting_h[powers.step]
    price = np.where(powers.sign > 0, charge[powers.step], -discharge[powers.step])
    wear = np.where(powers.sign < 0, EARLINESS * dearest, 0.0)
    cost = np.zeros(layout.count)
    cost[layout.power] = (price + powers.sign * waiting + wear) * hours[powers.step] * powers.there
    cost[layout.short] = FIRST * dearest * np.array([each.priority for each in demands])
    cost[layout.crowding] = FIRST * dearest * CROWDING_SHARE * hours
    cost[layout.lack] = FIRST * dearest * LACK_SHARE * hours
    cost[layout.ramp] = RAMP * peak_price * (not priced)
    cost[layout.peak[-1]] = peak_price
    return cost


def _urgency(demands: Sequence[ChargingDemand], terms: SiteTerms) -> FloatArray:
    """Return how urgent each session is: 1 where it cannot wait, a half where it can for an hour."""
    left_s = np.array([each.departure_s for each in demands]) - terms.starts_s[0]
    powers_w = np.array([max(1.0, each.power_max_w) for each in demands])
    laxity_s = left_s - np.array([each.remaining_wh for each in demands]) * SECONDS_AN_HOUR / powers_w
    urgency: FloatArray = 1.0 / (1.0 + np.maximum(laxity_s, 0.0) / SECONDS_AN_HOUR)
    return urgency


def _lp(rows: _Rows, cost: FloatArray, lower: FloatArray, upper: FloatArray) -> highspy.HighsLp:
    matrix = rows.matrix(len(cost))
    program = highspy.HighsLp()
    program.num_col_, program.num_row_ = len(cost), rows.count
    program.col_cost_, program.col_lower_, program.col_upper_ = cost, lower, upper
    program.row_lower_, program.row_upper_ = np.concatenate(rows.lower), np.concatenate(rows.upper)
    program.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    program.a_matrix_.start_, program.a_matrix_.index_ = matrix.indptr, matrix.indices
    program.a_matrix_.value_ = matrix.data
    return program
