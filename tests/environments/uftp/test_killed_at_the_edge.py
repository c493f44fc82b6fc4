"""A process at the edge is killed again and again in the middle of its work: nothing is lost or doubled."""

import asyncio
import os
import signal
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from uftp_parties import Party, free_port, listening

from environments.simulation.clock import WallClock
from environments.uftp.roles import ParticipantRole
from ontology.flexibility_trading import FlexSettlement, FlexSettlementResponse, OrderStatus, OrderVerdict

ORDERS, DEATHS = 40, 6
PATIENCE_S = 60


@pytest.mark.slow
def test_each_settlement_is_proposed_once_whenever_the_process_is_killed(tmp_path):
    async def trade():
        our_port, their_port = free_port(), free_port()
        party = Party(ParticipantRole.AGR, their_port, deliver=lambda said: accept(party, said))
        program = [sys.executable, str(Path(__file__).with_name("settling_dso.py"))]
        arguments = [str(tmp_path), str(their_port), str(our_port), str(ORDERS)]
        rng = np.random.default_rng(7)
        reached = [0]
        async with listening(party, our_port):
            for death in range(DEATHS + 1):
                process = await asyncio.create_subprocess_exec(
                    *program,
                    *arguments,
                    stdout=asyncio.subprocess.PIPE,
                    env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
                )
                goal = ORDERS if death == DEATHS else max(reached) + int(rng.integers(2, 8))
                while reached[-1] < min(goal, ORDERS):
                    reached.append(int(await asyncio.wait_for(process.stdout.readline(), PATIENCE_S)))
                if death < DEATHS:
                    clock = WallClock()
                    await clock.sleep_until(clock.now_s() + float(rng.uniform(0, 0.05)))
                process.send_signal(signal.SIGKILL)
                await process.wait()
                reached.append(0)
        assert max(reached) == ORDERS
        proposed = Counter(
            order.order_reference
            for said in party.heard
            if isinstance(said.content, FlexSettlement)
            for order in said.content.orders
        )
        assert proposed == {f"order {number}": 1 for number in range(1, ORDERS + 1)}

    asyncio.run(trade())


async def accept(party, said):
    """Accept what is proposed."""
    if isinstance(said.content, FlexSettlement):
        statuses = [
            OrderStatus(order_reference=each.order_reference, verdict=OrderVerdict.ACCEPTED)
            for each in said.content.orders
        ]
        verdict = FlexSettlementResponse(settlement_message_id=said.message_id, orders=statuses)
        party.say(verdict, f"verdict on {said.message_id}", in_reply_to=said.message_id)
