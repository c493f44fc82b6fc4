"""The agent of the DSO's D-STATCOMs."""

from behaviours.agent import Agent
from behaviours.grid.compensation import Compensating, StatusAnswering, StatusReporting
from ontology.roles import Role

__all__ = ["Dstatcom"]


class Dstatcom(Agent):
    """Runs four-leg D-STATCOMs as the DSO asks (D8.1 3.10)."""

    role = Role.DSTATCOM
    behaviours = (
        Compensating,  # the DSO's commands
        StatusReporting,  # what each unit did
        StatusAnswering,  # for who asks
    )
