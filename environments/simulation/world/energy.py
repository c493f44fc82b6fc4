"""Whole watt-hours out of powers: nothing is lost, and every meter is the sum of its devices."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["DEVICES", "IntervalEnergy", "Meters"]

Array = NDArray[np.float64]
Whole = NDArray[np.int64]

DEVICES = ("base", "pv", "battery", "ev", "heat_pump", "dhw", "lighting")


@dataclass(frozen=True)
class IntervalEnergy:
    """What every site took and gave in an interval, in whole Wh.

    `device_wh` is (devices, sites), consumption positive; `consumed_wh - produced_wh` is its sum.
    """

    consumed_wh: Whole
    produced_wh: Whole
    device_wh: Whole


class Meters:
    """Integrates powers over the steps of an interval and closes it in whole Wh.

    What is below one Wh is carried into the next interval, device by device.
    """

    def __init__(self, sites: int) -> None:
        self._device_wh = np.zeros((len(DEVICES), sites))
        self._import_wh = np.zeros(sites)
        self._imported = np.zeros(sites, dtype=bool)
        self._exported = np.zeros(sites, dtype=bool)

    def add(self, power_w: Array, step_s: int) -> None:
        """Count a step of mean powers (devices, sites) in W."""
        hours = step_s / 3600
        self._device_wh += power_w * hours
        net_wh = power_w.sum(axis=0) * hours
        self._import_wh += np.maximum(net_wh, 0.0)
        self._imported |= net_wh > 0
        self._exported |= net_wh < 0

    def close(self) -> IntervalEnergy:
        """End the interval and return its energies.

        Imports and exports of different steps do not cancel; a site that did only one has only one.
        """
        device = np.rint(self._device_wh).astype(np.int64)
        self._device_wh -= device
        net = device.sum(axis=0)
        both = self._imported & self._exported
        consumed = np.maximum(net, 0)
        consumed[both] = np.maximum(np.rint(self._import_wh[both]).astype(np.int64), consumed[both])
        self._import_wh[both] -= consumed[both]
        self._import_wh[~both] = 0.0
        self._imported[:] = self._exported[:] = False
        return IntervalEnergy(consumed, consumed - net, device)
