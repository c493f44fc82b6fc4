"""The commands `parity-mas repository`: make a database, bring it up to date, fill, export and prune it.

A database is named by its URL; without one, the environment variable PARITY_REPOSITORY is asked.
"""

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from launch.exits import errors

if TYPE_CHECKING:
    from behaviours.repository_port import Selection
    from environments.repository import SqlRepository
    from environments.repository.engines import Engines
    from environments.repository.versions import Version
    from ontology.base import Concept

__all__ = ["repository_app"]

T = TypeVar("T")

repository_app = typer.Typer(
    help="Make a repository's database, bring it up to date, fill, export and prune it.",
    no_args_is_help=True,
)

Url = Annotated[
    str,
    typer.Argument(
        help="sqlite:///facts.sqlite, or postgresql://user@host/database?passfile=/path: no password in it.",
        envvar="PARITY_REPOSITORY",
        metavar="URL",
        show_default=False,
    ),
]
Entity = Annotated[str, typer.Option(help="Message type, such as parity:IntervalReading.")]
Market = Annotated[str, typer.Option(help="Whose facts: the namespace of a market.")]
Format = Annotated[str, typer.Option("--format", help="parquet, csv or json; by default the file's ending.")]
Begin = Annotated[str, typer.Option("--from", help="From this time on: ISO 8601 (UTC), or epoch seconds.")]
End = Annotated[str, typer.Option("--to", help="Up to this time, without it.")]
Subjects = Annotated[list[str] | None, typer.Option("--subject", help="Only about it. May be repeated.")]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where", help="Only where a field compares so; eq ne lt le gt ge.", metavar="'FIELD OP VALUE'"
    ),
]
PAGE = 10_000


@repository_app.command()
def init(url: Url) -> None:
    """Make the tables in a database that has none."""
    from environments.repository.versions import create, require_known, version_of

    with errors(), _opened(url) as engines:
        version = version_of(engines)
        require_known(engines, version)
        if version.held:
            print(f"{engines.shown} has its tables already, version {_names(version.held)}")
            return
        create(engines)
        print(f"{engines.shown} made, version {_names(version.newest)}")


@repository_app.command()
def upgrade(url: Url) -> None:
    """Bring the tables of a database to the newest version; nothing is lost."""
    from environments.repository.versions import upgrade as upgrade_tables

    with errors(), _opened(url) as engines:
        before = upgrade_tables(engines)
        if before.is_newest:
            print(f"{engines.shown} is up to date, version {_names(before.held)}")
        else:
            print(
                f"{engines.shown} brought from {_names(before.held) or 'nothing'} to {_names(before.newest)}"
            )


@repository_app.command()
def status(url: Url) -> None:
    """Print the version of a database's tables, and what is in them, by market and type."""
    from environments.repository.overview import overview
    from environments.repository.versions import version_of

    with errors(), _opened(url) as engines:
        version = version_of(engines)
        print(f"{engines.shown}  {_state(version)}")
        if version.is_newest:
            for line in overview(engines):
                span = f"{_shown(line.first_s)} – {_shown(line.last_s)}" if line.last_s else "timeless"
                print(f"{line.market:<20} {line.entity:<28} {_grouped(line.number)}  {span}")


@repository_app.command()
def ingest(
    url: Url,
    file: Annotated[Path, typer.Argument(help="Parquet, CSV or JSON lines; a column a field.")],
    entity: Entity,
    market: Market = "defaultmarket",
    file_format: Format = "",
) -> None:
    """Store the facts of a file; what is there already is replaced, so it may be done again."""
    from environments.repository.files import format_of, read_facts

    with errors(), _repository(url, market) as repository:
        for _ in read_facts(file, entity, format_of(file, file_format)):
            pass  # all is looked through before anything is stored
        number = 0
        for batch in read_facts(file, entity, format_of(file, file_format)):
            _run(repository.store(batch))
            number += len(batch)
        print(f"{number} facts stored")


@repository_app.command()
def export(
    url: Url,
    entity: Entity,
    out: Annotated[
        Path, typer.Option(help="The file; one that is there is replaced once the new one is whole.")
    ],
    market: Market = "defaultmarket",
    file_format: Format = "",
    begin: Begin = "",
    end: End = "",
    subjects: Subjects = None,
    where: Where = None,
) -> None:
    """Write facts of a type into a file, in the order of time."""
    from environments.repository.files import format_of, write_facts

    with errors(), _repository(url, market) as repository:
        selection = _selection(entity, subjects or (), begin, end, where or ())
        number = write_facts(out, entity, _pages(repository, selection), format_of(out, file_format))
        print(f"{number} facts in {out}")


@repository_app.command()
def prune(
    url: Url,
    keep: Annotated[
        list[str] | None,
        typer.Option("--keep", help="Days for a type, 0: for ever. May be repeated.", metavar="ENTITY=DAYS"),
    ] = None,
    at: Annotated[str, typer.Option(help="Count the days back from this time instead of now.")] = "",
) -> None:
    """Delete what is older than it is kept: readings 13 months, finer ones 30 days, logs 90."""
    from environments.repository.retention import checked_retention
    from environments.repository.retention import prune as prune_facts
    from environments.repository.versions import prepare
    from environments.simulation.clock import WallClock

    with errors(), _opened(url) as engines:
        days = checked_retention(_days(keep or ()))
        now_s = _time(at, "--at") if at else WallClock().now_s()
        prepare(engines)
        gone = prune_facts(engines, now_s, days)
        for entity, number in sorted(gone.items()):
            print(f"{entity:<28} {_grouped(number)} deleted, older than {days[entity]} days")
        if not gone:
            print("nothing is older than it is kept")


@contextmanager
def _opened(url: str) -> "Iterator[Engines]":
    from environments.repository.engines import Engines

    engines = Engines(url)
    try:
        yield engines
    finally:
        engines.close()


@contextmanager
def _repository(url: str, market: str) -> "Iterator[SqlRepository]":
    from environments.repository import SqlRepository

    repository = SqlRepository(url, market)
    try:
        yield repository
    finally:
        repository.close()


def _pages(repository: "SqlRepository", selection: "Selection") -> "Iterator[list[Concept]]":
    cursor = ""
    while True:
        page = _run(repository.page(selection, PAGE, cursor))
        yield page.items
        cursor = page.cursor
        if not cursor:
            return


def _run(work: "Coroutine[Any, Any, T]") -> "T":
    return asyncio.run(work)


def _selection(
    entity: str, subjects: Sequence[str], begin: str, end: str, where: Sequence[str]
) -> "Selection":
    """Return what is asked for.

    Raises: InvalidInput when a time or a condition cannot be read.
    """
    from behaviours.repository_port import END_OF_TIME_S, Comparison, Filter, Selection
    from ontology.errors import InvalidInput, problem

    start_s = _time(begin, "--from") if begin else 0
    end_s = _time(end, "--to") if end else END_OF_TIME_S
    filters = []
    for condition in where:
        field, _, rest = condition.partition(" ")
        comparison, _, value = rest.partition(" ")
        if comparison not in ("eq", "ne", "lt", "le", "gt", "ge"):
            raise InvalidInput(problem("--where", condition, "FIELD OP VALUE, OP one of eq ne lt le gt ge"))
        filters.append(Filter(field, Comparison(comparison), value))
    return Selection(entity, tuple(subjects), start_s, end_s, tuple(filters))


def _time(text: str, option: str) -> int:
    """Return epoch seconds; what bears no offset is UTC.

    Raises: InvalidInput when it is no time.
    """
    from ontology.errors import InvalidInput, problem

    if text.isdigit():
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(problem(option, text, "a time such as 2026-03-01 or 2026-03-01T12:00")) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _days(keep: Sequence[str]) -> dict[str, int]:
    from ontology.errors import InvalidInput, problem

    days = {}
    for each in keep:
        entity, _, number = each.rpartition("=")
        if not entity or not number.isdigit():
            raise InvalidInput(problem("--keep", each, "ENTITY=DAYS, such as parity:Measurement=60"))
        days[entity] = int(number)
    return days


def _grouped(number: int) -> str:
    return f"{number:>14,}".replace(",", " ")


def _state(version: "Version") -> str:
    held = _names(version.held)
    if not held:
        return "no tables"
    if version.is_newest:
        return f"version {held}, up to date"
    return f"version {held}, {'newer than this program' if version.is_unknown else 'to be upgraded'}"


def _names(versions: frozenset[str]) -> str:
    return ", ".join(sorted(versions))


def _shown(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M")
