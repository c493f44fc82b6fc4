"""The command `parity-mas iml`: the information layer checked and run, and the rules of its broker."""

from pathlib import Path
from typing import Annotated

import typer

from launch.exits import errors as _errors

__all__ = ["iml_app"]

iml_app = typer.Typer(
    help="The information layer's cloud: samples of sites' sensors to the repository.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

LayerFile = Annotated[
    Path, typer.Argument(help="Broker, databases, sites and their sensors (YAML).", metavar="IML.yaml")
]


@iml_app.command()
def serve(file: LayerFile) -> None:
    """Take samples by MQTT until interrupted: stored, cleansed, made readings of."""
    import asyncio

    from launch import iml

    with _errors():
        asyncio.run(iml.serve_layer(file, lambda said: print(said, flush=True)))


@iml_app.command()
def check(file: LayerFile) -> None:
    """Say everything that is wrong with a file, or what there is in it."""
    with _errors():
        from launch import iml

        settings, catalogue, broker = iml.load_layer(file)
    print(f"{len(catalogue.sensors())} sensors of {len(settings.sites)} sites, {broker.place.url}")


@iml_app.command()
def access(
    prefix: Annotated[str, typer.Option(help="Of the topics.")] = "parity/iml",
    layer: Annotated[str, typer.Option(help="The information layer's account at the broker.")] = "iml",
) -> None:
    """Print Mosquitto's acl_file: a gateway writes and hears of its own site only."""
    from environments.iml.topics import access_rules

    print(access_rules(prefix, layer), end="")
