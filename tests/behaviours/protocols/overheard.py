"""What is said in a town, and whether it keeps to FIPA's protocols."""

from collections import defaultdict

from hypothesis import strategies as st

from behaviours.protocols.conformance import Said, violations_of
from environments.simulation.transport import Faults
from ontology.performatives import Performative

DOING = st.sampled_from(["well", "well", "refuse", "break", "dawdle", "die"])
FAULTS = st.builds(
    lambda delay_s, loss, duplication: Faults(delay_max_s=delay_s, loss=loss, duplication=duplication),
    st.sampled_from([0.0, 0.5, 4.0]),
    st.sampled_from([0.0, 0.1, 0.4]),
    st.sampled_from([0.0, 0.3]),
)


def listened_to(town):
    """Keep every letter that anybody in a town sends."""
    town.spoken = []
    carry = town.transport.send

    def send(envelope):
        town.spoken.append(envelope)
        carry(envelope)

    town.transport.send = send
    return town


def acts(town, start=""):
    return [(e.sender.split("@")[0], str(e.performative)) for e in town.spoken if start in e.conversation]


def violated(town):
    """Return every act in a town that FIPA's protocols do not allow where it was said."""
    conversations = defaultdict(list)
    for e in town.spoken:
        conversations[e.conversation].append(
            Said(e.message_id, e.sender, Performative(e.performative), e.in_reply_to)
        )
    return [each for said in conversations.values() for each in violations_of(said)]
