"""Samples of every message type: built from the types themselves, so that no type can be forgotten."""

import string
from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

from ontology.base import INTERVAL_S
from ontology.codec import MESSAGE_TYPES
from ontology.ledger import SettlementKind

LEAST, USUAL, MOST = 0, 1, 2
EVERY_TYPE = sorted(MESSAGE_TYPES)

_PSEUDONYM = "^p_[a-z2-7]{26}$"
_CURRENCY = "^[A-Z]{3}$"
_HASH = "^[0-9a-f]{64}$"

# Pairs that must be ordered (a <= b, or a < b for times), by class name.
_ORDERED: dict[str, tuple[tuple[str, ...], ...]] = {
    "SensorType": (("range_min", "range_max"),),
    "FlexEnvelope": (("power_min_w", "power_max_w"), ("energy_min_wh", "energy_max_wh")),
    "StorageModel": (("fill_min_wh", "fill_max_wh", "capacity_wh"),),
    "ThermalModel": (("temperature_min_degc", "temperature_max_degc"),),
    "Instruction": (("execution_time_s", "valid_until_s"), ("power_min_w", "power_max_w")),
    "EvUserInput": (("time_s", "departure_s"),),
    "EvSession": (("arrival_s", "departure_s"),),
    "GridStatusEvent": (("start_s", "end_s"), ("voltage_min_pu", "voltage_max_pu")),
    "LemParameters": (
        (
            "sell_usual_ticks_per_kwh",
            "sell_peer_ticks_per_kwh",
            "buy_peer_ticks_per_kwh",
            "buy_usual_ticks_per_kwh",
        ),
    ),
    "Lem": (("start_s", "end_s"),),
    "AcquiredFlexibility": (("start_s", "end_s"),),
    "Sla": (("start_s", "end_s"),),
    "ProsumerMetrics": (("start_s", "end_s"),),
    "PseudonymRecord": (("valid_from_s", "valid_to_s"),),
    "IssuedPseudonym": (("valid_from_s", "valid_to_s"),),
    "Vpp": (("valid_from_s", "valid_to_s"),),
    "Query": (("start_s", "end_s"),),
    "RequestInterval": (("power_min_w", "power_max_w"),),
    **dict.fromkeys(
        (
            "DPrognosis",
            "FlexRequest",
            "FlexOffer",
            "FlexOrder",
            "FlexSettlement",
            "FlexReservation",
            "FlexMetering",
        ),
        (("period_start_s", "period_end_s"),),
    ),
}

Pick = Callable[[inspect.Type], Any]


def build(cls: type[Any], pick: Pick, steps: int, *, only_required: bool = False) -> Any:
    """Build a valid instance: leaves come from `pick`, every open list has `steps` values."""
    info = inspect.type_info(cls)
    assert isinstance(info, inspect.StructType)
    values: dict[str, Any] = {}
    for field in info.fields:
        if only_required and not field.required:
            continue
        values[field.name] = _value(field.type, pick, steps)
    return cls(**_repaired(cls.__name__, values))


def _value(node: inspect.Type, pick: Pick, steps: int) -> Any:
    if isinstance(node, inspect.Metadata):
        return _value(node.type, pick, steps)
    if isinstance(node, inspect.StructType):
        return build(node.cls, pick, steps)
    if isinstance(node, inspect.ListType):
        length = min(max(node.min_length or 0, steps), node.max_length or steps)
        return [_value(node.item_type, pick, steps) for _ in range(length)]
    if isinstance(node, inspect.UnionType):
        return _value(node.types[0], pick, steps)
    return pick(node)


def _repaired(name: str, values: dict[str, Any]) -> dict[str, Any]:
    """Put in order what is ordered, and keep the few rules that no type can say."""
    for group in _ORDERED.get(name, ()):
        keys = [key for key in group if values.get(key) is not None]
        if len(keys) > 1 and isinstance(values[keys[0]], list):
            columns = [sorted(column) for column in zip(*(values[key] for key in keys), strict=True)]
            values |= {key: [column[i] for column in columns] for i, key in enumerate(keys)}
        elif len(keys) > 1:
            values |= dict(zip(keys, sorted(values[key] for key in keys), strict=True))
            first, last = keys[0], keys[-1]
            if first.endswith("start_s"):
                values[first] = values[first] // INTERVAL_S * INTERVAL_S
            if last.endswith("_s") and values[first] == values[last]:
                values[first] = values[first] // 2 // INTERVAL_S * INTERVAL_S
                values[last] = values[first] + INTERVAL_S
    intervals = values.get("intervals")
    if intervals is not None:
        distinct = {each.start_s: each for each in intervals}
        values["intervals"] = list(distinct.values())
    match name:
        case "Query":
            values.pop("subjects", None)
        case "ThermalModel":
            values["cop_outdoor_degc"] = sorted(values.get("cop_outdoor_degc", []))
        case "UserOverride":
            values |= {"setpoint_degc": 21.0, "setpoint_w": None}
        case "Instruction":
            values.setdefault("setpoint_w", 0)
        case "FlexProduct":
            values |= {"target_w": [1, *values["target_w"][1:]], "deadline_s": 0}
        case "CoalitionInvitation":
            values |= {"group": values["group"][:1], "heads": values["group"][:1]}
        case "DirectoryNotice":
            values["agent"] = "a@b"
        case "VppPayoff":
            shares = sum(each.cost_ticks + each.surplus_ticks for each in values["members"])
            values["members"] = values["members"] if abs(shares) < 2**52 else []
            shares = shares if values["members"] else 0
            values |= {"paid_ticks": shares, "initiator_ticks": 0}
        case "ActivationLimits":
            values["limits"] = values["limits"][:1]
        case "User":
            values |= {"name": "", "email": ""}
        case "NewBuilding":
            values["geo_zone"] = "DE-10115"
        case "DRSignal":
            values.setdefault("limit_w", 0)
        case "DstatcomCommand":
            for key in ("power_w", "reactive_var"):
                if key in values:
                    values[key] = (values[key] * 3)[:3] if values[key] else []
        case "LedgerEntry":
            values |= {"amount_tokens": abs(values["amount_tokens"]), "credit": "c1", "debit": "d1"}
        case "PaymentOrder":
            paid = {each.account: each for each in values["payments"]}
            values |= {
                "payer": "the payer",
                "kind": SettlementKind.VPP_PAYOFF,
                "payments": list(paid.values()),
            }
        case "FlexResponse":
            values["reasons"] = ["too late"]
        case "OrderStatus":
            values["reason"] = "another actual power"
        case "FlexSettlementResponse":
            values["orders"] = list({each.order_reference: each for each in values["orders"]}.values())
        case "FlexOffer":
            options = {each.option_reference: each for each in values["options"]}
            values |= {"options": list(options.values()), "request_message_id": "m1"}
        case "FlexRequest":
            wanted = type(intervals[0].disposition).REQUESTED if intervals else None
            if wanted is not None:
                values["intervals"] = [
                    msgspec.structs.replace(values["intervals"][0], disposition=wanted),
                    *values["intervals"][1:],
                ]
    return values


def _bounds(node: Any) -> tuple[Any, Any]:
    low = node.ge if node.ge is not None else node.gt
    high = node.le if node.le is not None else node.lt
    return low, high


def _fixed(which: int) -> Pick:
    def pick(node: inspect.Type) -> Any:
        match node:
            case inspect.IntType():
                low, high = _bounds(node)
                value = (low, 1_800_000_000 if high > 1_800_000_000 else 1, high)[which]
                return value // node.multiple_of * node.multiple_of if node.multiple_of else value
            case inspect.FloatType():
                low, high = _bounds(node)
                smallest = low if node.gt is None else low + 0.001
                return float((smallest, 0.5, high)[which])
            case inspect.BoolType():
                return which == MOST
            case inspect.StrType(pattern="^p_[a-z2-7]{26}$"):
                return "p_" + "a2z7b3"[which] * 26
            case inspect.StrType(pattern="^[0-9a-f]{64}$"):
                return "0af"[which] * 64
            case inspect.StrType(pattern="^[A-Z]{3}$"):
                return ("CHF", "EUR", "SEK")[which]
            case inspect.StrType():
                return ("x" * (node.min_length or 0), "h001", "ü€\u0000\ufffe𝄞" * 2)[which]
            case inspect.EnumType():
                members = list(node.cls)
                return (members[0], members[len(members) // 2], members[-1])[which]
        raise AssertionError(node)

    return pick


def sample(message_type: str, which: int = USUAL) -> Any:
    """Return a fixed valid content: the least that is required, a usual one, or everything at its limit."""
    steps = {LEAST: 1, USUAL: 2, MOST: 4}[which]
    return build(MESSAGE_TYPES[message_type], _fixed(which), steps, only_required=which == LEAST)


def _strategy_of(node: inspect.Type) -> st.SearchStrategy[Any]:
    match node:
        case inspect.IntType():
            low, high = _bounds(node)
            unit = node.multiple_of or 1
            return st.integers(-(-low // unit), high // unit).map(lambda n: n * unit)
        case inspect.FloatType():
            low, high = _bounds(node)
            return st.floats(low, high, exclude_min=node.gt is not None, allow_nan=False)
        case inspect.BoolType():
            return st.booleans()
        case inspect.StrType(pattern=pattern) if pattern == _HASH:
            return st.binary(min_size=32, max_size=32).map(bytes.hex)
        case inspect.StrType(pattern=str(pattern)):
            letters = string.ascii_uppercase if pattern == _CURRENCY else string.ascii_lowercase + "234567"
            size = 3 if pattern == _CURRENCY else 26
            prefix = "p_" if pattern == _PSEUDONYM else ""
            return st.text(letters, min_size=size, max_size=size).map(prefix.__add__)
        case inspect.StrType():
            return st.text(st.characters(codec="utf-8"), min_size=node.min_length or 0, max_size=8)
        case inspect.EnumType():
            return st.sampled_from(list(node.cls))
    raise AssertionError(node)


@st.composite
def contents(draw: st.DrawFn, message_type: str) -> Any:
    """Any valid content of a message type."""
    steps = draw(st.integers(1, 3))
    return build(MESSAGE_TYPES[message_type], lambda node: draw(_strategy_of(node)), steps)


def as_json(message_type: str, which: int = USUAL) -> dict[str, Any]:
    """Return a valid content as the JSON object that stands on the wire."""
    return msgspec.json.decode(msgspec.json.encode(sample(message_type, which)))


def invalid(message_type: str) -> dict[str, Any]:
    """Return at least five ways to get a message type wrong, by what is wrong."""
    usual = as_json(message_type)
    info = inspect.type_info(MESSAGE_TYPES[message_type])
    assert isinstance(info, inspect.StructType)
    required = next(field for field in info.fields if field.required)
    other = "parity:Refusal" if message_type != "parity:Refusal" else "parity:Query"
    return {
        "missing field": {k: v for k, v in usual.items() if k != required.name},
        "unknown field": {**usual, "surprise": 1},
        "wrong type": {**usual, required.name: {"not": "this"}},
        "null": {**usual, required.name: None},
        "another tag": {**usual, "type": other},
        "out of bounds": {**usual, required.name: _out_of_bounds(required.type)},
        "not an object": [usual],
    }


def _out_of_bounds(node: inspect.Type) -> Any:
    match node:
        case inspect.Metadata():
            return _out_of_bounds(node.type)
        case inspect.ListType():
            return [_out_of_bounds(node.item_type)] * ((node.max_length or 0) + 1)
        case inspect.IntType() | inspect.FloatType():
            return 10**18
        case inspect.StrType():
            return "x" * 10_000
        case inspect.EnumType():
            return "NO_SUCH_VALUE"
        case _:
            return -1
