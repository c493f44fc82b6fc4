"""XML elements made of attributes: their layouts as tables, read and written by the same table.

All problems of an element are found at once. Documents with a DTD or entities are refused (defusedxml).
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple, TypeAlias
from xml.etree import ElementTree

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from environments.uftp.terms import EAN, ENTITY_ADDRESS, ISP_DURATION, TIME_ZONE
from ontology.base import TICKS_PER_CURRENCY
from ontology.errors import InvalidInput, Problem, problem

__all__ = [
    "AMOUNT",
    "ANYTHING",
    "CURRENCY",
    "DAY",
    "DOMAIN",
    "ENTITY",
    "FACTOR",
    "FLAG",
    "INSTANT",
    "ISP_LENGTH",
    "KILO",
    "METER",
    "MOMENT",
    "NUMBER",
    "POSITIVE",
    "REQUIRED",
    "TEXT",
    "UUID",
    "ZONE",
    "Attribute",
    "Child",
    "Kind",
    "Layout",
    "Record",
    "choice",
    "parse",
    "read",
    "render",
    "word",
    "write",
]

Record: TypeAlias = dict[str, Any]
"""An element's attributes and children by field name, in Python's types."""

REQUIRED: Any = object()
_XSI = "{http://www.w3.org/2001/XMLSchema-instance}"
_UNSPEAKABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot carry."""


class Kind(NamedTuple):
    """What an attribute's text may be, and what it is in Python."""

    pattern: re.Pattern[str]
    expected: str
    read: Callable[[str], Any]
    write: Callable[[Any], str]
    spaced: bool = False
    """Whether spaces around the text belong to it."""


class Attribute(NamedTuple):
    """An attribute of an element, the field that it fills, and what it is when it is absent."""

    name: str
    field: str
    kind: Kind
    default: Any = REQUIRED


class Child(NamedTuple):
    """The elements of a name inside another, and the field that lists them."""

    name: str
    field: str
    layout: "Layout"
    at_least: int = 1


class Layout(NamedTuple):
    """What an element consists of."""

    attributes: tuple[Attribute, ...]
    children: tuple[Child, ...] = ()
    ignored: frozenset[str] = frozenset()
    """Attributes that may be there and are not read."""


# ---------------------------------------------------------------------------------------- kinds


def _read_instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _write_instant(epoch_s: float) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).isoformat().replace("+00:00", "Z")


def _read_amount(text: str) -> int:
    return int(Decimal(text) * TICKS_PER_CURRENCY)


def _write_amount(ticks: int) -> str:
    return f"{Decimal(ticks) / TICKS_PER_CURRENCY:.4f}"


def _write_factor(factor: float) -> str:
    """Write a factor with two decimals, or with all it has when these are not enough (which is refused)."""
    text = f"{factor:.2f}"
    return text if float(text) == factor else repr(factor)


def _ascii(pattern: str) -> re.Pattern[str]:
    """Compile a pattern whose digits are 0 to 9 only."""
    return re.compile(pattern, re.ASCII)


def _text(pattern: str | re.Pattern[str], expected: str) -> Kind:
    return Kind(re.compile(pattern), expected, str, str)


def word(*words: str) -> Kind:
    """Return the kind of an attribute that is one of a few words."""
    return _text("|".join(map(re.escape, words)), " or ".join(words))


def choice(values: type[StrEnum]) -> Kind:
    """Return the kind of an attribute that is one of an enumeration's words."""
    return word(*(each.value for each in values))._replace(read=values)


_DATE_TIME = r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?([+-]\d{2}:\d{2}|Z)"

ANYTHING = re.compile("(?s).*")
TEXT = Kind(ANYTHING, "text", str, str, spaced=True)
UUID = _text(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", "a UUID")
DOMAIN = _text(r"([a-z0-9]+(-[a-z0-9]+)*\.)+[a-z]{2,}", "an Internet domain in small letters")
ENTITY = _text(ENTITY_ADDRESS, "an entity address, ea1.yyyy-mm.domain:name or ean.digits")
METER = _text(EAN, "E and 16 or 18 digits")
CURRENCY = _text("[A-Z]{3}", "a currency of ISO 4217")
ZONE = _text(TIME_ZONE, "an IANA zone of a continent, such as Europe/Amsterdam")
ISP_LENGTH = _text(r"(?a)P(?=.)(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?", f"a duration, {ISP_DURATION}")
NUMBER = Kind(_ascii(r"[+-]?\d{1,18}"), "a whole number", int, str)
POSITIVE = Kind(_ascii(r"\+?0*[1-9]\d{0,8}"), "a whole number from 1", int, str)
AMOUNT = Kind(
    _ascii(r"[+-]?(\d{1,15}(\.\d{0,4})?|\.\d{1,4})"),
    "an amount of at most 4 decimals",
    _read_amount,
    _write_amount,
)
FACTOR = Kind(
    _ascii(r"\+?(0?\.(0[1-9]|[1-9]\d?)|1(\.0{0,2})?)"),
    "0.01 to 1.00, at most 2 decimals",
    float,
    _write_factor,
)
KILO = Kind(_ascii(r"[+-]?(\d{1,15}(\.\d{0,15})?|\.\d{1,15})"), "a number", Decimal, "{:.3f}".format)
FLAG = Kind(
    re.compile("true|false|1|0"),
    "true or false",
    lambda text: text in ("true", "1"),
    lambda x: str(x).lower(),
)
DAY = Kind(
    _ascii(r"\d{4}-\d{2}-\d{2}(Z|[+-]\d{2}:\d{2})?"),
    "a date, yyyy-mm-dd",
    lambda text: date.fromisoformat(text[:10]),
    str,
)
MOMENT = Kind(_ascii(_DATE_TIME), "date, time and offset or Z", _read_instant, _write_instant)
INSTANT = MOMENT._replace(read=lambda text: int(_read_instant(text) // 1))
"""A moment of whole seconds; what is between two of them counts as the earlier."""


# -------------------------------------------------------------------------------------- reading


def parse(text: bytes) -> ElementTree.Element:
    """Return the root of an XML document.

    Raises: InvalidInput when it is not well-formed, or has a DTD or entities.
    """
    try:
        root: ElementTree.Element = fromstring(text, forbid_dtd=True)
    except DefusedXmlException as error:
        raise InvalidInput(
            problem("document", type(error).__name__, "XML without DTD and entities")
        ) from error
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise InvalidInput(
            problem("document", text[:80].decode(errors="replace"), f"XML: {error}")
        ) from error
    return root


def read(element: ElementTree.Element, layout: Layout, wrong: list[Problem]) -> Record:
    """Return what an element says; every attribute and child that is wrong, missing or unknown is noted."""
    return _read(element, layout, element.tag, wrong)


def _read(element: ElementTree.Element, layout: Layout, path: str, wrong: list[Problem]) -> Record:
    known = {each.name for each in layout.attributes} | layout.ignored
    for name in sorted(set(element.keys()) - known):
        if not name.startswith(_XSI):
            wrong.append(problem(f"{path}.{name}", element.get(name), "no such attribute"))
    record = {each.field: _read_attribute(element, each, path, wrong) for each in layout.attributes}
    names = {each.name for each in layout.children}
    wrong += [
        problem(f"{path}.{each.tag}", "", "no such element") for each in element if each.tag not in names
    ]
    if any(text and text.strip() for text in (element.text, *(each.tail for each in element))):
        wrong.append(problem(path, element.text or "", "no text"))
    for child in layout.children:
        found = element.findall(child.name)
        if len(found) < child.at_least:
            wrong.append(problem(f"{path}.{child.name}", "", f"at least {child.at_least}"))
        record[child.field] = [
            _read(each, child.layout, f"{path}.{child.name}[{i}]", wrong) for i, each in enumerate(found)
        ]
    return record


def _read_attribute(
    element: ElementTree.Element, attribute: Attribute, path: str, wrong: list[Problem]
) -> Any:
    text = element.get(attribute.name)
    if text is None:
        if attribute.default is REQUIRED:
            wrong.append(problem(f"{path}.{attribute.name}", "", f"{attribute.kind.expected}; it is missing"))
        return attribute.default
    text = text if attribute.kind.spaced else text.strip()
    try:
        if attribute.kind.pattern.fullmatch(text):
            return attribute.kind.read(text)
    except (ValueError, OverflowError, ArithmeticError):
        pass
    wrong.append(problem(f"{path}.{attribute.name}", text, attribute.kind.expected))
    return None


# -------------------------------------------------------------------------------------- writing


def write(name: str, record: Mapping[str, Any], layout: Layout, wrong: list[Problem]) -> ElementTree.Element:
    """Return an element that says what a record holds; everything that the layout does not allow is noted."""
    return _write(name, record, layout, name, wrong)


def render(element: ElementTree.Element) -> bytes:
    """Return an element as an XML document in UTF-8."""
    document: bytes = ElementTree.tostring(element, encoding="utf-8", xml_declaration=True)
    return document


def _write(
    name: str, record: Mapping[str, Any], layout: Layout, path: str, wrong: list[Problem]
) -> ElementTree.Element:
    element = ElementTree.Element(name)
    for attribute in layout.attributes:
        value = record.get(attribute.field, attribute.default)
        if value is not REQUIRED and value == attribute.default:
            continue
        text = _written(attribute, value)
        if text is None:
            wrong.append(problem(f"{path}.{attribute.name}", _shown(value), attribute.kind.expected))
        else:
            element.set(attribute.name, text)
    for child in layout.children:
        listed = record.get(child.field, ())
        if len(listed) < child.at_least:
            wrong.append(problem(f"{path}.{child.name}", "", f"at least {child.at_least}"))
        for i, each in enumerate(listed):
            element.append(_write(child.name, each, child.layout, f"{path}.{child.name}[{i}]", wrong))
    return element


def _written(attribute: Attribute, value: Any) -> str | None:
    """Return an attribute's text, or None when the schema does not allow it."""
    if value is REQUIRED or value is None:
        return None
    try:
        text = attribute.kind.write(value)
    except (ValueError, OverflowError, OSError):
        return None
    allowed = attribute.kind.pattern.fullmatch(text) and not _UNSPEAKABLE.search(text)
    return text if allowed else None


def _shown(value: Any) -> object:
    return "" if value is REQUIRED or value is None else value
