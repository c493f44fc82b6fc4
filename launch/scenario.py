"""Scenarios: reading one with all of its problems at once, its hash, and what its parts mean to the run."""

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from launch.document import Document, parse_document, parse_value, plain, put, read_document
from launch.rules import COMMUNITY_AGENTS, SITE_AGENTS, complaints, site_ids, span_s
from launch.schema import SHORT_FORMS, Access, Scenario
from launch.validation import build
from ontology.base import INTERVAL_S, TICKS_PER_CURRENCY
from ontology.errors import InvalidInput, Problem
from ontology.grid import GridState
from ontology.market import FlowRule, LemParameters, Mechanism

__all__ = [
    "COMMUNITY_AGENTS",
    "SITE_AGENTS",
    "InvalidScenario",
    "Scenario",
    "intervals_of",
    "lem_parameters",
    "load_scenario",
    "parse_scenario",
    "scenario_hash",
    "scenario_of",
    "scenario_schema",
    "site_ids",
    "span_s",
]

ENVIRONMENT_PREFIX = "PARITY_"
NOT_OF_THE_SCENARIO = frozenset(
    {"PARITY_LOG", "PARITY_OUT", "PARITY_KEYSTORE", "PARITY_TEST", "PARITY_REQUIRE_SERVERS"}
)
"""Variables with our prefix that mean something to others."""

HOW_NOT_WHAT = ("name", "seed", "pace_s", "server", "ledger", "registry", "repository", "record")
"""Keys that change how a scenario is run but not what comes out (the seed is noted beside the hash)."""

_FILES = (("server", "ca_file"), ("ledger", "key_file"), ("ledger", "password_file"), ("registry", "folder"))


class InvalidScenario(InvalidInput):
    """A scenario with problems; says where each of them stands."""

    def __init__(self, source: str, problems: tuple[Problem, ...], places: tuple[str, ...]) -> None:
        """Keep the source's name, the problems, and the place of each (`line 12`, `--seed`)."""
        super().__init__(problems)
        self.source = source
        self.places = places

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return type(self), (self.source, self.problems, self.places)


def load_scenario(
    path: str | Path,
    overrides: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Scenario:
    """Read a scenario file: defaults < file < `PARITY_*` environment < overrides.

    Args: overrides by dotted path (`{"seed": 3, "grid.transformer_kva": 100}`); the environment
    is that of the process unless given, `PARITY_GRID__TRANSFORMER_KVA=100` sets a nested key.
    Raises: InvalidScenario with every problem at once.
    """
    document = read_document(Path(path))
    return _scenario(document, overrides, environment, Path(path).parent)


def parse_scenario(
    text: str,
    overrides: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Scenario:
    """Read a scenario from YAML text; see `load_scenario`. Files are looked up from a folder.

    Raises: InvalidScenario with every problem at once.
    """
    return _scenario(parse_document(text), overrides, environment, folder or Path())


def scenario_of(data: Mapping[str, Any], folder: Path | None = None) -> Scenario:
    """Build a scenario from plain values, as they would stand in a file; no environment.

    Raises: InvalidScenario with every problem at once.
    """
    document = Document("scenario")
    document.data = plain(data)
    return _scenario(document, None, {}, folder or Path())


def scenario_hash(scenario: Scenario) -> str:
    """Return the SHA-256 of all that decides what comes out of a run, contents of named files included.

    The seed, server, ledger, repository, pace and recording are left out: runs that should settle
    alike have the same hash.
    """
    values = msgspec.to_builtins(scenario)
    for key in HOW_NOT_WHAT:
        del values[key]
    values["domain"] = scenario.server.domain
    for site in values["sites"]:
        site["load_csv"] = _digest(site["load_csv"])
    values["grid"]["network"] = _network_digest(scenario.grid.network)
    return hashlib.sha256(msgspec.json.encode(values, order="deterministic")).hexdigest()


def scenario_schema() -> dict[str, Any]:
    """Return the JSON Schema of scenario files, for editors."""
    schema = msgspec.json.schema(Scenario)
    schema["title"] = "parity-mas scenario"
    for kind, forms in SHORT_FORMS.items():
        full = schema["$defs"].pop(kind.__name__)
        names = {int: "integer", str: "string", bool: "boolean"}
        schema["$defs"][kind.__name__] = {"anyOf": [full, *({"type": names[form]} for form in forms)]}
    return schema


def lem_parameters(scenario: Scenario, state: GridState) -> LemParameters:
    """Return the LEM parameters of a grid state; RED has GREEN's usual prices and neither peers nor beta."""
    tariff = scenario.tariffs.yellow if state is GridState.YELLOW else scenario.tariffs.green
    paused = state is GridState.RED
    return LemParameters(
        case=state,
        buy_usual_ticks_per_kwh=_ticks(tariff.buy_usual),
        sell_usual_ticks_per_kwh=_ticks(tariff.sell_usual),
        buy_peer_ticks_per_kwh=_ticks(tariff.buy_usual if paused else tariff.buy_peer),
        sell_peer_ticks_per_kwh=_ticks(tariff.sell_usual if paused else tariff.sell_peer),
        beta_ticks_per_kwh2=0 if paused else _ticks(tariff.beta),
        mechanism=Mechanism(scenario.tariffs.mechanism.upper().replace("-", "_")),
        flow_rule=FlowRule(scenario.tariffs.flow.upper().replace("-", "_")),
    )


def intervals_of(scenario: Scenario) -> int:
    """Return how many market intervals a run of the scenario has."""
    start_s, end_s = span_s(scenario)
    return (end_s - start_s) // INTERVAL_S


def _scenario(
    document: Document,
    overrides: Mapping[str, Any] | None,
    environment: Mapping[str, str] | None,
    folder: Path,
) -> Scenario:
    readable = not document.problems or bool(document.data)
    if readable:
        _override_from_environment(document, os.environ if environment is None else environment)
        for path, value in (overrides or {}).items():
            _override(document, path, value, f"--set {path}")
        _resolve_files(document.data, folder)
    if not readable:
        raise _invalid(document)
    scenario = build(document, Scenario, SHORT_FORMS)
    doubtful = _doubtful(document.problems)
    for path, value, expected in complaints(scenario):
        if path not in doubtful and _section(path) not in doubtful:
            document.complain(path, value, expected)
    if document.problems:
        raise _invalid(document)
    return scenario


def _doubtful(problems: Iterable[Problem]) -> set[str]:
    """Return the paths where a stand-in may stand, and the small sections whose values belong together."""
    paths = {problem.path for problem in problems if not problem.expected.startswith("is not a known key")}
    sections = {_section(path) for path in paths}
    return paths | {path for path in sections if path and not re.fullmatch(r"sites\[\d+\]|population", path)}


def _section(path: str) -> str:
    return path.rpartition(".")[0]


def _invalid(document: Document) -> InvalidScenario:
    problems = sorted(document.problems, key=lambda problem: _line(document.place_of(problem.path)))
    places = tuple(document.place_of(problem.path) for problem in problems)
    return InvalidScenario(document.source, tuple(problems), places)


def _line(place: str) -> int:
    words = place.replace(",", " ").split()
    return int(words[1]) if words[:1] == ["line"] else 10**9


def _override_from_environment(document: Document, environment: Mapping[str, str]) -> None:
    for name in sorted(environment):
        if not name.startswith(ENVIRONMENT_PREFIX) or name in NOT_OF_THE_SCENARIO:
            continue
        path = name.removeprefix(ENVIRONMENT_PREFIX).lower().replace("__", ".")
        _override(document, path, parse_value(environment[name]), name)


def _override(document: Document, path: str, value: Any, place: str) -> None:
    head = path.split(".")[0]
    forms = {name: kind for kind in SHORT_FORMS for name in (kind.__name__.lower(),)}
    here = document.data.get(head)
    if head in forms and "." in path and here is not None and not isinstance(here, dict):
        document.data[head] = {SHORT_FORMS[forms[head]].get(type(here), "?"): here}
    try:
        put(document.data, path, value)
    except KeyError:
        document.complain(path, value, "leads nowhere in this scenario", place)
        return
    document.places[path] = place


def _resolve_files(data: dict[str, Any], folder: Path) -> None:
    """Make the names of files that the scenario mentions relative to its own folder."""
    sections = [(data.get(section), key) for section, key in _FILES]
    sites = data.get("sites")
    sections += [(site, "load_csv") for site in sites] if isinstance(sites, list) else []
    sections += _key_files(data.get("flexibility_market"))
    sections += _weather_files(data.get("weather"))
    sections += [(access, key) for access in _accesses(data.get("grid")) for key in Access.__struct_fields__]
    sections += _network_files(data.get("grid"))
    for section, key in sections:
        if isinstance(section, dict) and isinstance(section.get(key), str) and section[key]:
            section[key] = str(folder / section[key])


def _network_files(grid: Any) -> list[tuple[Any, str]]:
    """Return where the file of a network is named."""
    from environments.networks import is_file

    name = grid.get("network") if isinstance(grid, dict) else None
    return [(grid, "network")] if isinstance(name, str) and is_file(name) else []


def _key_files(market: Any) -> list[tuple[Any, str]]:
    """Return where keys of the trade outside are named."""
    trade = market.get("uftp") if isinstance(market, dict) else None
    if not isinstance(trade, dict):
        return []
    parties = trade.get("counterparties")
    listed = parties if isinstance(parties, list) else []
    return [(trade, "key_file"), *((each, "public_key_file") for each in listed)]


def _accesses(grid: Any) -> list[Any]:
    """Return the sections that name files of secrets for the grid operator's systems."""
    if not isinstance(grid, dict):
        return []
    units = grid.get("dstatcoms")
    sections = [grid.get("monitoring"), grid.get("systems"), *(units if isinstance(units, list) else [])]
    return [each.get("access") for each in sections if isinstance(each, dict)]


def _weather_files(weather: Any) -> list[tuple[Any, str]]:
    """Return where files of weather providers are named."""
    providers = weather.get("providers") if isinstance(weather, dict) else None
    listed = providers if isinstance(providers, list) else []
    return [(each, key) for each in listed for key in ("file", "token_file", "ca_file")]


def _ticks(price: float) -> int:
    return round(price * TICKS_PER_CURRENCY)


def _digest(path: str | None) -> str | None:
    return None if path is None else hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _network_digest(name: str) -> str:
    """Return the name of a network, or what makes up an imported one, wherever it lies."""
    from environments.networks import feeder_named, is_imported, network_json

    return hashlib.sha256(network_json(feeder_named(name))).hexdigest() if is_imported(name) else name
