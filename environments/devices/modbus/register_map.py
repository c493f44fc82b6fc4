"""How a device speaks Modbus, written down: its registers, their types, and what is written for an order.

```yaml
kind: storage                        # storage, power or meter: what it reports as
values:
  - {quantity: power_w, register: 30775, type: int32}
  - {quantity: state_of_charge, register: 30845, type: uint32, scale: 0.01}
commands:
  - for: setpoint_w
    writes:
      - {register: 40149, type: int32, sign: -1, minimum: -5000, maximum: 5000}
      - {register: 40151, type: uint32, constant: 802}
  - for: release
    writes: [{register: 40151, type: uint32, constant: 803}]
watchdog_s: 60
```

Registers are numbered as in the request, from 0. Values are `sign · scale · told + offset`, consumption
positive; what is written is the reverse.
"""

import struct
from collections.abc import Iterator, Sequence
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import yaml
from msgspec import Meta

from environments.wire.frames import frame_of
from ontology.errors import InvalidInput, Problem, Refused, problem

__all__ = [
    "MAPS",
    "RegisterCommand",
    "RegisterMap",
    "RegisterValue",
    "RegisterWrite",
    "encoded",
    "known_maps",
    "read_register_map",
    "required_map",
    "size_of",
    "told_in",
]

MAPS = Path(__file__).parent / "maps"
"""Maps that come with the software."""

_FORMATS = {
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "uint64": "Q",
    "float32": "f",
    "float64": "d",
}

RegisterType = Literal["int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"]
RegisterNumber = Annotated[int, Meta(ge=0, le=65_535, description="as in the request, from 0")]
WordOrder = Annotated[
    Literal["big", "little"],
    Meta(description="which of a value's registers comes first: the high one is big"),
]
Sign = Annotated[Literal[1, -1], Meta(description="-1 where the device counts consumption negative")]


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a register map."""


class RegisterValue(_Section, frozen=True, kw_only=True):
    """One value that the device tells."""

    quantity: Annotated[
        Literal["power_w", "state_of_charge", "imported_wh", "exported_wh", "frequency_hz"],
        Meta(description="what it is, in our unit; state_of_charge is a share of 1"),
    ]
    register: RegisterNumber
    type: RegisterType
    table: Annotated[Literal["holding", "input"], Meta(description="function 3 or 4")] = "holding"
    words: WordOrder = "big"
    scale: Annotated[float, Meta(description="our unit for one of the device's, such as 1000 for kW")] = 1.0
    sign: Sign = 1
    offset: Annotated[float, Meta(description="added after scaling")] = 0.0
    unit: Annotated[str, Meta(description="of the device, for the reader")] = ""
    minimum: Annotated[float | None, Meta(description="in our unit; below it nothing is believed")] = None
    maximum: Annotated[float | None, Meta(description="in our unit; above it nothing is believed")] = None
    not_implemented: Annotated[
        tuple[int, ...], Meta(description="numbers that mean that there is no value, as told")
    ] = ()


class RegisterWrite(_Section, frozen=True, kw_only=True):
    """What is written for an order: a constant, or what is wanted."""

    register: RegisterNumber
    type: RegisterType
    words: WordOrder = "big"
    constant: Annotated[float | None, Meta(description="none: what is wanted")] = None
    scale: Annotated[float, Meta(description="our unit for one of the device's")] = 1.0
    sign: Sign = 1
    minimum: Annotated[float | None, Meta(description="in our unit; the least that may be written")] = None
    maximum: Annotated[float | None, Meta(description="in our unit; the most that may be written")] = None
    verify: Annotated[bool, Meta(description="read it back, where the register can be read")] = True


class RegisterCommand(_Section, frozen=True, kw_only=True, rename={"is_for": "for"}):
    """What is written to have the device do something, in this order."""

    is_for: Annotated[
        Literal["setpoint_w", "power_max_w", "power_min_w", "release"],
        Meta(description="which part of an order; `release` gives the device back to itself"),
    ]
    writes: tuple[RegisterWrite, ...]


class RegisterMap(_Section, frozen=True, kw_only=True):
    """How a kind of device speaks Modbus."""

    kind: Annotated[Literal["storage", "power", "meter"], Meta(description="what its reports are")]
    values: Annotated[tuple[RegisterValue, ...], Meta(description="what it tells")]
    about: Annotated[
        str, Meta(max_length=2_000, description="which devices, and where the numbers are from")
    ] = ""
    commands: Annotated[tuple[RegisterCommand, ...], Meta(description="what it can be told")] = ()
    watchdog_s: Annotated[
        int,
        Meta(ge=0, le=3_600, description="after which it falls back when nobody writes; 0: it never does"),
    ] = 0


_KINDS = {"meter": "meter", "import": "meter", "bess": "storage"}
"""What a device must report as, by its name at the site; others report a power."""
_NEEDED = {"storage": ("power_w", "state_of_charge"), "power": ("power_w",), "meter": ("power_w",)}


def read_register_map(name: str, folder: Path = Path()) -> RegisterMap:
    """Return a map that comes with the software, by its name, or one from a file.

    Args:
        name: such as `eastron-sdm630`, or a file that ends in `.yaml`.
        folder: where files are looked for.

    Raises: InvalidInput with everything that is wrong with it.
    """
    path = folder / name if name.endswith((".yaml", ".yml")) else MAPS / f"{name}.yaml"
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        expected = f"a file of YAML, or one of {', '.join(known_maps())}"
        raise InvalidInput(problem("map", name, expected)) from None
    except yaml.YAMLError as error:
        raise InvalidInput(problem("map", name, f"YAML: {error}")) from None
    wrong = list(_shape_problems(content))
    if wrong:
        raise InvalidInput(wrong)
    found = frame_of(RegisterMap, content)
    wrong = list(_problems(found))
    if wrong:
        raise InvalidInput(wrong)
    return found


def required_map(device: str, name: str, folder: Path) -> RegisterMap:
    """Return the map of a device, which must be of the kind that its name at the site asks for.

    Raises: InvalidInput with everything that is wrong with it.
    """
    found, wanted = read_register_map(name, folder), _KINDS.get(device, "power")
    if found.kind != wanted:
        raise InvalidInput(problem("map", f"{name} is of a {found.kind}", f"one of a {wanted}"))
    return found


def known_maps() -> list[str]:
    """Return the names of the maps that come with the software."""
    return sorted(path.stem for path in MAPS.glob("*.yaml"))


def size_of(kind: RegisterType) -> int:
    """Return how many registers a value takes."""
    return struct.calcsize(_FORMATS[kind]) // 2


def told_in(registers: Sequence[int], value: RegisterValue) -> float | None:
    """Return a value in our unit and sign, or None where it is marked as absent or not believable."""
    words = registers if value.words == "big" else list(reversed(registers))
    raw = b"".join(word.to_bytes(2, "big") for word in words)
    (number,) = struct.unpack(f">{_FORMATS[value.type]}", raw)
    if not isfinite(number) or number in value.not_implemented:
        return None
    ours = value.sign * value.scale * number + value.offset
    low = -float("inf") if value.minimum is None else value.minimum
    high = float("inf") if value.maximum is None else value.maximum
    return ours if low <= ours <= high else None


def encoded(write: RegisterWrite, wanted: float) -> list[int]:
    """Return the registers that say what is wanted, within the limits of the write.

    Raises: Refused when the type cannot hold it.
    """
    told = write.constant
    if told is None:
        low = wanted if write.minimum is None else max(wanted, write.minimum)
        told = write.sign * (low if write.maximum is None else min(low, write.maximum)) / write.scale
    number = told if write.type.startswith("float") else round(told)
    try:
        raw = struct.pack(f">{_FORMATS[write.type]}", number)
    except (struct.error, OverflowError):
        raise Refused(f"register {write.register} ({write.type}) cannot hold {told:g}") from None
    words = [int.from_bytes(raw[at : at + 2], "big") for at in range(0, len(raw), 2)]
    return words if write.words == "big" else words[::-1]


def _shape_problems(content: Any) -> Iterator[Problem]:
    """Yield what is wrong with each part of a map by itself."""
    yield from _part_problems(RegisterMap, content, "", ("values", "commands"))
    for path, value in _items(content, "values", "values"):
        yield from _part_problems(RegisterValue, value, path)
    for path, command in _items(content, "commands", "commands"):
        yield from _part_problems(RegisterCommand, command, path, ("writes",))
        for below, write in _items(command, "writes", f"{path}.writes"):
            yield from _part_problems(RegisterWrite, write, below)


def _part_problems(
    kind: type[msgspec.Struct], content: Any, path: str, lists: tuple[str, ...] = ()
) -> Iterator[Problem]:
    """Yield what is wrong with a part, but for what is in its lists."""
    if isinstance(content, dict):
        content = content | {name: [] for name in lists if isinstance(content.get(name), list)}
    try:
        frame_of(kind, content)
    except InvalidInput as error:
        for each in error.problems:
            yield problem(f"{path}.{each.path}".strip("."), each.value, each.expected)


def _items(content: Any, name: str, path: str) -> Iterator[tuple[str, Any]]:
    found = content.get(name) if isinstance(content, dict) else None
    for at, item in enumerate(found if isinstance(found, list) else ()):
        yield f"{path}[{at}]", item


def _problems(found: RegisterMap) -> Iterator[Problem]:
    told = [value.quantity for value in found.values]
    for name in _NEEDED[found.kind]:
        if name not in told:
            yield problem("values", "none", f"{name}, needed by a device of kind {found.kind}")
    for name in sorted({each for each in told if told.count(each) > 1}):
        yield problem("values", name, "told once")
    if ("imported_wh" in told) != ("exported_wh" in told):
        yield problem("values", "one counter", "imported_wh and exported_wh, or neither")
    for at, value in enumerate(found.values):
        yield from _register_problems(f"values[{at}]", value)
    yield from _command_problems(found)


def _command_problems(found: RegisterMap) -> Iterator[Problem]:
    orders = [command.is_for for command in found.commands]
    for name in sorted({each for each in orders if orders.count(each) > 1}):
        yield problem("commands", name, "there once")
    if orders and "release" not in orders:
        yield problem("commands", ", ".join(orders), "one for release, too: how the device gets free again")
    for at, command in enumerate(found.commands):
        if command.is_for != "release" and all(write.constant is not None for write in command.writes):
            yield problem(f"commands[{at}].writes", "constants", "one that writes what is wanted")
        for number, write in enumerate(command.writes):
            path = f"commands[{at}].writes[{number}]"
            yield from _register_problems(path, write)
            if command.is_for == "release" and write.constant is None:
                yield problem(f"{path}.constant", "none", "given: nothing is wanted of a device that is free")
            if write.constant is not None:
                yield from _constant_problems(path, write)


def _register_problems(path: str, section: RegisterValue | RegisterWrite) -> Iterator[Problem]:
    if section.register + size_of(section.type) > 65_536:
        yield problem(f"{path}.register", section.register, f"room for {section.type} before 65536")
    if not isfinite(section.scale) or section.scale == 0:
        yield problem(f"{path}.scale", section.scale, "a number other than 0")
    low, high = section.minimum, section.maximum
    if low is not None and high is not None and low > high:
        yield problem(f"{path}.minimum", low, "at most maximum")


def _constant_problems(path: str, write: RegisterWrite) -> Iterator[Problem]:
    try:
        encoded(write, 0.0)
    except Refused:
        yield problem(f"{path}.constant", write.constant, f"what a register of {write.type} can hold")
