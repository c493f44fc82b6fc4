"""The grid frequency: a seeded Ornstein-Uhlenbeck process around 50 Hz, and units that trip now and then."""

from math import exp

from environments.simulation.world.generators import generator

__all__ = ["GridFrequency"]

NOMINAL_HZ = 50.0
DEVIATION_HZ = 0.020
"""Standard deviation in Continental Europe."""
MEMORY_S = 300.0
LIMIT_HZ = 0.5
DROP_HZ = (0.12, 0.45)
"""How far a disturbance moves the frequency: down for a generator that trips, up for a load."""
RECOVERY_S = 120.0


class GridFrequency:
    """The frequency at the end of each step, in Hz."""

    def __init__(self, seed: int, start_s: int, step_s: int, events_a_day: float = 0) -> None:
        self._draw = generator(seed, "frequency", start_s, step_s)
        self._keep = exp(-step_s / MEMORY_S)
        self._kick = DEVIATION_HZ * (1 - self._keep**2) ** 0.5
        self._deviation_hz = DEVIATION_HZ * float(self._draw.standard_normal())
        self._events = generator(seed, "frequency events", start_s, step_s)
        self._fade = exp(-step_s / RECOVERY_S)
        self._chance = 1 - exp(-step_s * events_a_day / 86_400)
        self._disturbance_hz = 0.0

    @property
    def now_hz(self) -> float:
        """The present frequency."""
        return NOMINAL_HZ + max(-LIMIT_HZ, min(LIMIT_HZ, self._deviation_hz + self._disturbance_hz))

    def step(self) -> None:
        """Advance one step."""
        self._deviation_hz = self._keep * self._deviation_hz + self._kick * float(
            self._draw.standard_normal()
        )
        self._disturbance_hz *= self._fade
        happens, size, direction = self._events.random(3).tolist()
        if happens < self._chance:
            low, high = DROP_HZ
            self._disturbance_hz = (low + (high - low) * size) * (1 if direction < 0.5 else -1)
