"""A site of a simulated world as SunSpec devices on a socket: PV inverter, battery and meter.

```
unit 1  inverter  models 1, 103, 120, 121, 123
unit 2  battery   models 1, 701, 702, 704, 713
unit 3  meter     models 1, 203
```
What is written to the controls steers the world's plant and battery; what the world does stands in the
registers.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from behaviours.ports import Clock
from environments.devices.modbus.address import ModbusAddress
from environments.devices.sunspec.server import SunSpecServer, UnitImage
from environments.simulation.world import World
from environments.simulation.world.devices import Battery, Plant, SiteDevice
from environments.simulation.world.energy import DEVICES
from ontology.control import Instruction

__all__ = ["BATTERY_UNIT", "INVERTER_UNIT", "METER_UNIT", "SunSpecSite"]

INVERTER_UNIT, BATTERY_UNIT, METER_UNIT = 1, 2, 3

_PV, _BATTERY = DEVICES.index("pv"), DEVICES.index("battery")
_LINE_VOLTAGE_V = 400
_PHASE_VOLTAGE_V = 230
_MPPT, _THROTTLED, _SLEEPING = 4, 5, 2
_RUNNING = 3


def _common(model: str, serial: str) -> tuple[int, Mapping[str, Any]]:
    return 1, {"Mn": "parity-mas", "Md": model, "Vr": "1", "SN": serial}


class SunSpecSite:
    """One site of a world behind a Modbus server; `step` lets time pass."""

    def __init__(self, world: World, site_id: str, clock: Clock, address: ModbusAddress) -> None:
        """Put a site's plant, battery and meter behind a server.

        Args:
            world: it moves on by `step` only.
            site_id: one of its sites.
            clock: by which controls fall back: the machine's time.
            address: where to listen; port 0 is a free one.

        Raises: InvalidInput when there is no such site.
        """
        self._world, self._site = world, world.site_index(site_id)
        devices = {type(each): each for each in world.devices(site_id)}
        self._plant: SiteDevice | None = devices.get(Plant)
        self._battery: SiteDevice | None = devices.get(Battery)
        self._imported_wh = self._exported_wh = self._generated_wh = 0.0
        settings = world.settings.sites[self._site]
        self._rated_w = round(1000 * settings.pv.kwp / 1.1) if settings.pv is not None else 0
        self.images = {
            unit: image
            for unit, image in (
                (INVERTER_UNIT, self._inverter(site_id, clock)),
                (BATTERY_UNIT, self._storage(site_id, clock)),
                (METER_UNIT, _meter(site_id, clock)),
            )
            if image is not None
        }
        self.server = SunSpecServer(list(self.images.values()), address)
        self._tell()

    def step(self) -> None:
        """Have the devices do what their registers say, let a step of the world pass, and show it."""
        for image in self.images.values():
            image.revert()
        self._steer()
        self._world.step()
        hours = self._world.settings.step_s / 3600
        net_w = float(self._world.power_w[:, self._site].sum())
        self._imported_wh += max(0.0, net_w) * hours
        self._exported_wh += max(0.0, -net_w) * hours
        self._generated_wh += self._generated_w * hours
        self._tell()

    @property
    def _generated_w(self) -> float:
        return max(0.0, -float(self._world.power_w[_PV, self._site]))

    def _inverter(self, site_id: str, clock: Clock) -> UnitImage | None:
        if self._plant is None:
            return None
        rated_w = self._rated_w
        measured = {
            **{"A_SF": -2, "V_SF": -1, "W_SF": 0, "Hz_SF": -2, "WH_SF": 0, "Tmp_SF": 0},
            **{"PhVphA": 2300, "PhVphB": 2300, "PhVphC": 2300, "TmpCab": 40, "Evt1": 0, "Evt2": 0},
        }
        nameplate = {
            **{"DERTyp": 4, "WRtg": rated_w, "WRtg_SF": 0, "VARtg": rated_w, "VARtg_SF": 0},
            **{"VArRtg_SF": 0, "ARtg_SF": 0, "PFRtg_SF": -2, "ARtg": round(rated_w / 690)},
        }
        settings = {"WMax": rated_w, "WMax_SF": 0, "VRef": 230, "VRef_SF": 0, "VRefOfs": 0, "VRefOfs_SF": 0}
        controls = {
            **{"WMaxLimPct_SF": -2, "OutPFSet_SF": -2, "Conn": 1, "WMaxLimPct": 10_000, "WMaxLim_Ena": 0},
            **{"WMaxLimPct_RvrtTms": 0, "OutPFSet": 100, "OutPFSet_Ena": 0, "VArPct_Ena": 0},
        }
        models = [
            _common("Inverter", f"{site_id}-pv"),
            (103, measured),
            (120, nameplate),
            (121, settings),
            (123, controls),
        ]
        return UnitImage(INVERTER_UNIT, models, clock)

    def _storage(self, site_id: str, clock: Clock) -> UnitImage | None:
        if self._battery is None:
            return None
        power_w = round(float(self._world.batteries.power_max_w[self._site]))
        capacity_wh = float(self._world.batteries.capacity_wh[self._site])
        scale = 0 if capacity_wh < 60_000 else 3
        measured = {"ACType": 2, "St": 1, "InvSt": _RUNNING, "ConnSt": 1, "Alrm": 0, "W_SF": 0, "Hz_SF": -2}
        rated = {"W_SF": 0, **dict.fromkeys(("WMaxRtg", "WChaRteMaxRtg", "WDisChaRteMaxRtg"), power_w)}
        rated |= dict.fromkeys(("WMax", "WChaRteMax", "WDisChaRteMax"), power_w)
        controls = {
            **{"WMaxLimPct_SF": -1, "WSet_SF": 0, "WMaxLimPctEna": 0, "WMaxLimPct": 1000, "WSetEna": 0},
            **{"WMaxLimPctRvrt": 1000, "WMaxLimPctEnaRvrt": 0, "WMaxLimPctRvrtTms": 0, "WSetMod": 1},
            **{"WMaxLimPctRvrtRem": 0, "WSet": 0, "WSetRvrt": 0, "WSetEnaRvrt": 0, "WSetRvrtTms": 0},
            **{"WSetRvrtRem": 0},
        }
        held = {"WHRtg": round(capacity_wh / 10**scale), "WH_SF": scale, "Pct_SF": -1, "SoH": 1000, "Sta": 0}
        models = [
            _common("Battery", f"{site_id}-bess"),
            (701, measured),
            (702, rated),
            (704, controls),
            (713, held),
        ]
        return UnitImage(BATTERY_UNIT, models, clock)

    def _steer(self) -> None:
        """Tell the world's devices for the next step what the controls say."""
        if self._plant is not None and self.images[INVERTER_UNIT].number(123, "WMaxLim_Ena"):
            percent = self.images[INVERTER_UNIT].number(123, "WMaxLimPct")
            self._plant.take(self._order("pv", power_min_w=-round(self._rated_w * percent / 100)))
        if self._battery is None:
            return
        image = self.images[BATTERY_UNIT]
        told_w = -round(image.number(704, "WSet")) if image.number(704, "WSetEna") else 0
        if image.number(704, "WMaxLimPctEna"):
            most_w = float(self._world.batteries.power_max_w[self._site])
            told_w = max(told_w, -round(most_w * image.number(704, "WMaxLimPct") / 100))
        self._battery.take(self._order("bess", setpoint_w=told_w))

    def _order(self, name: str, **what: int) -> Instruction:
        now_s = self._world.now_s
        until_s = now_s + self._world.settings.step_s
        site_id = self._world.settings.sites[self._site].id
        return Instruction(
            instruction_id=f"{name} {now_s}",
            asset_id=f"{site_id}-{name}",
            execution_time_s=now_s,
            valid_until_s=until_s,
            **what,  # type: ignore[arg-type]
        )

    def _tell(self) -> None:
        powers = self._world.power_w[:, self._site]
        hertz = self._world.frequency_hz
        if self._plant is not None:
            self._tell_inverter(self._generated_w, hertz)
        if self._battery is not None:
            image, state = self.images[BATTERY_UNIT], self._world.batteries.state_of_charge
            image.tell(701, {"W": -float(powers[_BATTERY]), "Hz": hertz})
            image.tell(713, {"SoC": 100 * float(state[self._site])})
        self._tell_meter(float(powers.sum()), hertz)

    def _tell_inverter(self, power_w: float, hertz: float) -> None:
        image = self.images[INVERTER_UNIT]
        is_capped = bool(image.number(123, "WMaxLim_Ena"))
        state = (_THROTTLED if is_capped else _MPPT) if power_w > 0 else _SLEEPING
        current_a = power_w / _PHASE_VOLTAGE_V
        phases = dict.fromkeys(("AphA", "AphB", "AphC"), current_a / 3)
        image.tell(
            103,
            {"W": power_w, "Hz": hertz, "WH": self._generated_wh, "St": state, "A": current_a, **phases},
        )

    def _tell_meter(self, power_w: float, hertz: float) -> None:
        current_a = power_w / _PHASE_VOLTAGE_V
        phases = dict.fromkeys(("AphA", "AphB", "AphC"), current_a / 3)
        self.images[METER_UNIT].tell(
            203,
            {
                **{"W": power_w, "Hz": hertz, "A": current_a, **phases},
                **{"TotWhImp": self._imported_wh, "TotWhExp": self._exported_wh},
            },
        )


def _meter(site_id: str, clock: Clock) -> UnitImage:
    volts: Sequence[str] = ("PhV", "PhVphA", "PhVphB", "PhVphC")
    lines: Sequence[str] = ("PPV", "PhVphAB", "PhVphBC", "PhVphCA")
    measured = {
        **{"A_SF": -2, "V_SF": -1, "Hz_SF": -2, "W_SF": 0, "TotWh_SF": 0, "Evt": 0},
        **dict.fromkeys(volts, 10 * _PHASE_VOLTAGE_V),
        **dict.fromkeys(lines, 10 * _LINE_VOLTAGE_V),
    }
    return UnitImage(METER_UNIT, [_common("Meter", f"{site_id}-meter"), (203, measured)], clock)
