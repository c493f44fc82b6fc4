"""Message stanzas as SPADE writes and reads them: body, and a data form titled `spade:x:metadata`.

The form's fields are the metadata; SPADE keeps the thread in a field `_thread_node` of it. We also write
the thread where XMPP has it, for other clients, and read it from either place.

Between populations the same metadata goes as JSON in one element, `<fipa xmlns="urn:parity:fipa:1">`: a
server that parses five elements a letter instead of thirty carries two to three times as many.
"""

import json
from collections.abc import Mapping
from typing import NamedTuple
from xml.etree.ElementTree import Element

__all__ = ["Stanza", "read_stanza", "write_compact_stanza", "write_probe", "write_stanza"]

_TITLE = "spade:x:metadata"
_THREAD = "_thread_node"
_CLIENT = "jabber:client"
_FORM, _FORM_TITLE = "{jabber:x:data}x", "{jabber:x:data}title"
_COMPACT = "{urn:parity:fipa:1}fipa"
_FIELD, _VALUE = "{jabber:x:data}field", "{jabber:x:data}value"


class Stanza(NamedTuple):
    """What a message stanza holds; `metadata` is None when it has no form of SPADE's."""

    id: str
    kind: str
    sender: str
    thread: str
    metadata: dict[str, str] | None
    body: str


def write_stanza(to: str, stanza_id: str, thread: str, metadata: Mapping[str, str], body: str) -> str:
    """Write a message to a bare address."""
    fields = [_field(key, value) for key, value in metadata.items()]
    if thread:
        fields.append(_field(_THREAD, thread))
    return (
        f'<message to="{_attribute(to)}" id="{_attribute(stanza_id)}" type="chat">'
        f"<body>{_text(body)}</body><thread>{_text(thread)}</thread>"
        f'<x xmlns="jabber:x:data" type="form">{"".join(fields)}<title>{_TITLE}</title></x></message>'
    )


def write_compact_stanza(to: str, stanza_id: str, metadata: Mapping[str, str], body: str) -> str:
    """Write a message to a bare address of a population; its thread is the metadata's conversation."""
    return (
        f'<message to="{_attribute(to)}" id="{_attribute(stanza_id)}" type="chat"><body>{_text(body)}</body>'
        f'<fipa xmlns="urn:parity:fipa:1">{_text(json.dumps(metadata))}</fipa></message>'
    )


def write_probe(to: str, stanza_id: str) -> str:
    """Write a message without content, which no server keeps for later."""
    return f'<message to="{_attribute(to)}" id="{_attribute(stanza_id)}" type="headline"/>'


def read_stanza(message: Element, namespace: str = _CLIENT) -> Stanza:
    """Read a message of a client's stream, or of one with another namespace."""
    body_tag, thread_tag = f"{{{namespace}}}body", f"{{{namespace}}}thread"
    thread, body, metadata = "", "", None
    for child in message:
        if child.tag == body_tag:
            body = body or child.text or ""
        elif child.tag == thread_tag:
            thread = thread or child.text or ""
        elif child.tag == _COMPACT and metadata is None:
            metadata = _compact_metadata(child.text or "")
        elif child.tag == _FORM and metadata is None and child.findtext(_FORM_TITLE) == _TITLE:
            metadata = {
                field.get("var", ""): field.findtext(_VALUE) or "" for field in child.iterfind(_FIELD)
            }
            thread = metadata.pop(_THREAD, "") or thread
    attributes = message.attrib
    sender = attributes.get("from", "").partition("/")[0]
    return Stanza(attributes.get("id", ""), attributes.get("type", "normal"), sender, thread, metadata, body)


def _compact_metadata(text: str) -> dict[str, str] | None:
    """Return the metadata of a compact stanza; None when it is none, as of a message that is no letter."""
    try:
        metadata = json.loads(text)
    except ValueError:
        return None
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        return None
    return metadata


def _field(name: str, value: str) -> str:
    return f'<field var="{_attribute(name)}" type="text-single"><value>{_text(value)}</value></field>'


def _text(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _attribute(text: str) -> str:
    return _text(text).replace('"', "&quot;")
