"""The command `parity-mas site`: a site as a host of its own, from a blank card to a running service."""

from pathlib import Path
from typing import Annotated

import typer

from launch.exits import errors as _errors

__all__ = ["site_app"]

site_app = typer.Typer(
    help="A site as a host of its own: real agents on real devices.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

SiteFileArgument = Annotated[Path, typer.Argument(help="A site file (YAML).", metavar="SITE.yaml")]
Code = Annotated[
    str | None,
    typer.Option(help="File with the one-time code; by default it is asked for.", metavar="FILE"),
]
UNWELL = 1


@site_app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Where the site's files shall be.", metavar="FOLDER")],
    site: Annotated[str, typer.Option(help="The id that the community gave it.")] = "h001",
    domain: Annotated[str, typer.Option(help="Of the community.")] = "community.example",
) -> None:
    """Write a commented site file and topic maps to start from; nothing that is there is written over."""
    with _errors():
        from launch.site.starting import write_site

        for path in write_site(folder, site, domain):
            print(path)


@site_app.command()
def check(file: SiteFileArgument) -> None:
    """Look at devices, server, certificate, clock, rights and disk, and say in plain words what is wrong."""
    import asyncio

    async def look() -> bool:
        from launch.site.checking import check_site
        from launch.site.loading import load_site

        all_well = True
        async for finding in check_site(load_site(file)):
            print(f"{'ok  ' if finding.is_well else 'BAD '} {finding.what:<17} {finding.said}", flush=True)
            all_well &= finding.is_well
        return all_well

    with _errors():
        _quiet()
        well = asyncio.run(look())
    if not well:
        raise typer.Exit(UNWELL)


@site_app.command()
def scan(
    targets: Annotated[
        list[str] | None,
        typer.Argument(help="Hosts, addresses, networks such as 192.168.1.0/24.", metavar="TARGET..."),
    ] = None,
    port: Annotated[int, typer.Option(help="Of Modbus TCP.", min=1, max=65_535)] = 502,
    units: Annotated[
        str, typer.Option(help="Units to ask, such as 1,2,100-103; by default those that are usual.")
    ] = "",
    broker: Annotated[
        str | None, typer.Option(help="Where devices may announce themselves: mqtt://…", metavar="URL")
    ] = None,
    login_file: Annotated[
        Path | None, typer.Option(help="The login at the broker, name:password.", metavar="FILE")
    ] = None,
    ocpp: Annotated[
        str | None, typer.Option(help="Listen there for charge points that come.", metavar="HOST:PORT")
    ] = None,
    listen: Annotated[int, typer.Option(help="For charge points, how long, s.", min=1, max=3_600)] = 60,
) -> None:
    """Look for devices, reading only, and print sections of a site file for what was found."""
    import asyncio

    with _errors():
        from environments.devices.modbus.address import address_of
        from environments.wire.addresses import login_from, place_of
        from environments.wire.mqtt_link import Broker
        from launch.site import scanning
        from ontology.errors import InvalidInput, problem

        if not targets and broker is None and ocpp is None:
            raise InvalidInput(problem("TARGET", "none", "at least one, or --broker or --ocpp"))
        _quiet()
        place = place_of(broker, "mqtt", "mqtts", path="--broker") if broker else None
        where = Broker(place, login_from(login_file) if login_file else None) if place else None
        found = asyncio.run(
            scanning.scanned(
                targets or [],
                port=port,
                units=scanning.units_in(units),
                broker=where,
                ocpp=address_of(ocpp, "--ocpp") if ocpp else None,
                listen_s=listen,
            )
        )
    print(found or "# nothing answered")
    if not found:
        raise typer.Exit(UNWELL)


@site_app.command()
def enrol(
    file: SiteFileArgument,
    code_file: Code = None,
    again: Annotated[bool, typer.Option("--again", help="New keys for a site that has some.")] = False,
) -> None:
    """Join the community with a one-time code: keys are drawn here, and what it tells is kept."""
    import asyncio

    with _errors():
        from launch.site.joining import join
        from launch.site.loading import load_site

        enrolled = asyncio.run(join(load_site(file), _code(code_file), again=again))
    terms = enrolled.terms
    print(f"{terms.site} is a member of {terms.domain}, on segment {terms.segment_id}")


@site_app.command()
def restore(file: SiteFileArgument, code_file: Code = None) -> None:
    """Rebuild a site on a blank card with a new code: new keys, and no number of a letter is said again."""
    import asyncio

    with _errors():
        from launch.site.joining import join
        from launch.site.loading import load_site

        enrolled = asyncio.run(join(load_site(file), _code(code_file)))
    print(f"{enrolled.terms.site} is back; the certificate of its lost card holds no more")


@site_app.command()
def run(
    file: SiteFileArgument,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log everything.")] = False,
) -> None:
    """Run the site's agents until told to end; what is away is tried again, for as long as it takes."""
    import asyncio

    with _errors():
        from environments.site.enrolled import read_enrolled
        from environments.site.keystore import Keystore, keystore_file
        from launch.hosting import run_host
        from launch.logs import configure_logs
        from launch.site.host import SiteHost
        from launch.site.loading import load_site

        configure_logs(verbose)
        site = load_site(file)
        enrolled, keys = read_enrolled(site.data), Keystore.read(keystore_file(site.data))

        async def live() -> None:
            await run_host(SiteHost(site, enrolled, keys))

        asyncio.run(live())


@site_app.command()
def demo(
    folder: Annotated[
        Path | None, typer.Option(help="For all files, which are then kept.", show_default="a temporary one")
    ] = None,
    stay: Annotated[bool, typer.Option("--stay", help="Go on until interrupted.")] = False,
) -> None:
    """Show a community and a complete site on this machine: real servers and protocols, emulated devices."""
    import asyncio
    from tempfile import TemporaryDirectory

    def say(what: str) -> None:
        print(what, flush=True)

    with _errors(), TemporaryDirectory(prefix="parity-site-") as temporary:
        from launch.site.demonstration import demonstrate

        _quiet()
        asyncio.run(demonstrate(folder or Path(temporary), stay, say))


def _code(file: str | None) -> str:
    """Return the code from a file, or ask for it; it never stands on a command line."""
    if file is not None:
        from ontology.errors import InvalidInput, problem

        try:
            return Path(file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise InvalidInput(problem("--code-file", file, f"a readable file ({error.strerror})")) from None
    return str(typer.prompt("one-time code", hide_input=False))


def _quiet() -> None:
    """Leave it to the findings to say what is wrong."""
    import logging

    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.basicConfig(level=logging.CRITICAL)
