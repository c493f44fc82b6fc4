"""Signed messages: a payload sealed with the sender's key, in the wrapper that says whose key to look for.

Sealed is as NaCl's crypto_sign has it: the Ed25519 signature (64 bytes), then the payload. Keys are base64,
as `crypto_sign_keypair` gives them: 64 bytes private (seed and public key), 32 bytes public.

Source: Shapeshifter specification 3.1, message transport mechanism (cryptographic scheme 1).
"""

import os
from base64 import b64decode, b64encode
from binascii import Error as NoBase64
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from environments.uftp import elements
from environments.uftp.elements import Attribute, Kind, Layout
from environments.uftp.roles import ParticipantRole
from ontology.errors import InvalidInput, Problem, Refused, problem

__all__ = ["SignedMessage", "SigningKey", "VerifyKey", "new_key_file"]

_SIGNATURE, _KEY = 64, 32
_SCHEME = "cs1."


class VerifyKey:
    """A participant's public key."""

    def __init__(self, raw: bytes) -> None:
        """Hold a raw Ed25519 public key (32 bytes)."""
        self._raw = raw
        self._key = Ed25519PublicKey.from_public_bytes(raw)

    @classmethod
    def from_text(cls, text: str) -> "VerifyKey":
        """Read a key from base64, with or without the prefix cs1. and the encryption key that may follow it.

        Raises: InvalidInput.
        """
        raw = _decoded(text.strip().removeprefix(_SCHEME))
        if len(raw) not in (_KEY, 2 * _KEY):
            raise InvalidInput(problem("key", f"{len(raw)} bytes", "32 bytes, or 64 with an encryption key"))
        return cls(raw[:_KEY])

    @classmethod
    def from_file(cls, path: Path) -> "VerifyKey":
        """Read a key from a file.

        Raises: InvalidInput when there is none.
        """
        return cls.from_text(_read(path))

    @property
    def text(self) -> str:
        """The key in base64."""
        return b64encode(self._raw).decode()

    def unseal(self, sealed: bytes) -> bytes:
        """Return the payload that was sealed with the key's private half.

        Raises: Refused when it was not.
        """
        try:
            self._key.verify(sealed[:_SIGNATURE], sealed[_SIGNATURE:])
        except InvalidSignature as error:
            raise Refused("the signature is not the sender's") from error
        return sealed[_SIGNATURE:]


class SigningKey:
    """One's own private key."""

    def __init__(self, seed: bytes) -> None:
        """Hold a raw Ed25519 private key (32 bytes)."""
        self._seed = seed
        self._key = Ed25519PrivateKey.from_private_bytes(seed)

    @classmethod
    def from_text(cls, text: str) -> "SigningKey":
        """Read a key from base64: 64 bytes as NaCl gives them, or the first 32 of them.

        Raises: InvalidInput when it is neither, or its public half is another's.
        """
        raw = _decoded(text.strip())
        if len(raw) not in (_KEY, 2 * _KEY):
            raise InvalidInput(problem("key", f"{len(raw)} bytes", "64 bytes, private and public, or 32"))
        key = cls(raw[:_KEY])
        if raw[_KEY:] not in (b"", key._public):
            raise InvalidInput(problem("key", key.verify_key.text, "the public half of the private key"))
        return key

    @classmethod
    def from_file(cls, path: Path) -> "SigningKey":
        """Read a key from a file.

        Raises: InvalidInput when there is none, or others than its owner may read it.
        """
        text = _read(path)
        if path.stat().st_mode & 0o077:
            raise InvalidInput(problem("key", path, "a file that only its owner may read (chmod 600)"))
        return cls.from_text(text)

    @property
    def verify_key(self) -> VerifyKey:
        """The public half."""
        return VerifyKey(self._public)

    @property
    def text(self) -> str:
        """The key in base64, 64 bytes as NaCl has it: keep it secret."""
        return b64encode(self._seed + self._public).decode()

    def seal(self, payload: bytes) -> bytes:
        """Return signature and payload."""
        return self._key.sign(payload) + payload

    @property
    def _public(self) -> bytes:
        return self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def new_key_file(path: Path) -> SigningKey:
    """Make a key and write it to a new file that only its owner may read.

    Raises: FileExistsError rather than overwriting one.
    """
    key = SigningKey(os.urandom(_KEY))
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(key.text + "\n")
    return key


class SignedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """The wrapper of a sealed payload: who sends it, in which role."""

    sender_domain: str
    sender_role: ParticipantRole
    body: bytes

    def to_xml(self) -> bytes:
        """Return the wrapper as XML.

        Raises: InvalidInput when the domain is none.
        """
        wrong: list[Problem] = []
        element = elements.write("SignedMessage", msgspec.structs.asdict(self), _LAYOUT, wrong)
        if wrong:
            raise InvalidInput(wrong)
        return elements.render(element)

    @classmethod
    def from_xml(cls, text: bytes) -> "SignedMessage":
        """Read a wrapper; whether the seal is the sender's is for `VerifyKey.unseal` to say.

        Raises: InvalidInput with all that is wrong.
        """
        root = elements.parse(text)
        wrong: list[Problem] = []
        record = elements.read(root, _LAYOUT, wrong)
        if root.tag != "SignedMessage":
            wrong = [problem(root.tag, "", "a SignedMessage")]
        if wrong:
            raise InvalidInput(wrong)
        return cls(**record)


def _decoded(text: str) -> bytes:
    try:
        return b64decode("".join(text.split()), validate=True)
    except (NoBase64, ValueError) as error:
        raise InvalidInput(problem("key", "", f"base64: {error}")) from error


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(problem("key", path, f"a readable file: {error}")) from error


_BASE64 = Kind(elements.ANYTHING, "base64", _decoded, lambda body: b64encode(body).decode())
_LAYOUT = Layout(
    (
        Attribute("SenderDomain", "sender_domain", elements.DOMAIN),
        Attribute("SenderRole", "sender_role", elements.choice(ParticipantRole)),
        Attribute("Body", "body", _BASE64),
    )
)
