"""What a cast is made of: parts, addresses by name, who attests and who pays."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from behaviours.agent import Agent
from behaviours.market.payments import PayerSettings
from launch.schema import Scenario

if TYPE_CHECKING:
    from environments.simulation.world import World

__all__ = ["AddressBook", "Part", "attesting_sites", "attestor_addresses", "payer_of", "real_time_step_s"]

MOST_ATTESTORS = 16


@dataclass(frozen=True)
class Part:
    """An agent to be: its class, address, site and settings, and the ports that only it is handed."""

    agent: type[Agent]
    address: str
    settings: Any
    site: str = ""
    ports: Mapping[str, Any] = field(default_factory=dict)


class AddressBook:
    """Addresses by name: in one domain, or in that of the shard that has the site."""

    def __init__(self, scenario: Scenario, domains: Mapping[str, str]) -> None:
        self._domain = domains.get("", scenario.server.domain)
        self._domain_of = domains
        self._given = {site.id: site.address for site in scenario.sites if site.address}

    def __getitem__(self, name: str) -> str:
        site = name.removesuffix("-prosumer")
        given = self._given.get(site) if site != name else None
        return given or f"{name}@{self._domain_of.get(name.rpartition('-')[0], self._domain)}"


def attesting_sites(world: "World") -> tuple[str, ...]:
    """Return the sites that could attest, by the order in which they are asked to."""
    return tuple(site.id for site in world.settings.sites[:MOST_ATTESTORS])


def payer_of(
    scenario: Scenario, at: AddressBook, account: str | Mapping[int, str], sites: tuple[str, ...]
) -> PayerSettings:
    """Return how the holder of an account orders payments; a site's account has another name each epoch."""
    return PayerSettings(
        account=account if isinstance(account, str) else "",
        accounts={} if isinstance(account, str) else account,
        engine=at["aggregator-blockchain"],
        attestors=attestor_addresses(scenario, at, sites),
        tokens_per_currency=scenario.tokens_per_currency,
    )


def attestor_addresses(scenario: Scenario, at: AddressBook, sites: tuple[str, ...]) -> tuple[str, ...]:
    """Return where the attestors beside the market engine, which is the first, are."""
    nodes = ("dso", *sites)[: scenario.ledger.attestors - 1]
    return tuple(at[f"{node}-attestor"] for node in nodes)


def real_time_step_s(world: "World") -> int:
    """Return how often devices are looked at between two intervals, in seconds; 0 is not at all."""
    return world.settings.step_s if world.settings.step_s < 900 else 0
