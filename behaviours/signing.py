"""Ed25519 signatures over letters: canonical JSON (RFC 8785) of the metadata, the addresses and the body.

The body is signed as the text that was sent, so two JSON libraries have nothing to disagree on.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import lru_cache
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ontology.codec import signed_part
from ontology.letter import Envelope

__all__ = ["Signer", "is_signed_by"]


class Signer:
    """Signs envelopes with one private key."""

    def __init__(self, private_key: bytes) -> None:
        """Hold a raw Ed25519 private key (32 bytes)."""
        self._key = Ed25519PrivateKey.from_private_bytes(private_key)

    @property
    def verify_key(self) -> bytes:
        """Return the raw public key (32 bytes)."""
        return self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def secret(self, about: str) -> bytes:
        """Return 32 bytes that only the holder of this key can know, always the same for the same words."""
        return sha256(self._key.sign(f"secret {about}".encode())).digest()

    def sign_bytes(self, content: bytes) -> bytes:
        """Return the signature (64 bytes) of something that is no letter; begin it with what it is."""
        return self._key.sign(content)

    def sign(self, envelope: Envelope) -> str:
        """Return the signature of an envelope, base64url."""
        return urlsafe_b64encode(self._key.sign(signed_part(envelope))).decode()


def is_signed_by(envelope: Envelope, verify_key: bytes) -> bool:
    """Tell whether an envelope bears the signature of a public key."""
    if not envelope.signature or not verify_key:
        return False
    try:
        _public_key(verify_key).verify(urlsafe_b64decode(envelope.signature), signed_part(envelope))
    except (InvalidSignature, ValueError):
        return False
    return True


@lru_cache(maxsize=20_000)
def _public_key(raw: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(raw)
