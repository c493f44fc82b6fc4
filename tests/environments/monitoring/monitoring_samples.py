"""Measurements for tests about monitoring systems."""

import msgspec

from environments.monitoring import frame_from
from environments.wire.frames import write_frame
from ontology.grid import GridMeasurement

__all__ = ["NOW_S", "as_json", "measured"]

NOW_S = 1_704_906_000


def measured(node: str = "busbar", time_s: int = NOW_S, power_w: int = 5_000) -> GridMeasurement:
    """Return a measurement of a node and time."""
    return GridMeasurement(
        node_id=node,
        time_s=time_s,
        voltage_v=[231.0, 230.0, 229.0],
        current_a=[21.0, 21.0, 21.0, 0.5],
        power_w=[power_w] * 3,
        reactive_var=[500] * 3,
    )


def as_json(measurement: GridMeasurement, **changes: object) -> bytes:
    """Return a measurement's frame, some of it changed."""
    return msgspec.json.encode(msgspec.json.decode(write_frame(frame_from(measurement))) | changes)
