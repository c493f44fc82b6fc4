"""A network case solved by OpenDSS, an independent engine (the extra `opendss`); no benchmark by itself.

Loads keep their power over the whole range of voltages: by default OpenDSS turns them into impedances
outside ±5 %, which low-voltage loads often are.
"""

from collections.abc import Iterator
from importlib.util import find_spec
from math import sqrt
from typing import Any, NamedTuple

import numpy as np

from behaviours.decisions.grid.network import Network
from environments.networks.case import NetworkCase

__all__ = ["AVAILABLE", "Reference", "four_wires", "solve", "solve_again"]

AVAILABLE = find_spec("opendssdirect") is not None


class Reference(NamedTuple):
    """Magnitudes in the order of a network: (nodes, 3) V to earth, (lines, 3) A."""

    voltage_v: np.ndarray
    current_a: np.ndarray


def solve(case: NetworkCase) -> Reference:
    """Build the case in OpenDSS and solve it.

    Raises: RuntimeError when OpenDSS does not converge.
    """
    engine = _engine()
    for command in _commands(case):
        engine.Text.Command(command)
    if not engine.Solution.Converged():
        raise RuntimeError(f"OpenDSS does not converge: {case.network.segment_id}")
    at = dict(zip(engine.Circuit.AllNodeNames(), engine.Circuit.AllBusVMag(), strict=True))
    nodes, lines = len(case.network.nodes), len(case.network.line_to)
    voltage = [[at[f"n{node}.{phase}"] for phase in (1, 2, 3)] for node in range(nodes)]
    return Reference(np.array(voltage), np.array([_current(engine, line) for line in range(lines)]))


def four_wires(case: NetworkCase) -> np.ndarray:
    """Solve the case with an explicit neutral, earthed at the transformer; return (nodes − 1, 4) V to earth.

    Raises: RuntimeError when OpenDSS does not converge.
    """
    engine = _engine()
    for command in _four_wire_commands(case):
        engine.Text.Command(command)
    if not engine.Solution.Converged():
        raise RuntimeError(f"OpenDSS does not converge: {case.network.segment_id}")
    at = dict(zip(engine.Circuit.AllNodeNames(), engine.Circuit.AllBusVMag(), strict=True))
    nodes = range(1, len(case.network.nodes))
    return np.array([[at[f"n{node}.{wire}"] for wire in (1, 2, 3, 4)] for node in nodes])


def solve_again(case: NetworkCase) -> None:
    """Solve the circuit that is loaded with other powers of its sites."""
    engine = _engine()
    for site, phase in _used(case):
        engine.Loads.Name(f"s{site}_{phase}")
        engine.Loads.kW(case.power_w[site, phase] / 1000)
        engine.Loads.kvar(case.reactive_var[site, phase] / 1000)
    engine.Solution.Solve()


def _engine() -> Any:
    from opendssdirect import dss

    return dss


def _current(engine: Any, line: int) -> list[float]:
    engine.Lines.Name(f"l{line}")
    return list(engine.CktElement.CurrentsMagAng()[0:6:2])


def _commands(case: NetworkCase) -> Iterator[str]:
    network = case.network
    yield "clear"
    yield "set defaultbasefrequency=50"
    yield _source(network)
    yield _transformer(network)
    yield from _no_load(network)
    for line in range(len(network.line_to)):
        yield (
            f"new line.l{line} bus1=n{network.line_from[line]} bus2=n{network.line_to[line]} phases=3"
            f" length=1 r1={network.line_resistance[line]} x1={network.line_reactance[line]} c1=0 c0=0"
            f" r0={network.line_zero_resistance[line]} x0={network.line_zero_reactance[line]}"
        )
    yield from _loads(case)
    yield from _ending(network)


MUTUAL_OHM = 0.01j
"""What the four wires of a line share; as no current returns through the earth it has no effect."""


def _four_wire_commands(case: NetworkCase) -> Iterator[str]:
    network = case.network
    yield "clear"
    yield "set defaultbasefrequency=50"
    yield _source(network)
    yield _transformer(network).replace("n1)", "n1.1.2.3.4)", 1)
    yield from _no_load(network)
    yield "new reactor.earth bus1=n1.4 bus2=n1.0 phases=1 r=1e-6 x=0"
    phase = network.line_resistance + 1j * network.line_reactance
    zero = network.line_zero_resistance + 1j * network.line_zero_reactance
    for line, each in enumerate(zip(phase, phase, phase, (zero - phase) / 3, strict=True)):
        matrix = np.diag(each) + MUTUAL_OHM
        yield (
            f"new line.l{line} phases=4 length=1 rmatrix={_lower(matrix.real)} xmatrix={_lower(matrix.imag)}"
            f" cmatrix={_lower(0 * matrix.real)}"
            f" bus1=n{network.line_from[line]}.1.2.3.4 bus2=n{network.line_to[line]}.1.2.3.4"
        )
    yield from _loads(case, ".4")
    yield from _ending(network)


def _lower(matrix: np.ndarray) -> str:
    return "(" + " | ".join(" ".join(map(repr, row[: n + 1])) for n, row in enumerate(matrix.tolist())) + ")"


def _loads(case: NetworkCase, neutral: str = "") -> Iterator[str]:
    network = case.network
    for site, phase in _used(case):
        yield (
            f"new load.s{site}_{phase} bus1=n{network.site_node[site]}.{phase + 1}{neutral} phases=1 model=1"
            f" kv={network.low_voltage_v / 1000 / sqrt(3)} vminpu=0.7 vmaxpu=1.3"
            f" kw={case.power_w[site, phase] / 1000} kvar={case.reactive_var[site, phase] / 1000}"
        )


def _ending(network: Network) -> Iterator[str]:
    yield f"set voltagebases=[{network.medium_voltage_v / 1000} {network.low_voltage_v / 1000}]"
    yield "calcvoltagebases"
    yield "set tolerance=1e-9 maxiterations=200"
    yield "solve"


def _source(network: Network) -> str:
    mva, x_over_r = network.short_circuit_va / 1e6, 1 / network.short_circuit_rx
    return (
        f"new circuit.case bus1=n0 basekv={network.medium_voltage_v / 1000} pu={network.source_pu}"
        f" mvasc3={mva} mvasc1={mva} x1r1={x_over_r} x0r0={x_over_r}"
    )


def _transformer(network: Network) -> str:
    kind = network.transformer
    copper = kind.load_loss_w / kind.rated_va
    leakage = sqrt(kind.short_circuit_voltage**2 - copper**2)
    return (
        "new transformer.t windings=2 phases=3 buses=(n0 n1) conns=(delta wye) leadlag=lag ppm_antifloat=0"
        f" kvs=({kind.high_v / 1000} {kind.low_v / 1000})"
        f" kvas=({kind.rated_va / 1000} {kind.rated_va / 1000})"
        f" xhl={100 * leakage} %rs=({50 * copper} {50 * copper}) %noloadloss=0 %imag=0"
    )


def _no_load(network: Network) -> Iterator[str]:
    """Yield the no-load admittance, half on either side; OpenDSS's own is all on one."""
    kind = network.transformer
    iron = kind.no_load_loss_w / kind.rated_va
    reactive = sqrt(max(kind.no_load_current**2 - iron**2, 0.0))
    for bus, volts in (("n0", kind.high_v), ("n1", kind.low_v)):
        base = volts**2 / kind.rated_va
        if iron:
            yield f"new reactor.iron{bus} bus1={bus} phases=3 r={2 * base / iron} x=0"
        if reactive:
            yield f"new reactor.core{bus} bus1={bus} phases=3 r=0 x={2 * base / reactive}"


def _used(case: NetworkCase) -> list[tuple[int, int]]:
    used = (case.power_w != 0) | (case.reactive_var != 0)
    return [(int(site), int(phase)) for site, phase in np.argwhere(used)]
