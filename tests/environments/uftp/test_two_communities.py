"""Two live communities trade with each other: one's DSO buys of the other's aggregator, by UFTP over HTTP."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from outside_market import AGR, CAREFUL, DSO, keys_in, night, outside
from uftp_parties import free_port, url

from behaviours.grid.flexibility_procurement import FlexibilityProcurement
from behaviours.market.flexibility_offering import FlexibilityOffering
from launch.live import LiveCommunity

pytestmark = pytest.mark.slow

PACE_S = 1.5
MOST = 34
"""Intervals until the first order is delivered and settled on both sides."""


def test_a_dso_buys_of_another_communitys_aggregator_and_both_settle_alike(tmp_path):
    keys_in(tmp_path)
    ports = {role: free_port() for role in (DSO, AGR)}

    def community(role, other, **changes):
        trade = outside(tmp_path, role, endpoint=url(ports[other]), listen=f"127.0.0.1:{ports[role]}")
        return LiveCommunity(night(trade, MOST, pace_s=PACE_S, **changes))

    async def trade():
        small = {"transformer_kva": 10, "thresholds": CAREFUL}
        homes = {"sites": 3, "shares": {"battery": 1.0, "pv": 1.0}}
        async with AsyncExitStack() as both:
            buyer = community(DSO, AGR, population={"sites": 4}, seed=1, grid=small)
            seller = community(AGR, DSO, population=homes)
            for each in (buyer, seller):
                await both.enter_async_context(each)
            bought = buyer.community.agents["dso@localhost"].behaviour(FlexibilityProcurement).orders
            sold = seller.community.agents["aggregator@localhost"].behaviour(FlexibilityOffering).sold
            for _ in range(MOST):
                await asyncio.gather(buyer.step(), seller.step())
                if any(each.agreed for each in sold.values()):
                    break
            await asyncio.gather(buyer.step(), seller.step())
            agreed = {name: each for name, each in sold.items() if each.agreed}
            assert agreed
            for name, each in agreed.items():
                record = bought[name.removesuffix("@dso.example.org")]
                assert record.aggregator == "uftp.agr.example.org@localhost"
                assert record.state.agreed
                assert record.powers_w == each.powers_w
                settled_w = {p.start_s: p.actual_w for p in record.state.settlement.intervals}
                assert settled_w.keys() == each.powers_w.keys()
                assert settled_w.items() <= each.metered_w.items()
                assert record.baseline_w.items() >= each.baseline_w.items()
            for each in (buyer, seller):
                assert each.community.counts().get("errors", 0) == 0

    asyncio.run(trade())
