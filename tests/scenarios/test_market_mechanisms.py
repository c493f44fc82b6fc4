"""One setting of the scenario chooses how the market finds its prices; the whole cycle settles with it."""

import numpy as np
import pytest

from launch.offline import OfflineCommunity
from launch.results import completed
from launch.runs import run_offline
from launch.scenario import scenario_of
from ontology.codec import decode_body

MECHANISMS = ["community", "mid-market", "supply-demand", "pay-as-bid", "pay-as-clear"]


def noon(mechanism, **more):
    """A sunny noon in June among ten households."""
    return scenario_of(
        {
            "start": "2024-06-12T11:00",
            "zone": "Europe/Berlin",
            "seed": 3,
            "intervals": 5,
            "population": {"sites": 10, "shares": {"pv": 0.5, "battery": 0.4, "ev": 0.3}},
            "tariffs": {"mechanism": mechanism},
            "record": False,
            **more,
        }
    )


@pytest.fixture(scope="module", params=MECHANISMS)
def run(request):
    return run_offline(noon(request.param))


def test_every_interval_is_settled_within_the_usual_prices(run):
    market = run.tables.market
    assert set(market["lem_state"]) == {"SOLVED"}
    assert (market["buy_ticks_per_kwh"] <= 2000).all()
    assert (market["sell_ticks_per_kwh"] >= 650).all()
    assert sum(market["traded_wh"]) > 0
    assert not any("disputed" in note for note in run.notes)


def test_tokens_are_only_moved(run):
    settlement = run.tables.settlement
    for start_s in set(settlement["start_s"]):
        assert settlement["tokens"][settlement["start_s"] == start_s].sum() == 0


def test_nobody_pays_more_than_the_supplier_would_have_asked(run):
    sites, settlement = run.tables.sites, run.tables.settlement
    site_of = dict(run.accounts)
    for site in set(sites["site"]):
        own = sites["site"] == site
        usual = sum(sites["produced_wh"][own]) * 0.65 - sum(sites["consumed_wh"][own]) * 2.0
        accounts = np.array([site_of.get(account) == site for account in settlement["account"]])
        assert settlement["tokens"][accounts].sum() >= usual - 5


def test_who_prefers_a_neighbour_buys_from_it_and_names_it_by_pseudonym_only():
    sites = [
        {"id": "h001", "prefers": ["h003"]},
        {"id": "h002", "pv": {"kwp": 6}},
        {"id": "h003", "pv": {"kwp": 6}},
    ]
    run = OfflineCommunity(noon("pay-as-bid", sites=sites, population=None))
    datasets, send = [], run.transport.send

    def overheard(envelope):
        if envelope.message_type == "parity:LemDataset" and "h001-oracle" in envelope.sender:
            datasets.append(decode_body(envelope.message_type, envelope.body))
        send(envelope)

    run.transport.send = overheard
    for _ in range(4):
        run.step()
    run.close()
    named = {partner for each in datasets for partner in each.partners}
    assert {run.community.cast.accounts[partner] for partner in named} == {"h003"}
    result = next(r for r in reversed(results(run)) if r.traded_wh)
    earned = {run.community.cast.accounts[row.player]: row.tokens_production for row in result.rows}
    assert earned["h003"] > earned["h002"]


def results(run):
    return completed(run.community.ground.repository.query("parity:LemResult", "", 0, 2**40))


def test_in_an_auction_sites_say_before_what_energy_is_worth_to_them():
    run = OfflineCommunity(noon("pay-as-bid"))
    orders, datasets = [], []
    send = run.transport.send

    def overheard(envelope):
        if envelope.message_type == "parity:LemOrder":
            orders.append(decode_body(envelope.message_type, envelope.body))
        if envelope.message_type == "parity:LemDataset":
            datasets.append(decode_body(envelope.message_type, envelope.body))
        send(envelope)

    run.transport.send = overheard
    for _ in range(4):
        run.step()
    run.close()
    assert len({order.buy_limit_ticks_per_kwh for order in orders}) > 2
    known = {(order.start_s, order.buy_limit_ticks_per_kwh) for order in orders}
    limited = [each for each in datasets if each.buy_limit_ticks_per_kwh is not None]
    assert limited
    assert all((each.start_s, each.buy_limit_ticks_per_kwh) in known for each in limited)
