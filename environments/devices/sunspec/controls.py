"""Having a SunSpec device obey: caps and set-points, and after which time it falls back by itself.

```
123  immediate controls    WMaxLimPct with WMaxLimPct_RvrtTms: generates freely after it
704  DER AC controls       WMaxLimPct and WSet with RvrtTms, and a value to fall back to
124  basic storage         InWRte, OutWRte with InOutWRte_RvrtTms: goes its own way after it
```
The time is written before what it guards, and the switch (Ena, StorCtl_Mod) last, so a device never obeys
without a limit in time.
"""

from math import floor
from typing import NamedTuple

from behaviours.decisions.orders_in_force import Wanted
from environments.devices.sunspec.discovery import Chain
from environments.devices.sunspec.models import SunSpecModel
from environments.devices.sunspec.unit import SunSpecUnit
from ontology.errors import Refused

__all__ = ["BatteryControl", "CapControl", "Fallback"]

_ON, _OFF = 1, 0
_WATTS = 1
_CHARGE, _DISCHARGE = 1, 2
_FREE_PERCENT = 100.0


class Fallback(NamedTuple):
    """What is to become of a device that is not told any more.

    `power_w` is what it then does (W, consumption positive; None: its own way). Without a watchdog of its own
    a device does the last thing for ever: it is told nothing unless `is_optional`.
    """

    power_w: int | None = None
    is_optional: bool = False


class CapControl:
    """Caps what an inverter generates."""

    def __init__(self, unit: SunSpecUnit, fallback: Fallback) -> None:
        """Prepare to cap a unit."""
        self._unit, self._fallback = unit, fallback

    async def obey(self, wanted: Wanted, holds_s: int) -> None:
        """Cap the plant's production, whichever sign the order is written with.

        Raises: Unavailable, Refused.
        """
        chain = await self._unit.read((704, 123), (702, 121, 120))
        cap_w = cap_of(wanted)
        model = chain.first(704, 123)
        if model is None:
            raise Refused("the inverter has neither model 704 nor 123: it cannot be capped")
        percent = _percent(cap_w, _rated_w(chain), model.step("WMaxLimPct"))
        if model.model_id == 704:
            values = {"WMaxLimPctRvrtTms": float(holds_s), **self._reverting(model, chain)}
            values |= {"WMaxLimPct": percent, "WMaxLimPctEna": _ON}
        else:
            if self._fallback.power_w is not None:
                raise Refused("model 123 has no value to fall back to: leave out fallback_w")
            values = {"WMaxLimPct_RvrtTms": float(holds_s), "WMaxLimPct": percent, "WMaxLim_Ena": _ON}
        await self._unit.write(model, _guarded(model, values, self._fallback))

    async def release(self) -> None:
        """Let the inverter generate freely.

        Raises: Unavailable, Refused.
        """
        chain = await self._unit.read((704, 123))
        model = chain.first(704, 123)
        if model is not None:
            switch = "WMaxLimPctEna" if model.model_id == 704 else "WMaxLim_Ena"
            await self._unit.write(model, {"WMaxLimPct": _FREE_PERCENT, switch: _OFF})

    def _reverting(self, model: SunSpecModel, chain: Chain) -> dict[str, float]:
        if self._fallback.power_w is None:
            return {"WMaxLimPctEnaRvrt": _OFF} if _implements(model, "WMaxLimPctEnaRvrt") else {}
        percent = _percent(abs(self._fallback.power_w), _rated_w(chain), model.step("WMaxLimPct"))
        return {"WMaxLimPctRvrt": percent, "WMaxLimPctEnaRvrt": _ON}


class BatteryControl:
    """Has a battery charge and discharge."""

    def __init__(self, unit: SunSpecUnit, fallback: Fallback) -> None:
        """Prepare to steer a unit."""
        self._unit, self._fallback = unit, fallback

    async def obey(self, wanted: Wanted, holds_s: int) -> None:
        """Have the battery charge (W positive) or discharge, or stay within limits.

        Raises: Unavailable, Refused.
        """
        chain = await self._unit.read((704, 124))
        if (model := chain.first(704)) is not None and _implements(model, "WSetEna"):
            values = self._by_watts(model, wanted, holds_s)
        elif (model := chain.first(124)) is not None:
            values = self._by_rates(model, wanted, holds_s)
        else:
            raise Refused("the device has neither set-points of model 704 nor model 124")
        await self._unit.write(model, _guarded(model, values, self._fallback))

    async def release(self) -> None:
        """Let the battery go its own way.

        Raises: Unavailable, Refused.
        """
        chain = await self._unit.read((704, 124))
        if (model := chain.first(704)) is not None and _implements(model, "WSetEna"):
            await self._unit.write(model, {"WSetEna": _OFF})
        elif (model := chain.first(124)) is not None:
            await self._unit.write(model, {"StorCtl_Mod": 0, "InWRte": 100.0, "OutWRte": 100.0})

    def _by_watts(self, model: SunSpecModel, wanted: Wanted, holds_s: int) -> dict[str, float]:
        """Model 704 counts injection positive. It knows no limit of charging: who is only limited rests."""
        told_w = _rest_within(wanted) if wanted.setpoint_w is None else wanted.setpoint_w
        values: dict[str, float] = {"WSetRvrtTms": float(holds_s)}
        if self._fallback.power_w is not None:
            values |= {"WSetRvrt": -float(self._fallback.power_w), "WSetEnaRvrt": _ON}
        elif _implements(model, "WSetEnaRvrt"):
            values["WSetEnaRvrt"] = _OFF
        return values | {"WSetMod": _WATTS, "WSet": -told_w, "WSetEna": _ON}

    def _by_rates(self, model: SunSpecModel, wanted: Wanted, holds_s: int) -> dict[str, float]:
        """Model 124 limits both directions; a negative limit of one forces the other."""
        if self._fallback.power_w is not None:
            raise Refused("model 124 has no value to fall back to: leave out fallback_w")
        most_w = model.number("WChaMax")
        if not most_w:
            raise Refused("the battery does not say its greatest power (124.WChaMax)")
        low = wanted.setpoint_w if wanted.setpoint_w is not None else wanted.power_min_w
        high = wanted.setpoint_w if wanted.setpoint_w is not None else wanted.power_max_w
        mode = (_CHARGE if high is not None else 0) | (_DISCHARGE if low is not None else 0)
        into = _FREE_PERCENT if high is None else _signed_percent(high, most_w)
        out = _FREE_PERCENT if low is None else _signed_percent(-low, most_w)
        return {"InOutWRte_RvrtTms": float(holds_s), "InWRte": into, "OutWRte": out, "StorCtl_Mod": mode}


def cap_of(wanted: Wanted) -> float:
    """Return the cap on production in W that an order is: set-point, lower limit or lone upper one."""
    caps = [wanted.setpoint_w, wanted.power_min_w]
    if wanted.power_min_w is None:
        caps.append(wanted.power_max_w)
    return min(abs(each) for each in caps if each is not None)


def _rest_within(wanted: Wanted) -> float:
    """Return the power next to none that limits allow."""
    low = -float("inf") if wanted.power_min_w is None else wanted.power_min_w
    high = float("inf") if wanted.power_max_w is None else wanted.power_max_w
    return float(min(max(0.0, low), high))


def _guarded(model: SunSpecModel, values: dict[str, float], fallback: Fallback) -> dict[str, float]:
    """Return what is to be written; what guards it in time must be there unless that is waived."""
    timers = [name for name in values if name.endswith("RvrtTms")]
    missing = [name for name in timers if not _implements(model, name)]
    if missing and not fallback.is_optional:
        raise Refused(
            f"the device has no watchdog ({model.model_id}.{missing[0]}): it would go on for ever"
            " when nobody tells it any more; without_watchdog allows that"
        )
    return {name: value for name, value in values.items() if name not in missing}


def _implements(model: SunSpecModel, point: str) -> bool:
    return model.has(point) and model.value(point) is not None


def _rated_w(chain: Chain) -> float:
    """Return what percentages of an inverter are of: the set maximum, else the nameplate's."""
    for model_id, point in ((702, "WMax"), (121, "WMax"), (702, "WMaxRtg"), (120, "WRtg")):
        model = chain.first(model_id)
        rated_w = None if model is None else model.number(point)
        if rated_w:
            return rated_w
    raise Refused("the inverter does not say its greatest power (702 or 121 WMax, 120 WRtg)")


def _percent(power_w: float, rated_w: float, step: float) -> float:
    """Return a share in steps that the device knows, rounded down: a cap is not to be exceeded."""
    percent = min(_FREE_PERCENT, max(0.0, 100 * power_w / rated_w))
    return floor(percent / step + 1e-9) * step


def _signed_percent(power_w: float, rated_w: float) -> float:
    return min(_FREE_PERCENT, max(-_FREE_PERCENT, 100 * power_w / rated_w))
