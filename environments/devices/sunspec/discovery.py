"""Finding out what a SunSpec device is made of: its chain of models (SunSpec Device Information Model)."""

from collections.abc import Sequence
from typing import NamedTuple

from environments.devices.modbus.link import ModbusLink, RegistersRefused
from environments.devices.sunspec.models import SunSpecModel, is_known
from ontology.errors import Refused

__all__ = ["BASES", "Chain", "Nameplate", "NotSunSpec", "discovered", "read_model"]

BASES = (40_000, 50_000, 0)
"""Where a chain may begin."""

COMMON, END = 1, 0xFFFF
_MARK = (0x5375, 0x6E53)
"""`SunS`."""
_MODELS_MAX = 100


class NotSunSpec(Refused):
    """The unit answers, but not as a SunSpec device."""


class Nameplate(NamedTuple):
    """What a device's common model says of it."""

    manufacturer: str = ""
    model: str = ""
    version: str = ""
    serial: str = ""


class Chain(NamedTuple):
    """The models of a unit in their order, and what was wrong with the chain (empty: nothing)."""

    base: int
    models: tuple[SunSpecModel, ...]
    nameplate: Nameplate
    wrong: str = ""

    def first(self, *model_ids: int) -> SunSpecModel | None:
        """Return the model that is named first here and there, if there is one of them."""
        for model_id in model_ids:
            for model in self.models:
                if model.model_id == model_id:
                    return model
        return None


async def discovered(link: ModbusLink, unit: int, bases: Sequence[int] = BASES) -> Chain:
    """Return the chain of a unit.

    Raises: NotSunSpec when there is none, Unavailable when nobody answers.
    """
    for base in bases:
        try:
            mark = await link.read(unit, base, 2)
        except RegistersRefused:
            continue
        if tuple(mark) == _MARK:
            models, wrong = await _walk(link, unit, base + 2)
            return Chain(base, models, await _nameplate(link, unit, models), wrong)
    raise NotSunSpec(f"{link.address} unit {unit} has no SunSpec models at {', '.join(map(str, bases))}")


async def read_model(link: ModbusLink, unit: int, model: SunSpecModel) -> None:
    """Read a model's registers anew.

    Raises: NotSunSpec when another model stands there by now, Unavailable when the device does not answer.
    """
    registers = await link.read(unit, model.address, model.length + 2)
    if registers[:2] != [model.model_id, model.length]:
        raise NotSunSpec(
            f"{link.address} unit {unit} has model {registers[0]} of {registers[1]} registers at"
            f" {model.address}, where {model.model_id} of {model.length} was"
        )
    model.take(registers)


async def _walk(link: ModbusLink, unit: int, address: int) -> tuple[tuple[SunSpecModel, ...], str]:
    """Return the models from an address on, and why the walk ended before the chain's end."""
    models: list[SunSpecModel] = []
    while len(models) < _MODELS_MAX and address < 0xFFFF:
        try:
            model_id, length = await _header(link, unit, address)
        except RegistersRefused as refusal:
            return tuple(models), f"no end of the chain: {refusal}"
        if model_id == END:
            return tuple(models), ""
        if not 0 < length < 0xFFFF - address:
            return tuple(models), f"model {model_id} at {address} says that it has {length} registers"
        models.append(SunSpecModel(model_id, address, length))
        address += length + 2
    return tuple(models), "the chain has no end"


async def _header(link: ModbusLink, unit: int, address: int) -> tuple[int, int]:
    """Return ID and length; some devices have no length after the end mark."""
    try:
        model_id, length = await link.read(unit, address, 2)
    except RegistersRefused:
        (model_id,) = await link.read(unit, address, 1)
        if model_id != END:
            raise
        length = 0
    return model_id, length


async def _nameplate(link: ModbusLink, unit: int, models: Sequence[SunSpecModel]) -> Nameplate:
    common = next((each for each in models if each.model_id == COMMON), None)
    if common is None or not is_known(COMMON):
        return Nameplate()
    await read_model(link, unit, common)
    return Nameplate(*(str(common.value(point) or "") for point in ("Mn", "Md", "Vr", "SN")))
