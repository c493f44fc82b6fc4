"""Letters between populations: the same metadata in one element instead of a form."""

from xml.etree import ElementTree as ET

import pytest

from environments.live.stanzas import read_stanza, write_compact_stanza


def read(text):
    return read_stanza(ET.fromstring(text.replace("<message ", '<message xmlns="jabber:client" ', 1)))


def test_what_is_written_is_read():
    metadata = {"performative": "inform", "msgType": "parity:Forecast", "conversationId": 'a>b & "c"'}
    stanza = read(write_compact_stanza("b@x", "a>b#1", metadata, '{"v": "<&>"}'))
    assert (stanza.metadata, stanza.body, stanza.id) == (metadata, '{"v": "<&>"}', "a>b#1")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"sequence": 1}', "null"])
def test_what_is_no_metadata_makes_no_letter(content):
    text = f'<message from="a@x/r" to="b@x"><fipa xmlns="urn:parity:fipa:1">{content}</fipa></message>'
    assert read(text).metadata is None
