"""Whoever holds an account orders payments from it; they are attested and settled once (SPEC 2.10)."""

import pytest

from behaviours.market.payments import Paying
from launch.offline import OfflineCommunity
from launch.results import completed, run_tables
from launch.scenario import scenario_of
from ontology.ledger import Payment, PaymentOrder, SettlementKind

NIGHT = {
    "start": "2024-02-13",
    "zone": "Europe/Berlin",
    "seed": 5,
    "population": {"sites": 16},
    "ledger": {"attestors": 4},
    "record": False,
}
PLANT = {"id": "night", "hour": 0.5, "hours": 0.75, "power_kw": -5, "price": 0.3, "lead_hours": 0.25}


def community(intervals, **more):
    return OfflineCommunity(scenario_of(NIGHT | {"intervals": intervals} | more))


def ran(run, intervals, at=None):
    for interval in range(intervals):
        if at and interval in at:
            at[interval](run.community)
        run.step()
    run.settle()
    return completed(run_tables(run.community)).checked()


def agent(run, name):
    return run.community.agents[f"{name}@localhost"]


def pay(run, tokens, payment_id="bonus-1"):
    """Let the DSO pay for a service."""
    paying = agent(run, "dso").behaviour(Paying)
    run.loop.call_soon(paying.pay, SettlementKind.DEMAND_RESPONSE, payment_id, tokens)


def account_of(run, name):
    return next(account for account, held in run.community.cast.accounts.items() if held == name)


@pytest.fixture(scope="module")
def delivered():
    run = community(8, products=[PLANT])
    return run, ran(run, 8)


def test_a_plants_members_are_paid_in_tokens_what_they_were_told(delivered):
    run, tables = delivered
    paid = tables.payments["tokens"].sum()
    assert paid > 0
    assert abs(paid - tables.plants["paid_ticks"].sum()) <= len(tables.payments["tokens"])
    assert set(tables.payments["payer"]) == {account_of(run, "aggregator")}
    assert all(str(key).startswith("VPP_PAYOFF") for key in tables.payments["settlement"])


def test_four_vouch_for_the_payment_and_the_chain_shows_its_kind(delivered):
    run, _ = delivered
    events, _ = completed(run.ledger.events())
    payoffs = [event for event in events if event.name == "Settled" and event.values["kind"] == 1]
    assert len(payoffs) == 1
    signed = [e for e in events if e.name == "Attested" and e.values["key"] == payoffs[0].values["key"]]
    assert len(signed) >= 3


@pytest.mark.parametrize("name", ["aggregator-blockchain", "dso", "dso-attestor", "repository"])
def test_whoever_dies_meanwhile_it_is_paid_once(name):
    run = community(6)
    payee = account_of(run, "p003")

    def order_and_die(community):
        pay(run, {payee: 500})
        run.loop.call_soon(community.kill, f"{name}@localhost")

    tables = ran(run, 6, {1: order_and_die, 3: lambda community: community.restart(f"{name}@localhost")})
    assert list(tables.payments["tokens"]) == [500]
    assert list(tables.payments["payee"]) == [payee]


def test_ordering_again_changes_nothing_and_ordering_otherwise_is_refused():
    run = community(4)
    payee = account_of(run, "p003")
    at = {
        1: lambda c: pay(run, {payee: 500}),
        2: lambda c: pay(run, {payee: 500}),
        3: lambda c: pay(run, {payee: 900}),
    }
    tables = ran(run, 4, at)
    assert list(tables.payments["tokens"]) == [500]
    assert run.community.counts()["payments refused"] > 0


def test_nobody_pays_from_an_account_that_is_not_its_own():
    run = community(3)
    thief, victim = account_of(run, "p001"), account_of(run, "p002")
    order = PaymentOrder(
        payment_id="theft",
        kind=SettlementKind.VPP_PAYOFF,
        payer=victim,
        time_s=900,
        payments=[Payment(account=thief, tokens=1_000)],
    )
    at = {1: lambda c: agent(run, "p001-prosumer").behaviour(Paying).keep("payment ordered theft", order)}
    tables = ran(run, 3, at)
    assert list(tables.payments["tokens"]) == []
    assert run.community.counts()["payments refused"] > 0


def test_an_engine_that_makes_up_a_payment_finds_no_quorum():
    run = community(3)
    payee = account_of(run, "p003")
    order = PaymentOrder(
        payment_id="invented",
        kind=SettlementKind.FLEXIBILITY_ORDER,
        payer=account_of(run, "grid"),
        time_s=900,
        payments=[Payment(account=payee, tokens=1_000)],
    )
    at = {1: lambda c: agent(run, "aggregator-blockchain").keep("payment due invented", order)}
    tables = ran(run, 3, at)
    assert list(tables.payments["tokens"]) == []
    assert run.community.counts()["settlements failed"] > 0


def agent_settings(run, site):
    return next(p.settings for p in run.community.cast.parts if p.address == f"{site}-prosumer@localhost")
