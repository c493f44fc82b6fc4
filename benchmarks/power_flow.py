"""Asymmetric power flow of known networks beside OpenDSS and pandapower: errors, and times of a year.

The greatest differences from OpenDSS of all voltages (mV) and currents (%), with the neutral's wire too.
Times are of one core. A year of random household loads is solved in chunks by quarter hours; the years of
OpenDSS and pandapower are extrapolated from their first ones.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from behaviours.decisions.grid import FourWire, PowerFlow
from behaviours.decisions.grid.power_flow import own_phase
from benchmarks import opendss_reference as opendss
from benchmarks import pandapower_reference as pandapower
from environments.networks import NAMES, NetworkCase, load_cases

__all__ = ["errors", "four_wire_error", "pandapower_errors", "rows", "year_of"]

YEAR = 35_040
SAMPLE = 200
"""Quarter hours that OpenDSS solves."""
PANDAPOWER_SAMPLE = 10
"""Quarter hours that pandapower solves."""
LEAST_A = 0.1
"""Currents below it count for no relative error."""
SEED = 1
YEARS = ("ieee-european-lv", "cigre-lv", "street-60")


def errors(case: NetworkCase) -> tuple[float, float]:
    """Return the greatest errors beside OpenDSS: mV, and % of the current."""
    network = case.network
    (flow,) = PowerFlow([network]).solve(case.power_w[None], case.reactive_var[None])
    voltage_v = flow.voltage_pu[0] * network.low_voltage_v / 3**0.5
    return _differences(opendss.Reference(voltage_v, flow.line_current_a[0]), opendss.solve(case))


def pandapower_errors(case: NetworkCase) -> tuple[float, float]:
    """Return pandapower's greatest errors beside OpenDSS: mV, and % of the current."""
    return _differences(pandapower.solve(case), opendss.solve(case))


def _differences(found: opendss.Reference, expected: opendss.Reference) -> tuple[float, float]:
    """Return the greatest differences of low voltages in mV, and of currents in %."""
    carrying = expected.current_a > LEAST_A
    current = found.current_a[carrying] / expected.current_a[carrying] - 1
    voltage_v = found.voltage_v[1:] - expected.voltage_v[1:]
    return 1000 * float(np.abs(voltage_v).max()), 100 * float(np.abs(current).max())


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
    row = _row(name, cases, 1, _seconds(lambda: [_solve(case) for case in cases]))
    if opendss.AVAILABLE:
        row |= _errors_row("", [errors(case) for case in cases])
        row["OpenDSS, s"] = _seconds(lambda: [opendss.solve_again(case) for case in cases])
    if opendss.AVAILABLE and pandapower.AVAILABLE:
        row |= _errors_row("pandapower, ", [pandapower_errors(case) for case in cases])
        grids = [(pandapower.network_of(case), case) for case in cases]
        row["pandapower, s"] = _seconds(lambda: [pandapower.solve_again(*each) for each in grids])
    return row


def _errors_row(engine: str, found: Sequence[tuple[float, float]]) -> dict[str, Any]:
    millivolts, percent = zip(*found, strict=True)
    return {f"{engine}mV": max(millivolts), f"{engine}%": max(percent)}


def _year(name: str) -> Mapping[str, Any]:
    cases = load_cases(name)
    ours = theirs = pandapowers = 0.0
    for case in cases:
        power_w, reactive_var = year_of(case)
        begin = time.process_time()
        for _ in PowerFlow([case.network]).solve_in_chunks(power_w, reactive_var):
            pass
        ours += time.process_time() - begin
        if opendss.AVAILABLE:
            theirs += _their_seconds(case, power_w[:SAMPLE], reactive_var[:SAMPLE]) * YEAR / SAMPLE
        if pandapower.AVAILABLE:
            few = power_w[:PANDAPOWER_SAMPLE], reactive_var[:PANDAPOWER_SAMPLE]
            pandapowers += _pandapowers_seconds(case, *few) * YEAR / PANDAPOWER_SAMPLE
    row = _row(f"{name}, a year", cases, YEAR, ours)
    return row | {"OpenDSS, s": theirs or None, "pandapower, s": pandapowers or None}


def _four_wire_snapshot(name: str) -> Mapping[str, Any]:
    cases = load_cases(name)
    ours = _seconds(lambda: [_solve_four_wires(case) for case in cases])
    row = _row(f"{name}, four wires", cases, 1, ours)
    if opendss.AVAILABLE:
        row["mV"] = max(four_wire_error(case) for case in cases)
        row["OpenDSS, s"] = _seconds(lambda: [opendss.solve_again(case) for case in cases])
    return row


def _four_wire_year(name: str) -> Mapping[str, Any]:
    cases = load_cases(name)
    ours = 0.0
    for case in cases:
        power_w, reactive_var = year_of(case)
        begin = time.process_time()
        FourWire(case.network).solve(power_w, reactive_var)
        ours += time.process_time() - begin
    return _row(f"{name}, a year, four wires", cases, YEAR, ours)


def _their_seconds(case: NetworkCase, power_w: np.ndarray, reactive_var: np.ndarray) -> float:
    each = [NetworkCase(case.network, p, q) for p, q in zip(power_w, reactive_var, strict=True)]
    opendss.solve(each[0])
    return _seconds(lambda: [opendss.solve_again(instant) for instant in each])


def _pandapowers_seconds(case: NetworkCase, power_w: np.ndarray, reactive_var: np.ndarray) -> float:
    each = [NetworkCase(case.network, p, q) for p, q in zip(power_w, reactive_var, strict=True)]
    grid = pandapower.network_of(case)
    return _seconds(lambda: [pandapower.solve_again(grid, instant) for instant in each])


def _row(name: str, cases: list[NetworkCase], instants: int, ours: float) -> dict[str, Any]:
    return {
        "network": name,
        "nodes": sum(len(case.network.nodes) for case in cases),
        "instants": instants,
        "mV": None,
        "%": None,
        "s": ours,
        "OpenDSS, s": None,
        "pandapower, mV": None,
        "pandapower, %": None,
        "pandapower, s": None,
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
