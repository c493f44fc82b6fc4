"""Asymmetric power flow of known networks: error beside OpenDSS, and the time of a year of quarter hours.

Errors are the greatest of all nodes, lines and phases, with four wires of the neutral too. Times are of
one core. A year of random household loads is solved in chunks; OpenDSS's year is extrapolated from its
first quarter hours.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from behaviours.decisions.grid import FourWire, PowerFlow
from behaviours.decisions.grid.power_flow import own_phase
from benchmarks import opendss_reference as opendss
from environments.networks import NAMES, NetworkCase, load_cases

__all__ = ["errors", "four_wire_error", "rows", "year_of"]

YEAR = 35_040
SAMPLE = 200
"""Quarter hours that OpenDSS solves."""
LEAST_A = 0.1
"""Currents below it count for no relative error."""
SEED = 1
YEARS = ("ieee-european-lv", "cigre-lv", "street-60")


def errors(case: NetworkCase) -> tuple[float, float]:
    """Return the greatest errors beside OpenDSS: mV, and % of the current."""
    expected = opendss.solve(case)
    network = case.network
    (flow,) = PowerFlow([network]).solve(case.power_w[None], case.reactive_var[None])
    voltage_v = flow.voltage_pu[0, 1:] * network.low_voltage_v / 3**0.5
    carrying = expected.current_a > LEAST_A
    current = flow.line_current_a[0][carrying] / expected.current_a[carrying] - 1
    return 1000 * float(np.abs(voltage_v - expected.voltage_v[1:]).max()), 100 * float(np.abs(current).max())


def four_wire_error(case: NetworkCase) -> float:
    """Return the greatest error of all wires' voltages to earth beside OpenDSS, in mV."""
    wires = FourWire(case.network)
    found = np.abs(wires.nodes(wires.solve(case.power_w[None], case.reactive_var[None]))[0])
    return 1000 * float(np.abs(found - opendss.four_wires(case)).max())


def year_of(case: NetworkCase, instants: int = YEAR) -> tuple[np.ndarray, np.ndarray]:
    """Return random loads (T, sites, 3) in W and var: bursts around a daily shape, 4 MWh a year a house."""
    rng = np.random.default_rng(SEED)
    hour = np.arange(instants) % 96 / 4
    shape = 1 + 0.5 * np.sin((hour - 13) / 24 * 2 * np.pi)
    total = 450 * shape[:, None] * rng.gamma(0.8, 1 / 0.8, (instants, len(case.network.sites)))
    power_w = total[..., None] * own_phase(case.network.site_phase)
    return power_w, 0.33 * power_w


def rows() -> list[Mapping[str, Any]]:
    """Return a row for each snapshot and each year."""
    snapshots = [f"{name}@{each}" for name, known in NAMES.items() for each in known]
    return [
        *(_snapshot(name) for name in snapshots),
        *(_year(name) for name in YEARS),
        *(_four_wire_snapshot(name) for name in snapshots),
        *(_four_wire_year(name) for name in YEARS),
    ]


def _snapshot(name: str) -> Mapping[str, Any]:
    cases = load_cases(name)
    found = [errors(case) for case in cases] if opendss.AVAILABLE else []
    ours = _seconds(lambda: [_solve(case) for case in cases])
    theirs = _seconds(lambda: [opendss.solve_again(case) for case in cases]) if found else None
    return _row(name, cases, 1, found, ours, theirs)


def _year(name: str) -> Mapping[str, Any]:
    cases = load_cases(name)
    ours = theirs = 0.0
    for case in cases:
        power_w, reactive_var = year_of(case)
        begin = time.process_time()
        for _ in PowerFlow([case.network]).solve_in_chunks(power_w, reactive_var):
            pass
        ours += time.process_time() - begin
        if opendss.AVAILABLE:
            theirs += _their_seconds(case, power_w[:SAMPLE], reactive_var[:SAMPLE]) * YEAR / SAMPLE
    return _row(f"{name}, a year", cases, YEAR, [], ours, theirs or None)


def _four_wire_snapshot(name: str) -> Mapping[str, Any]:
    cases = load_cases(name)
    error_mv = [four_wire_error(case) for case in cases] if opendss.AVAILABLE else []
    ours = _seconds(lambda: [_solve_four_wires(case) for case in cases])
    theirs = _seconds(lambda: [opendss.solve_again(case) for case in cases]) if error_mv else None
    return _row(f"{name}, four wires", cases, 1, [(each, None) for each in error_mv], ours, theirs)


def _four_wire_year(name: str) -> Mapping[str, Any]:
    cases = load_cases(name)
    ours = 0.0
    for case in cases:
        power_w, reactive_var = year_of(case)
        begin = time.process_time()
        FourWire(case.network).solve(power_w, reactive_var)
        ours += time.process_time() - begin
    return _row(f"{name}, a year, four wires", cases, YEAR, [], ours, None)


def _their_seconds(case: NetworkCase, power_w: np.ndarray, reactive_var: np.ndarray) -> float:
    each = [NetworkCase(case.network, p, q) for p, q in zip(power_w, reactive_var, strict=True)]
    opendss.solve(each[0])
    begin = time.process_time()
    for instant in each:
        opendss.solve_again(instant)
    return time.process_time() - begin


def _row(
    name: str,
    cases: list[NetworkCase],
    instants: int,
    found: Sequence[tuple[float, float | None]],
    ours: float,
    theirs: float | None,
) -> Mapping[str, Any]:
    return {
        "network": name,
        "nodes": sum(len(case.network.nodes) for case in cases),
        "sites": sum(len(case.network.sites) for case in cases),
        "instants": instants,
        "voltage error, mV": max((each for each, _ in found), default=None),
        "current error, %": max((each for _, each in found if each is not None), default=None),
        "s": ours,
        "OpenDSS, s": theirs,
    }


def _solve(case: NetworkCase) -> None:
    PowerFlow([case.network]).solve(case.power_w[None], case.reactive_var[None])


def _solve_four_wires(case: NetworkCase) -> None:
    wires = FourWire(case.network)
    wires.nodes(wires.solve(case.power_w[None], case.reactive_var[None]))


def _seconds(work: Any) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin
