from base64 import b64decode, b64encode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from environments.uftp.participants import AddressBook, Participant
from environments.uftp.roles import ParticipantRole
from environments.uftp.signing import SignedMessage, SigningKey, VerifyKey, new_key_file
from ontology.errors import InvalidInput, Refused

KEY = SigningKey(b"k" * 32)
# RFC 8032, 7.1, test 2, as crypto_sign has it: the signature, then the message of one byte.
SEED = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
SEALED = bytes.fromhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c0072"
)


@given(payload=st.binary(max_size=200))
def test_what_a_key_seals_its_public_half_unseals(payload: bytes) -> None:
    assert KEY.verify_key.unseal(KEY.seal(payload)) == payload


def test_a_seal_is_the_signature_before_the_payload() -> None:
    assert SigningKey(SEED).seal(b"\x72") == SEALED


@given(payload=st.binary(max_size=50), bit=st.integers(0, 8 * 64 - 1))
def test_a_seal_with_a_changed_bit_is_refused(payload: bytes, bit: int) -> None:
    sealed = bytearray(KEY.seal(payload))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Refused):
        KEY.verify_key.unseal(bytes(sealed))


@pytest.mark.parametrize(
    "sealed", [b"", b"short", SigningKey(b"!" * 32).seal(b"payload")], ids=["empty", "short", "other"]
)
def test_what_is_not_sealed_with_the_key_is_refused(sealed: bytes) -> None:
    with pytest.raises(Refused):
        KEY.verify_key.unseal(sealed)


def test_public_keys_are_read_as_participants_publish_them() -> None:
    plain = KEY.verify_key.text
    both = "cs1." + b64encode(b64decode(plain) + b"e" * 32).decode()
    assert (
        VerifyKey.from_text(plain).text
        == VerifyKey.from_text("cs1." + plain).text
        == VerifyKey.from_text(both).text
    )


@pytest.mark.parametrize(
    "text", ["", "no base64!", b64encode(b"x" * 31).decode()], ids=["empty", "text", "short"]
)
def test_what_is_no_key_is_invalid(text: str) -> None:
    with pytest.raises(InvalidInput):
        VerifyKey.from_text(text)
    with pytest.raises(InvalidInput):
        SigningKey.from_text(text)


def test_a_private_key_with_anothers_public_half_is_invalid() -> None:
    other = SigningKey(b"o" * 32)
    with pytest.raises(InvalidInput, match="the public half of the private key"):
        SigningKey.from_text(b64encode(b"k" * 32 + b64decode(other.verify_key.text)).decode())


def test_a_new_key_file_is_only_its_owners_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "dso.key"
    key = new_key_file(path)
    assert SigningKey.from_file(path).text == key.text
    with pytest.raises(FileExistsError):
        new_key_file(path)
    path.chmod(0o644)
    with pytest.raises(InvalidInput, match="chmod 600"):
        SigningKey.from_file(path)


def test_a_signed_message_reads_as_it_was_written() -> None:
    wrapped = SignedMessage(
        sender_domain="dso.example.org", sender_role=ParticipantRole.DSO, body=KEY.seal(b"<a/>")
    )
    assert SignedMessage.from_xml(wrapped.to_xml()) == wrapped


@pytest.mark.parametrize(
    "text",
    [
        b'<SignedMessage SenderDomain="dso.example.org" SenderRole="BRP" Body="" />',
        b'<SignedMessage SenderDomain="dso.example.org" SenderRole="DSO" Body="%" />',
        b'<SignedMessage SenderDomain="dso" SenderRole="DSO" Body="" />',
        b'<FlexRequest SenderDomain="dso.example.org" SenderRole="DSO" Body="" />',
    ],
    ids=["role", "body", "domain", "another element"],
)
def test_what_is_no_signed_message_is_invalid(text: bytes) -> None:
    with pytest.raises(InvalidInput):
        SignedMessage.from_xml(text)


def test_an_address_book_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "agr.pub").write_text(KEY.verify_key.text)
    entry = {
        "domain": "agr.example.org",
        "role": "AGR",
        "url": "https://agr.example.org/m",
        "key_file": "agr.pub",
    }
    path = tmp_path / "book.yaml"
    path.write_text("- " + str(entry))
    found = AddressBook.from_file(path).find("agr.example.org", ParticipantRole.AGR)
    assert found is not None
    assert (found.url, found.key.text) == ("https://agr.example.org/m", KEY.verify_key.text)
    assert AddressBook.from_file(path).find("agr.example.org", ParticipantRole.DSO) is None


def test_an_address_book_names_all_that_is_wrong_with_it() -> None:
    here = Participant("agr.example.org", ParticipantRole.AGR, KEY.verify_key, "http://127.0.0.1:80/m")
    with pytest.raises(InvalidInput) as wrong:
        AddressBook(
            [here, here, Participant("AGR", ParticipantRole.AGR, KEY.verify_key, "http://agr.example.org/m")]
        )
    assert [each.path for each in wrong.value.problems] == [
        "participants[2].domain",
        "participants[2].url",
        "participants",
    ]
