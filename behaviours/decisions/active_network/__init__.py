"""Active network management: removing violations of a feeder's limits at the least cost (D8.1 3.9)."""

from behaviours.decisions.active_network.cascade import ActiveNetwork, NetworkRelief, strain_at
from behaviours.decisions.active_network.means import (
    Compensation,
    Lever,
    Limits,
    OperatingPoint,
    Stage,
    one_site,
    scaled_to_head,
    shared_by_all,
)

__all__ = [
    "ActiveNetwork",
    "Compensation",
    "Lever",
    "Limits",
    "NetworkRelief",
    "OperatingPoint",
    "Stage",
    "one_site",
    "scaled_to_head",
    "shared_by_all",
    "strain_at",
]
