"""The command `parity-mas grid`: power flows of known and imported low-voltage networks."""

from pathlib import Path
from typing import Annotated

import typer

from launch.exits import errors as _errors

__all__ = ["grid_app"]

grid_app = typer.Typer(
    help="Low-voltage networks: voltages, loadings and unbalance, phase by phase.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

NetworkName = Annotated[
    str,
    typer.Argument(
        help="ieee-european-lv (or …@1, …@1440), cigre-lv, street-N, a file that pandapower wrote (JSON),"
        " a circuit of OpenDSS (Master.dss; Master.dss@566 at a step of its load shapes),"
        " or a grid of SimBench (simbench:1-LV-rural1--0-sw; …@hL, …@566).",
        metavar="NETWORK",
        show_default=False,
    ),
]
PowerFactor = Annotated[
    float, typer.Option(help="Of loads whose reactive power is not given; inductive.", metavar="COSPHI")
]
OutFolder = Annotated[Path | None, typer.Option(help="Folder of tables (CSV) and plots (SVG).")]


@grid_app.command()
def solve(
    network: NetworkName,
    loads: Annotated[
        Path | None,
        typer.Option(
            help="What sites draw (CSV): site,power_w or site,l1_w,l2_w,l3_w.",
            metavar="LOADS.csv",
            show_default="the network's own",
        ),
    ] = None,
    power_factor: PowerFactor = 0.95,
    out: OutFolder = None,
) -> None:
    """Solve a network at one instant."""
    with _errors():
        from launch import grid_study

        snapshots = grid_study.solved(network, loads, power_factor)
        written = grid_study.write_snapshots(out, snapshots) if out else []
    from launch.grid_tables import print_snapshots

    print_snapshots(snapshots)
    _print_paths(network, written)


@grid_app.command()
def report(
    network: Annotated[
        str,
        typer.Argument(
            help="A network as for `solve`, or the folder of a run: how its feeders fared.",
            metavar="NETWORK|RUN",
            show_default=False,
        ),
    ],
    loads: Annotated[
        Path | None,
        typer.Option(
            help="Powers over time in W (CSV): time, then a column a site.",
            metavar="LOADS.csv",
            show_default="a grid of SimBench's or circuit of OpenDSS's own",
        ),
    ] = None,
    power_factor: PowerFactor = 0.95,
    out: OutFolder = None,
) -> None:
    """Solve a network at many instants, or look at a run, and report what was worst, where and when."""
    from launch.grid_run import is_run

    if is_run(Path(network)):
        _report_run(Path(network), loads, out)
        return
    with _errors():
        from launch import grid_study

        spans = grid_study.reported(network, loads, power_factor)
        written = grid_study.write_spans(out, spans) if out else []
    from launch.grid_tables import print_spans

    print_spans(spans)
    _print_paths(network, written)


def _report_run(folder: Path, loads: Path | None, out: Path | None) -> None:
    with _errors():
        from launch import grid_run
        from launch.grid_tables import print_feeders
        from ontology.errors import InvalidInput, problem

        if loads is not None:
            raise InvalidInput(problem("--loads", str(loads), "nothing: a run has its own loads"))
        feeders = grid_run.feeders_of_run(folder)
        written = grid_run.write_feeders(out, feeders) if out else []
    print_feeders(str(folder), feeders)
    _print_paths("", written)


@grid_app.command()
def serve(
    scenario: Annotated[
        Path, typer.Argument(help="Whose world is served (YAML).", metavar="SCENARIO", show_default=False)
    ],
    listen: Annotated[str | None, typer.Option(help="Answer by HTTP here.", metavar="HOST:PORT")] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="The bearer token that HTTP asks for.", metavar="FILE")
    ] = None,
    broker: Annotated[
        str | None, typer.Option(help="Publish by MQTT there: mqtt://host:port/prefix.", metavar="URL")
    ] = None,
    login_file: Annotated[
        Path | None, typer.Option(help="The login at the broker, name:password.", metavar="FILE")
    ] = None,
    speed: Annotated[
        float, typer.Option(help="Seconds of the scenario that pass in one.", min=0.01, max=3600)
    ] = 1.0,
    real_time: Annotated[
        bool, typer.Option("--real-time", help="Begin in the present quarter, and go with the clock.")
    ] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Set any key: path=value. May be repeated.", metavar="PATH=VALUE"),
    ] = None,
) -> None:
    """Be a scenario's grid operator's systems: monitoring and D-STATCOMs by HTTP and MQTT, without agents."""
    import asyncio

    from launch.stopping import stop_the_loop
    from launch.sweep import parse_settings

    options = {
        "grid.systems.listen": listen,
        "grid.systems.access.token_file": token_file and str(token_file.resolve()),
        "grid.systems.broker": broker,
        "grid.systems.access.login_file": login_file and str(login_file.resolve()),
    }
    given = {key: values[0] for key, values in parse_settings(settings or [], several=False).items()}
    given |= {key: value for key, value in options.items() if value}
    with _errors():
        from launch import dso_serving
        from launch.grid_tables import print_systems

        loaded = dso_serving.serving_scenario(scenario, given, real_time=real_time)
        with stop_the_loop():
            asyncio.run(dso_serving.serve(loaded, print_systems, speed=speed, real_time=real_time))


def _print_paths(network: str, written: list[Path]) -> None:
    from environments.networks import source_of

    if source := source_of(network):
        print(f"network: {source}")
    for path in written:
        print(path)
