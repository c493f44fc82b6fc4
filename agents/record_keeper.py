"""The keeper of a host's record: one a host, for those who look on from elsewhere."""

from behaviours.agent import Agent
from behaviours.information.record_offering import RecordGathering, RecordOffering
from ontology.roles import Role

__all__ = ["RecordKeeper", "Watcher"]


class RecordKeeper(Agent):
    """Offers the letters that its host records, and takes no part in the market."""

    role = Role.UI
    behaviours = (
        RecordOffering,  # to watchers, and to the keeper that gathers
        RecordGathering,  # of other hosts, where this one shows all
    )


class Watcher(Agent):
    """Somebody outside who looks on through an XMPP client; it runs on no host."""

    role = Role.UI
    behaviours = ()
