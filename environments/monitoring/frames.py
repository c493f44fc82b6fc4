"""A measurement as a JSON frame: phase by phase, with the time at which it was taken (D8.1 3.9.2)."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from environments.wire.frames import Instant, Watts, iso, seconds_of
from ontology.base import Amperes, Factor, Identifier, Volts
from ontology.grid import GridMeasurement

__all__ = ["MeasurementFrame", "frame_from", "measurement_from"]

Three = Meta(min_length=3, max_length=3)
Four = Meta(min_length=4, max_length=4)


class MeasurementFrame(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is measured at a node: voltages to neutral, currents of three phases and neutral, powers."""

    node: Identifier
    time: Instant
    v_v: Annotated[list[Volts], Three]
    i_a: Annotated[list[Amperes], Four]
    p_w: Annotated[list[Watts], Three]
    q_var: Annotated[list[Watts], Three]
    thd: Factor = 0.0
    """Total harmonic distortion of the voltage."""
    quality: Literal["good", "suspect", "invalid"] = "good"
    """What the system itself thinks of it; what is not good is not used."""


def frame_from(measurement: GridMeasurement) -> MeasurementFrame:
    """Return a measurement as a frame."""
    return MeasurementFrame(
        node=measurement.node_id,
        time=iso(measurement.time_s),
        v_v=measurement.voltage_v,
        i_a=measurement.current_a,
        p_w=list(map(float, measurement.power_w)),
        q_var=list(map(float, measurement.reactive_var)),
        thd=measurement.voltage_distortion,
    )


def measurement_from(frame: MeasurementFrame) -> GridMeasurement:
    """Return a frame as a measurement, powers in whole W.

    Raises: InvalidInput when its time is none.
    """
    return GridMeasurement(
        node_id=frame.node,
        time_s=seconds_of(frame.time),
        voltage_v=frame.v_v,
        current_a=frame.i_a,
        power_w=list(map(round, frame.p_w)),
        reactive_var=list(map(round, frame.q_var)),
        voltage_distortion=frame.thd,
    )
