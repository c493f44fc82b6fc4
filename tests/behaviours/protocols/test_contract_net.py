"""A call for proposals, told from both sides; no fault of the network makes anybody break FIPA's rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from overheard import DOING, FAULTS, acts, listened_to, violated
from post_office import START_S, Town, some

from behaviours.behaviour import Behaviour, on
from behaviours.protocols.contract_net import ContractNet
from environments.simulation.transport import Faults
from ontology.coalition import CoalitionBid, CoalitionInvitation, FlexProduct, ProductKind, ScheduleCommitment
from ontology.errors import Conflict, Failed, ParityError, Refused, Unavailable
from ontology.performatives import Performative
from ontology.roles import Role

PRODUCT = FlexProduct(
    product_id="evening",
    kind=ProductKind.FLEX_REQUEST,
    start_s=START_S + 9000,
    target_w=[-1000],
    price_ticks_per_kwh=2000,
    deadline_s=START_S + 9000,
)
BID = CoalitionBid(product_id="evening", capacity_w=[500], cost_ticks_per_kwh=900, reliability=1.0)
COMMITMENT = ScheduleCommitment(
    vpp_id="plant",
    product_id="evening",
    member="site@town",
    start_s=PRODUCT.start_s,
    schedule_w=[-500],
    cost_ticks=100,
)


def invitation(*group):
    return CoalitionInvitation(
        vpp_id="plant", product=PRODUCT, group=list(group), heads=[group[0]], settle_by_s=START_S + 60
    )


class Bidder(Behaviour):
    """Does what the town's settings say: at a call, and once its proposal is accepted."""

    @on(FlexProduct, Performative.CFP)
    async def bid(self, product, letter):
        return await self.act(self.settings["bid"], BID)

    @on(CoalitionInvitation, Performative.ACCEPT_PROPOSAL)
    async def deliver(self, invitation, letter):
        return await self.act(self.settings["deliver"], COMMITMENT)

    async def act(self, how, answer):
        if how == "refuse":
            raise Refused("not today")
        if how == "break":
            raise RuntimeError("a bug")
        if how == "die":
            self.agent.kill()
        if how in ("dawdle", "die"):
            await self.clock.sleep_until(self.clock.now_s() + 8)
        return answer


def net_in(town):
    """Return a contract net of a new aggregator."""
    return ContractNet(town.agent("aggregator", Role.AGGREGATOR, site="here"), CoalitionBid)


def bidder_in(town, name="site", bid="well", deliver="well"):
    return town.agent(name, Role.PROSUMER, Bidder, settings={"bid": bid, "deliver": deliver}, site="here")


@pytest.fixture
def town():
    with Town() as town:
        yield listened_to(town)


# -- as it should be -------------------------------------------------------------------------------


def test_from_the_call_to_the_result_it_is_one_conversation(town):
    net, _ = net_in(town), bidder_in(town)

    async def buy():
        assert await net.call(["site@town"], PRODUCT, within_s=5) == {"site@town": BID}
        assert net.bidders == ["site@town"]
        return await net.accept("site@town", invitation("site@town"), ScheduleCommitment, within_s=5)

    assert town.outcome(buy()) == COMMITMENT
    assert len({envelope.conversation for envelope in town.spoken}) == 1
    assert {envelope.protocol for envelope in town.spoken} == {"fipa-iterated-contract-net"}
    assert acts(town) == [
        ("aggregator", "cfp"),
        ("site", "propose"),
        ("aggregator", "accept-proposal"),
        ("site", "inform"),
    ]
    assert net.bidders == []


def test_who_proposed_may_be_called_again_and_is_turned_down_once(town):
    net, _ = net_in(town), bidder_in(town)

    async def haggle():
        await net.call(["site@town"], PRODUCT, within_s=5)
        await net.call(net.bidders, PRODUCT, within_s=5)
        net.reject_rest("too dear")
        with pytest.raises(Conflict):
            net.reject("site@town", "too dear")

    town.outcome(haggle())
    assert [act for _, act in acts(town)] == ["cfp", "propose", "cfp", "propose", "reject-proposal"]


def test_nobody_can_be_accepted_who_has_not_proposed(town):
    net, _ = net_in(town), bidder_in(town, bid="refuse")

    async def accept_all_the_same():
        assert await net.call(["site@town"], PRODUCT, within_s=5) == {}
        await net.accept("site@town", invitation("site@town"), ScheduleCommitment, within_s=5)

    with pytest.raises(Conflict, match="no proposal"):
        town.outcome(accept_all_the_same())


# -- as it is --------------------------------------------------------------------------------------


def test_a_proposal_after_the_deadline_is_turned_down_as_late(town):
    net, _ = net_in(town), bidder_in(town, bid="dawdle")
    assert town.outcome(net.call(["site@town"], PRODUCT, within_s=5)) == {}
    assert acts(town) == [("aggregator", "cfp"), ("site", "propose"), ("aggregator", "reject-proposal")]


@pytest.mark.parametrize(
    ("deliver", "error"),
    [("refuse", Refused), ("break", Failed), ("dawdle", Unavailable), ("die", Unavailable)],
)
def test_who_proposed_can_only_fail(town, deliver, error):
    net, _ = net_in(town), bidder_in(town, deliver=deliver)

    async def buy():
        await net.call(["site@town"], PRODUCT, within_s=5)
        await net.accept("site@town", invitation("site@town"), ScheduleCommitment, within_s=5)

    with pytest.raises(error):
        town.outcome(buy())
    assert ("site", "refuse") not in acts(town)
    assert violated(town) == []


def test_what_is_called_off_is_worked_on_no_longer(town):
    net, site = net_in(town), bidder_in(town, deliver="dawdle")

    async def change_ones_mind():
        await net.call(["site@town"], PRODUCT, within_s=5)
        accepted = town.loop.create_task(
            net.accept("site@town", invitation("site@town"), ScheduleCommitment, within_s=50)
        )
        await town.clock.sleep_until(town.clock.now_s() + 1)
        net.cancel()
        with pytest.raises(Unavailable, match="called off"):
            await accepted

    town.outcome(change_ones_mind())
    assert site.counts["cancelled"] == 1
    assert [act for _, act in acts(town)][-2:] == ["cancel", "inform"]
    assert violated(town) == []


def test_what_is_done_cannot_be_called_off(town):
    net, _ = net_in(town), bidder_in(town)

    async def too_late():
        town.loop.call_later(0.5, net.cancel)
        return await net.call(["site@town"], PRODUCT, within_s=5)

    town.transport.faults = Faults(delay_min_s=0.4, delay_max_s=0.4)
    assert town.outcome(too_late()) == {}
    assert [act for _, act in acts(town)][-3:] == ["cancel", "reject-proposal", "failure"]
    assert violated(town) == []


# -- whatever happens ------------------------------------------------------------------------------


@some
@given(
    st.lists(st.tuples(DOING, DOING), min_size=1, max_size=4),
    FAULTS,
    st.sampled_from([0, 3, 6, 11]),
    st.integers(1, 3),
    st.integers(0, 2**32 - 1),
)
def test_no_fault_makes_anybody_break_the_rules(characters, faults, called_off_s, rounds, seed):
    with Town(faults=faults, seed=seed) as town:
        listened_to(town)
        names = [f"site{number}@town" for number in range(len(characters))]
        for name, (bid, deliver) in zip(names, characters, strict=True):
            bidder_in(town, name.split("@")[0], bid, deliver)
        net = net_in(town)

        async def trade():
            await net.call(names, PRODUCT, within_s=5)
            for _ in range(rounds - 1):
                await net.call(net.bidders, PRODUCT, within_s=5)
            for who in net.bidders[:2]:
                try:
                    await net.accept(who, invitation(who), ScheduleCommitment, within_s=5)
                except ParityError:
                    continue
            net.reject_rest("enough")

        if called_off_s:
            town.clock.call_at(START_S + called_off_s, net.cancel)
        town.outcome(trade(), within_s=120)
        assert violated(town) == []
        assert net.bidders == []
