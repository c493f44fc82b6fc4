"""A network case solved by pandapower's asymmetric power flow; no benchmark by itself.

Its external grid is stiff for the positive sequence, so that the grid above becomes a line of its own. Its
transformer's zero sequence has a magnetising branch, a hundred times the leakage by default; as the other
engines have none, it is put out of the way. Of no-load losses it knows one place, between the windings.
"""

import warnings
from importlib.util import find_spec
from math import hypot
from typing import Any

import numpy as np

from behaviours.decisions.grid.network import Network
from benchmarks.opendss_reference import Reference
from environments.networks.case import NetworkCase

__all__ = ["AVAILABLE", "network_of", "solve", "solve_again"]

AVAILABLE = find_spec("pandapower") is not None
STIFF_MVA = 1e6
NO_MAGNETISING_PERCENT = 1e6
TOLERANCE_MVA = 1e-8


def solve(case: NetworkCase) -> Reference:
    """Build the case in pandapower and solve it.

    Raises: pandapower's LoadflowNotConverged when it does not converge.
    """
    grid = network_of(case)
    return solve_again(grid, case)


def solve_again(grid: Any, case: NetworkCase) -> Reference:
    """Solve a network that `network_of` built, with the powers of a case."""
    from pandapower import runpp_3ph

    for phase, name in enumerate("abc"):
        grid.asymmetric_load[f"p_{name}_mw"] = case.power_w[:, phase] / 1e6
        grid.asymmetric_load[f"q_{name}_mvar"] = case.reactive_var[:, phase] / 1e6
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        runpp_3ph(grid, tolerance_mva=TOLERANCE_MVA, max_iteration=100, numba=False)
    nodes = len(case.network.nodes)
    level = np.append(case.network.medium_voltage_v, np.full(nodes - 1, case.network.low_voltage_v))
    voltage = grid.res_bus_3ph[["vm_a_pu", "vm_b_pu", "vm_c_pu"]].to_numpy()[:nodes] * level[:, None] / 3**0.5
    current = grid.res_line_3ph[["i_a_from_ka", "i_b_from_ka", "i_c_from_ka"]].to_numpy()
    return Reference(voltage, 1000 * current[: len(case.network.line_to)])


def network_of(case: NetworkCase) -> Any:
    """Return a case as pandapower's network: buses and lines in our order, what is above behind them."""
    import pandapower

    network, grid = case.network, pandapower.create_empty_network(f_hz=50)
    levels_v = [network.medium_voltage_v] + [network.low_voltage_v] * (len(network.nodes) - 1)
    for volts in levels_v:
        pandapower.create_bus(grid, volts / 1000)
    _lines(grid, network)
    _above(grid, network)
    _transformer(grid, network)
    for node in network.site_node.tolist():
        pandapower.create_asymmetric_load(grid, node)
    return grid


def _lines(grid: Any, network: Network) -> None:
    from pandapower import create_lines_from_parameters

    create_lines_from_parameters(
        grid,
        network.line_from,
        network.line_to,
        length_km=1.0,
        r_ohm_per_km=network.line_resistance,
        x_ohm_per_km=network.line_reactance,
        c_nf_per_km=0.0,
        max_i_ka=network.line_rated_a / 1000,
        r0_ohm_per_km=network.line_zero_resistance,
        x0_ohm_per_km=network.line_zero_reactance,
        c0_nf_per_km=0.0,
    )


def _above(grid: Any, network: Network) -> None:
    """Feed node 0 through the impedance of the grid above."""
    from pandapower import create_bus, create_ext_grid, create_line_from_parameters

    ratio = network.short_circuit_rx
    reactance = network.medium_voltage_v**2 / network.short_circuit_va / hypot(1, ratio)
    top = create_bus(grid, network.medium_voltage_v / 1000)
    create_ext_grid(
        grid, top, network.source_pu, s_sc_max_mva=STIFF_MVA, rx_max=ratio, r0x0_max=ratio, x0x_max=1.0
    )
    create_line_from_parameters(
        grid,
        top,
        0,
        length_km=1.0,
        r_ohm_per_km=ratio * reactance,
        x_ohm_per_km=reactance,
        c_nf_per_km=0.0,
        max_i_ka=1.0,
        r0_ohm_per_km=ratio * reactance,
        x0_ohm_per_km=reactance,
        c0_nf_per_km=0.0,
    )


def _transformer(grid: Any, network: Network) -> None:
    """Add the transformer as Dyn1: of other clocks the voltages are the same, but some do not converge."""
    from pandapower import create_transformer_from_parameters

    kind = network.transformer
    copper_percent = 100 * kind.load_loss_w / kind.rated_va
    leakage_percent = 100 * kind.short_circuit_voltage
    create_transformer_from_parameters(
        grid,
        0,
        1,
        sn_mva=kind.rated_va / 1e6,
        vn_hv_kv=kind.high_v / 1000,
        vn_lv_kv=kind.low_v / 1000,
        vkr_percent=copper_percent,
        vk_percent=leakage_percent,
        pfe_kw=kind.no_load_loss_w / 1000,
        i0_percent=100 * kind.no_load_current,
        shift_degree=30,
        vector_group="Dyn",
        vk0_percent=leakage_percent,
        vkr0_percent=copper_percent,
        mag0_percent=NO_MAGNETISING_PERCENT,
        mag0_rx=0.0,
        si0_hv_partial=0.5,
    )
