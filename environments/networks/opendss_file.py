"""Low-voltage networks from OpenDSS files, compiled by OpenDSS itself (the extra `opendss`).

Read are the source, two-winding transformers, lines (one or three phases, by whatever line codes, matrices
or geometries), and loads; what measures is left out. Everything else, and whatever our networks cannot be, is
said at once. Loads have constant power here over the whole range of voltages; OpenDSS by itself turns them
into impedances outside ±5 %.
"""

from collections.abc import Iterator, Sequence
from math import hypot
from pathlib import Path
from typing import Any

import numpy as np

from behaviours.decisions.grid.network import Transformer
from environments.networks.case import NetworkCase
from environments.networks.load_series import LoadSeries
from environments.networks.opendss_loads import Load, Shape, loads_of
from environments.networks.tree import Branch, Supply, Tree, network_of, tree_from
from ontology.errors import InvalidInput, Problem, Unavailable, problem

__all__ = ["opendss_series", "read_opendss"]

LOW_VOLTAGE_V = 1_000
MEASURING = frozenset({"monitor", "energymeter", "sensor"})
READ = frozenset({"vsource", "transformer", "line", "load"})
METRES = (1.0, 1609.344, 304.8, 1000.0, 1.0, 0.3048, 0.0254, 0.01)
"""By OpenDSS's units of length: none (taken as m), mi, kft, km, m, ft, in, cm."""
UNEVEN = 0.1
"""How far a line's self and mutual impedances may differ from their means, relative to the self impedance."""


def read_opendss(path: Path, step: int | None = None) -> list[NetworkCase]:
    """Compile a circuit and return its low-voltage networks with their loads, one for each transformer.

    Args:
        path: the file that makes the circuit, such as `Master.dss`.
        step: at which step of the loads' shapes, from 1; without it the loads as they are written.

    Raises: InvalidInput naming everything that is wrong with it, Unavailable without OpenDSS.
    """
    reading = _Reading(_compiled(path), step)
    cases = reading.cases(path.stem)
    if reading.problems:
        raise InvalidInput(reading.problems)
    return cases


def opendss_series(path: Path) -> LoadSeries:
    """Return what a circuit's loads draw over the steps of their shapes, in the order of its networks.

    The first step ends one interval of the shapes after the beginning of 1970: a circuit knows no date.

    Raises: InvalidInput naming everything that is wrong with it, Unavailable without OpenDSS.
    """
    reading = _Reading(_compiled(path), None)
    cases = reading.cases(path.stem)
    shape = reading.common_shape() if not reading.problems else None
    if shape is None:
        raise InvalidInput(reading.problems)
    steps = len(shape.active)
    load_of = {load.name: load for load in reading.loads}
    sites = [load_of[site] for case in cases for site in case.network.sites]
    power_va = np.array([load.powers_va(steps).sum(axis=1) for load in sites]).T
    times_s = np.rint(shape.step_s * np.arange(1, steps + 1)).astype(np.int64)
    return LoadSeries(times_s, power_va.real, power_va.imag)


def _compiled(path: Path) -> Any:
    try:
        import opendssdirect
    except ImportError:
        raise Unavailable("OpenDSS is not installed: pip install parity-mas[opendss]") from None
    engine = opendssdirect.dss
    engine.Basic.AllowEditor(False)
    engine.Basic.AllowForms(False)
    engine.Basic.AllowChangeDir(False)
    try:
        engine.Text.Command("clear")
        engine.Text.Command(f'compile "{path.resolve()}"')
    except opendssdirect.DSSException as error:
        raise InvalidInput(problem(str(path), str(error), "a circuit that OpenDSS can compile")) from None
    if not engine.Basic.NumCircuits():
        raise InvalidInput(problem(str(path), "no circuit", "a file with `new circuit`"))
    return engine


class _Reading:
    """A compiled circuit on its way to networks; problems are collected."""

    def __init__(self, engine: Any, step: int | None) -> None:
        self.engine = engine
        self.step = step
        self.problems: list[Problem] = []
        self.buses: dict[str, int] = {}
        self.phases: dict[int, set[int]] = {}
        """Of what lines and transformers bring to each bus."""
        self.source_node = -1
        self.loads: list[Load] = []

    def cases(self, name: str) -> list[NetworkCase]:
        """Return the networks, or nothing and problems; topology is judged once the elements are sound."""
        self._refuse_other_elements()
        source = self._source()
        stations, branches = list(self._stations(source)), list(self._branches())
        loads = self.loads = list(loads_of(self.engine, self._complain))
        self._check_step()
        if not stations and not self.problems:
            self._complain("transformer", "none", f"one with a side of at most {LOW_VOLTAGE_V} V")
        if self.problems:
            return []
        trees = [tree_from(busbar, branches) for busbar, _ in stations]
        self._check(trees, branches, loads)
        if self.problems:
            return []
        names = [name] if len(stations) == 1 else [f"{name}-{i}" for i in range(1, len(stations) + 1)]
        return [
            self._case(each, supply, tree, branches, loads)
            for each, (_, supply), tree in zip(names, stations, trees, strict=True)
        ]

    def _complain(self, where: str, value: object, expected: str) -> None:
        self.problems.append(problem(where, value, expected))

    def _node(self, bus: str) -> int:
        return self.buses.setdefault(bus.partition(".")[0].lower(), len(self.buses))

    def _bring(self, node: int, phases: set[int]) -> None:
        self.phases.setdefault(node, set()).update(phases)

    def _number(self, element: str, attribute: str) -> float:
        """Return what OpenDSS says an element's attribute is."""
        self.engine.Text.Command(f"? {element}.{attribute}")
        return float(self.engine.Text.Result().strip("[]() ").split()[0])

    def _refuse_other_elements(self) -> None:
        for element in self.engine.Circuit.AllElementNames():
            kind = element.partition(".")[0].lower()
            self.engine.Circuit.SetActiveElement(element)
            if kind not in READ | MEASURING and self.engine.CktElement.Enabled():
                self._complain(element, "enabled", f"disabled: {kind} elements are not read")

    def _source(self) -> tuple[float, float, float]:
        """Return voltage in p.u., short-circuit power in VA and R/X of the source."""
        engine = self.engine
        engine.Vsources.First()
        self.source_node = self._node(engine.CktElement.BusNames()[0])
        name = f"vsource.{engine.Vsources.Name()}"
        if engine.Vsources.Count() != 1:
            self._complain("vsource", engine.Vsources.Count(), "one source")
        resistance, reactance = self._number(name, "r1"), self._number(name, "x1")
        volts = 1000 * engine.Vsources.BasekV()
        impedance = max(hypot(resistance, reactance), 1e-9)
        return engine.Vsources.PU(), volts**2 / impedance, resistance / max(reactance, 1e-9)

    def _stations(self, source: tuple[float, float, float]) -> Iterator[tuple[int, Supply]]:
        """Yield the low-voltage busbar and the supply of each distribution transformer."""
        engine, found = self.engine, self.engine.Transformers.First()
        while found:
            name = f"transformer.{engine.Transformers.Name()}"
            if engine.Transformers.NumWindings() != 2 or engine.CktElement.NumPhases() != 3:
                self._complain(name, engine.Transformers.NumWindings(), "two windings of three phases")
            else:
                volts = [self._winding_v(side) for side in (1, 2)]
                if min(volts) <= LOW_VOLTAGE_V:
                    yield self._station(name, volts, source)
            found = engine.Transformers.Next()

    def _winding_v(self, side: int) -> float:
        self.engine.Transformers.Wdg(side)
        return float(1000 * self.engine.Transformers.kV())

    def _station(
        self, name: str, volts: Sequence[float], source: tuple[float, float, float]
    ) -> tuple[int, Supply]:
        engine = self.engine
        low = int(np.argmin(volts))
        turns, copper, delta = [], 0.0, []
        for side in (1, 2):
            engine.Transformers.Wdg(side)
            turns.append(engine.Transformers.Tap())
            copper += engine.Transformers.R() / 100
            delta.append(bool(engine.Transformers.IsDelta()))
        if delta[low] or not delta[1 - low]:
            self._complain(f"{name}.conns", delta, "delta at the high, star at the low side")
        rated_va = 1000 * engine.Transformers.kVA()
        no_load = self._number(name, "%noloadloss") / 100
        transformer = Transformer(
            round(rated_va),
            copper * rated_va,
            no_load * rated_va,
            hypot(engine.Transformers.Xhl() / 100, copper),
            hypot(self._number(name, "%imag") / 100, no_load),
            volts[1 - low] * turns[1 - low],
            volts[low] * turns[low],
            11 if "lead" in self._text(name, "leadlag") else 1,
        )
        busbar, above = (self._node(engine.CktElement.BusNames()[side]) for side in (low, 1 - low))
        self._bring(busbar, {1, 2, 3})
        if above != self.source_node:
            self._complain(f"{name}.buses", engine.CktElement.BusNames()[1 - low], "the bus of the source")
        return busbar, Supply(transformer, volts[1 - low], volts[low], *source)

    def _text(self, element: str, attribute: str) -> str:
        self.engine.Text.Command(f"? {element}.{attribute}")
        return str(self.engine.Text.Result()).lower()

    def _branches(self) -> Iterator[Branch]:
        engine, found = self.engine, self.engine.Lines.First()
        while found:
            opened = any(engine.CktElement.IsOpen(end, 0) for end in (1, 2))
            if not opened and (branch := self._branch(f"line.{engine.Lines.Name()}")) is not None:
                yield branch
            found = engine.Lines.Next()

    def _branch(self, name: str) -> Branch | None:
        """Return a line by what OpenDSS makes of it, whatever it was described by."""
        engine, wires = self.engine, self.engine.CktElement.NumConductors()
        if wires not in (1, 3):
            self._complain(f"{name}.phases", wires, "1 or 3 conductors")
            return None
        admittance = np.array(engine.CktElement.YPrim()).view(np.complex128).reshape(2 * wires, 2 * wires)
        impedance = np.linalg.inv(-admittance[:wires, wires:])
        own = complex(impedance.diagonal().mean())
        mutual = complex(impedance[~np.eye(wires, dtype=bool)].mean()) if wires == 3 else 0j
        even = np.full((wires, wires), mutual) + (own - mutual) * np.eye(wires)
        if abs(impedance - even).max() > UNEVEN * abs(own):
            self._complain(f"{name}.rmatrix", "uneven phases", f"phases alike within {UNEVEN:.0%}")
        start, end = (self._node(bus) for bus in engine.CktElement.BusNames())
        self._check_phases(name, start, end)
        positive, zero = own - mutual, own + 2 * mutual
        return Branch(
            name,
            start,
            end,
            engine.Lines.Length() * METRES[engine.Lines.Units()],
            positive.real,
            positive.imag,
            zero.real,
            zero.imag,
            engine.Lines.NormAmps(),
        )

    def _check_phases(self, name: str, start: int, end: int) -> None:
        """Complain of a line that has other phases at its end, and note which it brings."""
        order = [int(each) for each in self.engine.CktElement.NodeOrder()]
        near, far = order[: len(order) // 2], order[len(order) // 2 :]
        if near != far or not set(near) <= {1, 2, 3}:
            self._complain(
                f"{name}.bus2", self.engine.CktElement.BusNames()[1], f"the phases of bus1: {near}"
            )
        for node in (start, end):
            self._bring(node, set(near))

    def _check_step(self) -> None:
        if self.step is None:
            return
        for load in self.loads:
            if load.shape is not None and not 1 <= self.step <= len(load.shape.active):
                expected = f"a step of 1 to {len(load.shape.active)}"
                self._complain(f"load.{load.name} shape", self.step, expected)
        if not any(load.shape for load in self.loads):
            self._complain("loadshape", "none", f"loads with shapes, for a step such as {self.step}")

    def common_shape(self) -> Shape | None:
        """Return one of the loads' shapes, or nothing and problems where they differ in their steps."""
        shapes = [(load.name, load.shape) for load in self.loads if load.shape is not None]
        if not shapes:
            self._complain("loadshape", "none", "loads with shapes: the file has no loads over time")
            return None
        first = shapes[0][1]
        for name, each in shapes:
            if (each.step_s, len(each.active)) != (first.step_s, len(first.active)) or each.step_s <= 0:
                have, wanted = (f"{len(one.active)} steps of {one.step_s:g} s" for one in (each, first))
                self._complain(f"load.{name} shape", have, f"{wanted}, as the first has")
        return None if self.problems else first

    def _check(self, trees: Sequence[Tree], branches: Sequence[Branch], loads: Sequence[Load]) -> None:
        fed = {each.node for tree in trees for each in tree.nodes}
        for tree in trees:
            for index in tree.closing:
                self._complain(branches[index].name, "closed", "no loop: open a line")
        for load in loads:
            node = self._node(load.bus)
            wanted = {load.phase + 1} if load.phase < 3 else {1, 2, 3}
            if node not in fed:
                self._complain(f"load.{load.name}.bus1", load.bus, "a bus that a transformer feeds")
            elif not wanted <= self.phases[node]:
                there = ", ".join(map(str, sorted(self.phases[node])))
                self._complain(f"load.{load.name}.bus1", load.bus, f"phases that lines bring there: {there}")

    def _case(
        self, name: str, supply: Supply, tree: Tree, branches: Sequence[Branch], loads: Sequence[Load]
    ) -> NetworkCase:
        fed = {each.node for each in tree.nodes}
        bus = {node: each for each, node in self.buses.items()}
        mine = [load for load in loads if self._node(load.bus) in fed]
        power_va = np.array([self._powers_va(load) for load in mine]).reshape(-1, 3)
        network = network_of(
            name,
            supply,
            tree,
            branches,
            [f"{name}-mv", *(bus[each.node] for each in tree.nodes)],
            [load.name for load in mine],
            [self._node(load.bus) for load in mine],
            [load.phase for load in mine],
        )
        return NetworkCase(network, power_va.real, power_va.imag)

    def _powers_va(self, load: Load) -> np.ndarray:
        return load.powers_va() if self.step is None else load.powers_va(self.step)[-1]
