"""What charge points measure, made of their meter values in both versions of OCPP."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

__all__ = ["EnergyRegister", "MeterSample", "samples_in"]

_SCALE = {"": 1.0, "WH": 1.0, "KWH": 1_000.0, "W": 1.0, "KW": 1_000.0, "PERCENT": 1.0, "A": 1.0, "V": 1.0}
_ENERGY = "Energy.Active.Import.Register"
_POWER_IN, _POWER_OUT = "Power.Active.Import", "Power.Active.Export"
_STATE = "SoC"
_LONGEST_GAP = 1.5
_SLACK_WH = 1_000.0
_ROUNDING_WH = 10.0
"""By how much a register seems to go back when messages round it differently (kWh to two decimals)."""


class MeterSample(NamedTuple):
    """What was measured at a time: the register in Wh, the power in W, how full the vehicle is (0 to 1)."""

    timestamp: str
    energy_wh: float | None = None
    power_w: float | None = None
    state_of_charge: float | None = None


class EnergyRegister(msgspec.Struct, frozen=True, kw_only=True):
    """What a session got, by a meter that may begin anew: Wh delivered, and where the register stood last."""

    delivered_wh: float = 0.0
    last_wh: float | None = None
    time_s: int = 0

    def advanced(self, energy_wh: float, time_s: int, power_max_w: float) -> "EnergyRegister":
        """Return the register after a reading.

        A register below the last has begun at zero again (a charge point that was reset). A gain that cannot
        be, by half more than the most in the time and 1 kWh, is a register of another beginning: no gain.

        Args:
            energy_wh: the register.
            time_s: when; an older reading than the last changes nothing.
            power_max_w: the most that can flow.
        """
        if time_s < self.time_s or energy_wh < 0:
            return self
        if self.last_wh is not None and 0 < self.last_wh - energy_wh <= _ROUNDING_WH:
            energy_wh = self.last_wh
        if self.last_wh is None:
            return EnergyRegister(delivered_wh=self.delivered_wh, last_wh=energy_wh, time_s=time_s)
        most_wh = _LONGEST_GAP * power_max_w * (time_s - self.time_s) / 3_600 + _SLACK_WH
        gained_wh = energy_wh - self.last_wh if energy_wh >= self.last_wh else energy_wh
        if gained_wh > most_wh:
            gained_wh = 0.0
        return EnergyRegister(delivered_wh=self.delivered_wh + gained_wh, last_wh=energy_wh, time_s=time_s)


def samples_in(meter_values: Iterable[Mapping[str, Any]]) -> list[MeterSample]:
    """Return the samples of a MeterValues, StopTransaction or TransactionEvent message, in its order.

    Args:
        meter_values: as the ocpp library hands them over, keys in snake case. Values without a phase count
            for all; phases are added up where there is no such value. What is no number is left out.
    """
    return [_sample(str(each.get("timestamp", "")), each.get("sampled_value") or ()) for each in meter_values]


def _sample(timestamp: str, values: Sequence[Mapping[str, Any]]) -> MeterSample:
    power_in, power_out = _total(values, _POWER_IN), _total(values, _POWER_OUT)
    power_w = None if power_in is None and power_out is None else (power_in or 0.0) - (power_out or 0.0)
    state = _total(values, _STATE)
    return MeterSample(
        timestamp,
        _total(values, _ENERGY),
        power_w,
        None if state is None else min(1.0, max(0.0, state / 100)),
    )


def _total(values: Sequence[Mapping[str, Any]], measurand: str) -> float | None:
    """Return the value of a measurand: the whole's, or the sum of the phases'."""
    whole, phases = None, dict[str, float]()
    for each in values:
        if each.get("measurand", _ENERGY) != measurand or each.get("location", "Outlet") not in _LOCATIONS:
            continue
        number = _number(each)
        if number is None:
            continue
        if each.get("phase"):
            phases[str(each["phase"])[:2]] = number
        else:
            whole = number
    if whole is not None or not phases:
        return whole
    return sum(phases.values())


_LOCATIONS = ("Outlet", "EV")


def _number(value: Mapping[str, Any]) -> float | None:
    """Return a sampled value in Wh, W or percent; None where it is none (signed data, text, not a number)."""
    unit, multiplier = str(value.get("unit", "")), 0
    measure = value.get("unit_of_measure")
    if isinstance(measure, Mapping):
        unit, multiplier = str(measure.get("unit", "")), int(measure.get("multiplier", 0))
    scale = _SCALE.get(unit.upper())
    try:
        number = float(value.get("value", ""))
    except (TypeError, ValueError):
        return None
    if scale is None or not math.isfinite(number) or value.get("format") == "SignedData":
        return None
    if not -9 <= multiplier <= 9:
        return None
    return number * scale * 10.0**multiplier
