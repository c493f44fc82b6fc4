"""The message inspector: who said what to whom, live or recorded; conversations as pictures."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgspec
from litestar import Request, Response, get
from litestar.response import Stream

from environments.http.access import caller_of, token_holders
from environments.http.console.letter_feed import NEWEST, LetterFeed, rendered
from environments.http.console.pages import SECURITY, html, page, register_entry
from environments.http.console.sequence_diagram import breaches, sequence_diagram
from environments.http.console.signing_in import may_read_bodies, shown_to
from environments.http.services import services_of
from environments.live.stanzas import write_stanza
from environments.repository.letter_archive import LetterArchive, LetterSelection, RecordedLetter
from ontology.codec import to_fipa
from ontology.errors import InvalidInput, Unavailable, problem
from ontology.ownership import Party
from ontology.performatives import Performative

__all__ = ["LETTERS"]

Any_ = Request[Any, Any, Any]
ANYBODY = token_holders()
MOST_EXPORTED = 100_000
_PAGE = 1_000
FASTEST = 3_600
SPEEDS = (1, 10, 60, 300, 900, 3600)

register_entry("/console/letters", "Messages", ANYBODY, "Community")


class Wanted(msgspec.Struct, frozen=True):
    """The filters of the page, as its form names them."""

    agent: str = ""
    act: str = ""
    type: str = ""
    outcome: str = ""
    conversation: str = ""
    words: str = ""
    slower_than_s: str = ""
    speed: str = ""
    start: str = ""

    def replay(self) -> tuple[float, float] | None:
        """Return from when on (0: the beginning) and how much faster the record is shown again, if it is.

        Raises: InvalidInput with all that is wrong.
        """
        if not self.speed:
            return None
        wrong = []
        if not self.speed.isdecimal() or not 1 <= int(self.speed) <= FASTEST:
            wrong.append(problem("speed", self.speed, f"1 to {FASTEST}"))
        start_s = _epoch_s(self.start)
        if start_s is None:
            wrong.append(problem("start", self.start, "a time such as 2025-06-15T12:00, in UTC"))
        if wrong:
            raise InvalidInput(wrong)
        return start_s or 0.0, float(self.speed)

    def selection(self) -> LetterSelection:
        """Return the selection of letters.

        Raises: InvalidInput when the latency is no number.
        """
        try:
            slower_than_s = float(self.slower_than_s) if self.slower_than_s.strip() else None
        except ValueError:
            raise InvalidInput(problem("slower_than_s", self.slower_than_s, "seconds")) from None
        return LetterSelection(
            agent=self.agent.strip(),
            performative=self.act,
            message_type=self.type.strip(),
            outcome=self.outcome.strip(),
            conversation=self.conversation.strip(),
            words=self.words.strip(),
            slower_than_s=slower_than_s,
        )


@get("/letters", opt=shown_to(ANYBODY))
async def letters_page(request: Any_) -> Response[str]:
    """Show the newest letters that match, and go on with those that come."""
    wanted, caller = _wanted(request), caller_of(request)
    feed, replay = _feed(request), wanted.replay()
    newest, rows = (
        feed.rows(_permitted(caller.party, wanted.selection()), may_read_bodies(caller))
        if replay is None
        else (0, "")
    )
    return page(
        request,
        "letters.html",
        wanted=wanted,
        rows=rows,
        newest=newest,
        acts=list(Performative),
        speeds=SPEEDS,
        is_replay=replay is not None,
        query=request.url.query,
    )


@get("/letters/rows", opt=shown_to(ANYBODY))
async def letter_rows(request: Any_, before: int | None = None) -> Response[str]:
    """Return older letters as rows of the table, those before a number."""
    caller = caller_of(request)
    selection = _permitted(caller.party, _wanted(request).selection())
    letters = _archive(request).select(selection, before=before, limit=NEWEST)
    return html(rendered(_archive(request), letters, may_read_bodies(caller)))


@get("/letters/stream", opt=shown_to(ANYBODY))
async def letter_stream(request: Any_) -> Stream:
    """Send the newest letters whenever there are new ones, at most once a second; or a record again."""
    caller, wanted = caller_of(request), _wanted(request)
    selection, bodies = _permitted(caller.party, wanted.selection()), may_read_bodies(caller)
    feed, replay = _feed(request), wanted.replay()
    if replay is None:
        events = feed.follow(selection, bodies)
    else:
        start_s, speed = replay
        events = feed.replay(selection, bodies, start_s or feed.archive.span_s()[0], speed)
    return Stream(events, media_type="text/event-stream", headers=SECURITY)


@get("/letters/export", opt=shown_to(ANYBODY))
async def letter_export(request: Any_) -> Stream:
    """Send all letters that match, at most 100,000, oldest first, one JSON object a line."""
    caller = caller_of(request)
    selection = _permitted(caller.party, _wanted(request).selection())
    lines = _lines(_archive(request), selection, may_read_bodies(caller))
    headers = {**SECURITY, "Content-Disposition": 'attachment; filename="letters.jsonl"'}
    return Stream(lines, media_type="application/x-ndjson", headers=headers)


@get("/letters/{number:int}", opt=shown_to(ANYBODY))
async def letter_page(request: Any_, number: int) -> Response[str]:
    """Show one letter: its envelope, what it says, and when.

    Raises: InvalidInput when there is none of that number that the caller may see.
    """
    caller = caller_of(request)
    letter = _archive(request).letter(number)
    if letter is None or not _may_see(caller.party, letter):
        raise InvalidInput(problem("number", number, "the number of a letter"))
    readable = may_read_bodies(caller) or _is_side(caller.party, letter)
    xml = _as_xml(letter if readable else _without_body(letter))
    return page(request, "letter.html", letter=letter, body=_pretty(letter) if readable else None, xml=xml)


@get("/conversations", opt=shown_to(ANYBODY))
async def conversation_page(request: Any_, id: str) -> Response[str]:
    """Show a conversation as a sequence diagram.

    Raises: InvalidInput when there is none of that id that the caller may see.
    """
    caller = caller_of(request)
    recorded = [each for each in _archive(request).conversation(id) if _may_see(caller.party, each)]
    if not recorded:
        raise InvalidInput(problem("id", id, "the id of a conversation"))
    shown = recorded if may_read_bodies(caller) else [_without_body(each) for each in recorded]
    return page(
        request, "conversation.html", id=id, letters=recorded, diagram=sequence_diagram(shown),
        breaches=breaches(recorded),
    )  # fmt: skip


def _wanted(request: Any_) -> Wanted:
    given = {
        name: request.query_params[name] for name in Wanted.__struct_fields__ if name in request.query_params
    }
    return Wanted(**given)


def _archive(request: Any_) -> LetterArchive:
    """Return the record of letters.

    Raises: Unavailable when letters are not recorded.
    """
    archive = services_of(request).more["community"].archive
    if archive is None:
        raise Unavailable("letters are not recorded here (scenario key `record`)")
    assert isinstance(archive, LetterArchive)
    return archive


def _feed(request: Any_) -> LetterFeed:
    services = services_of(request)
    feed = services.more.get("letter feed")
    if feed is None:
        feed = services.more["letter feed"] = LetterFeed(_archive(request), services.more["sleep"])
    assert isinstance(feed, LetterFeed)
    return feed


def _permitted(party: Party, wanted: LetterSelection) -> LetterSelection:
    """Return a selection of letters that somebody may see: who is bound to a site sees its own only.

    Raises: InvalidInput when another's are asked for.
    """
    if not party.is_bound:
        return wanted
    if wanted.agent and not party.owns(wanted.agent):
        raise InvalidInput(problem("agent", wanted.agent, "an agent of your own"))
    return msgspec.structs.replace(wanted, agent=wanted.agent or party.subjects[0])


def _is_side(party: Party, letter: RecordedLetter) -> bool:
    return party.owns(letter.envelope.sender) or party.owns(letter.envelope.to)


def _may_see(party: Party, letter: RecordedLetter) -> bool:
    return not party.is_bound or _is_side(party, letter)


def _without_body(letter: RecordedLetter) -> RecordedLetter:
    return letter._replace(envelope=msgspec.structs.replace(letter.envelope, body=b""))


def _epoch_s(text: str) -> float | None:
    """Return a time in UTC as epoch seconds, 0 for none, None for what is no time."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() if text else 0.0
    except ValueError:
        return None


def _as_xml(letter: RecordedLetter) -> str:
    """Return a letter as the stanza that carries it over XMPP, an element a line.

    Nothing is lost or added but the line ends: in text, angle brackets are escaped.
    """
    envelope = letter.envelope
    try:
        metadata, body = to_fipa(envelope)
    except InvalidInput as error:
        return f"It cannot be written as XML: {error}"
    stanza = write_stanza(envelope.to, envelope.message_id, envelope.conversation, metadata, body)
    return stanza.replace("><", ">\n<")


def _pretty(letter: RecordedLetter) -> str:
    try:
        return msgspec.json.format(letter.envelope.body, indent=2).decode()
    except msgspec.DecodeError:
        return letter.envelope.body.decode("utf-8", "replace")


async def _lines(archive: LetterArchive, selection: LetterSelection, bodies: bool) -> AsyncIterator[bytes]:
    after, sent = 0, 0
    while letters := archive.select(selection, after=after, limit=_PAGE, oldest_first=True):
        yield b"".join((each if bodies else _without_body(each)).as_json() + b"\n" for each in letters)
        after, sent = letters[-1].number, sent + len(letters)
        if sent >= MOST_EXPORTED:
            return


LETTERS = (
    letters_page,
    letter_rows,
    letter_stream,
    letter_export,
    letter_page,
    conversation_page,
)
