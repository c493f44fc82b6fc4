"""What members of a negotiation tell each other, packed into little text.

MessagePack, deflated, in base 64: XML and JSON carry it without escaping.
"""

import base64
import binascii
import zlib
from typing import TypeVar

import msgspec
import numpy as np

from behaviours.decisions.series import IntArray
from ontology.errors import NotUnderstood, problem

__all__ = ["Count", "Update", "pack", "packed_row", "unpack", "unpacked_row"]

UNPACKED_BYTES_MAX = 1_000_000
WORTH_DEFLATING = 300
"""Bytes below which deflating costs more than it saves."""
T = TypeVar("T")


class Update(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a member has learnt since it last wrote to a neighbour, and the best candidate it knows.

    `choices` are (member, version, row): what that member has chosen, newer versions replacing older
    ones. `versions` says which version of each member's choice the candidate holds, 0 for none.
    """

    run: int
    number: int
    full: bool
    choices: list[tuple[int, int, bytes]]
    creator: int
    fitness: int
    versions: list[int]


class Count(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """How many updates a passive member has sent to and read from each neighbour in a run.

    `resend` is the head's answer: neighbours to whom everything shall be told once more.
    """

    run: int
    member: int
    sent: dict[int, int]
    read: dict[int, int]
    fitness: int
    digest: int
    resend: list[int] = []


def pack(message: msgspec.Struct) -> str:
    """Return a message as text."""
    plain = msgspec.msgpack.encode(message)
    raw = zlib.compress(plain, 1 if len(plain) > WORTH_DEFLATING else 0)
    return base64.b64encode(raw).decode()


def unpack(text: str, kind: type[T]) -> T:
    """Read a packed message.

    Raises: NotUnderstood when it is none.
    """
    try:
        packed = base64.b64decode(text, validate=True)
        inflater = zlib.decompressobj()
        raw = inflater.decompress(packed, UNPACKED_BYTES_MAX)
        if inflater.unconsumed_tail or not inflater.eof:
            raise ValueError(f"at most {UNPACKED_BYTES_MAX} bytes")
        return msgspec.msgpack.decode(raw, type=kind)
    except (binascii.Error, zlib.error, ValueError, msgspec.MsgspecError) as error:
        raise NotUnderstood(problem("packed", text[:40], f"a packed {kind.__name__}: {error}")) from error


def packed_row(row: IntArray) -> bytes:
    """Return a row of integers as differences, which deflate well when neighbouring values are alike."""
    return np.diff(row, prepend=0).astype("<i4").tobytes()


def unpacked_row(raw: bytes, length: int) -> IntArray:
    """Return the row of integers that was packed.

    Raises: NotUnderstood when it has another length.
    """
    if len(raw) != 4 * length:
        raise NotUnderstood(problem("choices", len(raw), f"{4 * length} bytes"))
    return np.frombuffer(raw, dtype="<i4").astype(np.int64).cumsum()
