"""Attestors of a ledger: who they are, what they sign, and how many must agree."""

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

from contracts.calldata import END, Signature, call_data, key_hash
from contracts.chain import Chain, Reverted, Signer, signer_of
from ontology.errors import Failed, InvalidInput, Refused, problem
from ontology.ledger import SettlementKind

__all__ = [
    "KINDS",
    "Attested",
    "EvmAttestor",
    "result_bytes",
    "signature_text",
    "signatures_in_order",
    "usual_quorum",
]

KINDS = tuple(SettlementKind)
HASH = re.compile("[0-9a-f]{64}")
SIGNATURE = re.compile("[0-9a-f]{130}")


class Attested(Protocol):
    """A ledger whose settlements need attestors."""

    @property
    def contract(self) -> str:
        """The address of its contract."""

    def message(self, key: str, entries: Mapping[str, int], kind: SettlementKind, result: str) -> bytes:
        """Return the hash that an attestor of this ledger signs for a batch."""


class EvmAttestor:
    """The `Attestor` port: one key of the set that a contract was configured with.

    Args:
        ledger: a client of the contract, on whatever node the attestor trusts.
        chain: where objections go.
        signer: the attestor's key; it pays for its objections.
    """

    def __init__(self, ledger: Attested, chain: Chain, signer: Signer) -> None:
        self._ledger = ledger
        self._chain = chain
        self._signer = signer
        self.address = signer.address

    async def attest(self, key: str, entries: Mapping[str, int], kind: SettlementKind, result: str) -> str:
        """Return this attestor's signature (hexadecimal) of a batch.

        Raises: InvalidInput when the batch is none or names unknown accounts, Unavailable when the chain
        cannot be reached.
        """
        return signature_text(self._signer.sign_hash(self._ledger.message(key, entries, kind, result)))

    async def object(self, key: str, result: str) -> None:
        """Write on the chain, for all to see, that the result under a key should be another one.

        Raises: Refused when the key is no attestor's, Unavailable when the chain cannot be reached.
        """
        data = call_data("object(bytes32,bytes32)", key_hash(key), result_bytes(result))
        try:
            self._chain.transact(self._signer, data, to=self._ledger.contract)
        except Reverted as error:
            raise (Refused if "only" in str(error) else Failed)(f"ledger: {error}") from error


def usual_quorum(attestors: int) -> int:
    """Return how many of some attestors must agree: all but a third of them, as in Byzantine agreement."""
    return attestors - (attestors - 1) // 3


def signature_text(parts: tuple[int, int, int]) -> str:
    """Return a signature as 130 hexadecimal digits: r, s, v."""
    v, r, s = parts
    return f"{r:064x}{s:064x}{v:02x}"


def signature_parts(text: str) -> tuple[int, int, int] | None:
    """Return v, r and s of a signature, nothing when the text is none."""
    if not SIGNATURE.fullmatch(text):
        return None
    return int(text[128:], 16), int(text[:64], 16), int(text[64:128], 16)


def signatures_in_order(
    attestors: Sequence[str], message: bytes, attestations: Mapping[str, str]
) -> list[Signature]:
    """Return the attestors' signatures of a message in their order, those left out that are none."""
    signatures = []
    for number, attestor in enumerate(attestors):
        parts = signature_parts(attestations.get(attestor, ""))
        if parts and signer_of(message, *parts) == attestor:
            signatures.append(Signature(number, *parts))
    return signatures


def result_bytes(result: str) -> bytes:
    """Return a result's hash as bytes; no result is zero.

    Raises: InvalidInput when it is no hash of 64 hexadecimal digits.
    """
    if not result:
        return END
    if not HASH.fullmatch(result):
        raise InvalidInput(problem("result", result, "a hash of 64 hexadecimal digits"))
    return bytes.fromhex(result)
