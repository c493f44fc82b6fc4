"""The command `parity-mas tap`: what agents say to each other, from a run folder, also while it grows."""

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from launch.exits import errors
from launch.exits import fail as fail_with

if TYPE_CHECKING:
    from environments.repository.letter_archive import LetterArchive, LetterSelection, RecordedLetter
    from ontology.letter_record import LetterNote

__all__ = ["tap"]

LOOK_AGAIN_S = 0.5
BODY_LENGTH = 160


def tap(
    run: Annotated[
        Path | None, typer.Argument(help="A run folder, or its messages.sqlite.", show_default=False)
    ] = None,
    live: Annotated[
        Path | None,
        typer.Option(help="Look on live, by the way in of one of `watch.clients`.", metavar="FILE"),
    ] = None,
    client: Annotated[str, typer.Option(help="With --live: spade or aioxmpp.")] = "spade",
    agent: Annotated[
        str, typer.Option(help="Of or to an agent: its address, its name, or its site's name.")
    ] = "",
    act: Annotated[str, typer.Option(help="A performative, such as inform or cfp.")] = "",
    message_type: Annotated[str, typer.Option("--type", help="A message type, such as parity:Lem.")] = "",
    outcome: Annotated[str, typer.Option(help="What became of it: handled, or why it was not.")] = "",
    words: Annotated[str, typer.Option(help="Words that are in it, anywhere.")] = "",
    conversation: Annotated[str, typer.Option(help="A conversation, oldest letter first.")] = "",
    slower_than: Annotated[float | None, typer.Option(help="Seconds on its way.", metavar="SECONDS")] = None,
    limit: Annotated[int, typer.Option(help="How many of the newest.", min=1, max=1_000)] = 50,
    bodies: Annotated[bool, typer.Option("--bodies", help="With the beginning of what they say.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, bodies in full.")] = False,
    diagram: Annotated[
        Path | None, typer.Option(help="Draw them as a sequence diagram into a file (SVG).", metavar="FILE")
    ] = None,
) -> None:
    """Show the letters of a run: who said what to whom, when, and what became of it."""
    with errors():
        if live is not None:
            look_on(live, client, agent, bodies, as_json)
            return
        if run is None:
            from ontology.errors import InvalidInput, problem

            raise InvalidInput(problem("RUN", "missing", "a run folder, or --live with a way in"))
        from environments.repository.letter_archive import LetterArchive, LetterSelection

        wanted = LetterSelection(
            agent=agent,
            performative=act,
            message_type=message_type,
            outcome=outcome,
            words=words,
            conversation=conversation,
            slower_than_s=slower_than,
        )
        with LetterArchive(run / "messages.sqlite" if run.is_dir() else run) as archive:
            letters = archive.select(wanted, limit=limit)[::-1]
            if diagram is not None:
                _draw(diagram, letters)
                return
            _show(letters, bodies, as_json)
            if follow:
                for fresh in _following(archive, wanted):
                    _show(fresh, bodies, as_json)
    if not letters and not follow:
        fail_with("no such letters", 1)


def look_on(file: Path, client: str, agent: str, bodies: bool, as_json: bool) -> None:
    """Show what a live host records from now on, as one of its XMPP clients, until interrupted.

    Raises: InvalidInput when the way in or the client is none, Refused when the host does not grant it,
        Unavailable when it cannot be reached.
    """
    from environments.live.record_client import AioxmppLink, Link, RecordClient, SpadeLink, WayIn, read_way_in
    from ontology.errors import InvalidInput, problem

    links: dict[str, Callable[[WayIn], Link]] = {"spade": SpadeLink, "aioxmpp": AioxmppLink}
    if client not in links:
        raise InvalidInput(problem("--client", client, "spade or aioxmpp"))
    try:
        way = read_way_in(file.read_bytes(), str(file))
    except OSError as error:
        raise InvalidInput(problem("--live", str(file), f"a readable file ({error.strerror})")) from error

    async def show() -> None:
        dropped = 0
        async with RecordClient(links[client](way), way) as host:
            async for batch in host.batches(agent, bodies=bodies):
                _show([_recorded(note) for note in batch.letters], bodies, as_json)
                if batch.dropped > dropped:
                    print(f"{batch.dropped - dropped} letters left out", file=sys.stderr, flush=True)
                    dropped = batch.dropped

    asyncio.run(show())


def _recorded(note: "LetterNote") -> "RecordedLetter":
    from behaviours.information.record_offering import envelope_of
    from environments.repository.letter_archive import RecordedLetter

    return RecordedLetter(0, note.time_s, note.outcome, envelope_of(note))


def _draw(path: Path, letters: "list[RecordedLetter]") -> None:
    from environments.http.console.sequence_diagram import sequence_diagram

    path.write_text(sequence_diagram(letters), encoding="utf-8")
    print(path)


def _following(archive: "LetterArchive", wanted: "LetterSelection") -> "Iterator[list[RecordedLetter]]":
    """Yield what is recorded from now on, until interrupted."""
    newest = archive.newest_number()
    while True:
        fresh = archive.select(wanted, after=newest, limit=1_000, oldest_first=True)
        newest = fresh[-1].number if len(fresh) == 1_000 else max(newest, archive.newest_number())
        yield fresh
        time.sleep(LOOK_AGAIN_S)


def _show(letters: "list[RecordedLetter]", bodies: bool, as_json: bool) -> None:
    for letter in letters:
        print(letter.as_json().decode() if as_json else _line(letter, bodies), flush=True)


def _line(letter: "RecordedLetter", bodies: bool) -> str:
    envelope = letter.envelope
    when = datetime.fromtimestamp(letter.time_s, UTC).strftime("%d %H:%M:%S")
    sides = f"{_name(envelope.sender)} → {_name(envelope.to)}"
    remark = "" if letter.outcome == "handled" else f"  ! {letter.outcome}"
    line = f"{when}  {sides:<44} {envelope.performative:<16} {envelope.message_type}{remark}"
    body = envelope.body.decode("utf-8", "replace")
    return f"{line}\n             {body[:BODY_LENGTH]}" if bodies else line


def _name(address: str) -> str:
    return address.partition("@")[0]
