"""Flexibility trade, order book and prices ahead in the console, out of facts and letters."""

import asyncio
from pathlib import Path

import pytest
from console_visits import SignIn

from environments.http.services import Services
from environments.repository.recorder import SqliteRecorder
from ontology.base import Concept
from ontology.codec import encode_body, message_type_of
from ontology.flexibility_trading import (
    Disposition,
    FlexOffer,
    FlexRequest,
    OfferOption,
    PowerInterval,
    RequestInterval,
)
from ontology.letter import Envelope
from ontology.market import LemDataset, LemResult, LemRow, PriceProfile
from ontology.marketplace import AcquiredFlexibility, AcquisitionState
from ontology.measurements import IntervalReading

START_S = 1_749_999_600
DAY = {"period_start_s": START_S, "period_end_s": START_S + 900, "congestion_point": "ean.265987182507322951"}
PLAYERS = {"p_" + "a" * 26: 1800, "p_" + "b" * 26: 1900}


def bid(player: str, limit: int) -> LemDataset:
    reading = IntervalReading(
        subject=player, start_s=START_S, consumed_wh=500, produced_wh=0, consumed_w=2000, produced_w=0
    )
    return LemDataset(
        player=player,
        start_s=START_S,
        reading=reading,
        forecast_start_s=START_S + 900,
        consumption_w=[1],
        production_w=[0],
        source_hash="h",
        buy_limit_ticks_per_kwh=limit,
        sell_limit_ticks_per_kwh=700,
    )


OFFER = FlexOffer(
    request_message_id="m0",
    **DAY,
    expiration_s=START_S,
    options=[
        OfferOption(
            option_reference="option-7",
            price_ticks=4321,
            intervals=[PowerInterval(start_s=START_S, power_w=-1500)],
        )
    ],
)
AHEAD = PriceProfile(
    start_s=START_S, buy_ticks_per_kwh=[2000, 1400], sell_ticks_per_kwh=[650, 800], basis="b"
)


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """A record with an offer, bids of an auction, and prices ahead."""
    said: list[tuple[str, str, Concept]] = [
        ("aggregator", "dso", OFFER),
        *(("h001-blockchain", "aggregator-blockchain", bid(*each)) for each in PLAYERS.items()),
        ("aggregator", "h001-prosumer", AHEAD),
    ]
    path = tmp_path / "messages.sqlite"
    with SqliteRecorder(path) as recorder:
        for number, (sender, to, content) in enumerate(said, 1):
            kind = message_type_of(type(content))
            envelope = Envelope(
                "inform", f"{sender}@here", f"{to}@here", kind, f"c{number}", 1, f"m{number}", START_S,
                body=encode_body(content),
            )  # fmt: skip
            recorder.record(envelope, "handled", START_S + 10.0)
    return path


@pytest.fixture(autouse=True)
def facts(services: Services) -> None:
    asked = FlexRequest(
        **DAY,
        revision=3,
        expiration_s=START_S,
        intervals=[
            RequestInterval(
                disposition=Disposition.REQUESTED, power_min_w=-2000, power_max_w=0, start_s=START_S
            )
        ],
    )
    acquired = AcquiredFlexibility(
        order_reference="order-9",
        congestion_point=DAY["congestion_point"],
        aggregator="aggregator@here",
        start_s=START_S,
        end_s=START_S + 900,
        state=AcquisitionState.METERED,
        ordered_wh=-375,
        delivered_wh=-370,
        price_ticks=4321,
    )
    rows = [
        LemRow(
            player=player,
            consumed_wh=500,
            produced_wh=0,
            tokens_consumption=70,
            tokens_production=0,
            tokens_flow=0,
            tokens_net=-70,
        )
        for player in PLAYERS
    ]
    cleared = LemResult(
        start_s=START_S,
        segment_id="segment-001",
        grid_state="GREEN",
        consumed_wh=1000,
        produced_wh=0,
        buy_price_ticks_per_kwh=1800,
        sell_price_ticks_per_kwh=700,
        rows=rows,
        result_hash="h",
    )
    asyncio.run(services.repository.store([asked, acquired, cleared]))


def test_the_trade_is_shown_document_by_document(signed_in: SignIn) -> None:
    page = signed_in("dso", rights=("bodies",)).get("/console/flexibility").text
    requests, offers = page.partition("<h2>Offers")[0], page.partition("<h2>Offers")[2]
    assert DAY["congestion_point"] in requests
    assert "option-7" in offers
    assert "-1500" in offers
    assert "order-9" in page


def test_offers_are_shown_to_who_may_read_letters_only(signed_in: SignIn) -> None:
    page = signed_in("dso").get("/console/flexibility").text
    assert "order-9" in page
    assert "option-7" not in page


def test_an_auction_has_an_order_book_the_dearest_buyer_first(signed_in: SignIn) -> None:
    path = f"/console/markets/segment-001/{START_S}"
    book = signed_in("market-operator", rights=("bodies",)).get(path).text.partition("Order book")[2]
    assert book.index("0.1900") < book.index("0.1800")
    assert "Order book" not in signed_in("market-operator").get(path).text


def test_prices_ahead_are_charted_for_people_too(signed_in: SignIn) -> None:
    series = signed_in("prosumer", "h001").get("/console/markets/ahead").json()["data"]["series"]
    assert [each["values"] for each in series] == [[0.2, 0.14], [0.065, 0.08]]
