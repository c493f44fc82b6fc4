"""Low-voltage networks from a file that pandapower wrote, one for each transformer.

Read are buses, lines, two-winding transformers, the external grid, switches, and loads and generators with
constant power, symmetrical or not. All that is wrong with a file, or not supported, is said at once.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from behaviours.decisions.grid.network import SHORT_CIRCUIT_RX, THREE_PHASE, Transformer
from environments.networks.case import NetworkCase
from environments.networks.pandapower_tables import Row, Tables, tables_of
from environments.networks.tree import Branch, Supply, Tree, network_of, tree_from
from ontology.errors import InvalidInput, Problem, problem

__all__ = ["cases_from_pandapower", "read_pandapower"]

ZERO_TO_POSITIVE = 4.0
"""Zero over positive sequence impedance of a line that does not say: its neutral is like a phase."""
STIFF_VA = 1e11
"""Short-circuit power of an external grid that does not say: its voltage hardly moves."""
NOT_SUPPORTED = (
    *("gen", "storage", "shunt", "ward", "xward", "impedance", "trafo3w"),
    *("motor", "dcline", "tcsc", "svc", "ssc", "vsc"),
)
VOLTAGE_DEPENDENT = (
    "const_z_percent",
    "const_i_percent",
    "const_z_p_percent",
    "const_i_p_percent",
    "const_z_q_percent",
    "const_i_q_percent",
)
DRAWS = {"load": 1.0, "asymmetric_load": 1.0, "sgen": -1.0, "asymmetric_sgen": -1.0}
"""Tables of sites and the sign of their power."""


class _Site(NamedTuple):
    name: str
    bus: int
    power_w: NDArray[np.float64]
    reactive_var: NDArray[np.float64]
    row: Row


class _Station(NamedTuple):
    row: Row
    busbar: int
    medium: int
    supply: Supply


def read_pandapower(path: Path) -> list[NetworkCase]:
    """Read a file's networks with their loads.

    Raises: InvalidInput naming everything that is wrong with it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "unreadable"
        raise InvalidInput(problem(str(path), reason, "a file that can be read")) from None
    return cases_from_pandapower(text, path.stem)


def cases_from_pandapower(text: str, name: str) -> list[NetworkCase]:
    """Return the networks of a pandapower file, with their loads.

    Args:
        text: what pandapower's `to_json` wrote.
        name: the network's; each transformer's is appended where there are several.

    Raises: InvalidInput naming everything that is wrong with it.
    """
    reading = _Reading(tables_of(text, name))
    cases = reading.cases(name)
    if reading.problems:
        raise InvalidInput(reading.problems)
    return cases


class _Reading:
    """A file on its way to networks; problems are collected."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.problems: list[Problem] = tables.problems
        self.buses = {row.index: row for row in tables.in_service("bus")}
        self.voltage_v = {index: 1000 * row.number("vn_kv", above=0) for index, row in self.buses.items()}
        self.open: dict[str, set[int]] = {"l": set(), "t": set()}
        self.joined = {index: index for index in self.buses}
        self._refuse_unsupported()
        self._switches()

    def cases(self, name: str) -> list[NetworkCase]:
        branches = self._branches()
        stations = self._stations()
        sites = self._sites()
        if not stations and not self.problems:
            self.problems.append(problem("trafo", 0, "a transformer in service, fed by an external grid"))
        trees = [tree_from(each.busbar, branches) for each in stations]
        self._check_trees(stations, trees, branches)
        self._check_sites(sites, trees)
        if self.problems:
            return []
        return [
            self._case(_name(name, station, len(stations)), station, tree, branches, sites)
            for station, tree in zip(stations, trees, strict=True)
        ]

    def _refuse_unsupported(self) -> None:
        for table in NOT_SUPPORTED:
            for row in self.tables.in_service(table):
                row.complain("in_service", True, f"false: {table} elements are not supported")

    def _switches(self) -> None:
        for row in self.tables.rows("switch"):
            closed, kind = row.flag("closed"), row.text("et")
            if not closed and kind in self.open:
                self.open[kind].add(int(row.number("element", 0)))
            elif closed and kind == "b":
                ends = [row.reference(end, self.buses, "bus") for end in ("bus", "element")]
                if row.number("z_ohm", 0.0):
                    row.complain("z_ohm", row.number("z_ohm", 0.0), "0: switches without impedance only")
                if ends[0] is not None and ends[1] is not None:
                    self._join(ends[0], ends[1])

    def _join(self, one: int, other: int) -> None:
        """Make one node of two buses; it keeps the lower index."""
        low, high = sorted((self.joined[one], self.joined[other]))
        for bus, node in self.joined.items():
            if node == high:
                self.joined[bus] = low

    def _bus(self, row: Row, column: str) -> int | None:
        bus = row.reference(column, self.buses, "bus")
        return None if bus is None else self.joined[bus]

    def _branches(self) -> list[Branch]:
        found = []
        for row in self.tables.in_service("line"):
            if row.index in self.open["l"]:
                continue
            start, end = self._bus(row, "from_bus"), self._bus(row, "to_bus")
            branch = _branch(row, start or 0, end or 0)
            if start is not None and end is not None and start != end:
                found.append(branch)
        return found

    def _stations(self) -> list[_Station]:
        sources = {}
        for row in self.tables.in_service("ext_grid"):
            bus = self._bus(row, "bus")
            above = _source(row)
            if bus is not None:
                sources[bus] = above
        found = []
        for row in self.tables.in_service("trafo"):
            if row.index in self.open["t"]:
                continue
            high, low = self._bus(row, "hv_bus"), self._bus(row, "lv_bus")
            transformer = _transformer(row)
            if high is None or low is None:
                continue
            if high not in sources:
                row.complain(
                    "hv_bus", high, "a bus with an external grid, or joined to one by closed switches"
                )
                continue
            supply = Supply(transformer, self.voltage_v[high], self.voltage_v[low], *sources[high])
            found.append(_Station(row, low, high, supply))
        return found

    def _sites(self) -> list[_Site]:
        found = []
        for table, sign in DRAWS.items():
            for row in self.tables.in_service(table):
                bus = self._bus(row, "bus")
                power = sign * 1e6 * row.number("scaling", 1.0) * _powers(row)
                _refuse_other_loads(row)
                if bus is not None:
                    found.append(
                        _Site(row.text("name", f"{table}-{row.index}"), bus, power[0], power[1], row)
                    )
        return found

    def _check_trees(
        self, stations: Sequence[_Station], trees: Sequence[Tree], branches: Sequence[Branch]
    ) -> None:
        owner: dict[int, Row] = {}
        for station, tree in zip(stations, trees, strict=True):
            for index in tree.closing:
                name = branches[index].name
                self.problems.append(
                    problem("line", name, "no loop: open a switch or take a line out of service")
                )
            shared = next((owner[each.node] for each in tree.nodes if each.node in owner), None)
            if shared is not None:
                station.row.complain(
                    "lv_bus", station.busbar, f"nodes of its own; trafo[{shared.index}] feeds them"
                )
            for each in tree.nodes:
                owner[each.node] = station.row
                if abs(self.voltage_v[each.node] / station.supply.low_voltage_v - 1) > 0.001:
                    level = f"{station.supply.low_voltage_v / 1000:g}, as its transformer's busbar"
                    self.buses[each.node].complain("vn_kv", self.voltage_v[each.node] / 1000, level)

    def _check_sites(self, sites: Sequence[_Site], trees: Sequence[Tree]) -> None:
        fed = {each.node for tree in trees for each in tree.nodes}
        for site in sites:
            if site.bus not in fed:
                site.row.complain("bus", site.bus, "a bus that a transformer feeds at low voltage")

    def _case(
        self, name: str, station: _Station, tree: Tree, branches: Sequence[Branch], sites: Sequence[_Site]
    ) -> NetworkCase:
        fed = {each.node for each in tree.nodes}
        mine = [each for each in sites if each.bus in fed]
        buses = [station.medium, *(each.node for each in tree.nodes)]
        power_w = np.array([each.power_w for each in mine]).reshape(-1, 3)
        reactive_var = np.array([each.reactive_var for each in mine]).reshape(-1, 3)
        network = network_of(
            name,
            station.supply,
            tree,
            branches,
            _unique((self.buses[bus].text("name", f"bus-{bus}"), bus) for bus in buses),
            _unique((each.name, each.row.index) for each in mine),
            [each.bus for each in mine],
            _phases(power_w, reactive_var),
        )
        return NetworkCase(network, power_w, reactive_var)


def _branch(row: Row, start: int, end: int) -> Branch:
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


def _source(row: Row) -> tuple[float, float, float]:
    """Return voltage in p.u., short-circuit power in VA and R/X of an external grid."""
    return (
        row.number("vm_pu", above=0),
        1e6 * row.number("s_sc_max_mva", STIFF_VA / 1e6, above=0),
        row.number("rx_max", SHORT_CIRCUIT_RX, least=0),
    )


def _transformer(row: Row) -> Transformer:
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
    """Return how the tap changes the rated voltages of both sides."""
    position = row.number("tap_pos", 0.0)
    steps = position - row.number("tap_neutral", position)
    if steps and row.number("tap_step_degree", 0.0):
        row.complain("tap_step_degree", row.number("tap_step_degree", 0.0), "0: no phase shifters")
    factor = 1 + steps * row.number("tap_step_percent", 0.0) / 100
    return (1.0, factor) if row.text("tap_side") == "lv" else (factor, 1.0)


def _powers(row: Row) -> NDArray[np.float64]:
    """Return (2, 3): active and reactive power of the three phases in MW and Mvar, as the table has them."""
    if row.table.startswith("asymmetric"):
        active = [row.number(f"p_{phase}_mw", 0.0) for phase in "abc"]
        reactive = [row.number(f"q_{phase}_mvar", 0.0) for phase in "abc"]
    else:
        active, reactive = [row.number("p_mw") / 3] * 3, [row.number("q_mvar", 0.0) / 3] * 3
    return np.array([active, reactive])


def _refuse_other_loads(row: Row) -> None:
    if row.text("type", "wye") == "delta":
        row.complain("type", "delta", "wye: loads between phase and neutral")
    for column in VOLTAGE_DEPENDENT:
        if row.number(column, 0.0):
            row.complain(column, row.number(column, 0.0), "0: loads of constant power")


def _phases(power_w: NDArray[np.float64], reactive_var: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the phase of each site that has power on one only, and 3 for the others."""
    used = (power_w != 0) | (reactive_var != 0)
    found: NDArray[np.int64] = np.where(used.sum(axis=1) == 1, used.argmax(axis=1), THREE_PHASE)
    return found


def _unique(named: Iterable[tuple[str, int]]) -> list[str]:
    """Return names; where several are alike, their index tells them apart."""
    pairs = list(named)
    count: Mapping[str, int] = Counter(name for name, _ in pairs)
    return [name if count[name] == 1 else f"{name}-{index}" for name, index in pairs]


def _name(name: str, station: _Station, stations: int) -> str:
    own = station.row.text("name", f"trafo-{station.row.index}")
    return name if stations == 1 else f"{name}-{own}".replace(" ", "-")
