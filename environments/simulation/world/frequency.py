"""The grid frequency, as a seeded Ornstein-Uhlenbeck process around 50 Hz."""

from math import exp

from environments.simulation.world.generators import generator

__all__ = ["GridFrequency"]

NOMINAL_HZ = 50.0
DEVIATION_HZ = 0.020
"""Standard deviation in Continental Europe."""
MEMORY_S = 300.0
LIMIT_HZ = 0.2


class GridFrequency:
    """The frequency at the end of each step, in Hz."""

    def __init__(self, seed: int, start_s: int, step_s: int) -> None:
        self._draw = generator(seed, "frequency", start_s, step_s)
        self._keep = exp(-step_s / MEMORY_S)
        self._kick = DEVIATION_HZ * (1 - self._keep**2) ** 0.5
        self._deviation_hz = DEVIATION_HZ * float(self._draw.standard_normal())

    @property
    def now_hz(self) -> float:
        """The present frequency."""
        return NOMINAL_HZ + max(-LIMIT_HZ, min(LIMIT_HZ, self._deviation_hz))

    def step(self) -> None:
        """Advance one step."""
        self._deviation_hz = self._keep * self._deviation_hz + self._kick * float(
            self._draw.standard_normal()
        )
