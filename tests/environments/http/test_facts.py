"""Facts over HTTP: stored all or none, found in order, each to those who may see it."""

import pytest
from interface_house import API, READINGS, House, faults, plain, reading

from ontology.grid import GridState
from ontology.market import LemResult, LemRow

BAD = {"subject": "", "start_s": 901, "consumed_wh": -1, "consumed_w": 4, "colour": "red"}


def stored(house: House, *readings: object) -> None:
    assert house.call("POST", READINGS, role="repository", json=list(readings)).status_code == 201


def starts(answer) -> list[int]:
    return [each["start_s"] for each in answer.json()["data"]["items"]]


def test_what_was_stored_is_found_half_open_and_ascending(house):
    stored(house, reading(start_s=2700), reading(start_s=900), reading(start_s=1800))
    assert starts(house.call("GET", READINGS, role="prosumer", start=900, end=2700)) == [900, 1800]


def test_times_may_be_iso_8601_with_a_zone(house):
    stored(house, reading(start_s=900), reading(start_s=1800))
    span = {"start": "1970-01-01T00:15:00Z", "end": "1970-01-01T01:30:00+01:00"}
    assert starts(house.call("GET", READINGS, role="prosumer", **span)) == [900]


def test_pages_lead_on_until_the_end_and_meet_each_fact_once(house):
    stored(house, *(reading(start_s=900 * i) for i in range(1, 8)))
    met, cursor = [], ""
    for _ in range(4):
        page = house.call("GET", READINGS, role="prosumer", start=0, end=90_000, limit=3, cursor=cursor)
        met += starts(page)
        cursor = page.json()["data"]["next"]
        if not cursor:
            break
    assert met == [900 * i for i in range(1, 8)]


def test_filters_narrow_what_is_found(house):
    stored(house, reading(start_s=900, consumed_wh=1), reading(start_s=1800, consumed_wh=5))
    asked = {"start": 0, "end": 9000, "filter": "consumed_wh:gt:3"}
    assert starts(house.call("GET", READINGS, role="prosumer", **asked)) == [1800]
    assert house.call("GET", f"{READINGS}/count", role="aggregator", **asked).json()["data"]["count"] == 1


def test_everything_that_is_missing_or_invalid_is_named_at_once(house):
    answer = house.call("GET", READINGS, role="prosumer", end="soon", limit=0, filter="x", colour="red")
    assert answer.status_code == 422
    assert faults(answer) == {
        "start": "missing",
        "end": "soon",
        "limit": "0",
        "filter": "x",
        "colour": "red",
    }


def test_everything_that_is_wrong_with_a_fact_is_named_at_once(house):
    answer = house.call("POST", READINGS, role="gateway", json=BAD)
    assert answer.status_code == 422
    assert faults(answer) == {
        "colour": "red",
        "subject": "",
        "start_s": "901",
        "consumed_wh": "-1",
        "produced_wh": "missing",
        "produced_w": "missing",
    }


def test_one_bad_fact_keeps_all_out(house):
    answer = house.call("POST", READINGS, role="gateway", json=[plain(reading()), BAD])
    assert "[1].start_s" in faults(answer)
    assert starts(house.call("GET", READINGS, role="prosumer", start=0, end=9000)) == []


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 5000])
def test_a_body_that_is_no_json_is_not_understood(house, body):
    answer = house.call("POST", READINGS, role="gateway", content=body)
    assert answer.status_code == 400
    assert "body" in faults(answer)


# -- each its own ------------------------------------------------------------------------------------------


def test_a_prosumer_reads_its_own_and_no_others(house):
    stored(house, reading("h001"), reading("h002"))
    assert starts(house.call("GET", READINGS, role="prosumer", start=0, end=9000)) == [900]
    for path in (READINGS, f"{READINGS}/count"):
        other = house.call("GET", path, role="prosumer", subject="h002", start=0, end=9000)
        assert other.status_code == 403
    assert house.call("GET", f"{READINGS}/latest", role="prosumer", subject="h002").status_code == 403
    assert house.call("GET", f"{READINGS}/latest", role="prosumer").status_code == 403
    assert house.call("GET", f"{READINGS}/subjects", role="prosumer").json()["data"] == ["h001"]


def test_a_site_whose_name_begins_alike_is_another(house):
    stored(house, reading("h001"), reading("h0011"))
    found = house.call("GET", f"{READINGS}/subjects", role="prosumer").json()["data"]
    assert found == ["h001"]


def test_a_gateway_writes_and_deletes_its_own_only(house):
    assert house.call("POST", READINGS, role="gateway", json=reading("h001")).status_code == 201
    assert house.call("POST", READINGS, role="gateway", json=reading("h002")).status_code == 403
    both = [reading("h001", 1800), reading("h002", 1800)]
    assert house.call("POST", READINGS, role="gateway", json=both).status_code == 403
    stored(house, reading("h002"))
    other = house.call("DELETE", READINGS, role="gateway", subject="h002", start=0, end=9000)
    assert other.status_code == 403
    own = house.call("DELETE", READINGS, role="gateway", subject="h001", start=0, end=9000)
    assert own.json()["data"] == {"deleted": 1}


def test_a_result_shows_a_prosumer_its_own_row(house):
    house.call("POST", f"{API}/facts/LemResult", role="repository", json=result())
    asked = {"start": 0, "end": 9000}
    own = house.call("GET", f"{API}/facts/LemResult", role="prosumer", subjects=("h001", "p_one"), **asked)
    assert [row["player"] for row in own.json()["data"]["items"][0]["rows"]] == ["p_one"]
    all_rows = house.call("GET", f"{API}/facts/LemResult", role="aggregator", **asked)
    assert len(all_rows.json()["data"]["items"][0]["rows"]) == 2


def test_another_market_sees_nothing_of_it(house):
    stored(house, reading())
    asked = {"start": 0, "end": 9000}
    assert starts(house.call("GET", READINGS, role="aggregator", market="othermarket", **asked)) == []
    assert starts(house.call("GET", READINGS, role="aggregator", **asked)) == [900]


# -- again, and conditionally -------------------------------------------------------------------------------


def test_storing_again_changes_nothing_and_under_a_key_neither_the_answer(house):
    key = {"Idempotency-Key": "k1"}
    first = house.call("POST", READINGS, role="gateway", json=[reading()], headers=key)
    again = house.call("POST", READINGS, role="gateway", json=[reading()], headers=key)
    assert (first.status_code, first.content) == (again.status_code, again.content)
    other = house.call("POST", READINGS, role="gateway", json=[reading(start_s=1800)], headers=key)
    assert other.status_code == 409
    assert starts(house.call("GET", READINGS, role="prosumer", start=0, end=9000)) == [900]


def test_what_has_not_changed_is_not_sent_again(house):
    stored(house, reading())
    asked = {"start": 0, "end": 9000}
    first = house.call("GET", READINGS, role="prosumer", **asked)
    same = house.call(
        "GET", READINGS, role="prosumer", headers={"If-None-Match": first.headers["etag"]}, **asked
    )
    assert (same.status_code, same.content) == (304, b"")
    stored(house, reading(consumed_wh=7))
    changed = house.call(
        "GET", READINGS, role="prosumer", headers={"If-None-Match": first.headers["etag"]}, **asked
    )
    assert changed.status_code == 200


def test_a_fact_is_replaced_only_by_who_knows_its_present_state(house):
    made = house.call("PUT", READINGS, role="gateway", json=reading(), headers={"If-None-Match": "*"})
    assert made.status_code == 201
    twice = house.call("PUT", READINGS, role="gateway", json=reading(), headers={"If-None-Match": "*"})
    assert twice.status_code == 412
    tag = {"If-Match": made.headers["etag"]}
    replaced = house.call("PUT", READINGS, role="gateway", json=reading(consumed_wh=7), headers=tag)
    assert replaced.status_code == 200
    late = house.call("PUT", READINGS, role="gateway", json=reading(consumed_wh=8), headers=tag)
    assert late.status_code == 412
    latest = house.call("GET", f"{READINGS}/latest", role="prosumer", subject="h001").json()["data"]
    assert latest["consumed_wh"] == 7


def test_settlement_is_neither_replaced_nor_deleted(house):
    path = f"{API}/facts/LemResult"
    assert house.call("POST", path, role="repository", json=result()).status_code == 201
    assert house.call("POST", path, role="repository", json=result()).status_code == 201
    assert house.call("POST", path, role="repository", json=result(consumed_wh=1)).status_code == 403
    gone = house.call("DELETE", path, role="repository", subject="s1", start=0, end=9000)
    assert gone.status_code == 403


def result(consumed_wh: int = 3000) -> LemResult:
    return LemResult(
        start_s=900,
        segment_id="s1",
        grid_state=GridState.GREEN,
        consumed_wh=consumed_wh,
        produced_wh=1000,
        buy_price_ticks_per_kwh=2000.0,
        sell_price_ticks_per_kwh=650.0,
        rows=[row("p_one"), row("p_two")],
        result_hash="",
    )


def row(player: str) -> LemRow:
    return LemRow(
        player=player,
        consumed_wh=0,
        produced_wh=0,
        tokens_consumption=0,
        tokens_production=0,
        tokens_flow=0,
        tokens_net=0,
    )
