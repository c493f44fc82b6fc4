"""What somebody sees of facts that are about several."""

from ontology.coalition import MemberPayoff, VppPayoff
from ontology.ownership import Party, as_seen_by
from ontology.roles import Role


def test_a_member_sees_its_own_payoff_which_still_adds_up():
    members = [
        MemberPayoff(
            member=f"{site}-prosumer@here",
            committed_wh=1,
            delivered_wh=1,
            accuracy=1,
            cost_ticks=cost,
            surplus_ticks=1,
        )
        for site, cost in (("h001", 10), ("h002", 20))
    ]
    payoff = VppPayoff(vpp_id="v", product_id="p", paid_ticks=35, initiator_ticks=3, members=members)
    seen = as_seen_by(Party(Role.PROSUMER, ("h001",)), payoff)
    assert seen is not None
    assert seen.members == members[:1]
    assert (seen.paid_ticks, seen.initiator_ticks) == (11, 0)
    assert as_seen_by(Party(Role.AGGREGATOR), payoff) == payoff
    assert as_seen_by(Party(Role.PROSUMER, ("h003",)), payoff) is None
