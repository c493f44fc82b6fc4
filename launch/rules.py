"""What must hold between a scenario's values: addresses, prices, times, files."""

import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

from launch.network_rules import grid_complaints
from launch.schema import Scenario, Site, Tariff, Uftp
from launch.user_registry import registered_sites
from ontology.base import INTERVAL_S, TICKS_PER_CURRENCY
from ontology.errors import InvalidInput, ParityError

__all__ = ["COMMUNITY_AGENTS", "SITE_AGENTS", "Complaint", "complaints", "local_start", "site_ids", "span_s"]

Complaint = tuple[str, object, str]
"""Path, value, and what would be right."""

DAY_S = 86_400
ADDRESS = re.compile("0x[0-9a-fA-F]{40}")

COMMUNITY_AGENTS = (
    "aggregator",
    "aggregator-oracle",
    "aggregator-blockchain",
    "dso",
    "dso-oracle",
    "dso-blockchain",
    "dstatcom",
    "market",
    "repository",
    "external-markets",
    "dso-attestor",
)
SITE_AGENTS = ("prosumer", "oracle", "blockchain", "gateway", "pv", "bess", "ev", "p2h", "attestor")


def complaints(scenario: Scenario) -> Iterator[Complaint]:
    """Yield everything that does not fit together in a scenario whose values are each valid."""
    yield from _times(scenario)
    yield from _weather(scenario)
    yield from _tariff(scenario.tariffs.green, "tariffs.green")
    yield from _tariff(scenario.tariffs.yellow, "tariffs.yellow")
    yield from grid_complaints(scenario, site_ids(scenario), span_s)
    yield from _sites(scenario)
    yield from _community_batteries(scenario)
    yield from _products(scenario)
    yield from _agreements(scenario)
    yield from _preferences(scenario)
    yield from _services(scenario)
    yield from _outside(scenario)
    yield from _dso_systems(scenario)
    yield from _servers(scenario)
    yield from _ledger(scenario)
    yield from _registry(scenario)
    yield from _repository(scenario)


def local_start(scenario: Scenario) -> datetime:
    """Return the start as an aware time.

    Raises: ValueError when start or zone is not one, or the local time does not exist or is ambiguous.
    """
    moment = datetime.fromisoformat(scenario.start)
    if moment.tzinfo is not None:
        return moment
    zone = ZoneInfo(scenario.zone)
    early, late = moment.replace(tzinfo=zone, fold=0), moment.replace(tzinfo=zone, fold=1)
    if early.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != moment:
        raise ValueError(f"does not exist in {scenario.zone}: the clocks go forward")
    if early.utcoffset() != late.utcoffset():
        offset = f"{moment.isoformat()}{early.strftime('%z')[:3]}:00"
        raise ValueError(f"is ambiguous in {scenario.zone}: the clocks go back; write {offset} for the first")
    return early


def span_s(scenario: Scenario) -> tuple[int, int]:
    """Return start and end of the run in epoch seconds; clock changes make days of 92 or 100 intervals.

    Raises: ValueError as `local_start`.
    """
    begin = local_start(scenario)
    start_s = int(begin.timestamp())
    if scenario.intervals is not None:
        return start_s, start_s + scenario.intervals * INTERVAL_S
    zone = ZoneInfo(scenario.zone)
    local = begin.astimezone(zone)
    end = (local.replace(tzinfo=None) + timedelta(days=scenario.days)).replace(tzinfo=zone)
    return start_s, int(end.timestamp())


def site_ids(scenario: Scenario) -> list[str]:
    """Return the ids of all sites, the listed ones first and then the population's, in order."""
    listed = [site.id for site in scenario.sites]
    if scenario.population is None:
        return listed
    width = max(3, len(str(scenario.population.sites)))
    return listed + [f"p{number:0{width}d}" for number in range(1, scenario.population.sites + 1)]


def _times(scenario: Scenario) -> Iterator[Complaint]:
    if INTERVAL_S % scenario.step_s:
        yield "step_s", scenario.step_s, "must divide 900, such as 1, 10, 60, 300 or 900"
    if not scenario.zone or not scenario.start:
        return
    try:
        ZoneInfo(scenario.zone)
    except (KeyError, ValueError, OSError):
        yield "zone", scenario.zone, "must be an IANA time zone such as Europe/Zurich"
        return
    try:
        start_s, end_s = span_s(scenario)
    except ValueError as error:
        known = str(error).startswith(("does not exist", "is ambiguous"))
        yield "start", scenario.start, str(error) if known else "must be an ISO 8601 date such as 2024-05-14"
        return
    except OverflowError:
        yield "start", scenario.start, "must lie between 1970 and 2100"
        return
    if not 0 <= start_s < 4_102_444_800:
        yield "start", scenario.start, "must lie between 1970 and 2100"
    if start_s % INTERVAL_S:
        yield "start", scenario.start, "must be on a quarter of an hour"
    if end_s - start_s > 366 * DAY_S:
        yield "intervals", scenario.intervals, "must cover at most 366 days: the weather is one year"


def _tariff(tariff: Tariff, path: str) -> Iterator[Complaint]:
    names = ("sell_usual", "sell_peer", "buy_peer", "buy_usual")
    for name in (*names, "beta"):
        ticks = getattr(tariff, name) * TICKS_PER_CURRENCY
        if not math.isclose(ticks, round(ticks), abs_tol=1e-6):
            yield f"{path}.{name}", getattr(tariff, name), "must be a multiple of 0.0001 EUR/kWh"
    for low, high in pairwise(names):
        if getattr(tariff, low) > getattr(tariff, high):
            limit = f"{high} ({getattr(tariff, high):g})"
            yield (
                f"{path}.{low}",
                getattr(tariff, low),
                f"must be at most {limit}: sell_usual ≤ sell_peer ≤ buy_peer ≤ buy_usual",
            )


def _sites(scenario: Scenario) -> Iterator[Complaint]:
    if not scenario.sites and scenario.population is None:
        yield "sites", "", "is missing: list `sites`, or give a `population`, or both"
    yield from _identities(scenario)
    for index, site in enumerate(scenario.sites):
        path = f"sites[{index}]"
        yield from _devices(site, path)
        if site.load_csv is not None:
            yield from _readings(scenario, site.load_csv, f"{path}.load_csv")


def _products(scenario: Scenario) -> Iterator[Complaint]:
    """Each product has its own id, an initiator that exists, whole quarters of an hour and some power."""
    initiators = {"aggregator", *site_ids(scenario)}
    known: set[str] = set()
    for index, product in enumerate(scenario.products):
        path = f"products[{index}]"
        if product.id in known:
            yield f"{path}.id", product.id, "must be unique among the products"
        known.add(product.id)
        if product.initiator not in initiators:
            yield f"{path}.initiator", product.initiator, "must be aggregator or the id of a site"
        for key in ("hour", "hours", "lead_hours"):
            if not float(getattr(product, key) * 4).is_integer():
                yield f"{path}.{key}", getattr(product, key), "must be a multiple of a quarter of an hour"
        if not round(product.power_kw * 1000):
            yield f"{path}.power_kw", product.power_kw, "must not be zero"


def _agreements(scenario: Scenario) -> Iterator[Complaint]:
    """Each agreement and indicator has its own id, whole quarters of an hour, and sites that exist."""
    sites, known = set(site_ids(scenario)), set[str]()
    for number, agreement in enumerate(scenario.agreements):
        path = f"agreements[{number}]"
        for key in ("after_hours", "hours"):
            if not float(getattr(agreement, key) * 4).is_integer():
                yield f"{path}.{key}", getattr(agreement, key), "must be a multiple of a quarter of an hour"
        for place, name in [
            (f"{path}.id", agreement.id),
            *((f"{path}.indicators[{i}].id", each.id) for i, each in enumerate(agreement.indicators)),
        ]:
            if name in known:
                yield place, name, "must be unique among agreements and indicators"
            known.add(name)
        for i, indicator in enumerate(agreement.indicators):
            for site in indicator.sites:
                if site not in sites:
                    yield f"{path}.indicators[{i}].sites", site, "must be the id of a site"


def _preferences(scenario: Scenario) -> Iterator[Complaint]:
    """Whom a site buys from first must be another site."""
    known = set(site_ids(scenario))
    for number, site in enumerate(scenario.sites):
        for other in site.prefers:
            if other not in known or other == site.id:
                yield f"sites[{number}].prefers", other, "must be the id of another site"


def _weather(scenario: Scenario) -> Iterator[Complaint]:
    """Providers of weather have an address that can be asked, or a file that can be read."""
    if scenario.weather.providers:
        from launch.weather import weather_problems

        yield from weather_problems(scenario)


def _services(scenario: Scenario) -> Iterator[Complaint]:
    """Frequency reserves are followed by the minute; contracts have an id and windows that begin first."""
    products = scenario.external_markets.products
    if any(name.startswith("fcr") for name in products) and scenario.step_s > 60:
        yield "step_s", scenario.step_s, "must be at most 60 where FCR-D is sold"
    known: set[str] = set()
    for number, contract in enumerate(scenario.contracts):
        if contract.id in known:
            yield f"contracts[{number}].id", contract.id, "must be unique among the contracts"
        known.add(contract.id)
        for i, window in enumerate(contract.windows):
            if window.from_hour >= window.to_hour:
                path = f"contracts[{number}].windows[{i}].from_hour"
                yield path, window.from_hour, f"must be below to_hour ({window.to_hour:g})"


def _outside(scenario: Scenario) -> Iterator[Complaint]:
    """Trade by UFTP takes a market, time to answer, segments that exist, one buyer each, and keys."""
    market, trade = scenario.flexibility_market, scenario.flexibility_market.uftp
    if trade is None:
        return
    from launch.uftp import trade_problems

    path = "flexibility_market"
    if not market.active:
        yield f"{path}.active", False, "must be true where flexibility is traded by UFTP"
    if market.baseline != "d-prognosis":
        yield f"{path}.baseline", market.baseline, "must be d-prognosis where flexibility is traded by UFTP"
    if market.metered != "pool":
        yield f"{path}.metered", market.metered, "must be pool where flexibility is traded by UFTP"
    if scenario.pace_s <= 0:
        yield "pace_s", scenario.pace_s, "must be positive with UFTP: participants need time to answer"
    yield from _traded_segments(scenario, trade, f"{path}.uftp")
    for key, value, expected in trade_problems(scenario, trade):
        yield f"{path}.uftp.{key}", value, expected


def _dso_systems(scenario: Scenario) -> Iterator[Complaint]:
    """Addresses and secrets of the grid operator's systems."""
    from launch.dso_systems import outside_problems

    for key, value, expected in outside_problems(scenario):
        yield f"grid.{key}", value, expected


def _traded_segments(scenario: Scenario, trade: Uftp, path: str) -> Iterator[Complaint]:
    for name in ("congestion_points", "counterparties"):
        if not getattr(trade, name):
            yield f"{path}.{name}", "", "must name one at least"
    feeders = -(-len(site_ids(scenario)) // scenario.grid.sites_per_feeder)
    listed: set[str] = set()
    for i, point in enumerate(trade.congestion_points):
        if point.segment not in {f"segment-{number:03d}" for number in range(1, feeders + 1)}:
            expected = f"must be a segment of the grid, segment-001 to segment-{feeders:03d}"
            yield f"{path}.congestion_points[{i}].segment", point.segment, expected
        if point.segment in listed:
            yield f"{path}.congestion_points[{i}].segment", point.segment, "must be named once"
        listed.add(point.segment)
    taken: set[str] = set()
    for i, party in enumerate(trade.counterparties):
        for segment in party.segments:
            if segment not in listed:
                yield f"{path}.counterparties[{i}].segments", segment, "must be among congestion_points"
        for segment in sorted(set(party.segments or listed) & taken if trade.role == "agr" else ()):
            yield f"{path}.counterparties[{i}].segments", segment, "already has a DSO that buys there"
        taken |= set(party.segments or listed)


def _community_batteries(scenario: Scenario) -> Iterator[Complaint]:
    """Peaks are shaved by the minute; a feeder's by one battery, and only where that is what it is for."""
    shaving: dict[int, str] = {}
    if scenario.step_s > 60 and any(s.battery and s.battery.mode == "peak-shaving" for s in scenario.sites):
        yield "step_s", scenario.step_s, "must be at most 60 where a battery shaves peaks"
    for number, site in enumerate(scenario.sites):
        if site.battery is None or site.battery.shaves != "feeder":
            continue
        path, feeder = f"sites[{number}].battery.shaves", number // scenario.grid.sites_per_feeder
        if site.battery.mode != "peak-shaving":
            yield path, "feeder", "must be site unless the mode is peak-shaving"
        elif feeder in shaving:
            yield path, "feeder", f"the peaks of that feeder are shaved by {shaving[feeder]} already"
        shaving.setdefault(feeder, site.id)


def _devices(site: Site, path: str) -> Iterator[Complaint]:
    """A device's own limits must be in order."""
    for device, low, high, gap in (
        ("battery", "minimum_state_of_charge", "initial_state_of_charge", 0),
        ("ev", "minimum_state_of_charge", "target_state_of_charge", 0),
        ("ev", "departure_hour", "arrival_hour", 1),
        ("hot_water", "minimum_degc", "maximum_degc", 1),
        ("lighting", "from_hour", "to_hour", 0.25),
    ):
        settings = getattr(site, device)
        if settings is not None and getattr(settings, low) + gap > getattr(settings, high):
            limit = f"{high} ({getattr(settings, high):g})" + (f" less {gap}" if gap else "")
            yield f"{path}.{device}.{low}", getattr(settings, low), f"must be at most {limit}"


def _readings(scenario: Scenario, file: str, path: str) -> Iterator[Complaint]:
    """Yield what is wrong with a file of meter readings, times without a zone being the scenario's."""
    from environments.simulation.world.meter_csv import read_meter_csv

    if not Path(file).is_file():
        yield path, file, "not found"
        return
    try:
        start_s, end_s = span_s(scenario)
        zone = ZoneInfo(scenario.zone).key
    except (ValueError, KeyError, OSError, OverflowError):
        return
    try:
        readings = read_meter_csv(file, zone)
        if end_s > start_s:
            readings.mean_w(start_s, INTERVAL_S, (end_s - start_s) // INTERVAL_S)
    except InvalidInput as error:
        for problem in error.problems:
            line = problem.path.removeprefix(file).strip(":")
            name = Path(file).name + (f" line {line}" if line else "")
            yield path, f"{name}: {problem.value}", f"must be {problem.expected}"


def _beginnings(name: str) -> Iterator[str]:
    """Yield what stands before each hyphen of a name."""
    parts = name.split("-")
    return ("-".join(parts[:end]) for end in range(1, len(parts)))


def _identities(scenario: Scenario) -> Iterator[Complaint]:
    """Two sites with one id, two agents with one address."""
    domain = scenario.server.domain.lower()
    owner = {f"{name}@{domain}": f"the {name} agent" for name in COMMUNITY_AGENTS}
    known: dict[str, str] = {}
    listed = [(f"sites[{i}]", site.id, site) for i, site in enumerate(scenario.sites)]
    drawn: list[tuple[str, str, Site | None]] = [
        ("population", name, None) for name in site_ids(scenario)[len(listed) :]
    ]
    for path, name, site in [*listed, *drawn]:
        if not name:
            continue
        if name in known:
            yield (f"{path}.id" if site else path), name, f"already used by {known[name]}"
            continue
        nested = next((other for other in _beginnings(name) if other in known), "")
        if nested:
            yield (f"{path}.id" if site else path), name, f"must not begin with {nested}-, as if of that site"
        known[name] = path
        for role in SITE_AGENTS:
            default = f"{name}-{role}@{domain}"
            explicit = site.address if site and role == "prosumer" else None
            address = (explicit or default).lower()
            if address in owner:
                yield (
                    f"{path}.address" if explicit else f"{path}.id",
                    address,
                    f"already used by {owner[address]}",
                )
            if explicit and not address.endswith(f"@{domain}"):
                yield f"{path}.address", explicit, f"must be in the server's domain, such as {default}"
            owner.setdefault(address, path if role == "prosumer" else f"{path} ({role} agent)")


def _servers(scenario: Scenario) -> Iterator[Complaint]:
    server = scenario.server
    if server.kind == "external" and server.port == 0:
        yield "server.port", 0, "must be given for an external server, such as 5222"
    if server.connection == "component" and server.kind != "prosody":
        yield "server.connection", "component", "must be accounts unless the server's kind is prosody"
    yield from _watch(scenario)
    if server.ca_file is not None and not Path(server.ca_file).is_file():
        yield "server.ca_file", server.ca_file, "not found"


def _watch(scenario: Scenario) -> Iterator[Complaint]:
    watch, taken = scenario.watch, set(COMMUNITY_AGENTS) | {"record"}
    for index, name in enumerate(watch.clients):
        if name in taken:
            yield f"watch.clients[{index}]", name, "must not be an agent's name, nor stand there twice"
        taken.add(name)
    for index, name in enumerate(watch.bodies):
        if name not in watch.clients:
            yield f"watch.bodies[{index}]", name, "must be one of watch.clients"
    if watch.clients and scenario.server.connection == "component":
        yield "watch.clients", list(watch.clients), "needs server.connection accounts: clients have accounts"


def _registry(scenario: Scenario) -> Iterator[Complaint]:
    """Where there is a registry every site is somebody's."""
    folder = scenario.registry.folder
    if not folder:
        return
    try:
        known = registered_sites(Path(folder), site_ids(scenario))
    except ParityError as error:
        yield "registry.folder", folder, str(error)
        return
    for site in site_ids(scenario):
        if site not in known:
            yield "registry.folder", site, "must be a site of a registered user"


def _repository(scenario: Scenario) -> Iterator[Complaint]:
    if scenario.repository.url:
        from environments.repository.engines import checked_url

        try:
            checked_url(scenario.repository.url)
        except InvalidInput as error:
            yield from ((each.path, each.value, f"must be {each.expected}") for each in error.problems)


def _ledger(scenario: Scenario) -> Iterator[Complaint]:
    ledger = scenario.ledger
    is_embedded = ledger.url == "embedded"
    if not is_embedded and not ledger.url.startswith(("http://", "https://")):
        yield "ledger.url", ledger.url, "must be embedded, or start with http:// or https://"
    for name in ("key_file", "password_file", "dso_key_file", "market_key_file"):
        path = getattr(ledger, name)
        if path is not None and not Path(path).is_file():
            yield f"ledger.{name}", path, "not found"
    if not is_embedded and ledger.key_file is None:
        yield "ledger.key_file", None, "must be given for a node"
    if not is_embedded and ledger.file is not None:
        yield "ledger.file", ledger.file, "only the embedded chain has one"
    if is_embedded and ledger.journal_file is not None:
        yield "ledger.journal_file", ledger.journal_file, "is for a node: the embedded chain loses nothing"
    for name in ("contract", "registry"):
        if getattr(ledger, name) and not ADDRESS.fullmatch(getattr(ledger, name)):
            yield f"ledger.{name}", getattr(ledger, name), "must be 0x and 40 hexadecimal digits"
    yield from _balances(scenario)
    most = 2 + len(site_ids(scenario))
    if ledger.attestors > most:
        yield "ledger.attestors", ledger.attestors, f"aggregator, DSO and sites make {most} at most"


def _balances(scenario: Scenario) -> Iterator[Complaint]:
    ledger = scenario.ledger
    if ledger.balances == "accounts":
        if ledger.balances_file is not None:
            yield "ledger.balances_file", ledger.balances_file, "is for balances: roots"
        return
    if ledger.url != "embedded" and ledger.balances_file is None:
        yield "ledger.balances_file", None, "must be given: without it nobody proves a balance under a root"
    if ledger.contract:
        yield "ledger.contract", ledger.contract, "must be empty with roots: the balances_file names theirs"
