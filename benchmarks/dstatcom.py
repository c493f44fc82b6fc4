"""What 30 kVA of D-STATCOM make of an uneven feeder, alone and as two units (SPEC 4.11).

Twenty houses draw 74 kW, 50, 30 and 20 % of it from the three phases, about 90 A in the neutral at the head.
The load comes at once; converters follow within their time constant, controllers act once a second
on what is measured at the head, and the power flow is solved every 20 ms.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from behaviours.decisions.dstatcom import Unit, compensating_va, corrected, rating_of, supporting_va
from behaviours.decisions.dstatcom.rating import Complex
from behaviours.decisions.grid import FlowResult, Network, PowerFlow, radial_feeder
from environments.simulation.world.converter import FourLegConverter
from ontology.grid import DstatcomObjective

__all__ = [
    "Street",
    "coordinated",
    "each_for_itself",
    "holding_voltage",
    "late",
    "overshoot",
    "rows",
    "swing",
]

SITES = 20
LOAD_W = 74_000
SHARES = (0.5, 0.3, 0.2)
REACTIVE_SHARE = 0.1
STEP_S, CONTROL_S, RUN_S = 0.02, 1.0, 10.0
LAST = round(3 / STEP_S)
"""Steps of the last three seconds."""

Controller = Callable[["Street", FlowResult], list[Complex]]


@dataclass
class Street:
    """A loaded feeder with converters at given joints, counted from the transformer."""

    ratings_va: Sequence[int]
    joints: Sequence[int] = (9, 5)
    load_w: float = LOAD_W
    network: Network = field(init=False)
    converters: list[FourLegConverter] = field(init=False)

    def __post_init__(self) -> None:
        plain = radial_feeder("segment-001", [f"h{i:03d}" for i in range(SITES)])
        streets = [int(node) for node in dict.fromkeys(plain.line_from) if node > 1]
        nodes = tuple(streets[joint] for joint, _ in zip(self.joints, self.ratings_va, strict=False))
        self.network = replace(plain, compensator_nodes=nodes)
        self.converters = [FourLegConverter(rating_of(each)) for each in self.ratings_va]
        self._flow = PowerFlow([self.network])

    @property
    def units(self) -> list[Unit]:
        """The units as their coordinator knows them."""
        return [Unit(f"unit-{i}", "segment-001", each.rating) for i, each in enumerate(self.converters)]

    def solve(self) -> FlowResult:
        """Return the flow of this instant."""
        power_w = np.tile(self.load_w / SITES * np.array(SHARES), (1, SITES, 1))
        drawn = np.array([[each.drawn_va for each in self.converters]]).reshape(1, -1, 3)
        (flow,) = self._flow.solve(power_w, power_w * REACTIVE_SHARE, drawn.real, drawn.imag)
        return flow

    def run(self, control: Controller, seconds: float = RUN_S, every_s: float = CONTROL_S) -> np.ndarray:
        """Let a controller act for a while; return what all units together draw (steps, 3) in VA."""
        drawn, flow = [], self.solve()
        wanted = [np.zeros(3, dtype=np.complex128) for _ in self.converters]
        for step in range(round(seconds / STEP_S)):
            if step % round(every_s / STEP_S) == 0:
                wanted = control(self, flow)
            for converter, each, node in zip(
                self.converters, wanted, self.network.compensator_nodes, strict=True
            ):
                converter.follow(each, flow.phasors_v(node)[0], STEP_S)
            flow = self.solve()
            drawn.append(sum(each.power_va for each in self.converters))
        return np.array(drawn)


def coordinated(objective: DstatcomObjective) -> Controller:
    """Return the central controller of all units."""

    def control(street: Street, flow: FlowResult) -> list[Complex]:
        given = [each.drawn_va for each in street.converters]
        return corrected(objective, head_va(flow), flow.phasors_v(1)[0], street.units, given)

    return control


def late(control: Controller) -> Controller:
    """Return a controller whose orders arrive a whole cycle late."""
    under_way: list[list[Complex]] = []

    def delayed(street: Street, flow: FlowResult) -> list[Complex]:
        under_way.append(control(street, flow))
        nothing = [np.zeros(3, dtype=np.complex128) for _ in street.converters]
        return under_way[-2] if len(under_way) > 1 else nothing

    return delayed


def each_for_itself(objective: DstatcomObjective) -> Controller:
    """Return controllers that each take what the head shows, their own part aside, for the load."""

    def control(street: Street, flow: FlowResult) -> list[Complex]:
        return [
            compensating_va(
                objective, head_va(flow) - each.drawn_va, flow.phasors_v(1)[0], each.rating, each.priority
            )
            for each in street.converters
        ]

    return control


def holding_voltage(street: Street, flow: FlowResult) -> list[Complex]:
    """Return what the droop of each unit asks of it at its own voltage."""
    return [
        supporting_va(flow.phasors_v(node)[0], each.rating)
        for each, node in zip(street.converters, street.network.compensator_nodes, strict=True)
    ]


def head_va(flow: FlowResult) -> Complex:
    """Return the power of each phase at the head of a feeder, (3,) in VA."""
    return np.asarray(flow.busbar_w[0] + 1j * flow.busbar_var[0])


def overshoot(drawn_va: np.ndarray) -> float:
    """Return by what share the most loaded phase's relief exceeds its mean of the last three seconds."""
    relief = -np.real(drawn_va[:, 0])
    return max(0.0, float(relief.max() / relief[-LAST:].mean() - 1))


def swing(drawn_va: np.ndarray) -> float:
    """Return how far the answer of the most loaded phase still moves in the last three seconds, in W."""
    last = np.real(drawn_va[-LAST:, 0])
    return float(last.max() - last.min())


CASES: Sequence[tuple[str, Sequence[int], Controller]] = (
    ("none", (), coordinated(DstatcomObjective.UNBALANCE)),
    ("30 kVA, unbalance", (30_000,), coordinated(DstatcomObjective.UNBALANCE)),
    ("30 kVA, neutral", (30_000,), coordinated(DstatcomObjective.NEUTRAL)),
    ("30 kVA, voltage", (30_000,), holding_voltage),
    ("2 × 15 kVA, unbalance", (15_000, 15_000), coordinated(DstatcomObjective.UNBALANCE)),
    ("2 × 15 kVA, neutral", (15_000, 15_000), coordinated(DstatcomObjective.NEUTRAL)),
    ("2 × 30 kVA, unbalance", (30_000, 30_000), coordinated(DstatcomObjective.UNBALANCE)),
    ("2 × 30 kVA, neutral", (30_000, 30_000), coordinated(DstatcomObjective.NEUTRAL)),
    ("2 × 30 kVA, unbalance, 1 s late", (30_000, 30_000), late(coordinated(DstatcomObjective.UNBALANCE))),
    ("2 × 30 kVA, each for itself", (30_000, 30_000), each_for_itself(DstatcomObjective.UNBALANCE)),
)


def rows() -> list[Mapping[str, Any]]:
    """Return a row for each set of units and what they are for, ten seconds after the load has come."""
    before_a = float(Street(()).solve().busbar_current_a()[0, 3])
    found = []
    for name, ratings_va, control in CASES:
        street = Street(ratings_va)
        drawn_va = street.run(control) if ratings_va else np.zeros((1, 3))
        flow = street.solve()
        neutral_a = float(flow.busbar_current_a()[0, 3])
        sums = [abs(each.drawn_va.real.sum()) / each.rating.rated_va for each in street.converters]
        legs = [3 * np.abs(each.drawn_va).max() / each.rating.rated_va for each in street.converters]
        found.append(
            {
                "units, objective": name,
                "neutral at the head, A": neutral_a,
                "less, %": 100 * (1 - neutral_a / before_a),
                "VUF, %": 100 * float(flow.unbalance_max[0]),
                "lowest voltage, p.u.": float(flow.voltage_min_pu[0]),
                "losses with the units', W": float(flow.losses_w[0]),
                "fullest leg, %": 100 * float(max(legs, default=0.0)),
                "sum of p, % of rating": 100 * float(max(sums, default=0.0)),
                "overshoot, %": 100 * overshoot(drawn_va)
                if control is not holding_voltage and ratings_va
                else None,
                "still swings by, W": swing(drawn_va),
            }
        )
    return found
