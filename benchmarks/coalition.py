"""Schedules chosen together (COHDA over the offline post) beside centralised descent with 20 restarts."""

import time
from collections import Counter

import numpy as np

from behaviours.agent import Agent, Surroundings
from behaviours.decisions.coalition.overlay import groups_of
from behaviours.decisions.coalition.reference import descended, planted_problem
from behaviours.decisions.coalition.schedules import Deviations
from behaviours.decisions.series import IntArray
from behaviours.membership import Member
from behaviours.vpp.selection import ScheduleNegotiation
from environments.repository.agent_store import MemoryAgentStore
from environments.simulation.clock import VirtualClock
from environments.simulation.loop import VirtualLoop
from environments.simulation.transport import InProcessTransport
from ontology.coalition import CoalitionInvitation, FlexProduct, ProductKind
from ontology.letter import Envelope
from ontology.roles import Role

__all__ = ["Negotiation", "rows"]

SEEDS = {10: 20, 20: 20, 30: 20, 50: 20, 100: 20, 1000: 1}
START_S = 900 * 2_000_000
DAY_S = 86_400


class Negotiator(Agent):
    """An agent that does nothing but choose a schedule."""

    role = Role.PROSUMER
    behaviours = (ScheduleNegotiation,)


class Weighing(InProcessTransport):
    """The in-process post, which weighs what it carries."""

    def __init__(self) -> None:
        super().__init__()
        self.weight: Counter[str] = Counter()

    def send(self, envelope: Envelope) -> None:
        self.weight["letters"] += 1
        self.weight["bytes"] += len(envelope.body)
        self.weight["longest"] = max(self.weight["longest"], len(envelope.body))
        super().send(envelope)


class Negotiation:
    """A planted problem, negotiated by as many agents as it has members."""

    def __init__(self, schedules_w: IntArray, target_w: IntArray, seed: int) -> None:
        """Prepare the agents; nothing is said yet."""
        self.loop = VirtualLoop(START_S)
        self.clock = VirtualClock(self.loop)
        self.transport = Weighing()
        self.chosen: dict[str, int] = {}
        self._rows = schedules_w
        addresses = [f"n{i:04d}@localhost" for i in range(len(schedules_w))]
        members = {address: Member(address, Role.PROSUMER) for address in addresses}
        surroundings = Surroundings(
            clock=self.clock,
            transport=self.transport,
            membership=members,
            store=MemoryAgentStore(),
            run_id="bench",
            seed=seed,
        )
        self.agents = {address: Negotiator(members[address], None, surroundings) for address in addresses}
        product = FlexProduct(
            product_id=f"planted-{seed}",
            kind=ProductKind.LOCAL_MARKET,
            start_s=START_S + DAY_S,
            target_w=target_w.tolist(),
            price_ticks_per_kwh=0,
            deadline_s=START_S + DAY_S,
        )
        groups = groups_of(addresses, str(seed))
        for group in groups:
            invitation = CoalitionInvitation(
                vpp_id=f"vpp-{seed}",
                product=product,
                group=group,
                heads=[each[0] for each in groups],
                settle_by_s=START_S + DAY_S,
            )
            for address in group:
                self.loop.call_soon(self._invite, address, invitation)

    def run(self) -> int:
        """Let the agents agree and return the sum of deviations that is left, in W."""
        self.clock.advance_to(START_S + DAY_S)
        total = sum(self._rows[int(address[1:5]), row] for address, row in self.chosen.items())
        assert len(self.chosen) == len(self.agents), "some have not agreed"
        return int(np.abs(np.asarray(self._target()) - total).sum())

    def _target(self) -> list[int]:
        return self._product_target

    def _invite(self, address: str, invitation: CoalitionInvitation) -> None:
        self._product_target = invitation.product.target_w
        agent = self.agents[address]
        agent.post.open()
        agent.spawn(self._take_part(agent, invitation))

    async def _take_part(self, agent: Agent, invitation: CoalitionInvitation) -> None:
        own = self._rows[int(agent.address[1:5])]
        able = Deviations(own, np.zeros(len(own), dtype=np.int64), {})
        row = await agent.behaviour(ScheduleNegotiation).take_part(invitation, able)
        self.chosen[agent.address] = row


def rows() -> list[dict[str, object]]:
    """Negotiate planted problems of growing size and compare with what one hand finds."""
    return [row_of(members, seeds) for members, seeds in SEEDS.items()]


def row_of(members: int, seeds: int) -> dict[str, object]:
    """Return the means over some seeds for a number of members."""
    ours, central, spent_s, weight = [], [], [], Counter[str]()
    for seed in range(seeds):
        schedules_w, target_w = planted_problem(members, seed)
        wanted = int(np.abs(target_w).sum())
        negotiation = Negotiation(schedules_w, target_w, seed)
        began_s = time.process_time()
        ours.append(negotiation.run() / wanted)
        spent_s.append(time.process_time() - began_s)
        central.append(descended(schedules_w, target_w, seed) / wanted if members < 1000 else float("nan"))
        weight += negotiation.transport.weight
    return {
        "members": members,
        "seeds": seeds,
        "residual": float(np.mean(ours)),
        "central, 20 restarts": float(np.mean(central)),
        "exact": sum(each == 0 for each in ours),
        "letters a member": weight["letters"] / seeds / members,
        "kB a member": weight["bytes"] / seeds / members / 1000,
        "longest kB": weight["longest"] / seeds / 1000,
        "CPU s": float(np.mean(spent_s)),
        "slowest s": max(spent_s),
    }
