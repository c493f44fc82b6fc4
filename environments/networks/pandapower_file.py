"""Low-voltage networks from a file that pandapower wrote, one for each transformer.

Read are buses, lines, two-winding transformers, the external grid, switches, and loads, generators and
batteries with constant power, symmetrical or not. All that is wrong with a file, or not supported, is said at
once.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from behaviours.decisions.grid.network import THREE_PHASE
from environments.networks.case import NetworkCase
from environments.networks.network_file import is_network_json, read_network_json
from environments.networks.pandapower_elements import (
    branch_of,
    powers_of,
    refuse_other_loads,
    source_of,
    transformer_of,
)
from environments.networks.pandapower_tables import Row, Tables, tables_of
from environments.networks.tree import Branch, Supply, Tree, network_of, tree_from
from ontology.errors import InvalidInput, Problem, problem

__all__ = ["DRAWS", "cases_from_pandapower", "read_pandapower"]

LOW_VOLTAGE_V = 1_000
NOT_SUPPORTED = (
    *("gen", "shunt", "ward", "xward", "impedance", "trafo3w"),
    *("motor", "dcline", "tcsc", "svc", "ssc", "vsc"),
)
DRAWS = {"load": 1.0, "asymmetric_load": 1.0, "sgen": -1.0, "asymmetric_sgen": -1.0, "storage": 1.0}
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
    """Read a file's networks with their loads; the file may also be the copy that a run keeps of one.

    Raises: InvalidInput naming everything that is wrong with it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "unreadable"
        raise InvalidInput(problem(str(path), reason, "a file that can be read")) from None
    if is_network_json(text):
        return [read_network_json(text, str(path))]
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
        """Return the networks, or nothing and problems; topology is judged once the elements are sound."""
        branches, stations, sites = self._branches(), self._stations(), self._sites()
        if not stations and not self.problems:
            self.problems.append(problem("trafo", 0, "a transformer in service, fed by an external grid"))
        if self.problems:
            return []
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
            branch = branch_of(row, start or 0, end or 0)
            if start is not None and end is not None and start != end:
                found.append(branch)
        return found

    def _stations(self) -> list[_Station]:
        sources = {}
        for row in self.tables.in_service("ext_grid"):
            bus = self._bus(row, "bus")
            above = source_of(row)
            if bus is not None:
                sources[bus] = above
        found = []
        for row in self.tables.in_service("trafo"):
            if row.index in self.open["t"]:
                continue
            high, low = self._bus(row, "hv_bus"), self._bus(row, "lv_bus")
            transformer = transformer_of(row)
            if high is None or low is None:
                continue
            if high not in sources:
                row.complain(
                    "hv_bus", high, "a bus with an external grid, or joined to one by closed switches"
                )
                continue
            if self.voltage_v[low] > LOW_VOLTAGE_V:
                row.complain(
                    "lv_bus", low, f"a busbar of {LOW_VOLTAGE_V:g} V at most: low-voltage networks only"
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
                power = sign * 1e6 * row.number("scaling", 1.0) * powers_of(row)
                refuse_other_loads(row)
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
