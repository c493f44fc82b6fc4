"""What contracts tell: their events, decoded by the interface that ships with them."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec
from eth_abi import decode

from contracts.artefact import load_artefact
from contracts.calldata import event_topic
from contracts.chain import Log

__all__ = ["ContractEvent", "abi_type", "decode_event"]


class ContractEvent(msgspec.Struct, frozen=True):
    """An event of a contract: name, values (bytes as hexadecimal), transaction and block."""

    name: str
    values: Mapping[str, Any]
    transaction: str
    block: int


def decode_event(contract: str, log: Log) -> ContractEvent:
    """Return an event of a contract shipped here; one that is not in its interface has no values."""
    interface = _interfaces(contract).get(log.topics[0])
    if interface is None:
        return ContractEvent(log.topics[0].hex(), {}, log.transaction, log.block)
    inputs = interface["inputs"]
    indexed = [each for each in inputs if each["indexed"]]
    plain = [each for each in inputs if not each["indexed"]]
    values = {
        each["name"]: decode((abi_type(each),), topic)[0]
        for each, topic in zip(indexed, log.topics[1:], strict=True)
    }
    decoded = decode([abi_type(each) for each in plain], log.data)
    values |= dict(zip((each["name"] for each in plain), decoded, strict=True))
    readable = {each["name"]: _readable(values[each["name"]]) for each in inputs}
    return ContractEvent(interface["name"], readable, log.transaction, log.block)


@cache
def _interfaces(contract: str) -> dict[bytes, Mapping[str, Any]]:
    events = (each for each in load_artefact(contract).abi if each["type"] == "event")
    return {
        event_topic(f"{each['name']}({','.join(map(abi_type, each['inputs']))})"): each for each in events
    }


def abi_type(item: Mapping[str, Any]) -> str:
    """Return the type of an input or output as signatures write it, structs in parentheses."""
    kind: str = item["type"]
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(map(abi_type, item['components']))}){kind.removeprefix('tuple')}"


def _readable(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    return [_readable(each) for each in value] if isinstance(value, tuple) else value
