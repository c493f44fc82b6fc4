"""The commands `parity-mas api`: tokens, the audit log, the interface's document, a repository by itself."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from launch.exits import errors

if TYPE_CHECKING:
    from environments.http.access_database import AccessDatabase
    from environments.http.tokens import TokenStore

__all__ = ["api_app"]

api_app = typer.Typer(
    help="The REST interface: tokens, audit log, a repository by itself.", no_args_is_help=True
)
token_app = typer.Typer(help="Who may call the REST interface.", no_args_is_help=True)
api_app.add_typer(token_app, name="token")

Access = Annotated[
    str, typer.Option("--database", help="Of tokens and the audit log, by URL.", metavar="URL")
]
AsJson = Annotated[bool, typer.Option("--json", help="For programs: JSON, one object a line.")]
DATABASE = "sqlite:///access.sqlite"


@token_app.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose it is: a component or a person.")],
    role: Annotated[str, typer.Option(help="Such as prosumer, aggregator, dso, gateway, ui.")],
    subject: Annotated[
        list[str] | None,
        typer.Option(help="A site (or pseudonym) of its own. May be repeated.", show_default="all"),
    ] = None,
    market: Annotated[str, typer.Option(help="The namespace of its facts.")] = "defaultmarket",
    days: Annotated[int, typer.Option(help="How long it is good.")] = 90,
    rate: Annotated[
        float | None, typer.Option(help="Requests a second.", show_default="the server's usual")
    ] = None,
    right: Annotated[
        list[str] | None,
        typer.Option(help="Beyond the role: bodies, to read what letters say.", show_default=False),
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="Write the token here, for its owner's eyes only.")
    ] = None,
    database: Access = DATABASE,
) -> None:
    """Make a token and show it, once; only its hash is kept."""
    with errors(), _tokens(database) as store:
        secret, caller = store.create(
            name, role, subject or [], market=market, days=days, requests_per_s=rate, rights=right or ()
        )
        if file is None:
            print(secret)
        else:
            _write_private(file, secret)
            print(f"token {caller.token_id} of {name} is in {file}")


@token_app.command("list")
def listed(database: Access = DATABASE, as_json: AsJson = False) -> None:
    """List tokens: whose, what they grant, until when."""
    import msgspec

    with errors(), _tokens(database) as store:
        for each in store.listed():
            if as_json:
                print(msgspec.json.encode(each).decode())
                continue
            state = "revoked" if each.revoked_s else f"until {_date(each.expires_s)}"
            own = " ".join(each.subjects) or "all"
            print(f"{each.token_id}  {each.role:<20} {own:<24} {each.market:<16} {state:<18} {each.name}")


@token_app.command()
def revoke(token_id: Annotated[str, typer.Argument()], database: Access = DATABASE) -> None:
    """Let a token be good for nothing, within a second."""
    with errors(), _tokens(database) as store:
        store.revoke(token_id)


@api_app.command()
def audit(
    limit: Annotated[int, typer.Option(help="The last so many calls.", min=1, max=100_000)] = 50,
    token: Annotated[str, typer.Option(help="Only of this token.")] = "",
    database: Access = DATABASE,
    as_json: AsJson = False,
) -> None:
    """Print who called what, and with which outcome; subjects by pseudonym."""
    from environments.http.audit import AuditLog
    from environments.simulation.clock import WallClock

    with errors(), _database(database) as access:
        for each in reversed(AuditLog(access, WallClock().now_s).last(limit, token)):
            if as_json:
                print(json.dumps(each))
                continue
            who = f"{each['token_id'] or 'stranger':<12} {each['role']:<18}"
            what = f"{each['status']} {each['method']} {each['route']} {each['entity']} {each['about']}"
            print(f"{_time(each['time_s'])} {who} {what}")


@api_app.command()
def openapi() -> None:
    """Print the OpenAPI document of the interface."""
    from environments.http import Services, application
    from environments.http.access_database import AccessDatabase
    from environments.http.openapi import document_of
    from environments.repository.store import SqlRepository
    from environments.simulation.clock import WallClock

    services = Services(SqlRepository(), AccessDatabase(), WallClock().now_s)
    document = json.loads(document_of(application(services).litestar))
    print(json.dumps(document, indent=2, ensure_ascii=False))


@api_app.command()
def serve(
    repository: Annotated[
        str, typer.Option(help="Where the facts are, by URL.", metavar="URL")
    ] = "sqlite:///repository.sqlite",
    database: Access = DATABASE,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 = any free one.", min=0, max=65_535)] = 8800,
    certificate: Annotated[Path | None, typer.Option(help="PEM; with --key: HTTPS.")] = None,
    key: Annotated[Path | None, typer.Option(help="PEM, of the certificate.")] = None,
    rate: Annotated[float, typer.Option(help="Requests a second of a token.", min=0.1)] = 50.0,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log everything, not only warnings.")
    ] = False,
) -> None:
    """Serve a repository without a community, until interrupted."""
    import uvloop

    from launch.logs import configure_logs
    from launch.schema.interface import Api
    from launch.serving import serve_repository
    from launch.stopping import stop_the_loop

    section = Api(
        host=host,
        port=port,
        database=database,
        certificate=str(certificate) if certificate else None,
        key=str(key) if key else None,
        requests_per_s=rate,
    )
    configure_logs(verbose)
    with errors(), stop_the_loop():
        uvloop.run(serve_repository(section, repository, _serving))


def _serving(url: str) -> None:
    print(f"serving at {url}; stop with Ctrl-C", flush=True)


@contextmanager
def _database(url: str) -> "Iterator[AccessDatabase]":
    from environments.http.access_database import AccessDatabase

    database = AccessDatabase(url)
    try:
        yield database
    finally:
        database.close()


@contextmanager
def _tokens(url: str) -> "Iterator[TokenStore]":
    from environments.http.tokens import TokenStore
    from environments.simulation.clock import WallClock

    with _database(url) as database:
        yield TokenStore(database, WallClock().now_s)


def _write_private(file: Path, secret: str) -> None:
    """Write a secret into a new file that only its owner can read.

    Raises: InvalidInput when the file is there already or cannot be written.
    """
    from ontology.errors import InvalidInput, problem

    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise InvalidInput(problem("file", str(file), f"a new file: {error.strerror}")) from None
    with os.fdopen(handle, "w", encoding="utf-8") as opened:
        opened.write(secret + "\n")


def _time(epoch_s: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _date(epoch_s: float) -> str:
    return _time(epoch_s)[:10]
