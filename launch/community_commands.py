"""The command `parity-mas community`: the community's own agents as a host, and who may join."""

from pathlib import Path
from typing import Annotated

import typer

from launch.exits import errors as _errors

__all__ = ["community_app", "print_sites"]

community_app = typer.Typer(
    help="A community that separately started sites join.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

File = Annotated[Path, typer.Argument(help="A community file (YAML).", metavar="COMMUNITY.yaml")]
SiteId = Annotated[str, typer.Argument(help="A site of the scenario.", metavar="SITE")]
HOURS_MAX = 720


@community_app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Where its files shall be.", metavar="FOLDER")],
    domain: Annotated[str, typer.Option(help="Of all its agents' addresses.")] = "community.example",
    host: Annotated[
        list[str] | None,
        typer.Option(help="Name or address that sites reach it by. May be repeated.", metavar="NAME"),
    ] = None,
    sites: Annotated[int, typer.Option(help="How many sites may join.", min=1, max=60)] = 2,
) -> None:
    """Write a community's files, its certificate authority and its server's certificate and configuration."""
    with _errors():
        from launch.community_starting import write_community

        for path in write_community(folder, domain, host or [], sites):
            print(path)


@community_app.command()
def check(file: File) -> None:
    """Say everything that is wrong with a community file, or what is in it."""
    with _errors():
        loaded = _load(file)
    sites = ", ".join(site.id for site in loaded.scenario.sites)
    print(f"{loaded.file.server.domain}: {sites} may join; enrolment at port {loaded.file.enrolment.port}")


@community_app.command()
def run(
    file: File,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log everything.")] = False,
) -> None:
    """Run the community's agents and let sites in, until told to end."""
    import asyncio

    with _errors():
        from launch.community_host import CommunityHost
        from launch.hosting import run_host
        from launch.logs import configure_logs

        configure_logs(verbose)
        loaded = _load(file)

        async def live() -> None:
            await run_host(CommunityHost(loaded))

        asyncio.run(live())


@community_app.command()
def invite(
    file: File,
    site: SiteId,
    hours: Annotated[int, typer.Option(help="For how long the code holds.", min=1, max=HOURS_MAX)] = 72,
) -> None:
    """Draw a one-time code with which a site enrols; tell it to the installer, it is kept nowhere."""
    with _errors():
        from environments.simulation.clock import WallClock
        from environments.site.invitations import Invitations
        from ontology.errors import InvalidInput, problem

        loaded = _load(file)
        known = [each.id for each in loaded.scenario.sites]
        if site not in known:
            raise InvalidInput(problem("SITE", site, f"one of {', '.join(known)}"))
        expires_s = int(WallClock().now_s()) + hours * 3600
        print(Invitations(loaded.data / "invitations").invite(site, expires_s))


@community_app.command()
def revoke(file: File, site: SiteId) -> None:
    """Let a site's certificate and accounts hold no more; a running community knows within a minute."""
    with _errors():
        from launch.community_members import revoke_site

        number = revoke_site(_load(file), site)
    print(f"{site} is no member any more; {number} accounts are gone")


def print_sites(file: Path) -> bool:
    """Print how the sites of a community are, and return whether all are well.

    Raises: InvalidInput when the community file is wrong.
    """
    import asyncio

    from launch.fleet import fleet_of, fleet_table

    rows = asyncio.run(fleet_of(_load(file)))
    from launch.console import console

    console().print(fleet_table(rows))
    return all(row.is_well for row in rows)


def _load(file: Path):  # type: ignore[no-untyped-def]
    from environments.simulation.clock import WallClock
    from launch.community_file import load_community

    return load_community(file, WallClock().now_s())
