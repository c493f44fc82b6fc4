"""A live community trades with the shapeshifter-uftp package, as DSO and as aggregator."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from outside_market import AGR, CAREFUL, DSO, POINT, ZONE, keys_in, least_cost_ticks, night, outside
from uftp_parties import KEYS, free_port, need_peer, peer_process, url

import behaviours.grid.flexibility_procurement as procurement
from behaviours.decisions.flexibility_market.selection import chosen_offers, cost_ticks
from behaviours.grid.flexibility_procurement import FlexibilityProcurement
from behaviours.market.flexibility_offering import FlexibilityOffering
from launch.live import LiveCommunity
from launch.results import run_tables

pytestmark = [pytest.mark.server, pytest.mark.slow]

PACE_S = 1.2
"""Real seconds an interval: what the counterparty has to answer in."""


@pytest.fixture(autouse=True)
def _the_peer_is_here():
    need_peer()


@asynccontextmanager
async def trading(folder, role, **changes):
    """A live community in a role outside, and the counterparty in the other."""
    keys_in(folder, KEYS)
    our_port, peer_port = free_port(), free_port()
    trade = outside(folder, role, endpoint=url(peer_port), listen=f"127.0.0.1:{our_port}")
    scenario = night(trade, 40, pace_s=PACE_S, **changes)
    other = AGR if role is DSO else DSO
    async with (
        LiveCommunity(scenario) as run,
        peer_process(other, peer_port, our_port, "market_peer.py") as peer,
    ):
        yield run, peer


async def until(run, reached, most=40):
    """Let a community live on until something is reached."""
    for _ in range(most):
        if reached():
            return
        await run.step()
    raise AssertionError(f"not reached in {most} intervals")


def test_the_package_as_dso_buys_from_our_aggregator_whose_gateway_dies_meanwhile(tmp_path):
    homes = {"sites": 3, "shares": {"battery": 1.0, "pv": 1.0}}

    async def trade():
        async with trading(tmp_path, AGR, population=homes) as (run, peer):
            for _ in range(4):
                await run.step()
            assert (await peer.receives("DPrognosis"))["CongestionPoint"] == POINT
            peer.do(
                "ask",
                period="2024-02-13",
                zone=ZONE,
                point=POINT,
                start=11,
                expires="2024-02-13T02:00:00+01:00",
                power=-2000,
            )
            sold = run.community.agents["aggregator@localhost"].behaviour(FlexibilityOffering).sold
            await until(run, lambda: bool(sold))
            gateway = "uftp.dso.example.org@localhost"
            run.kill(gateway)
            await run.step()
            await run.restart(gateway)
            await until(run, lambda: any(each.agreed or each.disputed for each in sold.values()))
            await run.step()
            assert (await peer.receives("FlexRequestResponse"))["Result"] == "Accepted"
            offer = await peer.receives("FlexOffer")
            assert [each["Start"] for each in offer["OfferOption"][0]["ISP"]] == [11, 12]
            assert (await peer.receives("FlexOrderResponse"))["Result"] == "Accepted"
            metering = await peer.receives("Metering")
            assert [each["Start"] for each in metering["Profile"][0]["ISP"]] == [11, 12]
            verdict = await peer.receives("FlexSettlementResponse")
            (status,) = verdict["FlexOrderSettlementStatus"]
            assert (status["OrderReference"], status["Disposition"]) == ("order 1", "Accepted")
            (record,) = sold.values()
            assert (record.agreed, record.order.activation_factor) == (True, 0.5)
            assert run.community.counts().get("errors", 0) == 0
            assert list((await run_tables(run.community)).checked().flexibility["state"]) == ["SETTLED"]

    asyncio.run(trade())


def test_the_package_as_aggregator_sells_to_our_dso_beside_our_own(tmp_path, monkeypatch):
    choices = []

    def choose(need_w, bids, willingness):
        chosen = chosen_offers(need_w, bids, willingness)
        choices.append((need_w, bids, willingness, chosen))
        return chosen

    monkeypatch.setattr(procurement, "chosen_offers", choose)
    small = {"transformer_kva": 10, "thresholds": CAREFUL}

    async def trade():
        async with trading(tmp_path, DSO, population={"sites": 4}, seed=1, grid=small) as (run, peer):
            dso = run.community.agents["dso@localhost"].behaviour(FlexibilityProcurement)
            gateway = "uftp.agr.example.org@localhost"

            def outside_orders():
                return [each for each in dso.orders.values() if each.aggregator == gateway]

            await until(run, lambda: any(each.state.accepted for each in outside_orders()))
            first = outside_orders()[0]
            await until(run, lambda: run.clock.now_s() > first.end_s)
            peer.do("meter", reference=first.order.order_reference)
            await until(run, lambda: first.state.paid)

            request = await peer.receives("FlexRequest")
            assert (request["Period"], request["Revision"]) == ("2024-02-13", 1)
            assert (await peer.receives("DPrognosisResponse"))["Result"] == "Accepted"
            assert (await peer.receives("FlexOfferResponse"))["Result"] == "Accepted"
            order = await peer.receives("FlexOrder")
            assert order["OrderReference"] == first.order.order_reference
            assert (await peer.receives("MeteringResponse"))["Result"] == "Accepted"
            bill = await peer.receives("FlexSettlement")
            (settled,) = bill["FlexOrderSettlement"]
            assert settled["NetSettlement"] == order["Price"]

            contested = [each for each in choices if len({bid.seller for bid in each[1]}) == 2]
            assert contested
            for need_w, bids, willingness, chosen in contested:
                least = least_cost_ticks(need_w, bids, willingness)
                assert cost_ticks(need_w, chosen, willingness) <= least + 0.5
            assert run.community.counts().get("errors", 0) == 0

    asyncio.run(trade())
