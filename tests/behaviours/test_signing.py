"""Signatures over letters: nothing of what was signed can be altered unnoticed."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from post_office import letter_no, some

from behaviours.signing import Signer, is_signed_by

ALICE = Signer(bytes(range(32)))
MALLORY = Signer(bytes(32))
LETTER = letter_no(7, in_reply_to="before", reply_by_s=1_750_000_560.0)
SIGNED = msgspec.structs.replace(LETTER, signature=ALICE.sign(LETTER))


def test_a_signed_letter_is_recognised_by_the_public_key():
    assert is_signed_by(SIGNED, ALICE.verify_key)


def test_nobody_else_signed_it():
    assert not is_signed_by(SIGNED, MALLORY.verify_key)


@pytest.mark.parametrize(
    "change",
    [
        {"performative": "request"},
        {"sender": "mallory@town"},
        {"to": "mallory@town"},
        {"message_type": "s2:Instruction"},
        {"conversation": "another"},
        {"sequence": 8},
        {"message_id": "another"},
        {"sent_at_s": LETTER.sent_at_s + 1},
        {"in_reply_to": ""},
        {"reply_by_s": 0.0},
        {"ontology": "parity/2.0"},
        {"body": LETTER.body.replace(b"7", b"8")},
        {"body": LETTER.body + b" "},
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_altered_letter_is_not_signed(change):
    assert not is_signed_by(msgspec.structs.replace(SIGNED, **change), ALICE.verify_key)


def test_a_letter_without_signature_is_not_signed():
    assert not is_signed_by(LETTER, ALICE.verify_key)


def test_who_has_no_key_signs_nothing():
    assert not is_signed_by(SIGNED, b"")


def test_a_key_of_the_wrong_length_verifies_nothing():
    assert not is_signed_by(SIGNED, ALICE.verify_key[:31])


@some
@given(st.text(min_size=1))
def test_no_text_for_a_signature_is_an_error(signature):
    assert not is_signed_by(msgspec.structs.replace(LETTER, signature=signature), ALICE.verify_key)


@some
@given(st.binary(min_size=32, max_size=32))
def test_any_32_bytes_are_a_private_key(private_key):
    signer = Signer(private_key)
    signed = msgspec.structs.replace(LETTER, signature=signer.sign(LETTER))
    assert is_signed_by(signed, signer.verify_key)
