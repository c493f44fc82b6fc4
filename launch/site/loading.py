"""Reading a site file with all of its problems at once, those of the files that it names included."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from environments.devices.modbus.register_map import required_map
from environments.devices.topic_map import TopicMap, require_consistent
from environments.wire.addresses import login_from, place_of, trust_in
from environments.wire.mqtt_link import Broker
from launch.document import Document, read_document
from launch.rules import Complaint
from launch.scenario import InvalidScenario
from launch.site.schema import DEVICES, Connection, SiteFile
from launch.validation import build
from ontology.errors import InvalidInput, problem

__all__ = ["LoadedSite", "load_site"]


class LoadedSite(NamedTuple):
    """A site file that is in order, its topic maps by device, its broker, and the folder that it is in."""

    file: SiteFile
    maps: dict[str, TopicMap]
    broker: Broker | None
    folder: Path

    @property
    def data(self) -> Path:
        """The one folder that is written to."""
        return self.folder / self.file.data

    @property
    def ca_file(self) -> Path:
        """The certificates that are trusted."""
        return self.folder / self.file.community.ca_file

    def connections(self) -> dict[str, Connection]:
        """Return how each device is reached, by what the agents call it."""
        return {name: connection for _, name, connection in _connections(self.file)}


def load_site(path: Path) -> LoadedSite:
    """Read a site file.

    Raises: InvalidScenario naming everything that is wrong with it and with the files that it names.
    """
    document = read_document(path)
    folder = path.parent
    if document.problems and not document.data:
        raise _invalid(document)
    site = build(document, SiteFile, {})
    if document.problems:
        raise _invalid(document)
    for complaint in (*_complaints(site), *_broker_complaints(site, folder)):
        document.complain(*complaint)
    maps = _topic_maps(site, folder, document)
    for complaint in _fieldbus_complaints(site, folder):
        document.complain(*complaint)
    if document.problems:
        raise _invalid(document)
    return LoadedSite(site, maps, _broker(site, folder), folder)


def _complaints(site: SiteFile) -> Iterator[Complaint]:
    try:
        ZoneInfo(site.zone)
    except (KeyError, ValueError, OSError):
        yield "zone", site.zone, "must be an IANA time zone such as Europe/Zurich"
    try:
        place_of(site.community.enrolment, "https", path="community.enrolment")
    except InvalidInput as error:
        for each in error.problems:
            yield each.path, each.value, f"must be {each.expected}"
    if 900 % site.sample_s:
        yield "sample_s", site.sample_s, "must divide 900, such as 1, 5, 10, 30, 60 or 300"
    for section, _, connection in _connections(site):
        ways = [each for each in connection.__struct_fields__ if getattr(connection, each) is not None]
        if len(ways) != 1:
            known = ", ".join(connection.__struct_fields__)
            yield f"{section}.connect", ", ".join(ways), f"must name exactly one way: {known}"
        if connection.ocpp is not None and section != "ev":
            yield f"{section}.connect.ocpp", connection.ocpp.identity, "must be left out: it is for `ev`"
        if connection.ocpp is not None and site.central_system is None:
            yield f"{section}.connect.ocpp", connection.ocpp.identity, "needs a section `central_system`"
        if connection.mqtt is not None and site.broker is None:
            yield f"{section}.connect.mqtt", connection.mqtt, "needs a broker (section `broker`)"


def _connections(site: SiteFile) -> Iterator[tuple[str, str, Connection]]:
    """Yield section, device name and connection of each device that is there."""
    for section, name in DEVICES.items():
        device = getattr(site, section)
        if device is not None:
            yield section, name, device.connect


def _broker_complaints(site: SiteFile, folder: Path) -> Iterator[Complaint]:
    if site.broker is None:
        return
    try:
        _broker(site, folder)
    except InvalidInput as error:
        for each in error.problems:
            yield "broker", each.value, f"{each.path}: must be {each.expected}"


def _broker(site: SiteFile, folder: Path) -> Broker | None:
    """Return where the site's broker is.

    Raises: InvalidInput when its address, its secret or its certificates are no good.
    """
    given = site.broker
    if given is None:
        return None
    return Broker(
        place_of(given.url, "mqtt", "mqtts", path="url"),
        login_from(folder / given.login_file) if given.login_file else None,
        trust_in(folder / given.ca_file) if given.ca_file else None,
    )


def _topic_maps(site: SiteFile, folder: Path, document: Document) -> dict[str, TopicMap]:
    """Read the topic map of each device that speaks MQTT; problems are noted where it is named."""
    maps: dict[str, TopicMap] = {}
    for section, name, connection in _connections(site):
        if connection.mqtt is None:
            continue
        try:
            maps[name] = _topic_map(folder / connection.mqtt, f"{site.site}-{name}", name)
        except InvalidInput as error:
            for each in error.problems:
                at = f"{section}.connect.mqtt"
                document.complain(at, each.value, f"{connection.mqtt} {each.path}: {each.expected}")
    return maps


_FIELDBUS = ("meter", "pv", "bess")
"""Devices that SunSpec knows, and register maps can describe."""


def _fieldbus_complaints(site: SiteFile, folder: Path) -> Iterator[Complaint]:
    """Yield what is wrong with devices that speak SunSpec or Modbus, and with their maps."""
    for section, name, connection in _connections(site):
        for way in ("sunspec", "modbus"):
            if getattr(connection, way) is not None and name not in _FIELDBUS:
                yield f"{section}.connect.{way}", section, "must be a meter, pv or a battery to be reached so"
        if connection.modbus is not None and name in _FIELDBUS:
            try:
                required_map(name, connection.modbus.map, folder)
            except InvalidInput as error:
                for each in error.problems:
                    at = f"{section}.connect.modbus.map"
                    yield at, each.value, f"{connection.modbus.map} {each.path}: must be {each.expected}"


def _topic_map(path: Path, asset: str, name: str) -> TopicMap:
    """Read a topic map; which device it is of, the site file says.

    Raises: InvalidInput naming everything that is wrong with it.
    """
    document = read_document(path)
    if not document.data:
        raise InvalidInput([*document.problems] or problem("", str(path), "a topic map"))
    document.data |= {"asset": asset, "name": name}
    topic_map = build(document, TopicMap, {})
    if document.problems:
        raise InvalidInput(document.problems)
    require_consistent(topic_map)
    return msgspec.structs.replace(topic_map, asset=asset, name=name)


def _invalid(document: Document) -> InvalidScenario:
    places = tuple(document.place_of(each.path) for each in document.problems)
    return InvalidScenario(document.source, tuple(document.problems), places)
