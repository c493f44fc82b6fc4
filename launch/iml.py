"""`parity-mas iml`: the information layer's cloud as a service, and the access rules of its broker."""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from environments.iml.catalogue import Catalogue, SiteSensors
from environments.iml.mqtt_intake import MqttIntake
from environments.iml.pipeline import SamplePipeline
from environments.iml.sample_store import SampleStore
from environments.iml.service import LayerService
from environments.repository.store import SqlRepository
from environments.simulation.clock import WallClock
from environments.wire.addresses import Login, login_from, place_of, trust_in
from environments.wire.mqtt_link import Broker
from launch.document import read_document
from launch.schema.interface import Api
from launch.serving import samples_served
from launch.validation import build
from ontology.errors import InvalidInput, Problem, Unavailable

__all__ = ["LayerSettings", "load_layer", "serve_layer"]

T = TypeVar("T")


class LayerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file of an information layer."""

    broker: Annotated[str, Meta(description="`mqtts://host:port/prefix`; `mqtt://` on this machine only")]
    login_file: Annotated[str | None, Meta(description="`name:password` at the broker, 0600")] = None
    ca_file: Annotated[str | None, Meta(description="certificates to trust, PEM")] = None
    samples: Annotated[str, Meta(description="file of raw samples and intervals")] = "samples.sqlite"
    repository: Annotated[str, Meta(description="URL of the repository's database")] = (
        "sqlite:///repository.sqlite"
    )
    api: Annotated[Api | None, Meta(description="where samples are taken by REST, too")] = None
    sites: Annotated[tuple[SiteSensors, ...], Meta(description="sites and their sensors")]


def load_layer(path: Path) -> tuple[LayerSettings, Catalogue, Broker]:
    """Read the file of an information layer.

    Raises: InvalidInput naming everything that is wrong with it, sensors, address and secrets included.
    """
    document = read_document(path)
    settings = build(document, LayerSettings, {})
    problems: list[Problem] = list(document.problems)
    if problems:
        raise InvalidInput(problems)
    catalogue = noted(lambda: Catalogue(settings.sites), problems)
    place = noted(lambda: place_of(settings.broker, "mqtt", "mqtts", path="broker"), problems)
    login = noted(lambda: _login(settings, path.parent), problems)
    trust = noted(lambda: _trust(settings, path.parent), problems)
    if catalogue is None or place is None or problems:
        raise InvalidInput(problems)
    return settings, catalogue, Broker(place, login, trust)


def noted(make: Callable[[], T], problems: list[Problem]) -> T | None:
    """Return what is made, or None, its problems noted."""
    try:
        return make()
    except InvalidInput as error:
        problems += error.problems
        return None


def _login(settings: LayerSettings, folder: Path) -> Login | None:
    return login_from(folder / settings.login_file) if settings.login_file else None


def _trust(settings: LayerSettings, folder: Path) -> ssl.SSLContext | None:
    return trust_in(folder / settings.ca_file) if settings.ca_file else None


async def serve_layer(path: Path, ready: Callable[[str], None]) -> None:
    """Be the information layer of a file until cancelled; what was acknowledged is on disk at any moment.

    Raises: InvalidInput for what is wrong with the file, Unavailable when a database cannot be opened.
    """
    settings, catalogue, broker = load_layer(path)
    clock, folder = WallClock(), path.parent
    store = SampleStore(folder / settings.samples)
    repository = SqlRepository(settings.repository)
    await repository.store(catalogue.concepts())
    service = LayerService(SamplePipeline(store, repository, catalogue, clock), clock)
    intake = MqttIntake(service, broker, clock)
    service.start()
    try:
        try:
            await intake.start()
            ready(f"{len(catalogue.sensors())} sensors of {len(settings.sites)} sites at {broker.place.url}")
        except Unavailable as error:
            ready(f"waiting for the broker: {error}")
        if settings.api is None:
            await asyncio.Event().wait()
        else:
            async with samples_served(settings.api, service) as interface:
                ready(f"REST interface at {interface.url}")
                await interface.wait()
    finally:
        await intake.close()
        await service.stop()
        store.close()
        repository.close()
