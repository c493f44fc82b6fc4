"""Agents and markets in the console: what each role finds there, and that a record cannot be steered."""

import asyncio

from console_visits import SignIn

from environments.http.console.sessions import COOKIE, SIGN_HEADER, sign_of
from environments.http.services import Services
from ontology.grid import GridState, GridStatusEvent
from ontology.market import LemResult, LemRow

START_S = 1_750_000_500


def with_a_cleared_interval(services: Services) -> None:
    rows = [
        LemRow(
            player=f"p_{letter * 26}",
            consumed_wh=500,
            produced_wh=0,
            tokens_consumption=70,
            tokens_production=0,
            tokens_flow=0,
            tokens_net=-70,
        )
        for letter in "ab"
    ]
    result = LemResult(
        start_s=START_S,
        segment_id="segment-001",
        grid_state=GridState.YELLOW,
        consumed_wh=1000,
        produced_wh=0,
        buy_price_ticks_per_kwh=2400,
        sell_price_ticks_per_kwh=800,
        rows=rows,
        result_hash="abc",
    )
    light = GridStatusEvent(
        segment_id="segment-001",
        start_s=START_S,
        end_s=START_S + 900,
        published_at_s=START_S - 300,
        state=GridState.YELLOW,
        causes=["loading"],
        loading=0.9,
        voltage_min_pu=0.97,
        voltage_max_pu=1.01,
    )
    asyncio.run(services.repository.store([result, light]))


def test_the_light_says_which_markets_are_active(signed_in: SignIn, services: Services) -> None:
    with_a_cleared_interval(services)
    text = signed_in("market-operator").get("/console/markets").text
    cells = [line.strip() for line in text.splitlines() if "<td>active" in line or "<td>suspended" in line]
    assert "".join(cells).count("active") == 3
    assert "loading" in text
    assert "90 %" in text


def test_a_chart_gets_prices_and_energies(signed_in: SignIn, services: Services) -> None:
    with_a_cleared_interval(services)
    course = signed_in("market-operator").get("/console/markets/course").json()["data"]
    assert course["times"] == [START_S]
    assert {one["label"]: one["values"] for one in course["series"]} == {
        "buy": [0.24],
        "sell": [0.08],
        "consumed": [1.0],
        "produced": [0.0],
    }


def test_a_player_sees_its_own_row_of_a_clearing_only(signed_in: SignIn, services: Services) -> None:
    with_a_cleared_interval(services)
    path = f"/console/markets/segment-001/{START_S}"
    everybody = signed_in("market-operator").get(path).text
    assert all("p_" + letter * 26 in everybody for letter in "ab")
    own = signed_in("prosumer", "h001", "p_" + "a" * 26).get(path).text
    assert "p_" + "a" * 26 in own
    assert "p_" + "b" * 26 not in own


def test_agents_are_listed_and_a_record_cannot_be_steered(signed_in: SignIn) -> None:
    client = signed_in("market-operator")
    assert "/console/agents/dso@here" in client.get("/console/agents").text
    assert client.get("/console/agents/nobody@here").status_code == 404
    sign = {SIGN_HEADER: sign_of(client.cookies[COOKIE])}
    stop = "/console/agents/dso@here/stop"
    assert client.post(stop, data={"confirmation": "dso"}).status_code == 403
    assert "type dso to confirm" in client.post(stop, data={"confirmation": "x"}, headers=sign).text
    assert "this run is over" in client.post(stop, data={"confirmation": "dso"}, headers=sign).text


def test_a_prosumer_does_not_find_other_agents(signed_in: SignIn) -> None:
    client = signed_in("prosumer", "h001")
    assert "dso@here" not in client.get("/console/agents").text
    assert client.get("/console/agents/dso@here").status_code == 404
