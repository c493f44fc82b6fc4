"""Portals: through them people and programs outside speak with the agents."""

from functools import cache

from behaviours.agent import Agent
from ontology.roles import Role

__all__ = ["Portal", "portal_of"]


class Portal(Agent):
    """Brings what somebody outside wants said, and has no will of its own."""

    role = Role.UI
    behaviours = ()


@cache
def portal_of(role: Role) -> type[Portal]:
    """Return the class of the portal of a role."""
    return type(f"{role.name.title().replace('_', '')}Portal", (Portal,), {"role": role})
