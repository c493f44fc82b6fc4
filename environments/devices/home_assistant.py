"""Devices that announce themselves at an MQTT broker as Home Assistant's discovery has it.

```
homeassistant/sensor/OBJECT/config        one entity, retained
homeassistant/sensor/NODE/OBJECT/config   one entity of a node
homeassistant/device/OBJECT/config        a device with its components
```
Entities of one device become one topic map, which a person then checks: the announcements do not say which
way a power is counted.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

__all__ = ["TOPICS", "Announced", "announced_in", "topic_map_of"]

TOPICS = ("homeassistant/+/+/config", "homeassistant/+/+/+/config")

_SHORT = {
    "~": "~",
    "dev": "device",
    "dev_cla": "device_class",
    "stat_t": "state_topic",
    "cmd_t": "command_topic",
    "unit_of_meas": "unit_of_measurement",
    "val_tpl": "value_template",
    "avty_t": "availability_topic",
    "pl_avail": "payload_available",
    "cmps": "components",
    "ids": "identifiers",
    "mf": "manufacturer",
    "mdl": "model",
    "p": "platform",
}
"""Abbreviations of keys (Home Assistant, MQTT discovery)."""

_QUANTITIES = {
    "power": "power_w",
    "battery": "state_of_charge",
    "energy": "energy_wh",
    "temperature": "temperature_degc",
}
_SCALES = {
    ("power_w", "W"): 1.0,
    ("power_w", "kW"): 1_000.0,
    ("state_of_charge", "%"): 0.01,
    ("energy_wh", "Wh"): 1.0,
    ("energy_wh", "kWh"): 1_000.0,
    ("energy_wh", "MWh"): 1_000_000.0,
    ("temperature_degc", "°C"): 1.0,
}
_JSON_VALUE = re.compile(
    r"^\{\{-?\s*value_json((?:\.[A-Za-z_][A-Za-z0-9_]*|\[\s*(?:'[A-Za-z0-9_-]+'|\d+)\s*\])+)"
    r"(?:\s*\|\s*(?:float|int|round)(?:\([^)]*\))?)*\s*-?\}\}$"
)
_PLAIN_VALUE = re.compile(r"^\{\{-?\s*value(?:\s*\|\s*(?:float|int))*(?:\([^)]*\))?\s*-?\}\}$")


class Announced(NamedTuple):
    """One entity: which device it is of, what it tells, and where."""

    device: str
    title: str
    quantity: str
    topic: str
    path: str
    scale: float
    availability: tuple[str, str] | None = None
    """Topic, and what means that the device is there."""


def announced_in(topic: str, payload: bytes) -> list[Announced]:
    """Return what an announcement tells that a topic map can take; nothing for what it cannot read."""
    try:
        content = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []
    if not isinstance(content, dict):
        return []
    plain = _long(content)
    components = plain.get("components")
    if not isinstance(components, dict):
        components = {topic: plain} if topic.split("/")[1:2] == ["sensor"] else {}
    found = []
    for key, component in components.items():
        if isinstance(component, dict):
            merged = {**plain, **_long(component)}
            if merged.get("platform", "sensor") == "sensor":
                found += list(_entity(str(key), merged))
    return found


def topic_map_of(entities: list[Announced]) -> dict[str, Any]:
    """Return a topic map of one device's entities, as in YAML; the first of a quantity counts."""
    values, seen = list[dict[str, Any]](), set[str]()
    for each in entities:
        if each.quantity in seen:
            continue
        seen.add(each.quantity)
        value: dict[str, Any] = {"quantity": each.quantity, "topic": each.topic, "path": each.path}
        if each.scale != 1:
            value["scale"] = each.scale
        values.append(value)
    kind = "storage" if "state_of_charge" in seen else "power"
    found: dict[str, Any] = {"kind": kind, "values": values}
    availability = next((each.availability for each in entities if each.availability is not None), None)
    if availability is not None:
        found["availability"] = {"topic": availability[0], "online": availability[1]}
    return found


def _entity(key: str, entity: Mapping[str, Any]) -> Iterator[Announced]:
    quantity = _QUANTITIES.get(str(entity.get("device_class")))
    scale = _SCALES.get((quantity or "", str(entity.get("unit_of_measurement"))))
    base, topic = str(entity.get("~", "")), entity.get("state_topic")
    path = _path(entity.get("value_template"))
    if quantity is None or scale is None or not isinstance(topic, str) or path is None:
        return
    identity, title = _device(entity.get("device"), key)
    available = entity.get("availability_topic")
    yield Announced(
        identity,
        title,
        quantity,
        _whole(topic, base),
        path,
        scale,
        (_whole(available, base), str(entity.get("payload_available", "online")))
        if isinstance(available, str)
        else None,
    )


def _device(device: Any, key: str) -> tuple[str, str]:
    if not isinstance(device, dict):
        return key, key
    plain = _long(device)
    identity = plain.get("identifiers") or key
    first = identity[0] if isinstance(identity, list) and identity else identity
    words = [str(plain[name]) for name in ("manufacturer", "model", "name") if plain.get(name)]
    return str(first), " ".join(words) or str(first)


def _path(template: Any) -> str | None:
    """Return the JSON path that a simple template means; None for one that computes something."""
    if template is None:
        return ""
    text = str(template).strip()
    if _PLAIN_VALUE.match(text):
        return ""
    found = _JSON_VALUE.match(text)
    if found is None:
        return None
    return "$" + re.sub(r"\[\s*'([A-Za-z0-9_-]+)'\s*\]", r".\1", found.group(1)).replace(" ", "")


def _whole(topic: str, base: str) -> str:
    if topic.startswith("~"):
        return base + topic[1:]
    return topic[:-1] + base if topic.endswith("~") else topic


def _long(content: Mapping[str, Any]) -> dict[str, Any]:
    return {_SHORT.get(str(name), str(name)): value for name, value in content.items()}
