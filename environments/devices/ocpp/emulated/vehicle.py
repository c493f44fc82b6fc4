"""A vehicle at an emulated charge point: how much it draws of what it is offered."""

from dataclasses import dataclass

__all__ = ["EmulatedVehicle"]

_FULL_POWER_TO = 0.8
_LAST_SHARE = 0.1


@dataclass
class EmulatedVehicle:
    """A battery of `capacity_wh` that draws up to `power_max_w`, and less and less above 80 % full."""

    capacity_wh: float = 60_000.0
    state_of_charge: float = 0.2
    power_max_w: float = 11_000.0
    efficiency: float = 0.92

    def power_w(self, offered_w: float) -> float:
        """Return what it draws of an offer: nothing when full, a tenth of the most just before."""
        if self.state_of_charge >= 1.0:
            return 0.0
        above = max(0.0, self.state_of_charge - _FULL_POWER_TO) / (1.0 - _FULL_POWER_TO)
        share = 1.0 - (1.0 - _LAST_SHARE) * above
        return max(0.0, min(offered_w, self.power_max_w * share))

    def charge(self, power_w: float, seconds: float) -> float:
        """Charge for a while and return the energy drawn, in Wh."""
        room_wh = (1.0 - self.state_of_charge) * self.capacity_wh / self.efficiency
        energy_wh = min(power_w * seconds / 3_600, room_wh)
        self.state_of_charge = min(1.0, self.state_of_charge + energy_wh * self.efficiency / self.capacity_wh)
        return energy_wh
