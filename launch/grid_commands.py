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
        " or a circuit of OpenDSS (Master.dss; Master.dss@566 at a step of its load shapes).",
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
    network: NetworkName,
    loads: Annotated[
        Path,
        typer.Option(help="Powers over time in W (CSV): time, then a column a site.", metavar="LOADS.csv"),
    ],
    power_factor: PowerFactor = 0.95,
    out: OutFolder = None,
) -> None:
    """Solve a network at many instants and report what was worst, where and when."""
    with _errors():
        from launch import grid_study

        spans = grid_study.reported(network, loads, power_factor)
        written = grid_study.write_spans(out, spans) if out else []
    from launch.grid_tables import print_spans

    print_spans(spans)
    _print_paths(network, written)


def _print_paths(network: str, written: list[Path]) -> None:
    from environments.networks import source_of

    if source := source_of(network):
        print(f"network: {source}")
    for path in written:
        print(path)
