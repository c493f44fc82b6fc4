"""The registers of a SunSpec model, read and written by the SunSpec Alliance's definitions."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from math import isfinite
from typing import Any

from sunspec2 import device as sunspec
from sunspec2 import mb, mdef

from ontology.errors import Refused

__all__ = ["SunSpecModel", "is_known", "registers_in"]

Value = float | int | str

_SCALES = range(-10, 11)
"""Powers of ten that a scale factor may be (SunSpec Information Model Specification, sunssf)."""

_RANGES = {
    "int16": (-(2**15) + 1, 2**15 - 1),
    "uint16": (0, 2**16 - 2),
    "int32": (-(2**31) + 1, 2**31 - 1),
    "uint32": (0, 2**32 - 2),
    "enum16": (0, 2**16 - 2),
    "bitfield16": (0, 2**16 - 2),
}
"""What a point can hold that is not "not implemented"."""


@lru_cache(maxsize=200)
def is_known(model_id: int) -> bool:
    """Tell whether there is a definition of a model."""
    try:
        sunspec.get_model_def(model_id)
    except mdef.ModelDefinitionError:
        return False
    return True


class SunSpecModel:
    """One model of a device: where it is, and what its registers said last.

    A point that is not implemented, or whose scale factor is not, has no value: None.
    """

    def __init__(self, model_id: int, address: int, length: int) -> None:
        """Note a model; `length` is that of its registers after ID and L."""
        self.model_id, self.address, self.length = model_id, address, length
        self._model = _decoded(model_id, length, b"")

    def __repr__(self) -> str:
        return f"SunSpecModel({self.model_id} at {self.address}, {self.length} registers)"

    def take(self, registers: Sequence[int]) -> None:
        """Take what was read, ID and L included."""
        raw = b"".join(each.to_bytes(2, "big") for each in registers)
        self._model = _decoded(self.model_id, self.length, raw)

    def has(self, point: str) -> bool:
        """Tell whether the model's definition has a point."""
        return point in self._model.points

    def value(self, point: str) -> Value | None:
        """Return a point in its unit; None where it is not implemented."""
        return _value(self._model, self._model.points, point)

    def number(self, point: str) -> float | None:
        """Return a number in its unit; None where it is not implemented."""
        found = self.value(point)
        return None if found is None or isinstance(found, str) else float(found)

    def block(self, group: str) -> list[dict[str, Value | None]]:
        """Return the points of each block of a group."""
        found = self._model.groups.get(group, [])
        blocks = found if isinstance(found, list) else [found]
        return [
            {name: _value(self._model, each.points, name, each.points) for name in each.points}
            for each in blocks
        ]

    def points(self) -> Iterator[tuple[str, Value | None, str]]:
        """Yield name, value and unit of each point, scale factors and padding left out."""
        for name, point in self._model.points.items():
            if name not in ("ID", "L") and point.pdef["type"] not in ("sunssf", "pad"):
                yield name, self.value(name), str(point.pdef.get("units") or "")

    def is_writable(self, point: str) -> bool:
        """Tell whether the definition lets a point be written."""
        return self.has(point) and self._model.points[point].pdef.get("access") == "RW"

    def step(self, point: str) -> float:
        """Return the smallest difference that a point can tell; 1 where its scale factor is not there."""
        found = self._model.points.get(point)
        factor = None if found is None else _factor(self._model, found, self._model.points)
        return 1.0 if factor is None else float(10.0**factor)

    def registers(self, point: str, value: float) -> tuple[int, list[int]]:
        """Return where a value is to be written, and what.

        Raises: Refused when the device has no such point or scale factor, or the value does not fit.
        """
        if not self.is_writable(point):
            raise Refused(f"model {self.model_id} has no writable point {point}")
        found = self._model.points[point]
        factor = _factor(self._model, found, self._model.points)
        if factor is None:
            raise Refused(f"the device gives no scale factor for {self.model_id}.{point}")
        number = round(value / 10**factor) if factor >= 0 else round(value * 10**-factor)
        low, high = _RANGES.get(found.pdef["type"], (0, 0))
        if not low <= number <= high:
            raise Refused(f"{self.model_id}.{point} cannot hold {value:g}")
        raw = found.info.to_data(number, found.len * 2)
        return self.address + found.offset, registers_in(raw)


def registers_in(raw: bytes) -> list[int]:
    """Return bytes as registers."""
    return [int.from_bytes(raw[at : at + 2], "big") for at in range(0, len(raw), 2)]


def _decoded(model_id: int, length: int, raw: bytes) -> Any:
    """Return the model as its definition reads it; a device's may be shorter or longer than that."""
    try:
        return sunspec.Model(model_id=model_id, model_len=length, data=raw)
    except (sunspec.ModelError, mdef.ModelDefinitionError, mb.SunSpecError, ValueError, TypeError):
        return sunspec.Model(model_id=None)


def _value(model: Any, points: Any, name: str, nearby: Any = None) -> Value | None:
    point = points.get(name)
    value = None if point is None else point.value
    if value is None:
        return None
    if isinstance(value, str):
        return value.strip("\0 ").strip()
    factor = _factor(model, point, nearby or points)
    if factor is None or not isfinite(value):
        return None
    if not factor:
        return value  # type: ignore[no-any-return]
    return value * 10**factor if factor > 0 else value / 10**-factor  # type: ignore[no-any-return]


def _factor(model: Any, point: Any, nearby: Any) -> int | None:
    """Return the power of ten that a point counts in; None where the device does not say."""
    if not point.sf_required:
        return 0
    if point.sf is None:
        return int(point.sf_value)
    scale = nearby.get(point.sf) or model.points.get(point.sf)
    factor = None if scale is None else scale.value
    return int(factor) if factor is not None and factor in _SCALES else None
