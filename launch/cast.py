"""Who is in a community: every agent of a scenario with its role, its settings and the ports it needs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from agents.aggregator import Aggregator
from agents.attestor import Attestor
from agents.blockchain_agent import DsoBlockchainAgent, MarketEngine
from agents.dso import Dso
from agents.dstatcom import Dstatcom
from agents.external_markets import ExternalMarkets
from agents.market_operator import MarketOperator
from agents.oracle import AggregatorOracle, DsoOracle
from agents.repository import RepositoryAgent
from behaviours.decisions.bilateral_contract import BilateralContract
from behaviours.decisions.flexibility_market.terms import ProcurementTerms
from behaviours.grid.compensation import DstatcomSettings
from behaviours.grid.dso_settings import MARKET_STEPS, OUTLOOK_STEPS, DsoSettings
from behaviours.grid.dstatcom_coordination import CoordinationSettings
from behaviours.information.delivery import OracleSettings
from behaviours.market.attestor_evidence import AttestorSettings
from behaviours.market.blockchain_settings import BlockchainSettings
from behaviours.market.clearing import ClearingTerms
from behaviours.market.external_bidding import FREQUENCY_PRODUCTS
from behaviours.market.external_clearing import ExternalMarketsSettings
from behaviours.market.opening import AggregatorSettings, PortfolioMember
from behaviours.market.operation import MarketOperatorSettings
from behaviours.market.payments import PayerSettings
from behaviours.market.players import MarketEngineSettings
from behaviours.site.contacts import SiteContacts
from environments.simulation.world import World
from environments.simulation.world.control_system import ControlSystem
from launch.agreements import agreements_of
from launch.contracts import contracts_of
from launch.dso_systems import Outside
from launch.flexibility import flexibility_terms, procurement_terms
from launch.own_assets import own_assets
from launch.parts import AddressBook, Part, attestor_addresses, payer_of, real_time_step_s
from launch.portals import portal_parts
from launch.products import products_of
from launch.pseudonyms import Pseudonyms, pseudonyms_of
from launch.scenario import Scenario, lem_parameters
from launch.site_parts import site_parts
from launch.uftp import buyers_of, gateways_of, sellers_of
from launch.watching import keeper_parts, watcher_parts
from launch.world_settings import metering_of, sells_frequency, thresholds
from ontology.grid import DstatcomObjective, GridState
from ontology.market import ExternalProduct

__all__ = ["Cast", "Part", "cast_community"]


WATCH_EVENTS_S = 30
"""How often the DSO asks its control system what has happened, where anything does."""
SETTLEMENT_INTERVALS = {"interval": 1, "hourly": 4, "daily": 96}
COMMUNITY_TOKENS_A_SITE = 10
"""Aggregator and supplier start with this many times a site's tokens, for each site."""


@dataclass(frozen=True)
class Cast:
    """All agents of a community, and what its accounts are called."""

    parts: tuple[Part, ...]
    accounts: Mapping[str, str]
    """Account (pseudonym) to a name that a reader knows: a site's id, `aggregator`, `grid`."""
    engine: str
    """The address of the market engine."""
    watchers: tuple[Part, ...] = ()
    """Members that run on no host: clients that look on."""


def cast_community(
    scenario: Scenario,
    world: World,
    domains: Mapping[str, str] | None = None,
    outside: Outside | None = None,
    *,
    portals: bool = False,
    live: bool = False,
) -> Cast:
    """Cast every agent that a scenario calls for around a world.

    Args:
        scenario: says who takes part.
        world: has their devices.
        domains: the domain of each site's agents where they are not all in one, and under `""` that of
            the community's own agents.
        outside: systems of the DSO that take the place of the world's.
        portals: whether people and programs outside may speak with the agents.
        live: whether others may look on, as far as the scenario lets them.
    """
    at = AddressBook(scenario, domains or {})
    names = pseudonyms_of(scenario)
    sites = world.settings.sites
    accounts = names.by_player(site.id for site in sites)
    aggregator, grid = names.community
    parts = [
        *_community(scenario, world, at, names, (aggregator, grid), outside or Outside()),
        *(part for site in sites for part in site_parts(scenario, world, site, at, names)),
        *(portal_parts(at, [site.id for site in sites]) if portals else ()),
        *(keeper_parts(scenario, domains or {}) if live else ()),
    ]
    return Cast(
        tuple(parts),
        {**accounts} | {aggregator: "aggregator", grid: "grid"},
        at["aggregator-blockchain"],
        watcher_parts(scenario) if live else (),
    )


def _community(
    scenario: Scenario,
    world: World,
    at: AddressBook,
    names: Pseudonyms,
    accounts: tuple[str, str],
    outside: Outside,
) -> Iterator[Part]:
    """Cast the agents that serve the whole community."""
    sites = tuple(site.id for site in world.settings.sites)
    contacts = SiteContacts(
        repository=at["repository"],
        aggregator=at["aggregator"],
        market_engine=at["aggregator-blockchain"],
        dso=at["dso"],
    )
    yield Part(
        RepositoryAgent, at["repository"], None, ports={"repository": ..., "registry": ..., "weather": ...}
    )
    yield Part(
        MarketOperator,
        at["market"],
        MarketOperatorSettings(
            green=lem_parameters(scenario, GridState.GREEN), yellow=lem_parameters(scenario, GridState.YELLOW)
        ),
        ports={"register": ...},
    )
    yield from _aggregator_node(scenario, world, at, contacts, accounts, names, sites)
    yield from _attestors(scenario, world, at, accounts, names, sites)
    payer, terms = payer_of(scenario, at, accounts[1], sites), procurement_terms(scenario, accounts)
    contracts = contracts_of(scenario, accounts[0])
    yield from _dso_node(scenario, world, at, contacts, names, payer, contracts, terms, outside)
    yield from gateways_of(scenario, at)
    yield Part(
        ExternalMarkets,
        at["external-markets"],
        ExternalMarketsSettings(
            dso=at["dso"],
            aggregator=at["aggregator"],
            seed=scenario.seed,
            scale=scenario.external_markets.scale,
            real_time_s=real_time_step_s(world) if sells_frequency(scenario) else 0,
        ),
        ports={"devices": (world.frequency_meter(),)},
    )


def _aggregator_node(
    scenario: Scenario,
    world: World,
    at: AddressBook,
    contacts: SiteContacts,
    accounts: tuple[str, str],
    names: Pseudonyms,
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
            buyers=buyers_of(scenario, at),
            contracts=contracts_of(scenario, accounts[0]),
            external_products=_external_products(scenario),
            external_scale=scenario.external_markets.scale,
            agreements=agreements_of(scenario, sites, names.keys, accounts[0]),
            payer=payer_of(scenario, at, accounts[0], sites),
            real_time_s=real_time_step_s(world),
            heeds_consent=bool(scenario.registry.folder),
        ),
    )
    to_engine = _with(contacts, blockchain=at["aggregator-blockchain"])
    yield Part(
        AggregatorOracle,
        at["aggregator-oracle"],
        OracleSettings(subject="aggregator", contacts=to_engine, pseudonym_keys=names.own, members=sites),
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
            attestors=attestor_addresses(scenario, at, sites),
            holders=_holders(at, names, accounts, sites),
        ),
        ports={"ledger": ..., "service_levels": ..., "register": ...},
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


def _holders(
    at: AddressBook, names: Pseudonyms, accounts: tuple[str, str], sites: tuple[str, ...]
) -> Mapping[str, str]:
    """Return who may order payments from each account."""
    own = {player: at[f"{site}-prosumer"] for player, site in names.by_player(sites).items()}
    return own | {accounts[0]: at["aggregator"], accounts[1]: at["dso"]}


def _attestors(
    scenario: Scenario,
    world: World,
    at: AddressBook,
    accounts: tuple[str, str],
    names: Pseudonyms,
    sites: tuple[str, ...],
) -> Iterator[Part]:
    """Cast the attestors at the nodes of DSO and sites."""
    settings = AttestorSettings(
        engine=at["aggregator-blockchain"],
        aggregator=at["aggregator"],
        segments=tuple(feeder.segment_id for feeder in world.feeders),
        speakers={player: at[f"{site}-blockchain"] for player, site in names.by_player(sites).items()},
        successors=names.successors(sites),
        holders=_holders(at, names, accounts, sites),
        terms=ClearingTerms(
            aggregator_account=accounts[0],
            grid_account=accounts[1],
            tokens_per_currency=scenario.tokens_per_currency,
        ),
    )
    for address, site in zip(attestor_addresses(scenario, at, sites), ("", *sites), strict=False):
        yield Part(Attestor, address, settings, site, {"attestor": ..., "service_levels": ...})


def _outlook_steps(scenario: Scenario, terms: ProcurementTerms | None) -> int:
    """Return how many intervals ahead the DSO looks: as far as anybody who trades asks it about."""
    outside = MARKET_STEPS if _external_products(scenario) else 0
    return max(OUTLOOK_STEPS, outside, terms.outlook_steps if terms else 0)


def _dso_node(
    scenario: Scenario,
    world: World,
    at: AddressBook,
    contacts: SiteContacts,
    names: Pseudonyms,
    payer: PayerSettings,
    contracts: tuple[BilateralContract, ...],
    terms: ProcurementTerms | None,
    outside: Outside,
) -> Iterator[Part]:
    yield Part(
        Dso,
        at["dso"],
        DsoSettings(
            networks=tuple(feeder.network for feeder in world.feeders),
            repository=at["repository"],
            aggregator=at["aggregator"],
            dstatcoms=CoordinationSettings(
                agent=at["dstatcom"],
                units=tuple(each.unit for each in world.compensators()),
                objective=DstatcomObjective(scenario.grid.dstatcom_objective.upper()),
            ),
            thresholds=thresholds(scenario),
            contracts=contracts,
            own_assets=own_assets(scenario, world, at),
            watch_events_s=WATCH_EVENTS_S if scenario.grid.events else 0,
            payer=payer,
            external_markets=at["external-markets"],
            outlook_steps=_outlook_steps(scenario, terms),
            flexibility=terms,
            sellers=sellers_of(scenario, at, [feeder.segment_id for feeder in world.feeders]),
            metering=metering_of(scenario),
            outlook_intervals=scenario.grid.outlook_intervals,
        ),
        ports={
            "monitoring": outside.monitoring or world.network_meters,
            "network_events": ControlSystem(world.grid),
        },
    )
    to_chain = _with(contacts, blockchain=at["dso-blockchain"])
    yield Part(
        DsoOracle,
        at["dso-oracle"],
        OracleSettings(subject="dso", contacts=to_chain, pseudonym_keys=names.own),
    )
    yield Part(
        DsoBlockchainAgent,
        at["dso-blockchain"],
        BlockchainSettings(contacts=_with(to_chain, oracle=at["dso-oracle"]), segment_id=""),
        ports={"register": ...},
    )
    yield Part(
        Dstatcom,
        at["dstatcom"],
        DstatcomSettings(
            dso=at["dso"],
            units=tuple(outside.units.get(each.asset_id, each) for each in world.compensators()),
            status_s=scenario.grid.dstatcom_status_s,
        ),
    )


def _with(contacts: SiteContacts, **changes: str) -> SiteContacts:
    import msgspec

    return msgspec.structs.replace(contacts, **changes)
