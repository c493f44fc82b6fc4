"""Who is in a community: every agent of a scenario with its role, its settings and the ports it needs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from agents.aggregator import Aggregator
from agents.attestor import Attestor
from agents.battery_manager import BatteryManager
from agents.blockchain_agent import DsoBlockchainAgent, MarketEngine, ProsumerBlockchainAgent
from agents.dso import Dso
from agents.dstatcom import Dstatcom
from agents.ev_manager import EvManager
from agents.external_markets import ExternalMarkets
from agents.gateway import Gateway
from agents.heat_manager import HeatManager
from agents.market_operator import MarketOperator
from agents.oracle import AggregatorOracle, DsoOracle, ProsumerOracle
from agents.prosumer import Prosumer
from agents.pv_manager import PvManager
from agents.repository import RepositoryAgent
from behaviours.agent import Agent
from behaviours.decisions.bilateral_contract import BilateralContract
from behaviours.decisions.flexibility_market.terms import ProcurementTerms
from behaviours.decisions.photovoltaics import PvArray
from behaviours.decisions.pseudonyms import epoch_of, pseudonym, scope_key
from behaviours.grid.compensation import DstatcomSettings
from behaviours.grid.monitoring import OUTLOOK_STEPS, DsoSettings
from behaviours.information.delivery import OracleSettings
from behaviours.market.attestation import AttestorSettings
from behaviours.market.clearing import ClearingTerms
from behaviours.market.dataset_submission import BlockchainSettings
from behaviours.market.external_bidding import FREQUENCY_PRODUCTS
from behaviours.market.external_clearing import ExternalMarketsSettings
from behaviours.market.opening import AggregatorSettings, PortfolioMember
from behaviours.market.operation import MarketOperatorSettings
from behaviours.market.payments import PayerSettings
from behaviours.market.players import MarketEngineSettings
from behaviours.site.battery_settings import BatterySettings
from behaviours.site.contacts import SiteContacts
from behaviours.site.ev_management import EvSettings
from behaviours.site.heat_management import HeatSettings
from behaviours.site.metering import GatewaySettings
from behaviours.site.planning import ProsumerSettings
from behaviours.site.pv_management import PvSettings
from behaviours.vpp.initiation import FLEXIBILITY
from environments.simulation.world import SiteSettings, World
from environments.simulation.world.devices import SiteDevice
from environments.simulation.world.hot_water import COLD_DEGC, DRAW_HOURS, USE_DEGC, WATER_J_PER_L_K
from environments.simulation.world.households import profile_day
from launch.agreements import agreements_of, metrics_of
from launch.contracts import contracts_of
from launch.flexibility import flexibility_terms, procurement_terms
from launch.products import products_of
from launch.scenario import Scenario, lem_parameters
from launch.world_settings import sells_frequency, thresholds
from ontology.base import INTERVALS_A_DAY
from ontology.grid import GridState
from ontology.market import ExternalProduct
from ontology.privacy import PseudonymScope
from ontology.storage import StorageModel, ThermalModel

__all__ = ["Cast", "Part", "cast_community"]


SETTLEMENT_INTERVALS = {"interval": 1, "hourly": 4, "daily": 96}
FLEXIBLE = ("bess", "ev", "heat_pump", "dhw")
"""Devices that can deviate from their plan."""
CONNECTION_W = 43_000
"""What a household's three-phase connection of 63 A carries."""
MOST_ATTESTORS = 16
COMMUNITY_TOKENS_A_SITE = 10
"""Aggregator and supplier start with this many times a site's tokens, for each site."""


@dataclass(frozen=True)
class Part:
    """An agent to be: its class, address, site and settings, and the ports that only it is handed."""

    agent: type[Agent]
    address: str
    settings: Any
    site: str = ""
    ports: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Cast:
    """All agents of a community, and what its accounts are called."""

    parts: tuple[Part, ...]
    accounts: Mapping[str, str]
    """Account (pseudonym) to a name that a reader knows: a site's id, `aggregator`, `grid`."""
    engine: str
    """The address of the market engine."""


class _Directory:
    """Addresses by name: in one domain, or in that of the shard that has the site."""

    def __init__(self, scenario: Scenario, domains: Mapping[str, str]) -> None:
        self._domain = domains.get("", scenario.server.domain)
        self._domain_of = domains
        self._given = {site.id: site.address for site in scenario.sites if site.address}

    def __getitem__(self, name: str) -> str:
        site = name.removesuffix("-prosumer")
        given = self._given.get(site) if site != name else None
        return given or f"{name}@{self._domain_of.get(name.rpartition('-')[0], self._domain)}"


def cast_community(scenario: Scenario, world: World, domains: Mapping[str, str] | None = None) -> Cast:
    """Cast every agent that a scenario calls for around a world.

    Args:
        scenario: says who takes part.
        world: has their devices.
        domains: the domain of each site's agents where they are not all in one, and under `""` that of
            the community's own agents.
    """
    at = _Directory(scenario, domains or {})
    key = scope_key(
        scenario.seed.to_bytes(8, "big") * 4, PseudonymScope.LEM, epoch_of(world.settings.start_s)
    )
    sites = world.settings.sites
    players = {site.id: pseudonym(site.id, key) for site in sites}
    accounts = {player: site for site, player in players.items()}
    aggregator, grid = pseudonym("aggregator", key), pseudonym("grid", key)
    parts = [
        *_community(scenario, world, at, key, (aggregator, grid)),
        *(part for site in sites for part in _site(scenario, world, site, at, key, players[site.id])),
    ]
    return Cast(
        tuple(parts), accounts | {aggregator: "aggregator", grid: "grid"}, at["aggregator-blockchain"]
    )


def _community(
    scenario: Scenario, world: World, at: _Directory, key: bytes, accounts: tuple[str, str]
) -> Iterator[Part]:
    """Cast the agents that serve the whole community."""
    sites = tuple(site.id for site in world.settings.sites)
    contacts = SiteContacts(
        repository=at["repository"],
        aggregator=at["aggregator"],
        market_engine=at["aggregator-blockchain"],
        dso=at["dso"],
    )
    yield Part(RepositoryAgent, at["repository"], None, ports={"repository": ..., "weather": ...})
    yield Part(
        MarketOperator,
        at["market"],
        MarketOperatorSettings(
            green=lem_parameters(scenario, GridState.GREEN), yellow=lem_parameters(scenario, GridState.YELLOW)
        ),
    )
    yield from _aggregator_node(scenario, world, at, contacts, accounts, key, sites)
    yield from _attestors(scenario, world, at, accounts, key, sites)
    payer, terms = _payer(scenario, at, accounts[1], sites), procurement_terms(scenario, accounts)
    contracts = contracts_of(scenario, accounts[0])
    yield from _dso_node(scenario, world, at, contacts, key, payer, contracts, terms)
    yield Part(
        ExternalMarkets,
        at["external-markets"],
        ExternalMarketsSettings(
            dso=at["dso"],
            aggregator=at["aggregator"],
            seed=scenario.seed,
            scale=scenario.external_markets.scale,
            real_time_s=_real_time_s(world) if sells_frequency(scenario) else 0,
        ),
        ports={"devices": (world.frequency_meter(),)},
    )


def _aggregator_node(
    scenario: Scenario,
    world: World,
    at: _Directory,
    contacts: SiteContacts,
    accounts: tuple[str, str],
    key: bytes,
    sites: tuple[str, ...],
) -> Iterator[Part]:
    portfolio = tuple(
        PortfolioMember(
            site=site, segment_id=world.feeder_of(site).segment_id, prosumer=at[f"{site}-prosumer"]
        )
        for site in sites
    )
    yield Part(
        Aggregator,
        at["aggregator"],
        AggregatorSettings(
            market_engine=at["aggregator-blockchain"],
            market_operator=at["market"],
            dso=at["dso"],
            repository=at["repository"],
            external_markets=at["external-markets"],
            segments=tuple(feeder.segment_id for feeder in world.feeders),
            portfolio=portfolio,
            directory=at["market"],
            products=products_of(scenario, "aggregator"),
            plants_for=scenario.plants_for,
            flexibility=flexibility_terms(scenario, accounts),
            contracts=contracts_of(scenario, accounts[0]),
            external_products=_external_products(scenario),
            external_scale=scenario.external_markets.scale,
            agreements=agreements_of(scenario, {site: pseudonym(site, key) for site in sites}, accounts[0]),
            payer=_payer(scenario, at, accounts[0], sites),
        ),
    )
    to_engine = _with(contacts, blockchain=at["aggregator-blockchain"])
    yield Part(
        AggregatorOracle,
        at["aggregator-oracle"],
        OracleSettings(subject="aggregator", contacts=to_engine, pseudonym_key=key, members=sites),
    )
    community_tokens = scenario.initial_tokens * COMMUNITY_TOKENS_A_SITE * len(sites)
    yield Part(
        MarketEngine,
        at["aggregator-blockchain"],
        MarketEngineSettings(
            aggregator=at["aggregator"],
            aggregator_account=accounts[0],
            grid_account=accounts[1],
            repository=at["repository"],
            market_operator=at["market"],
            tokens_per_currency=scenario.tokens_per_currency,
            initial_tokens=scenario.initial_tokens,
            aggregator_tokens=community_tokens,
            grid_tokens=community_tokens,
            minimum_tokens=scenario.minimum_tokens,
            settlement_intervals=SETTLEMENT_INTERVALS[scenario.settlement],
            attestors=_attestor_addresses(scenario, at, sites),
            holders=_holders(at, key, accounts, sites),
        ),
        ports={"ledger": ..., "service_levels": ...},
    )


EXTERNAL_PRODUCTS = {
    "intraday": ExternalProduct.WS_INTRADAY,
    "mfrr": ExternalProduct.MFRR,
    "fcr-d-up": ExternalProduct.FCR_D_UP,
    "fcr-d-down": ExternalProduct.FCR_D_DOWN,
}


def _external_products(scenario: Scenario) -> tuple[ExternalProduct, ...]:
    """Return what the aggregator sells outside: energy only where plants deliver it."""
    delivered = "external" in scenario.plants_for
    wanted = (EXTERNAL_PRODUCTS[name] for name in scenario.external_markets.products)
    return tuple(each for each in wanted if delivered or each in FREQUENCY_PRODUCTS)


def _attesting(world: World) -> tuple[str, ...]:
    """Return the sites that could attest, by the order in which they are asked to."""
    return tuple(site.id for site in world.settings.sites[:MOST_ATTESTORS])


def _holders(
    at: _Directory, key: bytes, accounts: tuple[str, str], sites: tuple[str, ...]
) -> Mapping[str, str]:
    """Return who may order payments from each account."""
    own = {pseudonym(site, key): at[f"{site}-prosumer"] for site in sites}
    return own | {accounts[0]: at["aggregator"], accounts[1]: at["dso"]}


def _payer(scenario: Scenario, at: _Directory, account: str, sites: tuple[str, ...]) -> PayerSettings:
    """Return how the holder of an account orders payments."""
    return PayerSettings(
        account=account,
        engine=at["aggregator-blockchain"],
        attestors=_attestor_addresses(scenario, at, sites),
        tokens_per_currency=scenario.tokens_per_currency,
    )


def _attestor_addresses(scenario: Scenario, at: _Directory, sites: tuple[str, ...]) -> tuple[str, ...]:
    """Return where the attestors beside the market engine, which is the first, are."""
    nodes = ("dso", *sites)[: scenario.ledger.attestors - 1]
    return tuple(at[f"{node}-attestor"] for node in nodes)


def _attestors(
    scenario: Scenario,
    world: World,
    at: _Directory,
    accounts: tuple[str, str],
    key: bytes,
    sites: tuple[str, ...],
) -> Iterator[Part]:
    """Cast the attestors at the nodes of DSO and sites."""
    settings = AttestorSettings(
        engine=at["aggregator-blockchain"],
        aggregator=at["aggregator"],
        segments=tuple(feeder.segment_id for feeder in world.feeders),
        speakers={pseudonym(site, key): at[f"{site}-blockchain"] for site in sites},
        holders=_holders(at, key, accounts, sites),
        terms=ClearingTerms(
            aggregator_account=accounts[0],
            grid_account=accounts[1],
            tokens_per_currency=scenario.tokens_per_currency,
        ),
    )
    for address, site in zip(_attestor_addresses(scenario, at, sites), ("", *sites), strict=False):
        yield Part(Attestor, address, settings, site, {"attestor": ..., "service_levels": ...})


def _dso_node(
    scenario: Scenario,
    world: World,
    at: _Directory,
    contacts: SiteContacts,
    key: bytes,
    payer: PayerSettings,
    contracts: tuple[BilateralContract, ...],
    terms: ProcurementTerms | None,
) -> Iterator[Part]:
    yield Part(
        Dso,
        at["dso"],
        DsoSettings(
            networks=tuple(feeder.network for feeder in world.feeders),
            repository=at["repository"],
            aggregator=at["aggregator"],
            dstatcom=at["dstatcom"],
            thresholds=thresholds(scenario),
            contracts=contracts,
            payer=payer,
            outlook_steps=max(OUTLOOK_STEPS, terms.outlook_steps if terms else 0),
            flexibility=terms,
        ),
    )
    to_chain = _with(contacts, blockchain=at["dso-blockchain"])
    yield Part(
        DsoOracle,
        at["dso-oracle"],
        OracleSettings(subject="dso", contacts=to_chain, pseudonym_key=key),
    )
    yield Part(
        DsoBlockchainAgent,
        at["dso-blockchain"],
        BlockchainSettings(contacts=to_chain, segment_id="", player="dso"),
    )
    yield Part(
        Dstatcom,
        at["dstatcom"],
        DstatcomSettings(
            dso=at["dso"], units=tuple(world.compensator(feeder.segment_id) for feeder in world.feeders)
        ),
    )


def _site(
    scenario: Scenario, world: World, site: SiteSettings, at: _Directory, key: bytes, player: str
) -> Iterator[Part]:
    """Cast the agents of a site: prosumer, oracle, blockchain agent, gateway and a manager for each asset."""
    devices = {
        device.name: device for device in world.devices(site.id) if scenario.control or device.name == "meter"
    }
    contacts = _contacts(site.id, devices, at)
    segment_id = world.feeder_of(site.id).segment_id

    def part(agent: type[Agent], name: str, settings: Any, **ports: Any) -> Part:
        return Part(agent, at[f"{site.id}-{name}"], settings, site.id, ports)

    yield part(
        Gateway,
        "gateway",
        GatewaySettings(
            site=site.id,
            contacts=contacts,
            import_max_w=CONNECTION_W,
            export_max_w=CONNECTION_W,
            real_time_s=world.settings.step_s if world.settings.step_s < 900 else 0,
            reports=metrics_of(scenario, site.id),
        ),
        devices=tuple(devices.values()),
    )
    yield from _managers(scenario, world, site, devices, contacts)
    yield part(
        Prosumer,
        "prosumer",
        ProsumerSettings(
            site=site.id,
            segment_id=segment_id,
            contacts=contacts,
            import_max_w=CONNECTION_W,
            export_max_w=CONNECTION_W,
            real_time_s=_real_time_s(world),
            usual_load_w=usual_load_w(site, world.settings.start_s),
            directory=at["market"],
            offers=(FLEXIBILITY,) if any(name in FLEXIBLE for name in devices) else (),
            products=products_of(scenario, site.id),
            partners=next((each.prefers for each in scenario.sites if each.id == site.id), ()),
            payer=_payer(scenario, at, player, _attesting(world)),
            reports=metrics_of(scenario, site.id),
        ),
    )
    yield part(
        ProsumerOracle,
        "oracle",
        OracleSettings(
            subject=site.id,
            contacts=contacts,
            pseudonym_key=key,
            has_agreements=bool(scenario.agreements),
        ),
    )
    yield part(
        ProsumerBlockchainAgent,
        "blockchain",
        BlockchainSettings(
            contacts=contacts,
            segment_id=segment_id,
            player=player,
            attestors=_attestor_addresses(scenario, at, _attesting(world)),
        ),
    )


def _managers(
    scenario: Scenario,
    world: World,
    site: SiteSettings,
    devices: Mapping[str, SiteDevice],
    contacts: SiteContacts,
) -> Iterator[Part]:
    """Cast the managers of the assets that a site has."""
    models = {name: device.describe() for name, device in devices.items()}
    battery, charger = models.get("bess"), models.get("ev")
    if site.pv is not None and "pv" in devices:
        array = PvArray(
            peak_w=round(site.pv.kwp * 1000),
            tilt_deg=site.pv.tilt_deg,
            azimuth_deg=site.pv.azimuth_deg,
            latitude_deg=world.weather.latitude,
            longitude_deg=world.weather.longitude,
        )
        settings = PvSettings(site=site.id, contacts=contacts, asset_id=f"{site.id}-pv", array=array)
        yield Part(PvManager, contacts.pv, settings, site.id)
    if isinstance(battery, StorageModel):
        yield Part(
            BatteryManager,
            contacts.bess,
            BatterySettings(
                site=site.id,
                contacts=contacts,
                model=battery,
                real_time_s=_real_time_s(world),
                import_max_w=CONNECTION_W,
                offers_reserve=sells_frequency(scenario),
            ),
            site.id,
        )
    if isinstance(charger, StorageModel):
        ev = EvSettings(
            site=site.id,
            contacts=contacts,
            asset_id=charger.asset_id,
            capacity_wh=charger.capacity_wh,
            power_max_w=charger.charge_max_w,
            charge_efficiency=charger.charge_efficiency,
            discharge_efficiency=charger.discharge_efficiency,
            reports=metrics_of(scenario, site.id),
        )
        yield Part(EvManager, contacts.ev, ev, site.id)
    if contacts.p2h:
        yield Part(HeatManager, contacts.p2h, _heat_settings(site, models, contacts), site.id)


def _heat_settings(site: SiteSettings, models: Mapping[str, Any], contacts: SiteContacts) -> HeatSettings:
    building, tank = models.get("heat_pump"), models.get("dhw")
    return HeatSettings(
        site=site.id,
        contacts=contacts,
        building=building if isinstance(building, ThermalModel) else None,
        building_power_max_w=site.heat_pump.power_w if site.heat_pump else 0,
        internal_gains_w=site.heat_pump.internal_gain_w if site.heat_pump else 0.0,
        tank=tank if isinstance(tank, ThermalModel) else None,
        tank_power_max_w=site.hot_water.power_w if site.hot_water else 0,
        draw_w=usual_draw_w(site.hot_water.draw_l) if site.hot_water else (),
    )


def _contacts(site: str, devices: Mapping[str, SiteDevice], at: _Directory) -> SiteContacts:
    def manager(name: str, *assets: str) -> str:
        return at[f"{site}-{name}"] if any(asset in devices for asset in assets) else ""

    return SiteContacts(
        gateway=at[f"{site}-gateway"],
        prosumer=at[f"{site}-prosumer"],
        oracle=at[f"{site}-oracle"],
        blockchain=at[f"{site}-blockchain"],
        pv=manager("pv", "pv"),
        bess=manager("bess", "bess"),
        ev=manager("ev", "ev"),
        p2h=manager("p2h", "heat_pump", "dhw"),
        aggregator=at["aggregator"],
        market_engine=at["aggregator-blockchain"],
        repository=at["repository"],
        dso=at["dso"],
    )


def usual_load_w(site: SiteSettings, start_s: int) -> tuple[int, ...]:
    """Return the standard profile of a household in W, by step of a UTC day."""
    mean_w = site.annual_kwh * 1000 / 8760
    profile = profile_day(site.zone, start_s // 86_400 * 86_400, site.profile)
    return tuple(round(float(share) * mean_w) for share in profile)


def usual_draw_w(draw_l: float) -> tuple[float, ...]:
    """Return the heat usually drawn from a tank in W, by step of a day."""
    heat_j = draw_l * WATER_J_PER_L_K * (USE_DEGC - COLD_DEGC)
    steps = INTERVALS_A_DAY // len(DRAW_HOURS)
    return tuple(
        float(heat_j * share / DRAW_HOURS.sum() / 3600) for share in DRAW_HOURS for _ in range(steps)
    )


def _real_time_s(world: World) -> int:
    return world.settings.step_s if world.settings.step_s < 900 else 0


def _with(contacts: SiteContacts, **changes: str) -> SiteContacts:
    import msgspec

    return msgspec.structs.replace(contacts, **changes)
