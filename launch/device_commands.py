"""The command `parity-mas device`: an installer's look at one device, and simulated ones to try it on."""

from pathlib import Path
from typing import Annotated

import typer

from launch.exits import errors as _errors

__all__ = ["device_app"]

device_app = typer.Typer(
    help="One device of a site: read it, try what it obeys; or simulate some.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

SiteFileArgument = Annotated[Path, typer.Argument(help="A site file (YAML).", metavar="SITE.yaml")]
DeviceArgument = Annotated[
    str, typer.Argument(help="meter, pv, bess, ev, heat_pump or dhw.", metavar="DEVICE")
]


@device_app.command()
def read(
    file: SiteFileArgument,
    device: DeviceArgument,
    every: Annotated[
        bool, typer.Option("--all", help="Also every point of its models, or value of its map.")
    ] = False,
) -> None:
    """Read a device once, as the site's gateway does, and say how fast it answers."""
    import asyncio

    with _errors():
        from launch.site import diagnosis
        from launch.site.loading import load_site

        lines = asyncio.run(diagnosis.read(load_site(file), device, every=every))
    print("\n".join(lines))


@device_app.command()
def write(
    file: SiteFileArgument,
    device: DeviceArgument,
    setpoint: Annotated[
        int | None, typer.Option(help="Power in W, consumption positive.", metavar="W")
    ] = None,
    least: Annotated[
        int | None, typer.Option(help="Not below this power; negative: feeds in at most.", metavar="W")
    ] = None,
    most: Annotated[int | None, typer.Option(help="Not above this power.", metavar="W")] = None,
    release: Annotated[bool, typer.Option("--release", help="Give it back to itself.")] = False,
    seconds: Annotated[
        int, typer.Option("--for", help="How long, in s; then it is given back.", min=1, max=3_600)
    ] = 30,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Have a device do something for some seconds, show what it does, and give it back to itself."""
    import asyncio

    with _errors():
        from launch.site import diagnosis
        from launch.site.loading import load_site

        site = load_site(file)
        told = diagnosis.instruction_for(
            site, device, setpoint_w=setpoint, least_w=least, most_w=most, release=release, seconds=seconds
        )
        if not yes:
            typer.confirm(f"{diagnosis.said(told)}: really?", abort=True)

        async def carry_out() -> bool:
            obeyed = False
            async for line, obeys in diagnosis.carry_out(site, device, told):
                print(line, flush=True)
                obeyed = obeys
            return obeyed

        obeyed = asyncio.run(carry_out())
    if not obeyed:
        raise typer.Exit(1)


@device_app.command()
def simulate(
    listen: Annotated[str, typer.Option(help="Where to answer Modbus.", metavar="HOST:PORT")] = (
        "127.0.0.1:5020"
    ),
    kwp: Annotated[float, typer.Option(help="Of the plant; 0: none.", min=0, max=10_000)] = 6.0,
    battery_kwh: Annotated[float, typer.Option(help="Of the battery; 0: none.", min=0, max=50_000)] = 10.0,
    battery_kw: Annotated[float, typer.Option(help="Of its inverter.", min=0.1, max=10_000)] = 5.0,
    annual_kwh: Annotated[float, typer.Option(help="Of the household.", min=0, max=1_000_000)] = 3_500.0,
    site: Annotated[str, typer.Option(help="Its id; serial numbers begin with it.")] = "h001",
    speed: Annotated[int, typer.Option(help="Seconds of the world that pass in one.", min=1, max=900)] = 1,
) -> None:
    """Be the SunSpec inverter, battery and meter of a simulated household, until told to end."""
    import asyncio

    with _errors():
        from launch.device_simulation import Household, serve
        from launch.stopping import stop_the_loop

        home = Household(site, kwp, battery_kwh, battery_kw, annual_kwh)
        with stop_the_loop():
            asyncio.run(serve(home, listen, lambda text: print(text, flush=True), speed=speed))
