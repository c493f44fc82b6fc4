"""What the information layer knows of sensors: their types, whose they are, what their values are about."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta

from behaviours.decisions.sample_cleansing import SampleRules
from ontology.base import Concept
from ontology.errors import InvalidInput, Problem, problem
from ontology.measurements import Quantity, Sensor, SensorType

__all__ = ["STANDARD_TYPES", "Catalogue", "KnownSensor", "SensorSettings", "SiteSensors"]

HOUR_S = 3_600

TypeName = Literal[
    "site-power",
    "import-register",
    "export-register",
    "power",
    "energy-register",
    "voltage",
    "current",
    "frequency",
    "temperature",
    "state-of-charge",
    "irradiance",
    "wind-speed",
    "ratio",
]


class _Standard(NamedTuple):
    """A type of sensor: quantity, unit, bounds, resolution, and after how long it is frozen (0: never)."""

    quantity: Quantity
    unit: str
    low: float
    high: float
    resolution: float
    frozen_after_s: int = 0


STANDARD_TYPES: Mapping[str, _Standard] = {
    "site-power": _Standard(Quantity.ACTIVE_POWER_W, "W", -250_000, 250_000, 1, HOUR_S),
    "import-register": _Standard(Quantity.ENERGY_WH, "Wh", 0, 1e10, 1),
    "export-register": _Standard(Quantity.ENERGY_WH, "Wh", 0, 1e10, 1),
    "power": _Standard(Quantity.ACTIVE_POWER_W, "W", -250_000, 250_000, 1, HOUR_S),
    "energy-register": _Standard(Quantity.ENERGY_WH, "Wh", 0, 1e10, 1),
    "voltage": _Standard(Quantity.VOLTAGE_V, "V", 0, 500, 0.1, HOUR_S),
    "current": _Standard(Quantity.CURRENT_A, "A", 0, 1_000, 0.1, HOUR_S),
    "frequency": _Standard(Quantity.FREQUENCY_HZ, "Hz", 45, 55, 0.01, HOUR_S),
    "temperature": _Standard(Quantity.TEMPERATURE_DEGC, "degC", -50, 120, 0.5, 12 * HOUR_S),
    "state-of-charge": _Standard(Quantity.STATE_OF_CHARGE, "", 0, 1, 0.01),
    "irradiance": _Standard(Quantity.IRRADIANCE_W_PER_M2, "W/m2", 0, 1_500, 5, HOUR_S),
    "wind-speed": _Standard(Quantity.WIND_SPEED_M_PER_S, "m/s", 0, 75, 0.5, HOUR_S),
    "ratio": _Standard(Quantity.RATIO, "", 0, 1, 0.01),
}
"""Types that sensors may have: plausible bounds of each (SPEC 3.4, 4.1)."""


class SensorSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One sensor of a site."""

    id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$", description="unique in its site")]
    type: Annotated[TypeName, Meta(description="what it measures, with its plausible bounds")]
    asset: Annotated[str, Meta(description="device that it is part of; empty: the sensor's own id")] = ""
    period_s: Annotated[int, Meta(ge=1, le=900, description="seconds from one sample to the next")] = 10
    low: Annotated[float | None, Meta(description="least plausible value; none: the type's")] = None
    high: Annotated[float | None, Meta(description="greatest plausible value; none: the type's")] = None


class SiteSensors(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A site and its sensors."""

    site: Annotated[
        str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$", description="also the name of its gateway's account")
    ]
    sensors: Annotated[tuple[SensorSettings, ...], Meta(description="what its gateway may send")]


class KnownSensor(NamedTuple):
    """A sensor as the pipeline sees it; `subject` is what its values are about in the repository."""

    sensor_id: str
    site: str
    subject: str
    type: str
    rules: SampleRules

    @property
    def key(self) -> str:
        """The name of the sensor among those of all sites."""
        return f"{self.site}/{self.sensor_id}"

    @property
    def meters_site(self) -> bool:
        """Whether its values are of the site's connection point, and make interval readings."""
        return self.type in ("site-power", "import-register", "export-register")


class Catalogue:
    """All sensors by site and id.

    Raises: InvalidInput naming every sensor that is there twice, bounds that are not ordered, and sites
    that would be metered twice.
    """

    def __init__(self, sites: Iterable[SiteSensors]) -> None:
        self._sensors: dict[tuple[str, str], KnownSensor] = {}
        problems: list[Problem] = []
        for site in sites:
            for index, settings in enumerate(site.sensors):
                path = f"{site.site}.sensors[{index}]"
                if (site.site, settings.id) in self._sensors:
                    problems.append(problem(f"{path}.id", settings.id, "an id that the site has not yet"))
                sensor = _known(site.site, settings)
                if sensor.rules.low >= sensor.rules.high:
                    problems.append(problem(f"{path}.low", sensor.rules.low, f"below {sensor.rules.high}"))
                self._sensors[site.site, settings.id] = sensor
            problems.extend(self._metered_twice(site))
        problems.extend(self._confused())
        if problems:
            raise InvalidInput(problems)

    def _metered_twice(self, site: SiteSensors) -> list[Problem]:
        types = [each.type for each in site.sensors]
        registers = {"import-register", "export-register"} & {*types}
        doubled = [
            name for name in ("site-power", "import-register", "export-register") if types.count(name) > 1
        ]
        if registers and "site-power" in types:
            doubled.append("site-power")
        return [
            problem(f"{site.site}.sensors", name, "one meter a site: power, or a register each way")
            for name in doubled
        ]

    def _confused(self) -> list[Problem]:
        """Complain of sensors that measure the same quantity of the same device."""
        problems, known = [], dict[tuple[str, Quantity], KnownSensor]()
        for sensor in self._sensors.values():
            other = known.setdefault((sensor.subject, sensor.rules.quantity), sensor)
            if other is not sensor:
                expected = f"another device than that of {other.key}, which measures the same"
                problems.append(problem(f"{sensor.key}.asset", sensor.subject, expected))
        return problems

    def find(self, site: str, sensor_id: str) -> KnownSensor | None:
        """Return a site's sensor, if it has such a one."""
        return self._sensors.get((site, sensor_id))

    def sensors(self) -> Sequence[KnownSensor]:
        """Return all sensors."""
        return list(self._sensors.values())

    def concepts(self) -> list[Concept]:
        """Return types and sensors as the repository keeps them."""
        used = {sensor.type for sensor in self._sensors.values()}
        kinds = [
            SensorType(
                sensor_type_id=name,
                quantity=kind.quantity,
                unit=kind.unit,
                resolution=kind.resolution,
                range_min=kind.low,
                range_max=kind.high,
            )
            for name, kind in STANDARD_TYPES.items()
            if name in used
        ]
        sensors = [
            Sensor(
                sensor_id=sensor.key,
                sensor_type_id=sensor.type,
                asset_id=sensor.subject,
                sampling_period_s=sensor.rules.period_s,
            )
            for sensor in self._sensors.values()
        ]
        return [*kinds, *sensors]


def _known(site: str, settings: SensorSettings) -> KnownSensor:
    kind = STANDARD_TYPES[settings.type]
    rules = SampleRules(
        quantity=kind.quantity,
        low=kind.low if settings.low is None else settings.low,
        high=kind.high if settings.high is None else settings.high,
        resolution=kind.resolution,
        period_s=settings.period_s,
        frozen_after_s=kind.frozen_after_s,
    )
    own = site if settings.type == "site-power" else f"{site}-{settings.id}"
    return KnownSensor(settings.id, site, settings.asset or own, settings.type, rules)
