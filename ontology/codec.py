"""Letters to bytes and back: JSON bodies, the offline wire, and FIPA metadata as SPADE carries it.

A body that cannot be read (unknown type, malformed, oversized, unknown key, value out of bounds,
another version) raises NotUnderstood, which names what was wrong and where.
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, TypeVar, get_args

import msgspec
from msgspec import Meta, Raw

from ontology.attestation import Attestation, AttestationRequest, DatasetProof, ProofRequest
from ontology.base import ONTOLOGY, Concept
from ontology.coalition import (
    CoalitionBid,
    CoalitionInvitation,
    DeliveryReport,
    FlexProduct,
    ScheduleCommitment,
    SelectionReport,
    SelectionRun,
    SelectionTurn,
    SelectionUpdate,
)
from ontology.control import UserOverride
from ontology.delegation import ProxyAnswer, ProxyRequest
from ontology.directory import DirectoryEntry, DirectoryListing, DirectoryNotice, DirectorySearch
from ontology.discourse import (
    Acknowledgement,
    AnyConcept,
    FailureReport,
    Query,
    QueryResult,
    Refusal,
    Rejection,
    Subscription,
)
from ontology.errors import InvalidInput, NotUnderstood, Problem, problem
from ontology.flexibility_trading import (
    DemandResponseReport,
    FlexOfferRevocation,
    FlexResponse,
    FlexSettlementResponse,
)
from ontology.grid import GridMeasurementBatch
from ontology.grid_coordination import ActivationLimits, ActivationPlan
from ontology.ledger import PaymentOrder
from ontology.letter import LANGUAGE, Envelope, Letter
from ontology.letter_record import RecordedLetters, RecordSubscription
from ontology.market import (
    ExternalActivation,
    ExternalDelivery,
    ExternalSettlement,
    LemOrder,
    ReserveAssignment,
    ReserveOffer,
)
from ontology.performatives import Performative
from ontology.registration import (
    ErasureRequest,
    IssuedPseudonym,
    Onboarding,
    PseudonymRequest,
)
from ontology.samples import SampleBatch, SampleReceipt

__all__ = [
    "MAX_BODY_BYTES",
    "MESSAGE_TYPES",
    "decode_body",
    "decode_envelope",
    "encode_body",
    "encode_envelope",
    "from_fipa",
    "message_type_of",
    "open_letter",
    "read_json",
    "signed_part",
    "to_fipa",
]

MAX_BODY_BYTES = 48_000
"""Longest body: with its metadata it stays under the 64 kB stanzas that servers accept (SPEC 3.2)."""

_DISCOURSE = (Query, QueryResult, Subscription, Acknowledgement, Refusal, FailureReport, Rejection)
_DIRECTORY = (DirectoryEntry, DirectorySearch, DirectoryListing, DirectoryNotice)
_COALITION = (
    FlexProduct,
    CoalitionBid,
    CoalitionInvitation,
    SelectionUpdate,
    SelectionReport,
    SelectionRun,
    SelectionTurn,
    ScheduleCommitment,
    DeliveryReport,
)
_MARKET = (LemOrder, AttestationRequest, Attestation, PaymentOrder, ProofRequest, DatasetProof)
_TRADING = (FlexResponse, FlexOfferRevocation, FlexSettlementResponse)
_GRID = (GridMeasurementBatch,)
_SERVICES = (
    ExternalActivation,
    ExternalDelivery,
    ExternalSettlement,
    ReserveOffer,
    ReserveAssignment,
    DemandResponseReport,
    UserOverride,
    ActivationPlan,
    ActivationLimits,
    ProxyRequest,
    ProxyAnswer,
)
_SAMPLES = (SampleBatch, SampleReceipt)
_RECORDS = (RecordSubscription, RecordedLetters)
_MEMBERSHIP = (Onboarding, PseudonymRequest, IssuedPseudonym, ErasureRequest)


def _tag(cls: type[Concept]) -> str:
    return str(cls.__struct_config__.tag)


MESSAGE_TYPES: dict[str, type[Concept]] = {
    _tag(cls): cls
    for cls in (
        *get_args(AnyConcept),
        *_DISCOURSE,
        *_RECORDS,
        *_DIRECTORY,
        *_COALITION,
        *_MARKET,
        *_TRADING,
        *_SERVICES,
        *_SAMPLES,
        *_GRID,
        *_MEMBERSHIP,
    )
}
"""Every wire tag and its class."""

_TAGS: dict[type[Concept], str] = {cls: tag for tag, cls in MESSAGE_TYPES.items()}
_DECODERS = {tag: msgspec.json.Decoder(cls).decode for tag, cls in MESSAGE_TYPES.items()}
_PERFORMATIVES: dict[str, Performative] = {act.value: act for act in Performative}
_encode = msgspec.json.Encoder().encode


def message_type_of(cls: type[Concept]) -> str:
    """Return the wire tag of a class.

    Raises: KeyError when the class is no message type.
    """
    return _TAGS[cls]


# ---------------------------------------------------------------------------------------------- bodies


def encode_body(content: Concept) -> bytes:
    """Encode a concept as a JSON body.

    Raises: InvalidInput when it is longer than MAX_BODY_BYTES or holds text that is no Unicode.
    """
    try:
        body = _encode(content)
    except (UnicodeEncodeError, TypeError) as error:
        raise InvalidInput(problem(type(content).__name__, "", f"JSON in UTF-8: {error}")) from error
    if len(body) > MAX_BODY_BYTES:
        raise InvalidInput(_oversize(len(body)))
    return _escape_noncharacters(body)


def decode_body(message_type: str, body: bytes) -> Concept:
    """Decode and validate a JSON body of a message type.

    Raises: NotUnderstood when the type is unknown or the body breaks its rules.
    """
    if len(body) > MAX_BODY_BYTES:
        raise NotUnderstood(_oversize(len(body)))
    decode = _DECODERS.get(message_type)
    if decode is None:
        raise NotUnderstood(problem("msgType", message_type, "a message type of " + ONTOLOGY))
    try:
        return decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise NotUnderstood(_problems_of(error, body)) from error


_T = TypeVar("_T")


def read_json(cls: type[_T], data: bytes) -> _T:
    """Decode and validate JSON that a person or a file handed in.

    Raises: InvalidInput with path, value and what was expected.
    """
    try:
        return msgspec.json.decode(data, type=cls)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(_problems_of(error, data)) from error


def _oversize(length: int) -> Problem:
    return problem("body", f"{length} bytes", f"at most {MAX_BODY_BYTES} bytes")


def _escape_noncharacters(body: bytes) -> bytes:
    """Escape U+FFFE and U+FFFF, which JSON allows and XML 1.0 does not."""
    if body.isascii():
        return body
    return body.replace(b"\xef\xbf\xbe", b"\\ufffe").replace(b"\xef\xbf\xbf", b"\\uffff")


_AT = re.compile(r"^(?P<expected>.*?)(?: - at `(?P<kind>key in )?\$(?P<path>.*)`)?$", re.DOTALL)
_FIELD = re.compile(r"field `(?P<field>[^`]*)`")


def _problems_of(error: Exception, body: bytes) -> tuple[Problem, ...]:
    """Say where a body went wrong, what stands there and what would be right (off the hot path)."""
    cause = error.__cause__
    match = _AT.match(str(error))
    path = (match["path"] or "").lstrip(".") if match else ""
    if isinstance(cause, InvalidInput):
        return tuple(
            Problem(".".join(part for part in (path, each.path) if part), each.value, each.expected)
            for each in cause.problems
        )
    if not isinstance(error, msgspec.ValidationError):
        return (problem("body", body[:80].decode(errors="replace"), f"JSON: {error}"),)
    expected = match["expected"] if match else str(error)
    named = _FIELD.search(expected)
    if named:
        path = f"{path}.{named['field']}" if path else named["field"]
    value = _value_at(body, path) if path else body[:80].decode(errors="replace")
    return (problem(path or "body", value, expected),)


def _value_at(body: bytes, path: str) -> object:
    """Return what stands at a path such as `rows[3].player`, or nothing when it is absent."""
    try:
        value: Any = msgspec.json.decode(body)
        for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path):
            value = value[int(index)] if index else value[name]
    except (KeyError, IndexError, TypeError, ValueError, RecursionError):
        return ""
    return value


# --------------------------------------------------------------------------------------------- letters


def open_letter(envelope: Envelope) -> Letter:
    """Open an envelope: check version, language and speech act, and decode the body.

    Raises: NotUnderstood naming what was wrong.
    """
    if envelope.ontology != ONTOLOGY:
        raise NotUnderstood(problem("ontology", envelope.ontology, ONTOLOGY))
    if envelope.language != LANGUAGE:
        raise NotUnderstood(problem("language", envelope.language, LANGUAGE))
    performative = _PERFORMATIVES.get(envelope.performative)
    if performative is None:
        raise NotUnderstood(problem("performative", envelope.performative, "a communicative act of FIPA"))
    return Letter(envelope, performative, decode_body(envelope.message_type, envelope.body))


# ---------------------------------------------------------------------------------------- offline wire

_Line = Annotated[str, Meta(max_length=1024)]
_Seconds = Annotated[float, Meta(ge=0, le=253_402_300_799)]
_Sequence = Annotated[int, Meta(ge=0, le=2**53 - 1)]


class _Wire(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, omit_defaults=True):
    """An envelope on the offline wire: its fields, and the body as it is."""

    performative: _Line
    sender: _Line
    to: _Line
    message_type: _Line
    conversation: _Line
    sequence: _Sequence
    message_id: _Line
    sent_at_s: _Seconds
    in_reply_to: _Line = ""
    reply_by_s: _Seconds = 0
    protocol: _Line = ""
    ontology: _Line = ONTOLOGY
    language: _Line = LANGUAGE
    signature: _Line = ""
    key_id: _Line = ""
    body: Raw = Raw()


_decode_wire = msgspec.json.Decoder(_Wire).decode


def encode_envelope(envelope: Envelope) -> bytes:
    """Encode an envelope for the offline wire; the body is JSON already and goes in as it is."""
    return _encode(
        _Wire(
            envelope.performative,
            envelope.sender,
            envelope.to,
            envelope.message_type,
            envelope.conversation,
            envelope.sequence,
            envelope.message_id,
            envelope.sent_at_s,
            envelope.in_reply_to,
            envelope.reply_by_s,
            envelope.protocol,
            envelope.ontology,
            envelope.language,
            envelope.signature,
            envelope.key_id,
            Raw(envelope.body or b"null"),
        )
    )


def decode_envelope(wire: bytes) -> Envelope:
    """Decode an envelope from the offline wire; its body stays encoded.

    Raises: NotUnderstood when the wire is no envelope.
    """
    try:
        w = _decode_wire(wire)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise NotUnderstood(_problems_of(error, wire)) from error
    return Envelope(
        w.performative,
        w.sender,
        w.to,
        w.message_type,
        w.conversation,
        w.sequence,
        w.message_id,
        w.sent_at_s,
        w.in_reply_to,
        w.reply_by_s,
        w.protocol,
        w.ontology,
        w.language,
        w.signature,
        w.key_id,
        bytes(w.body),  # a copy: Raw is a view that would keep the whole wire alive
    )


# ------------------------------------------------------------------------------------- FIPA over SPADE

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NOT_A_LINE = re.compile("[^\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_METADATA_MAX = 1024


def to_fipa(envelope: Envelope) -> tuple[dict[str, str], str]:
    """Return an envelope as SPADE carries it: metadata (strings only) and body text.

    Raises: InvalidInput when something in it cannot stand in XML 1.0 and would tear the stream down.
    """
    fields = {
        "performative": envelope.performative,
        "protocol": envelope.protocol,
        "ontology": envelope.ontology,
        "language": envelope.language,
        "msgType": envelope.message_type,
        "msgId": envelope.message_id,
        "conversationId": envelope.conversation,
        "sequence": str(envelope.sequence),
        "inReplyTo": envelope.in_reply_to,
        "replyBy": _rfc3339(envelope.reply_by_s) if envelope.reply_by_s else "",
        "sentAt": _rfc3339(envelope.sent_at_s),
        "sig": envelope.signature,
        "kid": envelope.key_id,
    }
    metadata = {key: value for key, value in fields.items() if value}
    problems = _unfit_lines(metadata)
    try:
        body = _escape_noncharacters(envelope.body).decode()
    except UnicodeDecodeError as error:
        raise InvalidInput([*problems, problem("body", "", f"UTF-8: {error}")]) from error
    if not _is_plain(body) and _NOT_XML.search(body):
        problems.append(problem("body", body, "text that XML allows"))
    if problems:
        raise InvalidInput(problems)
    return metadata, body


def from_fipa(sender: str, to: str, thread: str | None, metadata: Mapping[str, str], body: str) -> Envelope:
    """Read what SPADE delivered, from our agents or from foreign ones that leave most metadata out.

    A missing msgType is read from the body's `type`, a missing conversation is the thread or else the
    message id, a missing sequence is 0 (unordered).

    Raises: NotUnderstood when metadata is missing or malformed, or the body is no text in Unicode.
    """
    problems = _unfit_lines(metadata)
    if problems:
        raise NotUnderstood(problems)
    try:
        encoded = body.encode()
    except UnicodeEncodeError as error:
        raise NotUnderstood(problem("body", "", f"Unicode: {error}")) from error
    if len(encoded) > MAX_BODY_BYTES:
        raise NotUnderstood(_oversize(len(encoded)))
    performative = metadata.get("performative", "")
    if not performative:
        raise NotUnderstood(problem("metadata.performative", "", "a communicative act of FIPA"))
    message_id = metadata.get("msgId") or _derived_id(sender, to, thread, metadata, encoded)
    return Envelope(
        performative=performative,
        sender=sender,
        to=to,
        message_type=metadata.get("msgType") or _type_in(encoded),
        conversation=metadata.get("conversationId") or thread or message_id,
        sequence=_sequence(metadata.get("sequence", "")),
        message_id=message_id,
        sent_at_s=_epoch("sentAt", metadata.get("sentAt", "")),
        in_reply_to=metadata.get("inReplyTo", ""),
        reply_by_s=_epoch("replyBy", metadata.get("replyBy", "")),
        protocol=metadata.get("protocol", ""),
        ontology=metadata.get("ontology") or ONTOLOGY,
        language=metadata.get("language") or LANGUAGE,
        signature=metadata.get("sig", ""),
        key_id=metadata.get("kid", ""),
        body=encoded,
    )


def signed_part(envelope: Envelope) -> bytes:
    """Return the bytes that a signature covers: canonical JSON (RFC 8785) of metadata, addresses and body.

    All values are strings, so that sorted keys are all that the canonical form asks for.
    """
    metadata, body = to_fipa(envelope)
    metadata.pop("sig", None)
    return msgspec.json.encode(
        {**metadata, "from": envelope.sender, "to": envelope.to, "body": body}, order="sorted"
    )


def _is_plain(text: str) -> bool:
    """Whether a text is printable ASCII, which XML always allows: the common case, told fast."""
    return text.isascii() and text.isprintable()


def _unfit_lines(metadata: Mapping[str, str]) -> list[Problem]:
    """List the metadata values that are too long or could tear an XML stream down."""
    return [
        problem(f"metadata.{key}", value, f"one line of at most {_METADATA_MAX} characters that XML allows")
        for key, value in metadata.items()
        if len(value) > _METADATA_MAX or (not _is_plain(value) and _NOT_A_LINE.search(value))
    ]


class _Typed(msgspec.Struct, gc=False):
    type: str


_decode_typed = msgspec.json.Decoder(_Typed).decode


def _type_in(body: bytes) -> str:
    try:
        return _decode_typed(body).type
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise NotUnderstood(
            problem("metadata.msgType", "", "a message type, here or as the body's `type`")
        ) from None


def _derived_id(sender: str, to: str, thread: str | None, metadata: Mapping[str, str], body: bytes) -> str:
    """Name a letter that came without an id; the same letter always gets the same name."""
    told = _encode([sender, to, thread, sorted(metadata.items())]) + body
    return "x-" + hashlib.sha256(told).hexdigest()[:32]


def _sequence(text: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise NotUnderstood(problem("metadata.sequence", text, "a whole number, 0 or above"))
    return int(text)


_TIMESTAMP = re.compile(
    r"(?P<whole>\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(?:\.(?P<fraction>\d+))?(?P<zone>[Zz]|[+-]\d\d:\d\d)",
    re.ASCII,
)


def _rfc3339(time_s: float) -> str:
    """Write epoch seconds as RFC 3339 with every digit that the number has, so that it reads back exactly."""
    try:
        whole, _, fraction = f"{Decimal(repr(float(time_s))):f}".partition(".")
        text = datetime.fromtimestamp(int(whole), UTC).strftime("%Y-%m-%dT%H:%M:%S")
    except (ValueError, ArithmeticError, OSError) as error:
        raise InvalidInput(problem("sent_at_s", time_s, "epoch seconds before the year 10000")) from error
    return f"{text}.{fraction}Z" if fraction.strip("0") else f"{text}Z"


def _epoch(key: str, text: str) -> float:
    if not text:
        return 0.0
    match = _TIMESTAMP.fullmatch(text)
    try:
        if match is None:
            raise ValueError(text)
        zone = match["zone"].upper().replace("Z", "+00:00")
        whole = int(datetime.fromisoformat(match["whole"].upper() + zone).timestamp())
        if whole < 0:
            raise ValueError(text)
        return float(f"{whole}.{match['fraction'] or 0}")
    except (ValueError, OverflowError):
        raise NotUnderstood(
            problem(f"metadata.{key}", text, "a time of RFC 3339, such as 2026-01-31T12:00:00Z")
        ) from None
