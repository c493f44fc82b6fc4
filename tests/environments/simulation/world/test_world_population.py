"""Populations drawn from shares and a seed."""

import pytest
from world_helpers import SUMMER

from environments.simulation.world import WorldSettings, population, problems
from ontology.errors import InvalidInput

HALF = {"pv": 0.5, "battery": 0.25, "ev": 0.5, "heat_pump": 0.5, "dhw": 0.5}


def test_shares_are_met() -> None:
    sites = population(HALF, 2_000, 1)
    assert sum(site.pv is not None for site in sites) / 2_000 == pytest.approx(0.5, abs=0.04)
    assert sum(site.battery is not None for site in sites) / 2_000 == pytest.approx(0.25, abs=0.04)
    assert sum(site.hot_water is not None for site in sites) / 2_000 == pytest.approx(0.5, abs=0.04)


def test_everything_or_nothing_is_possible() -> None:
    every = population(dict.fromkeys(HALF, 1.0), 50, 1)
    assert all(s.pv and s.battery and s.ev and s.heat_pump and s.hot_water for s in every)
    assert not any(s.pv or s.ev for s in population({}, 50, 1))


def test_sizes_are_those_of_detached_houses() -> None:
    sites = population(dict.fromkeys(HALF, 1.0), 500, 1)
    annual = sorted(site.annual_kwh for site in sites)
    assert 2_300 < annual[50] < 2_900
    assert 4_300 < annual[450] < 5_500
    for site in sites:
        assert site.pv is not None
        assert 4 <= site.pv.kwp <= 10
        assert site.battery is not None
        assert 5_000 <= site.battery.capacity_wh <= 12_000
        assert site.ev is not None
        assert 40_000 <= site.ev.capacity_wh <= 77_000
        assert site.heat_pump is not None
        assert 2_000 <= site.heat_pump.power_w <= 4_000


def test_more_sites_do_not_change_the_first_ones() -> None:
    assert population(HALF, 500, 1)[:20] == population(HALF, 20, 1)


def test_a_larger_share_only_adds_equipment() -> None:
    few, many = population({"pv": 0.2}, 200, 1), population({"pv": 0.6}, 200, 1)
    assert all(more.pv == less.pv for less, more in zip(few, many, strict=True) if less.pv)


def test_another_seed_is_another_population() -> None:
    assert population(HALF, 20, 1) != population(HALF, 20, 2)


def test_drawn_sites_make_a_valid_world() -> None:
    settings = WorldSettings(start_s=SUMMER, sites=tuple(population(None, 1_000, 4)))
    assert problems(settings) == []


@pytest.mark.parametrize(
    ("shares", "count"), [({"pv": 1.2}, 10), ({"windmill": 0.5}, 10), (None, 0), (None, 10_001)]
)
def test_nonsense_is_refused(shares: dict[str, float] | None, count: int) -> None:
    with pytest.raises(InvalidInput):
        population(shares, count, 1)
