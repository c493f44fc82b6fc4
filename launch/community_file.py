"""The file of a community that separately started sites join: server, market, enrolment."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NamedTuple

from msgspec import Meta

from launch.document import Document, read_document
from launch.rules import Complaint
from launch.scenario import InvalidScenario, Scenario, load_scenario
from launch.schema.section import Section
from launch.validation import build
from ontology.errors import InvalidInput

__all__ = ["CommunityFile", "LoadedCommunity", "load_community"]

YEAR_DAYS = 366
"""For how long ahead names in the market are given; each start of the community begins a new year."""


class ExternalServer(Section, frozen=True, kw_only=True):
    """The XMPP server, which runs by itself: Prosody with `parity-mas server config`."""

    domain: Annotated[str, Meta(pattern=r"^[^@/\s]+$", description="of all addresses")]
    host: Annotated[str | None, Meta(description="where it is reached; by default the domain")] = None
    port: Annotated[int, Meta(ge=1, le=65_535, description="for clients")] = 5222
    ca_file: Annotated[str, Meta(description="its certificate authority, PEM")] = "ca.pem"
    accounts: Annotated[str, Meta(description="Prosody's `data_path` (a folder), where accounts are kept")]


class Enrolment(Section, frozen=True, kw_only=True):
    """Where new sites enrol, by HTTPS."""

    host: Annotated[str, Meta(description="address to listen at")] = "0.0.0.0"
    port: Annotated[int, Meta(ge=0, le=65_535, description="to listen at; 0 = any free one")] = 8440
    certificate: Annotated[str, Meta(description="of this service, PEM")]
    key: Annotated[str, Meta(description="of that certificate, PEM, 0600")]


class CommunityFile(Section, frozen=True, kw_only=True):
    """A community file."""

    scenario: Annotated[
        str, Meta(description="tariffs, network, market and the sites that may join (a file)")
    ]
    server: Annotated[ExternalServer, Meta(description="the XMPP server")]
    enrolment: Annotated[Enrolment, Meta(description="how sites come in")]
    data: Annotated[str, Meta(description="the one folder that is written to")] = "data"
    certificate_days: Annotated[
        int, Meta(ge=1, le=400, description="for how long members are vouched for; renewed at half of it")
    ] = 30


class LoadedCommunity(NamedTuple):
    """A community file that is in order, its scenario as of now, and the folder that it is in."""

    file: CommunityFile
    scenario: Scenario
    folder: Path

    @property
    def data(self) -> Path:
        """The one folder that is written to."""
        return self.folder / self.file.data

    @property
    def ca_file(self) -> Path:
        """The certificates that are trusted."""
        return self.folder / self.file.server.ca_file

    @property
    def repository(self) -> str:
        """The URL of the repository's database."""
        return f"sqlite:///{(self.data / 'repository.sqlite').resolve()}"


def load_community(path: Path, now_s: float) -> LoadedCommunity:
    """Read a community file and its scenario, for a year from today on.

    Raises: InvalidInput naming everything that is wrong with it, then all that is wrong with its scenario.
    """
    document = read_document(path)
    if document.problems and not document.data:
        raise _invalid(document)
    file = build(document, CommunityFile, {})
    if not document.problems:
        for complaint in _missing_files(file, path.parent):
            document.complain(*complaint)
    if document.problems:
        raise _invalid(document)
    today = datetime.fromtimestamp(now_s, UTC).date().isoformat()
    overrides = {
        "server.domain": file.server.domain,
        "server.kind": "external",
        "server.port": file.server.port,
        "start": today,
        "days": YEAR_DAYS,
        "intervals": None,
    }
    scenario = load_scenario(path.parent / file.scenario, overrides)
    found = [*_unfit(scenario)]
    if found:
        for complaint in found:
            document.complain("scenario", complaint[1], f"{complaint[0]} {complaint[2]}")
        raise _invalid(document)
    return LoadedCommunity(file, scenario, path.parent)


def _missing_files(file: CommunityFile, folder: Path) -> Iterator[Complaint]:
    named = {
        "scenario": file.scenario,
        "server.ca_file": file.server.ca_file,
        "enrolment.certificate": file.enrolment.certificate,
        "enrolment.key": file.enrolment.key,
    }
    for path, name in named.items():
        if not (folder / name).is_file():
            yield path, name, "must be a file that is there"


def _unfit(scenario: Scenario) -> Iterator[Complaint]:
    """Yield what works in a simulated world only."""
    if not scenario.sites or scenario.population is not None:
        yield "population", "", "must be left out: the sites that may join are listed under `sites`"
    if scenario.ledger.attestors > 1:
        yield "ledger.attestors", scenario.ledger.attestors, "must be 1: sites have no attestors yet"
    chosen = scenario.ledger
    if chosen.register == "chain" and not (chosen.dso_key_file and chosen.market_key_file):
        yield (
            "ledger.register",
            "chain",
            "needs dso_key_file and market_key_file: keys of a seed are no secret",
        )
    units = scenario.grid.dstatcoms
    if units is None or not all(each.address for each in units):
        yield (
            "grid.dstatcoms",
            units and len(units),
            "must be [], or have an address each: none is simulated here",
        )
    if scenario.agreements:
        yield (
            "agreements",
            len(scenario.agreements),
            "must be left out: sites of their own do not report them yet",
        )
    if any(product.startswith("fcr") for product in scenario.external_markets.products):
        yield "external_markets.products", "fcr", "must be left out: there is no real frequency meter yet"


def _invalid(document: Document) -> InvalidInput:
    places = tuple(document.place_of(each.path) for each in document.problems)
    return InvalidScenario(document.source, tuple(document.problems), places)
