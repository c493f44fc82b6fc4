"""Low-voltage networks from OpenDSS files, compiled by OpenDSS itself (the extra `opendss`).

Read are the source, two-winding transformers, lines (one or three phases, by whatever line codes, matrices
or geometries), and loads; what measures is left out. Everything else, and whatever our networks cannot be, is
said at once. Loads have constant power here over the whole range of voltages; OpenDSS by itself turns them
into impedances outside ±5 %.
"""

from collections.abc import Iterator, Sequence
from math import hypot
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from behaviours.decisions.grid.network import THREE_PHASE, Transformer
from environments.networks.case import NetworkCase
from environments.networks.tree import Branch, Supply, Tree, network_of, tree_from
from ontology.errors import InvalidInput, Problem, Unavailable, problem

__all__ = ["read_opendss"]

LOW_VOLTAGE_V = 1_000
MEASURING = frozenset({"monitor", "energymeter", "sensor"})
READ = frozenset({"vsource", "transformer", "line", "load"})
UNEVEN = 0.1
"""How far a line's self and mutual impedances may differ from their means, relative to the self impedance."""
CONSTANT_POWER = 1


class _Load(NamedTuple):
    name: str
    bus: str
    phase: int
    power_w: float
    reactive_var: float


def read_opendss(path: Path, step: int | None = None) -> list[NetworkCase]:
    """Compile a circuit and return its low-voltage networks with their loads, one for each transformer.

    Args:
        path: the file that makes the circuit, such as `Master.dss`.
        step: at which step of the loads' shapes, from 1; without it the loads as they are written.

    Raises: InvalidInput naming everything that is wrong with it, Unavailable without OpenDSS.
    """
    engine = _compiled(path)
    reading = _Reading(engine, step)
    cases = reading.cases(path.stem)
    if reading.problems:
        raise InvalidInput(reading.problems)
    return cases


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

    def cases(self, name: str) -> list[NetworkCase]:
        """Return the networks, or nothing and problems; topology is judged once the elements are sound."""
        self._refuse_other_elements()
        source = self._source()
        stations, branches, loads = list(self._stations(source)), list(self._branches()), list(self._loads())
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
            1 if "lag" in self._text(name, "leadlag") or low == 1 else 11,
        )
        busbar = self._node(engine.CktElement.BusNames()[low])
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
        positive, zero = own - mutual, own + 2 * mutual
        return Branch(
            name,
            start,
            end,
            0.0,
            positive.real,
            positive.imag,
            zero.real,
            zero.imag,
            engine.Lines.NormAmps(),
        )

    def _loads(self) -> Iterator[_Load]:
        engine, found = self.engine, self.engine.Loads.First()
        while found:
            load = self._load(f"load.{engine.Loads.Name()}")
            if load is not None:
                yield load
            found = engine.Loads.Next()

    def _load(self, name: str) -> _Load | None:
        engine = self.engine
        phases, bus = engine.CktElement.NumPhases(), engine.CktElement.BusNames()[0]
        if engine.Loads.IsDelta():
            self._complain(f"{name}.conn", "delta", "wye: loads between phase and neutral")
        if engine.Loads.Model() != CONSTANT_POWER:
            self._complain(f"{name}.model", engine.Loads.Model(), "1: constant power")
        if phases not in (1, 3):
            self._complain(f"{name}.phases", phases, "1 or 3")
            return None
        phase = engine.CktElement.NodeOrder()[0] - 1 if phases == 1 else THREE_PHASE
        active, reactive = self._powers(name)
        return _Load(engine.Loads.Name(), bus, phase, 1000 * active, 1000 * reactive)

    def _powers(self, name: str) -> tuple[float, float]:
        """Return the active and reactive power of the load that is looked at, in kW and kvar."""
        engine = self.engine
        active, reactive = engine.Loads.kW(), engine.Loads.kvar()
        if self.step is None:
            return active, reactive
        shape = engine.Loads.Daily() or engine.Loads.Yearly() or engine.Loads.Duty()
        if not shape:
            return active, reactive
        engine.LoadShape.Name(shape)
        points = engine.LoadShape.PMult()
        if not 1 <= self.step <= len(points):
            self._complain(f"{name} shape {shape}", self.step, f"a step of 1 to {len(points)}")
            return active, reactive
        point = float(points[self.step - 1])
        scaled = point if engine.LoadShape.UseActual() else active * point
        return scaled, reactive * scaled / active if active else 0.0

    def _check(self, trees: Sequence[Tree], branches: Sequence[Branch], loads: Sequence[_Load]) -> None:
        fed = {each.node for tree in trees for each in tree.nodes}
        for tree in trees:
            for index in tree.closing:
                self._complain(branches[index].name, "closed", "no loop: open a line")
        for load in loads:
            if self._node(load.bus) not in fed:
                self._complain(f"load.{load.name}.bus1", load.bus, "a bus that a transformer feeds")

    def _case(
        self, name: str, supply: Supply, tree: Tree, branches: Sequence[Branch], loads: Sequence[_Load]
    ) -> NetworkCase:
        fed = {each.node for each in tree.nodes}
        bus = {node: each for each, node in self.buses.items()}
        mine = [load for load in loads if self._node(load.bus) in fed]
        power_w, reactive_var = (
            np.array([_over_phases(load.phase, value) for load, value in values]).reshape(-1, 3)
            for values in (
                [(load, load.power_w) for load in mine],
                [(load, load.reactive_var) for load in mine],
            )
        )
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
        return NetworkCase(network, power_w, reactive_var)


def _over_phases(phase: int, value: float) -> NDArray[np.float64]:
    return np.full(3, value / 3) if phase == THREE_PHASE else np.where(np.arange(3) == phase, value, 0.0)
