"""Letters as SPADE carries them: metadata of strings, a body of text, nothing that tears XML."""

import json
from xml.etree import ElementTree as Xml
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ontology_samples import EVERY_TYPE, MOST, sample
from test_codec import READING, READING_TYPE, envelope_of

from ontology.codec import encode_body, from_fipa, open_letter, signed_part, to_fipa
from ontology.discourse import Refusal
from ontology.errors import InvalidInput, NotUnderstood

UGLY = "".join(map(chr, range(0x20))) + "\x7f\x85\u2028\ufffe\uffff<&>\"'𝄞"


def returned(envelope, thread="c1"):
    metadata, body = to_fipa(envelope)
    return from_fipa(envelope.sender, envelope.to, thread, metadata, body)


@pytest.mark.parametrize("message_type", EVERY_TYPE)
def test_an_envelope_comes_back_from_metadata_and_body(message_type):
    envelope = envelope_of(
        sample(message_type, MOST), reply_by_s=1_800_000_060.0, in_reply_to="m0", signature="c2ln", key_id="k"
    )
    assert returned(envelope) == envelope


@settings(max_examples=200, deadline=None, database=None)
@given(st.floats(0, 253_402_300_799))
def test_a_time_comes_back_to_the_last_digit(sent_at_s):
    assert returned(envelope_of(READING, sent_at_s=sent_at_s)).sent_at_s == sent_at_s


def test_metadata_has_the_names_that_spade_agents_expect():
    metadata, _ = to_fipa(
        envelope_of(READING, protocol="fipa-request", reply_by_s=1_800_000_060, in_reply_to="m0", key_id="k")
    )
    assert metadata == {
        "performative": "inform",
        "protocol": "fipa-request",
        "ontology": "parity/1.0",
        "language": "application/json",
        "msgType": READING_TYPE,
        "msgId": "m1",
        "conversationId": "c1",
        "sequence": "1",
        "inReplyTo": "m0",
        "replyBy": "2027-01-15T08:01:00Z",
        "sentAt": "2027-01-15T08:00:00.25Z",
        "kid": "k",
    }


def test_the_worst_text_passes_through_an_xml_stream():
    metadata, body = to_fipa(envelope_of(Refusal(reason=UGLY)))
    stanza = f"<message><body>{escape(body)}</body></message>"
    arrived = Xml.fromstring(stanza).findtext("body")
    letter = open_letter(from_fipa("a@localhost", "b@localhost", "c1", metadata, arrived))
    assert letter.content == Refusal(reason=UGLY)


@pytest.mark.parametrize("character", ["\0", "\x1b", "\n", "\r", "\ufffe", "\ud800"])
@pytest.mark.parametrize("field", ["message_id", "conversation", "in_reply_to", "protocol", "key_id"])
def test_metadata_that_would_tear_the_stream_never_leaves(field, character):
    with pytest.raises(InvalidInput, match="XML allows"):
        to_fipa(envelope_of(READING, **{field: f"a{character}b"}))


@pytest.mark.parametrize("body", [b'{"reason":"\x00"}', b"\xff\xfe", b"\x1b"])
def test_a_body_that_would_tear_the_stream_never_leaves(body):
    with pytest.raises(InvalidInput):
        to_fipa(envelope_of(Refusal(reason="x"), body=body))


def test_metadata_that_is_too_long_is_neither_sent_nor_read():
    with pytest.raises(InvalidInput):
        to_fipa(envelope_of(READING, message_id="m" * 2000))
    with pytest.raises(NotUnderstood):
        from_fipa("a", "b", None, {"performative": "inform", "msgId": "m" * 2000}, "{}")


# -- foreign agents ---------------------------------------------------------------------------------------


def test_a_foreign_agent_needs_to_say_no_more_than_its_act_and_the_type():
    metadata = {"performative": "inform", "msgType": READING_TYPE}
    letter = open_letter(from_fipa("f@x", "repository@x", "t1", metadata, encode_body(READING).decode()))
    assert letter.content == READING
    assert (letter.conversation, letter.sequence, letter.sent_at_s) == ("t1", 0, 0.0)


def test_a_foreign_agent_may_give_the_type_in_the_body():
    envelope = from_fipa("f@x", "r@x", None, {"performative": "inform"}, encode_body(READING).decode())
    assert envelope.message_type == READING_TYPE
    assert open_letter(envelope).content == READING


def test_a_foreign_body_may_leave_the_type_to_the_metadata():
    body = json.loads(encode_body(READING))
    del body["type"]
    envelope = from_fipa(
        "f@x", "r@x", None, {"performative": "inform", "msgType": READING_TYPE}, json.dumps(body)
    )
    assert open_letter(envelope).content == READING


def test_without_thread_and_id_the_letter_names_itself_always_alike():
    metadata = {"performative": "inform", "msgType": READING_TYPE}
    first = from_fipa("f@x", "r@x", None, metadata, "{}")
    again = from_fipa("f@x", "r@x", None, metadata, "{}")
    other = from_fipa("f@x", "r@x", None, metadata, "{ }")
    assert first.message_id == again.message_id != other.message_id
    assert first.conversation == first.message_id


@pytest.mark.parametrize(
    ("changes", "body", "path"),
    [
        ({"performative": ""}, "{}", "metadata.performative"),
        ({"msgType": ""}, "{}", "metadata.msgType"),
        ({"msgType": ""}, "no json", "metadata.msgType"),
        ({"sequence": "-1"}, "{}", "metadata.sequence"),
        ({"sequence": "9" * 30}, "{}", "metadata.sequence"),
        ({"sequence": "١"}, "{}", "metadata.sequence"),
        ({"sentAt": "yesterday"}, "{}", "metadata.sentAt"),
        ({"sentAt": "2027-13-01T00:00:00Z"}, "{}", "metadata.sentAt"),
        ({"replyBy": "2027-01-01T00:00:00"}, "{}", "metadata.replyBy"),
        ({"replyBy": "1890-01-01T00:00:00Z"}, "{}", "metadata.replyBy"),
        ({"kid": "a\0b"}, "{}", "metadata.kid"),
        ({}, "\ud800", "body"),
        ({}, "x" * 50_000, "body"),
    ],
)
def test_malformed_metadata_is_not_understood_and_named(changes, body, path):
    metadata = {"performative": "inform", "msgType": READING_TYPE, **changes}
    with pytest.raises(NotUnderstood) as caught:
        from_fipa("f@x", "r@x", "t1", metadata, body)
    assert caught.value.problems[0].path == path


def test_a_time_with_an_offset_is_read_in_utc():
    metadata = {"performative": "inform", "msgType": READING_TYPE, "sentAt": "2027-01-15T10:00:00.5+02:00"}
    assert from_fipa("f@x", "r@x", "t1", metadata, "{}").sent_at_s == 1_800_000_000.5


# -- signatures ---------------------------------------------------------------------------------------------


def test_what_is_signed_is_the_same_before_and_after_the_journey():
    envelope = envelope_of(Refusal(reason=UGLY), sent_at_s=1_800_000_000.123456)
    signed = envelope_of(Refusal(reason=UGLY), sent_at_s=1_800_000_000.123456, signature="c2ln")
    assert signed_part(returned(signed)) == signed_part(envelope)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("performative", "request"),
        ("sender", "x@localhost"),
        ("to", "x@localhost"),
        ("message_type", "parity:Lem"),
        ("conversation", "c2"),
        ("sequence", 2),
        ("message_id", "m2"),
        ("sent_at_s", 1.0),
        ("in_reply_to", "m9"),
        ("reply_by_s", 9.0),
        ("protocol", "p"),
        ("key_id", "k9"),
        ("body", b"{}"),
    ],
)
def test_a_signature_covers_every_field(field, value):
    assert signed_part(envelope_of(READING, **{field: value})) != signed_part(envelope_of(READING))


def test_the_signed_part_is_canonical_json():
    text = signed_part(envelope_of(READING)).decode()
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
