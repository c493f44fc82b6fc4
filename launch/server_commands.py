"""The command `parity-mas server`: a meeting place for shards, and configurations of servers."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from launch.exits import errors as _errors

if TYPE_CHECKING:
    from launch.sharding import MeetingPlace

__all__ = ["server_app"]

MEET = "meet"


class _MeetByDefault(TyperGroup):
    """A group whose first command is meant where the first word is none: `parity-mas server FILE`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("-h", "--help"):
            args = [MEET, *args]
        return super().parse_args(ctx, args)


server_app = typer.Typer(
    cls=_MeetByDefault,
    help="The XMPP server: `server FILE` runs one for shards, `server config` configures a community's.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@server_app.command(MEET)
def meet(
    file: Annotated[Path, typer.Argument(help="Written for the shards: address and secrets.")],
    shards: Annotated[int, typer.Option(help="How many shards meet here.", min=1, max=64)] = 2,
    host: Annotated[str, typer.Option(help="The address that shards can reach.")] = "127.0.0.1",
    domain: Annotated[str, typer.Option(help="The domain of the scenario's server.")] = "localhost",
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log everything.")] = False,
) -> None:
    """Run the XMPP server (Prosody) at which the shards of a community meet, until interrupted."""
    import asyncio

    from launch import sharding
    from launch.logs import configure_logs

    def ready(place: "MeetingPlace") -> None:
        print(
            f"{place.host}:{place.port} takes {', '.join(place.secrets)}; {file} tells the shards", flush=True
        )

    configure_logs(verbose)
    with _errors():
        asyncio.run(sharding.serve(domain, shards, host, file, ready))


@server_app.command()
def config(
    domain: Annotated[str, typer.Option(help="Of all agents' addresses.")],
    certificate: Annotated[str, typer.Option(help="Path on the server.")] = "/etc/parity-mas/cert.pem",
    key: Annotated[str, typer.Option(help="Path on the server.")] = "/etc/parity-mas/key.pem",
    data: Annotated[str, typer.Option(help="Prosody's data_path.")] = "/var/lib/prosody",
    port: Annotated[int, typer.Option(help="For clients.", min=1, max=65_535)] = 5222,
    component: Annotated[
        list[str] | None, typer.Option(help="Domain of a population. May be repeated.", metavar="DOMAIN")
    ] = None,
    ejabberd: Annotated[bool, typer.Option("--ejabberd", help="For a cluster of ejabberd.")] = False,
) -> None:
    """Print a server's configuration: TLS, limits that agents need, no registration, no other servers."""
    from launch.server_config import ServerSettings, ejabberd_config, prosody_config

    settings = ServerSettings(
        domain=domain,
        certificate=certificate,
        key=key,
        data=data,
        port=port,
        components=tuple(component or ()),
    )
    print(ejabberd_config(settings) if ejabberd else prosody_config(settings), end="")
