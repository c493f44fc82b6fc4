"""What an asset that the operator controls can do, and where a battery goes back to."""

import pytest

from behaviours.decisions.active_network.own_assets import (
    AssetKind,
    AssetState,
    OwnAsset,
    after_interval,
    lever_of,
    restoring_w,
)

SITES = ["h01", "h02"]


def asset(kind=AssetKind.BATTERY, **changes):
    facts = {
        "asset_id": "h02-bess",
        "site": "h02",
        "segment_id": "s",
        "gateway": "h02-gateway@town",
        "kind": kind,
        "power_max_w": 10_000,
        "shares": (0.0, 1.0, 0.0),
        "eur_per_kwh": 0.05,
        "capacity_wh": 20_000,
        "floor_wh": 1_000,
        "efficiency": 0.95,
    }
    return OwnAsset(**(facts | changes))


@pytest.mark.parametrize(
    ("stored_wh", "down_w", "up_w"),
    [(10_000, -10_000, 10_000), (1_500, -1_900, 10_000), (20_000, -10_000, 0), (500, 0, 10_000)],
    ids=["half full", "nearly empty", "full", "below its floor"],
)
def test_a_battery_gives_what_it_has_and_takes_what_it_has_room_for(stored_wh, down_w, up_w):
    lever = lever_of(asset(), AssetState(0, 0.0, stored_wh), SITES)
    assert (lever.down_w, lever.up_w) == pytest.approx((down_w, up_w))
    assert lever.pattern.tolist() == [[0, 0, 0], [0, 1, 0]]


def test_a_plant_can_only_give_less_and_a_load_only_draw_less():
    plant = lever_of(asset(AssetKind.PLANT), AssetState(0, -4_000.0), SITES)
    load = lever_of(asset(AssetKind.LOAD), AssetState(0, 7_000.0), SITES)
    assert (plant.down_w, plant.up_w, load.down_w, load.up_w) == (0, 4_000, -7_000, 0)


def test_a_battery_that_was_used_comes_back_to_where_it_waits_and_stays_there():
    used = AssetState(0, 0.0, 10_000)
    for _ in range(8):
        used = after_interval(asset(), used, {"h02-bess": restoring_w(asset(), used)})
    assert used.stored_wh == pytest.approx(16_000, abs=1_001)
    assert restoring_w(asset(), used) == 0
    assert restoring_w(asset(), AssetState(0, 0.0, 20_000)) < 0
