"""The commands `parity-mas ev listen` and `ev emulate`: charge points on real sockets, without agents."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from launch.exits import errors as _errors

if TYPE_CHECKING:
    from environments.devices.ocpp import CentralSystem
    from environments.devices.ocpp.emulated import EmulatedChargePoint
    from ontology.base import Concept

__all__ = ["add_commands"]


Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Log everything, not only warnings.")]


def add_commands(app: typer.Typer) -> None:
    """Add the commands to those about electric vehicles."""
    app.command()(listen)
    app.command()(emulate)


def listen(
    settings: Annotated[
        Path,
        typer.Argument(help="Known charge points (YAML).", metavar="POINTS.yaml", show_default=False),
    ],
    state: Annotated[
        Path | None, typer.Option(help="Where sessions are kept (SQLite).", show_default="nowhere")
    ] = None,
    limit_w: Annotated[int | None, typer.Option(help="Limit of each connector, W.", min=0)] = None,
    check: Annotated[bool, typer.Option("--check", help="Only say what is wrong with the file.")] = False,
    verbose: Verbose = False,
) -> None:
    """Be the central system of charge points (OCPP 1.6J and 2.0.1), and print what they report."""
    import asyncio

    from launch.logs import configure_logs
    from launch.stopping import stop_the_loop

    configure_logs(verbose)
    with _errors():
        from environments.devices.ocpp.settings import checked
        from environments.repository.agent_store import MemoryAgentStore, SqliteAgentStore
        from launch import charge_points

        known = checked(charge_points.central_settings(settings))
        if check:
            print(f"{settings}: {len(known.charge_points)} charge points, nothing wrong")
            return
        store = SqliteAgentStore(state) if state else MemoryAgentStore()
        with stop_the_loop():
            asyncio.run(charge_points.listen(known, store, _print_report, _print_ready, limit_w=limit_w))


def emulate(
    url: Annotated[str, typer.Option(help="The central system's: wss://host:port/ocpp.", metavar="URL")],
    identity: Annotated[str, typer.Option(help="Which charge point it is.")],
    password_file: Annotated[Path, typer.Option(help="Its password.", metavar="FILE")],
    version: Annotated[str, typer.Option(help="Of OCPP: 1.6 or 2.0.1.")] = "1.6",
    ca_file: Annotated[
        Path | None, typer.Option(help="Whose certificates are trusted.", metavar="FILE")
    ] = None,
    token: Annotated[str, typer.Option(help="The card that drivers show.")] = "CARD-1",
    arrival: Annotated[float, typer.Option(help="How full vehicles come.", min=0, max=1)] = 0.3,
    stay_s: Annotated[float, typer.Option(help="For how long they stay.", min=1)] = 3_600.0,
    pause_s: Annotated[float, typer.Option(help="Until the next comes.", min=1)] = 600.0,
    power_w: Annotated[float, typer.Option(help="What it can give, W.", min=1_000)] = 11_000.0,
    speed: Annotated[float, typer.Option(help="How many times faster batteries fill.", min=0.1)] = 1.0,
    verbose: Verbose = False,
) -> None:
    """Be a charge point to which vehicles come, one after the other; it obeys its charging profiles."""
    import asyncio

    from launch.logs import configure_logs
    from launch.stopping import stop_the_loop

    configure_logs(verbose)
    with _errors():
        from launch import charge_points

        told = charge_points.emulation_settings(
            url, identity, password_file, version, ca_file, power_max_w=power_w, speed=speed
        )
        people = charge_points.Emulation(
            token=token, arrival_state_of_charge=arrival, stay_s=stay_s, pause_s=pause_s
        )
        with stop_the_loop():
            asyncio.run(charge_points.emulate(told, people, _print_point))


def _print_ready(central: "CentralSystem") -> None:
    print(f"charge points connect to {central.url}/IDENTITY", flush=True)


def _print_report(name: str, report: "Concept") -> None:
    import msgspec

    fields = msgspec.to_builtins(report)
    kind = fields.pop("type").partition(":")[2]
    print(f"{name}  {kind}  " + "  ".join(f"{key}={value}" for key, value in fields.items()), flush=True)


def _print_point(point: "EmulatedChargePoint", what: str) -> None:
    at = point.connectors[1]
    state = f"{at.vehicle.state_of_charge:.0%}" if at.vehicle else "nobody"
    link = "connected" if point.is_connected else "not connected"
    print(
        f"{point.settings.identity}  {what}  {at.power_w:.0f} W  {state}  {at.register_wh:.0f} Wh  {link}",
        flush=True,
    )
