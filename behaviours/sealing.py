"""Seals: for the owner of a key, for the holder of a private key, and of a line of the link table.

| seal | for what | made with |
|---|---|---|
| `sealed_subject` | whose a pseudonym is | AES-SIV under the subject's key, bound to the pseudonym |
| `sealed` | what tells who somebody is, at rest | AES-256-GCM under the subject's key |
| `sealed_for` | the same on its way | X25519 with a key used once, HKDF, ChaCha20-Poly1305 |

Nonces and keys used once come from the operating system: they are secrets, no chance of a simulation.
"""

import base64
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV, ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ontology.errors import InvalidInput, problem

__all__ = [
    "derived_key",
    "opened",
    "opened_by",
    "opened_subject",
    "public_key_of",
    "sealed",
    "sealed_for",
    "sealed_subject",
]

NONCE_BYTES = 12
PUBLIC_KEY_BYTES = 32
LINE, DETAILS, BOX = b"parity-mas|link table", b"parity-mas|details", b"parity-mas|box"


def sealed_subject(subject: str, subject_key: bytes, pseudonym: str) -> str:
    """Return a name sealed under its own key (AES-SIV, RFC 5297), bound to a pseudonym, as text.

    Under another pseudonym the same name looks different, so seals do not tell which lines belong together.
    """
    line = AESSIV(derived_key(subject_key, LINE, 64)).encrypt(subject.encode(), [pseudonym.encode()])
    return base64.urlsafe_b64encode(line).decode()


def opened_subject(line: str, subject_key: bytes, pseudonym: str) -> str:
    """Return the name that was sealed under a subject's key for a pseudonym.

    Raises: InvalidInput when it was sealed under another key or for another pseudonym, or is no seal.
    """
    cipher = AESSIV(derived_key(subject_key, LINE, 64))
    try:
        return cipher.decrypt(base64.urlsafe_b64decode(line), [pseudonym.encode()]).decode()
    except (InvalidTag, ValueError) as error:
        raise _foreign(error) from error


def sealed(content: bytes, key: bytes, bound_to: str) -> bytes:
    """Return content sealed under a key and bound to a name: it opens under that name only."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(derived_key(key, DETAILS, 32)).encrypt(nonce, content, bound_to.encode())


def opened(content: bytes, key: bytes, bound_to: str) -> bytes:
    """Return what was sealed under a key and bound to a name.

    Raises: InvalidInput when it was sealed under another key or name, or is no seal.
    """
    nonce, body = content[:NONCE_BYTES], content[NONCE_BYTES:]
    try:
        return AESGCM(derived_key(key, DETAILS, 32)).decrypt(nonce, body, bound_to.encode())
    except (InvalidTag, ValueError) as error:
        raise _foreign(error) from error


def sealed_for(public_key: bytes, content: bytes) -> str:
    """Return content that only the holder of a private key (X25519) can read, as text."""
    once = X25519PrivateKey.generate()
    shared = once.exchange(X25519PublicKey.from_public_bytes(public_key))
    own = once.public_key().public_bytes_raw()
    cipher = ChaCha20Poly1305(derived_key(shared, BOX + own + public_key, 32))
    return base64.urlsafe_b64encode(own + cipher.encrypt(bytes(NONCE_BYTES), content, None)).decode()


def opened_by(private_key: bytes, box: str) -> bytes:
    """Return what was sealed for the holder of a private key.

    Raises: InvalidInput when it was sealed for somebody else, or is no seal.
    """
    holder = X25519PrivateKey.from_private_bytes(private_key)
    try:
        content = base64.urlsafe_b64decode(box)
        once = X25519PublicKey.from_public_bytes(content[:PUBLIC_KEY_BYTES])
        shared = holder.exchange(once)
        own = content[:PUBLIC_KEY_BYTES] + holder.public_key().public_bytes_raw()
        cipher = ChaCha20Poly1305(derived_key(shared, BOX + own, 32))
        return cipher.decrypt(bytes(NONCE_BYTES), content[PUBLIC_KEY_BYTES:], None)
    except (InvalidTag, ValueError) as error:
        raise _foreign(error) from error


def public_key_of(private_key: bytes) -> bytes:
    """Return the public key (32 bytes) to which others seal for the holder of a private one."""
    return X25519PrivateKey.from_private_bytes(private_key).public_key().public_bytes_raw()


def derived_key(key: bytes, purpose: bytes, size: int) -> bytes:
    """Derive a key for a purpose of its own, so that the uses of a key never meet (HKDF, RFC 5869)."""
    return HKDF(SHA256(), size, salt=None, info=purpose).derive(key)


def _foreign(error: Exception) -> InvalidInput:
    return InvalidInput(problem("seal", type(error).__name__, "something sealed under this key"))
