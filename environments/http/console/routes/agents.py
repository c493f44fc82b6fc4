"""Who is there: agents by site and role, when they were last heard, what they answer; stop and start."""

from collections.abc import Sequence
from typing import Any

from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.exceptions import NotFoundException

from environments.http.access import caller_of, roles, token_holders
from environments.http.console.community import AgentView, Community
from environments.http.console.pages import fragment, html, page, register_entry
from environments.http.console.signing_in import shown_to
from environments.http.services import services_of
from ontology.errors import Refused
from ontology.ownership import Party
from ontology.roles import Role

__all__ = ["AGENTS"]

Any_ = Request[Any, Any, State]
SILENT_AFTER_S = 4500
"""Five intervals: sites plan in turns every fourth, so by then every agent has had something to say."""

register_entry("/console/agents", "Agents", token_holders(), "Community")


@get("/agents", opt=shown_to(token_holders()))
async def agents_page(request: Any_) -> Response[str]:
    """Show all agents that the caller may see, those of the community first, then site by site."""
    community = community_of(request)
    visible = seen_by(caller_of(request).party, community.agents())
    sites = sorted({agent.site for agent in visible})
    by_site = {site: [agent for agent in visible if agent.site == site] for site in sites}
    late_s = community.now_s() - SILENT_AFTER_S
    return page(request, "agents.html", by_site=by_site, late_s=late_s)


@get("/agents/{address:str}", opt=shown_to(token_holders()))
async def agent_page(request: Any_, address: str) -> Response[str]:
    """Show one agent.

    Raises: NotFoundException when there is none of that address that the caller may see.
    """
    agent = _visible(request, address)
    return page(request, "agent.html", agent=agent, may_steer=caller_of(request).role in STEERING)


STEERING = (Role.MARKET_OPERATOR,)


@post("/agents/{address:str}/stop", opt=shown_to(roles(*STEERING)))
async def stop_agent(request: Any_, address: str) -> Response[str]:
    """Stop an agent whose name was typed to confirm it.

    Raises: Refused when the name was not typed, or nothing can be stopped here.
    """
    await _require_confirmation(request, address)
    await community_of(request).stop(_visible(request, address).address)
    return _steering(request, address)


@post("/agents/{address:str}/start", opt=shown_to(roles(*STEERING)))
async def start_agent(request: Any_, address: str) -> Response[str]:
    """Start an agent that was stopped.

    Raises: Refused when nothing can be started here.
    """
    await community_of(request).start(_visible(request, address).address)
    return _steering(request, address)


def community_of(request: Any_) -> Community:
    """Return the community that the console shows."""
    community: Community = services_of(request).more["community"]
    return community


def seen_by(party: Party, agents: Sequence[AgentView]) -> list[AgentView]:
    """Return the agents that somebody may see: who is bound to a site sees its own."""
    return [agent for agent in agents if not party.is_bound or party.owns(agent.address)]


def _visible(request: Any_, address: str) -> AgentView:
    visible = seen_by(caller_of(request).party, community_of(request).agents())
    found = next((agent for agent in visible if agent.address == address), None)
    if found is None:
        raise NotFoundException(f"no agent {address}")
    return found


def _steering(request: Any_, address: str) -> Response[str]:
    return html(fragment("agent_steering.html", agent=_visible(request, address), may_steer=True))


async def _require_confirmation(request: Any_, address: str) -> None:
    typed = str((await request.form()).get("confirmation", "")).strip()
    if typed != address.partition("@")[0]:
        raise Refused(f"type {address.partition('@')[0]} to confirm")


AGENTS = (agents_page, agent_page, stop_agent, start_agent)
