"""A process to be killed: a DSO that settles one order after the other with an aggregator outside.

It says on its output, line by line, how many settlements have been accepted; started again, it begins with
the first. Arguments: folder of its store, its port, the aggregator's port, and how many orders there are.
"""

import asyncio
import sys
from pathlib import Path

from uftp_examples import ORDINARY, TERMS
from uftp_parties import DOMAINS, HASTY, KEYS, url

from agents.flexibility_gateway import AggregatorGateway
from behaviours.agent import Agent, Surroundings
from behaviours.behaviour import Behaviour, when
from behaviours.exchange.correspondence import ExchangeSettings
from behaviours.membership import Member
from environments.repository.agent_store import SqliteAgentStore
from environments.simulation.clock import WallClock
from environments.simulation.transport import InProcessTransport
from environments.uftp.exchange import UftpOffice
from environments.uftp.gateway import Identity
from environments.uftp.participants import AddressBook, Participant
from environments.uftp.roles import ParticipantRole
from ontology.errors import ParityError
from ontology.flexibility_trading import (
    FlexSettlement,
    FlexSettlementResponse,
    OrderSettlement,
    SettlementInterval,
)
from ontology.performatives import Performative
from ontology.roles import Role

AGR, DSO = ParticipantRole.AGR, ParticipantRole.DSO
GATEWAY = "uftp.agr@here"


def settlement(number: int) -> FlexSettlement:
    """The settlement of an order."""
    interval = SettlementInterval(
        start_s=ORDINARY.start_of(73), baseline_w=10, ordered_w=-5, actual_w=5, delivered_w=-5
    )
    order = OrderSettlement(
        order_reference=f"order {number}",
        congestion_point="feeder-7",
        price_ticks=number,
        penalty_ticks=0,
        net_ticks=number,
        intervals=[interval],
    )
    period = {"period_start_s": ORDINARY.start_s, "period_end_s": ORDINARY.end_s}
    return FlexSettlement(reference=order.order_reference, orders=[order], **period)


class Settling(Behaviour):
    """Proposes each settlement again and again until it is accepted."""

    @when("started")
    async def settle(self) -> None:
        for number in range(1, self.settings + 1):
            while not await self._is_accepted(settlement(number)):
                pass
            print(number, flush=True)

    async def _is_accepted(self, proposal: FlexSettlement) -> bool:
        try:
            await self.ask(GATEWAY, proposal, FlexSettlementResponse, within_s=0.2, act=Performative.PROPOSE)
        except ParityError:
            return False
        return True


class SettlingDso(Agent):
    """A DSO that does nothing else."""

    role = Role.DSO
    behaviours = (Settling,)


async def main(folder: Path, port: int, partner_port: int, orders: int) -> None:
    """Live until killed."""
    store, clock, transport = SqliteAgentStore(folder / "agents.sqlite"), WallClock(), InProcessTransport()
    book = AddressBook([Participant(DOMAINS[AGR], AGR, KEYS[AGR].verify_key, url(partner_port))])
    office = UftpOffice(
        Identity(DOMAINS[DSO], DSO, KEYS[DSO]), TERMS, book, [DOMAINS[AGR]], store, clock, retry=HASTY
    )
    # Signatures among agents are not what is killed here: one site is one zone of trust.
    members = {
        "dso@here": Member("dso@here", Role.DSO, "here", b""),
        GATEWAY: Member(GATEWAY, Role.FLEXIBILITY_GATEWAY, "here", b""),
    }
    ports = {
        "clock": clock,
        "transport": transport,
        "membership": members,
        "store": store,
        "run_id": "killed",
    }
    settings = ExchangeSettings(
        domain=DOMAINS[AGR], inside="dso@here", repository="nobody@here", zone="Europe/Amsterdam"
    )
    exchange = office.exchanges[DOMAINS[AGR]]
    agents = [
        AggregatorGateway(members[GATEWAY], settings, Surroundings(**ports, exchange=exchange)),
        SettlingDso(members["dso@here"], orders, Surroundings(**ports)),
    ]
    await office.start("127.0.0.1", port)
    for each in agents:
        each.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
