"""What meters at the nodes of a feeder say, phase by phase, and how exactly."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["BUSBAR", "LEAST_W", "NodeReadings", "Quantity"]

Array = NDArray[np.float64]
Quantity = Literal["voltage", "power"]

BUSBAR = 1
"""The node of the transformer's meter: its power is what all sites and losses take."""
LEAST_W = 20.0
"""No deviation of a power is taken to be smaller."""
LEAST_PU = 2e-4
"""No deviation of a voltage is taken to be smaller."""


@dataclass(frozen=True)
class NodeReadings:
    """What a meter says at T instants, phase by phase (T, 3); not a number where nothing came.

    At the busbar powers are what flows into the feeder, elsewhere what the sites of the node draw.
    """

    node: int
    voltage_v: Array
    """Between phase and neutral"""
    power_w: Array
    reactive_var: Array
    voltage_error: float = 0.003
    """Standard deviation as a share of the value"""
    power_error: float = 0.01

    @property
    def has_voltage(self) -> NDArray[np.bool_]:
        """At which instants (T,) it tells voltages."""
        return np.asarray(np.isfinite(self.voltage_v).all(axis=1))

    @property
    def has_power(self) -> NDArray[np.bool_]:
        """At which instants (T,) it tells powers."""
        return np.asarray((np.isfinite(self.power_w) & np.isfinite(self.reactive_var)).all(axis=1))

    def voltage_deviation_v(self, rated_v: float) -> float:
        """Return the standard deviation of its voltages, by the rated voltage."""
        return max(self.voltage_error, LEAST_PU) * rated_v

    def power_deviations(self) -> tuple[Array, Array]:
        """Return the standard deviations of active and reactive power, (T, 3) in W and var."""
        active, reactive = (
            np.maximum(LEAST_W, self.power_error * np.abs(each)) for each in (self.power_w, self.reactive_var)
        )
        return active, reactive

    def mean(self) -> "NodeReadings":
        """Return its mean over all instants as one; what never came stays unknown."""
        return replace(
            self,
            voltage_v=_mean(self.voltage_v[self.has_voltage]),
            power_w=_mean(self.power_w[self.has_power]),
            reactive_var=_mean(self.reactive_var[self.has_power]),
        )

    def without(self, quantity: Quantity, instants: list[int]) -> "NodeReadings":
        """Return the readings without a quantity at some instants."""
        voltage_v, power_w = self.voltage_v.copy(), self.power_w.copy()
        reactive_var = self.reactive_var.copy()
        if quantity == "voltage":
            voltage_v[instants] = np.nan
        else:
            power_w[instants] = reactive_var[instants] = np.nan
        return replace(self, voltage_v=voltage_v, power_w=power_w, reactive_var=reactive_var)


def _mean(values: Array) -> Array:
    """Return the mean (1, 3) of values (T, 3), not a number where there are none."""
    return np.asarray(values.mean(axis=0, keepdims=True) if len(values) else np.full((1, 3), np.nan))
