"""Pseudonyms of people and equipment: one a scope and epoch, unlinkable without the key."""

import base64
import hashlib
import hmac
import re
import unicodedata
from collections.abc import Mapping

import msgspec

from ontology.base import require
from ontology.privacy import PseudonymScope

__all__ = [
    "EPOCH_S",
    "EpochKeys",
    "epoch_of",
    "is_pseudonym",
    "pseudonym",
    "scope_key",
    "secret_identity",
    "subject_key_of",
]

EPOCH_S = 30 * 86_400
"""How long a pseudonym holds: 30 days (SPEC 7.2)."""
LENGTH = 26
MINIMUM_KEY_BYTES = 16
PATTERN = re.compile(r"p_[a-z2-7]{26}")


class EpochKeys(msgspec.Struct, frozen=True):
    """The keys of a scope by epoch; no other follows from them, so that a lost one forgets its epoch.

    `identities` are what names stand for in the pseudonyms: the secret identities of registered people, so
    that their names lead nobody to a pseudonym. Who is not among them is called by the name itself.
    """

    keys: Mapping[int, bytes]
    identities: Mapping[str, str] = {}

    def pseudonym_of(self, identity: str, time_s: float) -> str:
        """Return the pseudonym that an identity has at a time; a pseudonym is returned unchanged.

        Raises: InvalidInput when there is no key of that epoch, or the identity is empty.
        """
        epoch = epoch_of(time_s)
        require(epoch in self.keys, "time_s", time_s, "a time in an epoch whose key is there")
        return pseudonym(self.identities.get(identity, identity), self.keys[epoch])

    def of(self, identity: str) -> "EpochKeys":
        """Return the keys with what one name stands for alone: all that one who works for it needs."""
        own = {identity: self.identities[identity]} if identity in self.identities else {}
        return EpochKeys(self.keys, own)

    def pseudonyms_of(self, identity: str) -> dict[int, str]:
        """Return the pseudonyms of an identity by epoch, in order."""
        return {epoch: self.pseudonym_of(identity, epoch * EPOCH_S) for epoch in sorted(self.keys)}


def epoch_of(time_s: float) -> int:
    """Return the number of the 30-day epoch that an epoch second lies in."""
    return int(time_s // EPOCH_S)


def scope_key(master_key: bytes, scope: PseudonymScope, epoch: int) -> bytes:
    """Derive the key of a scope in an epoch; destroying it forgets everyone.

    Raises: InvalidInput when the master key is shorter than 16 bytes.
    Source: SPEC 7.2 (K_scope,epoch).
    """
    size = len(master_key)
    require(size >= MINIMUM_KEY_BYTES, "master_key", f"{size} bytes", f"at least {MINIMUM_KEY_BYTES} bytes")
    return hmac.digest(master_key, f"parity-mas|{scope.value}|{epoch}".encode(), hashlib.sha256)


def secret_identity(subject_key: bytes) -> str:
    """Return what a person is called before it gets a pseudonym: nothing leads there but the person's key.

    With the key the way from the person to its pseudonyms is destroyed, whoever has the scopes' keys.

    Raises: InvalidInput when the key is shorter than 16 bytes.
    """
    size = len(subject_key)
    require(size >= MINIMUM_KEY_BYTES, "subject_key", f"{size} bytes", f"at least {MINIMUM_KEY_BYTES} bytes")
    digest = hmac.digest(subject_key, b"parity-mas|identity", hashlib.sha256)
    return "s_" + base64.b32encode(digest).decode().lower().rstrip("=")


def subject_key_of(master_key: bytes, name: str) -> bytes:
    """Derive the key of a subject from a master key: for simulations, which have no key store.

    Raises: InvalidInput when the master key is shorter than 16 bytes.
    """
    size = len(master_key)
    require(size >= MINIMUM_KEY_BYTES, "master_key", f"{size} bytes", f"at least {MINIMUM_KEY_BYTES} bytes")
    return hmac.digest(master_key, f"parity-mas|subject|{name}".encode(), hashlib.sha256)


def pseudonym(identity: str, key: bytes) -> str:
    """Return the pseudonym of an identity under a scope's key; a pseudonym is returned unchanged.

    Raises: InvalidInput when the identity is empty.
    Source: SPEC 7.2 (`p_` + base32(HMAC-SHA-256)[:26], and its idempotence guard).
    """
    if is_pseudonym(identity):
        return identity
    canonical = canonical_identity(identity)
    require(canonical != "", "identity", identity, "not empty")
    digest = hmac.digest(key, canonical.encode(), hashlib.sha256)
    return "p_" + base64.b32encode(digest).decode().lower()[:LENGTH]


def is_pseudonym(identity: str) -> bool:
    """Tell whether a text already is a pseudonym."""
    return PATTERN.fullmatch(identity) is not None


def canonical_identity(identity: str) -> str:
    """Return one spelling for one identity: composed Unicode, lower case, no surrounding space."""
    return unicodedata.normalize("NFC", identity).strip().casefold()
