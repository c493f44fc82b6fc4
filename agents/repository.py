"""The community's repository."""

from behaviours.agent import Agent
from behaviours.information.facts import Answering, FactKeeping, WeatherPublishing
from behaviours.information.registration import ConsentKeeping, PseudonymIssuing, UserRegistration
from behaviours.information.sample_taking import SampleTaking
from ontology.roles import Role

__all__ = ["RepositoryAgent"]


class RepositoryAgent(Agent):
    """Keeps measurements, forecasts and events, and answers for them (D8.1 3.2)."""

    role = Role.REPOSITORY
    behaviours = (
        FactKeeping,  # what members report
        Answering,  # what members ask
        WeatherPublishing,  # the forecast of each hour
        SampleTaking,  # what sensors send, where the information layer is here
        UserRegistration,  # who is a member, and no longer
        PseudonymIssuing,  # what members are called in the market
        ConsentKeeping,  # what members agree to
    )
