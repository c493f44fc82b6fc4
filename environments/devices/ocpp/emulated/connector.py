"""A connector of an emulated charge point: a vehicle, a meter that never goes back, a session."""

from dataclasses import dataclass, field

from environments.devices.ocpp.emulated.vehicle import EmulatedVehicle

__all__ = ["EmulatedConnector", "EmulatedSession"]


@dataclass
class EmulatedSession:
    """A transaction as the charge point knows it; `transaction_id` is empty until one is given."""

    connector: int
    token: str
    began_s: float
    meter_start_wh: int
    transaction_id: str = ""
    sequence: int = 0
    offline: bool = False

    def next_sequence(self) -> int:
        """Return the number of the session's next event, from 0."""
        number, self.sequence = self.sequence, self.sequence + 1
        return number


@dataclass
class EmulatedConnector:
    """What is at a connector, and what flows; the register is in Wh."""

    number: int
    power_max_w: float
    least_w: float
    register_wh: float = 0.0
    power_w: float = 0.0
    vehicle: EmulatedVehicle | None = None
    session: EmulatedSession | None = None
    reserved: tuple[int, str, float] | None = None
    """Number, token and end of a reservation."""
    metered_s: float = field(default=0.0)

    @property
    def status(self) -> str:
        """What it says it is (OCPP 1.6 ChargePointStatus)."""
        if self.session is not None:
            return "Charging" if self.power_w > 0 else "SuspendedEVSE"
        if self.vehicle is not None:
            return "Preparing"
        return "Reserved" if self.reserved else "Available"

    def pass_time(self, seconds: float, limit_w: float) -> None:
        """Let the vehicle charge for a while, within a limit; below the least nothing flows."""
        offered_w = min(limit_w, self.power_max_w)
        if self.session is None or self.vehicle is None or offered_w < self.least_w:
            self.power_w = 0.0
            return
        self.power_w = self.vehicle.power_w(offered_w)
        self.register_wh += self.vehicle.charge(self.power_w, seconds)

    def keeps_out(self, token: str, now_s: float) -> bool:
        """Tell whether a token is turned away as the connector is reserved for another."""
        if self.reserved is not None and self.reserved[2] <= now_s:
            self.reserved = None
        return self.reserved is not None and self.reserved[1].upper() != token.upper()
