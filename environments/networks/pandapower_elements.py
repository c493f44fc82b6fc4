"""The elements of a pandapower network: lines, external grids, transformers, loads and generators."""

import numpy as np
from numpy.typing import NDArray

from behaviours.decisions.grid.network import SHORT_CIRCUIT_RX, Transformer
from environments.networks.pandapower_tables import Row
from environments.networks.tree import Branch

__all__ = ["branch_of", "powers_of", "refuse_other_loads", "source_of", "transformer_of"]

ZERO_TO_POSITIVE = 4.0
"""Zero over positive sequence impedance of a line that does not say: its neutral is like a phase."""
STIFF_VA = 1e11
"""Short-circuit power of an external grid that does not say: its voltage hardly moves."""
VOLTAGE_DEPENDENT = (
    "const_z_percent",
    "const_i_percent",
    "const_z_p_percent",
    "const_i_p_percent",
    "const_z_q_percent",
    "const_i_q_percent",
)


def branch_of(row: Row, start: int, end: int) -> Branch:
    """Return a line between two nodes; its capacitance, a few var per km, is left out."""
    length_km = row.number("length_km", above=0)
    parallel = row.number("parallel", 1, least=1)
    resistance = row.number("r_ohm_per_km", least=0)
    reactance = row.number("x_ohm_per_km", least=0)
    if resistance == reactance == 0:
        row.complain("r_ohm_per_km", 0, "an impedance above 0; use a closed switch to join buses")
    zero = (
        row.number("r0_ohm_per_km", ZERO_TO_POSITIVE * resistance, least=0),
        row.number("x0_ohm_per_km", ZERO_TO_POSITIVE * reactance, least=0),
    )
    scale = length_km / parallel
    return Branch(
        name=row.text("name", f"line-{row.index}"),
        start=start,
        end=end,
        length_m=1000 * length_km,
        resistance=scale * resistance,
        reactance=scale * reactance,
        zero_resistance=scale * zero[0],
        zero_reactance=scale * zero[1],
        rated_a=1000 * row.number("max_i_ka", above=0) * parallel * row.number("df", 1.0, above=0),
    )


def source_of(row: Row) -> tuple[float, float, float]:
    """Return voltage in p.u., short-circuit power in VA and R/X of an external grid."""
    return (
        row.number("vm_pu", above=0),
        1e6 * row.number("s_sc_max_mva", STIFF_VA / 1e6, above=0),
        row.number("rx_max", SHORT_CIRCUIT_RX, least=0),
    )


def transformer_of(row: Row) -> Transformer:
    """Return a delta-star transformer, the tap in its turns ratio, parallel ones as one."""
    parallel = row.number("parallel", 1, least=1)
    rated_va = 1e6 * row.number("sn_mva", above=0) * parallel
    group = row.text("vector_group", "Dyn").rstrip("0123456789").lower()
    if group != "dyn":
        row.complain("vector_group", row.text("vector_group"), "Dyn: others are not supported")
    shift = row.number("shift_degree", 150.0)
    if shift % 60 != 30:
        row.complain("shift_degree", shift, "30, 90, 150, …: a delta-star transformer's")
    short_circuit, copper = row.number("vk_percent", above=0) / 100, row.number("vkr_percent", least=0) / 100
    if copper > short_circuit:
        row.complain("vkr_percent", 100 * copper, "at most vk_percent")
    no_load_w = 1000 * row.number("pfe_kw", 0.0, least=0) * parallel
    high, low = _turns(row)
    return Transformer(
        round(rated_va),
        copper * rated_va,
        no_load_w,
        short_circuit,
        max(row.number("i0_percent", 0.0, least=0) / 100, no_load_w / rated_va),
        1000 * row.number("vn_hv_kv", above=0) * high,
        1000 * row.number("vn_lv_kv", above=0) * low,
        round(shift / 30) % 12,
    )


def _turns(row: Row) -> tuple[float, float]:
    """Return how the tap changes the rated voltages of both sides.

    As in pandapower: since its version 3 a table says what kind of changer there is, and where it says none
    the tap's position counts for nothing.
    """
    kind = row.text("tap_changer_type")
    if row.has("tap_changer_type") and not kind:
        return 1.0, 1.0
    position = row.number("tap_pos", 0.0)
    steps = position - row.number("tap_neutral", position)
    if steps and (kind == "Ideal" or row.number("tap_step_degree", 0.0)):
        row.complain("tap_step_degree", row.number("tap_step_degree", 0.0), "0: no phase shifters")
    if row.flag("tap_dependency_table", False):
        row.complain("tap_dependency_table", True, "false: characteristics of taps are not read")
    factor = 1 + steps * row.number("tap_step_percent", 0.0) / 100
    return (1.0, factor) if row.text("tap_side") == "lv" else (factor, 1.0)


def powers_of(row: Row) -> NDArray[np.float64]:
    """Return (2, 3): active and reactive power of the three phases in MW and Mvar, as the table has them."""
    if row.table.startswith("asymmetric"):
        active = [row.number(f"p_{phase}_mw", 0.0) for phase in "abc"]
        reactive = [row.number(f"q_{phase}_mvar", 0.0) for phase in "abc"]
    else:
        active, reactive = [row.number("p_mw") / 3] * 3, [row.number("q_mvar", 0.0) / 3] * 3
    return np.array([active, reactive])


def refuse_other_loads(row: Row) -> None:
    """Complain of loads between phases, and of loads whose power depends on the voltage."""
    if row.text("type", "wye") == "delta":
        row.complain("type", "delta", "wye: loads between phase and neutral")
    for column in VOLTAGE_DEPENDENT:
        if row.number(column, 0.0):
            row.complain(column, row.number(column, 0.0), "0: loads of constant power")
