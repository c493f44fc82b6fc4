"""What flows in the neutrals of the world's feeders, and how far they are from earth."""

from math import nan
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from behaviours.decisions.dstatcom.rating import neutral_current_a
from behaviours.decisions.grid.four_wire import FourWire
from behaviours.decisions.grid.power_flow import FlowResult
from ontology.errors import Failed

__all__ = ["Neutral", "conducted", "implied"]

Complex = NDArray[np.complex128]


class Neutral(NamedTuple):
    """A feeder's neutral at an instant."""

    head_a: float
    """At the busbar."""
    voltage_v: float
    """The highest of any site against the transformer's earth; NaN when it is not known."""
    compensator_a: float
    """The highest in the neutral leg of any D-STATCOM; 0 without one."""


def implied(flow: FlowResult, nodes: tuple[int, ...], units_va: Complex) -> Neutral:
    """Return what the currents of the phases leave for the neutral in a flow of three phases.

    Args:
        flow: of a feeder; its last instant counts.
        nodes: where D-STATCOMs stand.
        units_va: what they draw, (units, 3) in VA.
    """
    legs = [neutral_current_a(va, flow.phasors_v(node)[-1]) for va, node in zip(units_va, nodes, strict=True)]
    return Neutral(float(flow.busbar_current_a()[-1, 3]), nan, max(legs, default=0.0))


def conducted(wires: FourWire, sites_va: Complex, units_va: Complex) -> Neutral:
    """Return what the neutral carries as a conductor of its own, earthed at the transformer only.

    Args:
        wires: of a feeder.
        sites_va: what sites draw, (sites, 3) in VA.
        units_va: what D-STATCOMs draw, (units, 3) in VA.

    Where no voltages carry the load nothing is known.
    """
    try:
        result = wires.solve(
            sites_va.real[None], sites_va.imag[None], units_va.real[None], units_va.imag[None]
        )
    except Failed:
        return Neutral(nan, nan, nan)
    legs = np.abs(result.current_a[0, len(sites_va) :].sum(axis=1))
    return Neutral(
        float(abs(result.head_current_a[0, 3])),
        float(np.abs(result.neutral_v).max()),
        float(legs.max(initial=0.0)),
    )
