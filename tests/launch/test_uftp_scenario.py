"""A scenario that trades outside: what it starts, and everything that is wrong with it, at once."""

import pytest
from outside_market import AGR, DOMAINS, DSO, POINT, keys_in, night, outside

from environments.simulation.world import World
from launch.cast import cast_community
from launch.directory import entries
from launch.scenario import InvalidScenario, load_scenario
from launch.world_settings import world_settings


def wrong(trade, **changes):
    """Path and expectation of everything that is wrong with a scenario."""
    with pytest.raises(InvalidScenario) as refused:
        night(trade, 4, **changes)
    return {each.path: each.expected for each in refused.value.problems}


def settings_of(scenario, name):
    cast = cast_community(scenario, World(world_settings(scenario)))
    return {part.address.partition("@")[0]: part.settings for part in cast.parts}[name]


def test_a_dso_asks_its_own_aggregator_and_the_one_outside(tmp_path):
    keys_in(tmp_path)
    scenario = night(outside(tmp_path, DSO), 4)
    sellers = settings_of(scenario, "dso").sellers
    assert sellers == {"segment-001": ("aggregator@localhost", "uftp.agr.example.org@localhost")}
    assert settings_of(scenario, "uftp.agr.example.org").inside == "dso@localhost"
    assert "uftp.agr.example.org@localhost" in {each.address for each in entries(scenario)}


def test_where_a_dso_outside_buys_the_own_one_does_not_and_elsewhere_it_does(tmp_path):
    keys_in(tmp_path)
    grid = {"transformer_kva": 30, "sites_per_feeder": 6}
    scenario = night(outside(tmp_path, AGR), 4, grid=grid)
    assert settings_of(scenario, "dso").sellers == {"segment-002": ("aggregator@localhost",)}
    assert settings_of(scenario, "aggregator").buyers == {"segment-001": "uftp.dso.example.org@localhost"}


def test_an_aggregator_outside_is_asked_only_where_it_trades(tmp_path):
    keys_in(tmp_path)
    grid = {"transformer_kva": 30, "sites_per_feeder": 6}
    points = [{"segment": f"segment-00{i}", "address": f"ean.87168590001263654{i}"} for i in (1, 2)]
    trade = outside(tmp_path, DSO, congestion_points=points)
    trade["counterparties"][0]["segments"] = ["segment-002"]
    sellers = settings_of(night(trade, 4, grid=grid), "dso").sellers
    assert sellers["segment-001"] == ("aggregator@localhost",)
    assert len(sellers["segment-002"]) == 2


def test_everything_that_is_wrong_is_said_at_once(tmp_path):
    keys_in(tmp_path)
    (tmp_path / "agr.pub").write_text("no key")
    (tmp_path / "dso.key").chmod(0o644)
    trade = outside(
        tmp_path,
        DSO,
        listen="8080",
        endpoint="http://agr.example.org/message",
        congestion_points=[{"segment": "segment-009", "address": "transformer 9", "meter": "none"}],
    )
    trade["counterparties"][0]["segments"] = ["segment-001"]
    market = {"active": False, "baseline": "mbma", "uftp": trade}
    found = wrong(trade, flexibility_market=market, pace_s=0)
    uftp = "flexibility_market.uftp"
    assert set(found) == {
        "flexibility_market.active",
        "flexibility_market.baseline",
        "pace_s",
        f"{uftp}.listen",
        f"{uftp}.key_file",
        f"{uftp}.congestion_points[0].segment",
        f"{uftp}.congestion_points[0].address",
        f"{uftp}.congestion_points[0].meter",
        f"{uftp}.counterparties[0].segments",
        f"{uftp}.counterparties[0].public_key_file",
        f"{uftp}.counterparties[0].endpoint",
    }
    assert "chmod 600" in found[f"{uftp}.key_file"]
    assert "https" in found[f"{uftp}.counterparties[0].endpoint"]


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"congestion_points": []}, "congestion_points"),
        ({"counterparties": []}, "counterparties"),
        ({"zone": "UTC"}, "zone"),
        ({"domain": "Not A Domain"}, "domain"),
        ({"key_file": "missing.key"}, "key_file"),
    ],
    ids=["no point", "nobody", "zone", "domain", "key"],
)
def test_what_is_missing_or_malformed_is_told_where_it_stands(tmp_path, changes, path):
    keys_in(tmp_path)
    assert f"flexibility_market.uftp.{path}" in wrong(outside(tmp_path, DSO, **changes))


def test_two_dsos_cannot_buy_at_one_segment(tmp_path):
    keys_in(tmp_path)
    trade = outside(tmp_path, AGR)
    trade["counterparties"].append({**trade["counterparties"][0], "domain": "other.example.org"})
    found = wrong(trade)
    assert "already has a DSO" in found["flexibility_market.uftp.counterparties[1].segments"]


def test_key_files_are_found_beside_the_scenario(tmp_path):
    keys_in(tmp_path)
    (tmp_path / "street.yaml").write_text(
        f"""
start: 2024-02-13
zone: Europe/Berlin
population: {{sites: 3}}
pace_s: 1
flexibility_market:
  active: true
  uftp:
    role: agr
    domain: {DOMAINS[AGR]}
    key_file: agr.key
    congestion_points: [{{segment: segment-001, address: {POINT}}}]
    counterparties:
      - {{domain: {DOMAINS[DSO]}, endpoint: "http://127.0.0.1:9/", public_key_file: dso.pub}}
"""
    )
    trade = load_scenario(tmp_path / "street.yaml").flexibility_market.uftp
    assert trade.key_file == str(tmp_path / "agr.key")
    assert trade.counterparties[0].public_key_file == str(tmp_path / "dso.pub")
