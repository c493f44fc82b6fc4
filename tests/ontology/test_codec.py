"""Bodies and envelopes: what goes out comes back, and what is wrong is not understood."""

import json

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ontology_samples import EVERY_TYPE, LEAST, MOST, USUAL, contents, invalid, sample

from ontology.codec import (
    MAX_BODY_BYTES,
    MESSAGE_TYPES,
    decode_body,
    decode_envelope,
    encode_body,
    encode_envelope,
    message_type_of,
    open_letter,
    read_json,
)
from ontology.discourse import Query, QueryResult, Refusal
from ontology.errors import InvalidInput, NotUnderstood
from ontology.flexibility import FlexEnvelope
from ontology.letter import Envelope
from ontology.market import Lem
from ontology.measurements import IntervalReading
from ontology.performatives import Performative

READING = IntervalReading(
    subject="h001", start_s=900, consumed_wh=100, produced_wh=0, consumed_w=400, produced_w=0
)
READING_TYPE = message_type_of(IntervalReading)
WAYS_TO_BE_WRONG = sorted(invalid("parity:Refusal"))


def envelope_of(content, **changes) -> Envelope:
    told = {
        "performative": "inform",
        "sender": "h001-gateway@localhost",
        "to": "repository@localhost",
        "message_type": message_type_of(type(content)),
        "conversation": "c1",
        "sequence": 1,
        "message_id": "m1",
        "sent_at_s": 1_800_000_000.25,
        "body": encode_body(content),
    }
    return Envelope(**{**told, **changes})


def body_of(**changes) -> bytes:
    return json.dumps({**json.loads(encode_body(READING)), **changes}).encode()


@pytest.mark.parametrize("message_type", EVERY_TYPE)
@settings(max_examples=6, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_content_comes_back_as_it_went(message_type, data):
    content = data.draw(contents(message_type))
    assert decode_body(message_type, encode_body(content)) == content


@pytest.mark.parametrize("which", [LEAST, USUAL, MOST], ids=["least", "usual", "most"])
@pytest.mark.parametrize("message_type", EVERY_TYPE)
def test_valid_fixtures_are_understood(message_type, which):
    content = sample(message_type, which)
    assert decode_body(message_type, encode_body(content)) == content


@pytest.mark.parametrize("wrong", WAYS_TO_BE_WRONG)
@pytest.mark.parametrize("message_type", EVERY_TYPE)
def test_invalid_fixtures_are_not_understood(message_type, wrong):
    body = json.dumps(invalid(message_type)[wrong]).encode()
    with pytest.raises(NotUnderstood) as caught:
        decode_body(message_type, body)
    assert caught.value.problems[0].expected


@settings(max_examples=300, deadline=None, database=None)
@given(body=st.binary(max_size=200), message_type=st.sampled_from(EVERY_TYPE))
def test_noise_is_never_understood_and_never_breaks_anything(body, message_type):
    with pytest.raises(NotUnderstood):
        decode_body(message_type, body)


@settings(max_examples=300, deadline=None, database=None)
@given(data=st.data())
def test_a_damaged_body_is_read_or_not_understood_but_nothing_else(data):
    message_type = data.draw(st.sampled_from(EVERY_TYPE))
    body = bytearray(encode_body(sample(message_type)))
    at = data.draw(st.integers(0, len(body) - 1))
    body[at] = data.draw(st.integers(0, 255))
    try:
        content = decode_body(message_type, bytes(body))
    except NotUnderstood:
        return
    assert isinstance(content, MESSAGE_TYPES[message_type])


@pytest.mark.parametrize(
    ("message_type", "body", "path", "value", "expected"),
    [
        ("parity:Nonsense", b"{}", "msgType", "parity:Nonsense", "a message type of parity/1.0"),
        (READING_TYPE, b"{", "body", "{", "JSON: Input data was truncated"),
        (READING_TYPE, b"", "body", "", "JSON: Input data was truncated"),
        (READING_TYPE, body_of(start_s=901), "start_s", "901", "that's a multiple of 900"),
        (READING_TYPE, body_of(consumed_wh=-1), "consumed_wh", "-1", ">= 0"),
        (READING_TYPE, body_of(consumed_wh=1.5), "consumed_wh", "1.5", "Expected `int`"),
        (READING_TYPE, body_of(consumed_wh=10**30), "consumed_wh", "1" + "0" * 30, "<="),
        (READING_TYPE, body_of(quality="GOOD"), "quality", "GOOD", "Invalid enum value"),
        (READING_TYPE, body_of(type="parity:Lem"), "type", "parity:Lem", "Invalid value"),
        (READING_TYPE, body_of(surprise=7), "surprise", "7", "unknown field"),
        (READING_TYPE, b'{"subject":"h001"}', "start_s", "", "missing required field"),
        (READING_TYPE, b"[" * 20_000, "body", "[" * 80, ""),
        (READING_TYPE, b'{"subject": "\xff"}', "body", "", ""),
    ],
)
def test_a_body_that_is_not_understood_says_what_was_wrong(message_type, body, path, value, expected):
    with pytest.raises(NotUnderstood) as caught:
        decode_body(message_type, body)
    problem = caught.value.problems[0]
    assert problem.path in {path, "body"}
    assert expected in problem.expected
    assert value in problem.value or problem.path != path


def test_a_rule_between_fields_is_reported_with_its_path_and_value():
    good = json.loads(encode_body(sample("s2:FlexEnvelope")))
    good["power_max_w"] = good["power_max_w"][:1]
    with pytest.raises(NotUnderstood) as caught:
        decode_body("s2:FlexEnvelope", json.dumps(good).encode())
    problem = caught.value.problems[0]
    assert (problem.path, problem.value) == ("power_max_w", "1")


def test_a_problem_deep_inside_is_reported_with_its_whole_path():
    result = QueryResult(entity=READING_TYPE, items=[READING, READING])
    body = json.loads(encode_body(result))
    body["items"][1]["consumed_wh"] = "much"
    with pytest.raises(NotUnderstood) as caught:
        decode_body("parity:QueryResult", json.dumps(body).encode())
    problem = caught.value.problems[0]
    assert (problem.path, problem.value) == ("items[1].consumed_wh", "much")


def test_an_oversized_body_is_not_understood():
    with pytest.raises(NotUnderstood, match="48000 bytes"):
        decode_body("parity:Refusal", b'{"reason":"' + b"x" * MAX_BODY_BYTES + b'"}')


def test_an_oversized_content_does_not_leave():
    readings = QueryResult(entity=READING_TYPE, items=[READING] * 400)
    with pytest.raises(InvalidInput, match="48000 bytes"):
        encode_body(readings)


def test_a_surrogate_does_not_leave():
    with pytest.raises(InvalidInput, match="UTF-8"):
        encode_body(Refusal(reason="\ud800"))


def test_a_day_of_envelopes_fits_one_letter_many_times():
    day = [-(2**31) + 1] * 96
    envelope = FlexEnvelope(
        subject="x" * 200, start_s=0, power_min_w=day, power_max_w=day, energy_min_wh=day, energy_max_wh=day
    )
    assert len(encode_body(envelope)) < MAX_BODY_BYTES / 5


def test_what_a_person_hands_in_is_invalid_input_not_a_letter():
    with pytest.raises(InvalidInput) as caught:
        read_json(IntervalReading, body_of(consumed_wh=-5))
    assert caught.value.problems[0].path == "consumed_wh"


# -- opening ------------------------------------------------------------------------------------------


def test_an_opened_letter_knows_its_envelope_and_its_content():
    letter = open_letter(envelope_of(READING, reply_by_s=1_800_000_060.0, in_reply_to="m0"))
    assert letter.content == READING
    assert letter.performative is Performative.INFORM
    assert (letter.sender, letter.to) == ("h001-gateway@localhost", "repository@localhost")
    assert (letter.conversation, letter.message_id, letter.in_reply_to) == ("c1", "m1", "m0")
    assert (letter.sent_at_s, letter.reply_by_s) == (1_800_000_000.25, 1_800_000_060.0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ontology", "parity/2.0"),
        ("ontology", ""),
        ("language", "text/xml"),
        ("performative", "shout"),
        ("message_type", "parity:Lem"),
        ("message_type", ""),
    ],
)
def test_an_envelope_that_is_not_ours_is_not_understood(field, value):
    with pytest.raises(NotUnderstood):
        open_letter(envelope_of(READING, **{field: value}))


def test_all_22_acts_of_fipa_can_be_performed():
    acts = {open_letter(envelope_of(READING, performative=act.value)).performative for act in Performative}
    assert len(acts) == 22


# -- the offline wire -----------------------------------------------------------------------------------


@pytest.mark.parametrize("message_type", EVERY_TYPE)
def test_an_envelope_comes_back_from_the_offline_wire(message_type):
    envelope = envelope_of(sample(message_type, MOST), signature="c2ln", key_id="k1", protocol="fipa-request")
    assert decode_envelope(encode_envelope(envelope)) == envelope


def test_the_body_stands_on_the_offline_wire_as_json_not_as_a_string():
    wire = json.loads(encode_envelope(envelope_of(READING)))
    assert wire["body"]["consumed_wh"] == 100


def test_a_decoded_body_is_a_copy_that_does_not_keep_the_wire():
    wire = bytearray(encode_envelope(envelope_of(READING)))
    envelope = decode_envelope(wire)
    wire[:] = b"\0" * len(wire)
    assert type(envelope.body) is bytes
    assert decode_body(READING_TYPE, envelope.body) == READING


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        encode_envelope(envelope_of(READING))[:-9],
        encode_envelope(envelope_of(READING, sequence=-1)),
        encode_envelope(envelope_of(READING, sender="s" * 2000)),
        encode_envelope(envelope_of(READING, body=b"{")),
    ],
)
def test_a_broken_wire_is_not_understood(wire):
    with pytest.raises(NotUnderstood):
        decode_envelope(wire)


def test_encoding_does_not_depend_on_the_run():
    assert encode_body(READING) == msgspec.json.encode(READING)
    assert encode_body(Query(entity=READING_TYPE)) == encode_body(Query(entity=READING_TYPE))
    assert issubclass(MESSAGE_TYPES["parity:Lem"], Lem)
