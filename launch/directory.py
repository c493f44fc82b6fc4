"""Which agents there are: the roles with what their behaviours answer, and the addresses of a scenario."""

import importlib
import inspect
import pkgutil
from typing import TYPE_CHECKING, NamedTuple

from launch.population import all_sites
from launch.rules import COMMUNITY_AGENTS
from launch.schema import Scenario, Site

if TYPE_CHECKING:
    from behaviours.agent import Agent

__all__ = ["Entry", "agent_classes", "entries", "site_agents"]


class Entry(NamedTuple):
    """An agent that a scenario would start; the site is empty for those of the community."""

    address: str
    agent: str
    site: str


def site_agents(site: Site) -> tuple[str, ...]:
    """Return the agents of a site, its managers only for devices that are there."""
    managers = {
        "pv": site.pv,
        "bess": site.battery,
        "ev": site.ev,
        "p2h": site.heat_pump or site.hot_water or site.lighting,
    }
    always = ("prosumer", "oracle", "blockchain", "gateway")
    return always + tuple(name for name, device in managers.items() if device is not None)


def entries(scenario: Scenario) -> list[Entry]:
    """Return every agent that a scenario would start, the community's first, then site by site."""
    domain = scenario.server.domain
    trade = scenario.flexibility_market.uftp
    outside = [f"uftp.{each.domain}" for each in trade.counterparties] if trade else []
    found = [Entry(f"{name}@{domain}", name, "") for name in (*COMMUNITY_AGENTS, *outside)]
    for site in all_sites(scenario):
        for name in site_agents(site):
            explicit = site.address if name == "prosumer" else None
            found.append(Entry(explicit or f"{site.id}-{name}@{domain}", name, site.id))
    return found


def agent_classes() -> "list[type[Agent]]":
    """Return the agent classes of the package `agents`, by role."""
    import agents
    from behaviours.agent import Agent

    found: set[type[Agent]] = set()
    for module in pkgutil.walk_packages(agents.__path__, "agents."):
        for _, cls in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if issubclass(cls, Agent) and getattr(cls, "role", None) is not None:
                found.add(cls)
    return sorted(found, key=lambda cls: (str(cls.role), cls.__name__))
