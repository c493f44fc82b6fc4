"""What a SunSpec device reports: power with consumption positive, state of charge, counters."""

from typing import NamedTuple

from environments.devices.sunspec.discovery import Chain
from environments.devices.sunspec.models import SunSpecModel
from ontology.errors import Unavailable

__all__ = [
    "BATTERY_MODELS",
    "INVERTER_MODELS",
    "METER_MODELS",
    "Metered",
    "Stored",
    "metered",
    "nameplate_kw",
    "nameplate_kwh",
    "power_w",
    "stored",
]

INVERTER_MODELS = (701, 103, 102, 101, 113, 112, 111)
METER_MODELS = (203, 204, 202, 201, 213, 214, 212, 211)
BATTERY_MODELS = (713, 802, 124)
_MOST_W = 1e8
"""More than a site's devices have: a wrong scale factor."""
_STORAGE_PORT = 1
"""Of model 714: Prt.PrtTyp ESS."""


class Metered(NamedTuple):
    """What a meter says: W with import positive, Hz, and counters in Wh; None where it does not say."""

    power_w: float
    frequency_hz: float | None
    imported_wh: float | None
    exported_wh: float | None


class Stored(NamedTuple):
    """How full a battery is, and how healthy; shares of 1."""

    state_of_charge: float
    state_of_health: float


def power_w(chain: Chain, *, of_battery: bool = False) -> float:
    """Return the power at a device's terminals, or at its battery's, in W, consumption positive.

    SunSpec counts what a DER generates positive (model 701: "positive for DER generation").
    Raises: Unavailable when the device does not say.
    """
    generated_w = _battery_w(chain) if of_battery else _number(chain.first(*INVERTER_MODELS), "W")
    return -_believed_w(generated_w, "device")


def stored(chain: Chain) -> Stored:
    """Return how full the battery of a device is.

    Raises: Unavailable when the device does not say.
    """
    candidates = ((713, "SoC"), (802, "SoC"), (124, "ChaState"))
    charge = next((each for each in (_of(chain, *c) for c in candidates) if each is not None), None)
    health = next(
        (each for each in (_of(chain, 713, "SoH"), _of(chain, 802, "SoH")) if each is not None), 100.0
    )
    if charge is None or not -1 <= charge <= 101:
        raise Unavailable(f"the device says nothing believable of its state of charge ({charge})")
    return Stored(min(1.0, max(0.0, charge / 100)), min(1.0, max(0.0, health / 100)))


def metered(chain: Chain) -> Metered:
    """Return what a meter says.

    A counter that reads 0 is taken for one that has counted nothing: SunSpec has no other mark for it.
    Raises: Unavailable when it says nothing of its power.
    """
    model = chain.first(*METER_MODELS)
    present_w = _number(model, "W")
    present_w = _believed_w(present_w, "meter")
    assert model is not None
    imported, exported = _number(model, "TotWhImp"), _number(model, "TotWhExp")
    has_counters = model.has("TotWhImp") and model.number("TotWh_SF") is not None
    if model.model_id > 210:  # models with floating point have no scale factors
        has_counters = imported is not None or exported is not None
    return Metered(
        present_w,
        _number(model, "Hz"),
        (imported or 0.0) if has_counters else None,
        (exported or 0.0) if has_counters else None,
    )


def nameplate_kwh(chain: Chain) -> float | None:
    """Return what the battery of a device holds, in kWh, where the models that were read say."""
    found = (_of(chain, model_id, "WHRtg") for model_id in (713, 802, 120))
    return next((round(each / 1000, 2) for each in found if each), None)


def nameplate_kw(chain: Chain) -> float | None:
    """Return a device's greatest power, in kW, where the models that were read say."""
    found = (_of(chain, *each) for each in ((702, "WMaxRtg"), (120, "WRtg"), (124, "WChaMax")))
    return next((round(each / 1000, 2) for each in found if each), None)


def _battery_w(chain: Chain) -> float | None:
    """Return the power that a battery gives, from its own model or from the ports of its inverter."""
    own = _of(chain, 802, "W")
    if own is not None:
        return own
    ports = chain.first(714)
    blocks = [] if ports is None else ports.block("Prt")
    powers = [each["DCW"] for each in blocks if each.get("PrtTyp") == _STORAGE_PORT]
    known = [float(each) for each in powers if isinstance(each, int | float)]
    return sum(known) if known else None


def _believed_w(power_w: float | None, who: str) -> float:
    if power_w is None or abs(power_w) > _MOST_W:
        raise Unavailable(f"the {who} says nothing of its power" + (f" but {power_w:g} W" if power_w else ""))
    return power_w


def _of(chain: Chain, model_id: int, point: str) -> float | None:
    return _number(chain.first(model_id), point)


def _number(model: SunSpecModel | None, point: str) -> float | None:
    return None if model is None else model.number(point)
