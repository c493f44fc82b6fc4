"""A network together with what its sites draw at one instant."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from behaviours.decisions.grid.network import Network

__all__ = ["NetworkCase"]


@dataclass(frozen=True)
class NetworkCase:
    """A network and the loads of a snapshot, consumption and inductive reactive power positive."""

    network: Network
    power_w: NDArray[np.float64]
    """(sites, 3) W"""
    reactive_var: NDArray[np.float64]
    """(sites, 3) var"""
