"""A four-leg converter as it behaves: what it follows, how fast, how warm it gets, what it complains of."""

from math import exp

import numpy as np

from behaviours.decisions.dstatcom import Priority, Rating, limited, neutral_current_a
from behaviours.decisions.dstatcom.rating import Complex

__all__ = ["FourLegConverter"]

TIME_CONSTANT_S = 0.03
"""Of its current control: 95 % of a step within 90 ms."""
THERMAL_RESISTANCE_K_PER_KW = 150.0
"""Of the heat sink, for each kW of losses of a 30 kVA unit; larger units have larger ones."""
REFERENCE_VA = 30_000
THERMAL_TIME_CONSTANT_S = 600.0
WARM_DEGC = 80.0
SHORT = 0.01
"""Share of the rating that a request may be missed by before that is an alarm."""


class FourLegConverter:
    """Draws three complex powers `(3,)` in VA that follow what is wanted, within its rating.

    The wish is limited before it is followed, so that nothing winds up at a limit: when the wish turns, the
    output turns at once.
    """

    def __init__(
        self, rating: Rating, priority: Priority = Priority.ACTIVE, ambient_degc: float = 20.0
    ) -> None:
        self.rating = rating
        self.priority = priority
        self.is_on = False
        self.power_va: Complex = np.zeros(3, dtype=np.complex128)
        self.temperature_degc = ambient_degc
        self.missed_va = 0.0

    def follow(self, wanted_va: Complex | None, voltage_v: Complex, seconds: float) -> None:
        """Approach what is wanted for a time; None switches off at once."""
        self.is_on = wanted_va is not None
        if wanted_va is None:
            self.power_va, self.missed_va = np.zeros(3, dtype=np.complex128), 0.0
            return
        target = limited(self.rating, wanted_va, voltage_v, self.priority)
        shifted = wanted_va - np.real(wanted_va).mean()
        self.missed_va = float(np.abs(target - shifted).max())
        self.power_va = target + (self.power_va - target) * exp(-seconds / TIME_CONSTANT_S)

    def warm(self, ambient_degc: float, seconds: float) -> None:
        """Let the heat sink approach the temperature that the losses keep it at."""
        rise_k = THERMAL_RESISTANCE_K_PER_KW * self.losses_w / 1000 * REFERENCE_VA / self.rating.rated_va
        steady = ambient_degc + rise_k
        self.temperature_degc = steady + (self.temperature_degc - steady) * exp(
            -seconds / THERMAL_TIME_CONSTANT_S
        )

    @property
    def losses_w(self) -> float:
        """What the converter itself consumes, in W; nothing when it is off."""
        return self.rating.losses_w(self.power_va) if self.is_on else 0.0

    @property
    def drawn_va(self) -> Complex:
        """The power drawn from each phase, (3,): what is shifted, and a third of the losses."""
        return self.power_va + self.losses_w / 3

    def neutral_a(self, voltage_v: Complex) -> float:
        """Return the current in its neutral leg, in A."""
        return neutral_current_a(self.power_va, voltage_v)

    def alarms(self) -> list[str]:
        """Return what an operator should know."""
        found = []
        if self.missed_va > SHORT * self.rating.rated_va:
            found.append("limited")
        if self.temperature_degc > WARM_DEGC:
            found.append("warm")
        return found
