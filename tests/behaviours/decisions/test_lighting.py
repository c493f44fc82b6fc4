import pytest

from behaviours.decisions.coalition.schedules import feasible_deviations
from behaviours.decisions.exact_plan import exact_site_plan
from behaviours.decisions.flexibility import flexibility_of_plan
from behaviours.decisions.lighting import lighting_envelope, lighting_power_w
from behaviours.decisions.local_time import local_hours
from behaviours.decisions.pricing import FlowCharge
from behaviours.decisions.site_plan import plan_site

NOON_S = 1_704_884_400
"""10 January 2024, 12:00 in Berlin."""
BUY, SELL = [2_000] * 8, [600] * 8


def lights(start_s=NOON_S, steps=8, hours=(8.0, 18.0)):
    return lighting_envelope("lights", 1_000, 0.4, hours, "Europe/Berlin", start_s, steps=steps)


def test_lights_are_wanted_while_somebody_is_there_and_may_be_dimmed_so_far():
    envelope = lights(NOON_S + 5 * 3600, steps=8)
    assert envelope.power_max_w == [1_000] * 4 + [0] * 4
    assert envelope.power_min_w == [400] * 4 + [0] * 4


def test_hours_of_use_follow_the_clocks_of_the_place_in_winter_and_summer():
    assert local_hours("Europe/Berlin", NOON_S).tolist() == [12.0]
    assert local_hours("Europe/Berlin", NOON_S + 182 * 86_400).tolist() == [13.0]
    assert local_hours("Asia/Kolkata", NOON_S, 2, 1_800).tolist() == [16.5, 17.0]


def test_nobody_sits_in_the_dark_for_a_cent():
    plan = plan_site([500] * 8, BUY, SELL, [lights()])
    assert plan.setpoints["lights"] == [1_000] * 8
    assert plan.net_w == [1_500] * 8


def test_lights_are_dimmed_where_a_limit_leaves_nothing_else():
    limit = [10_000] * 2 + [1_200] * 2 + [100] * 2 + [10_000] * 2
    plan = plan_site([500] * 8, BUY, SELL, [lights()], import_max_w=limit)
    assert plan.setpoints["lights"] == [1_000] * 2 + [700] * 2 + [400] * 2 + [1_000] * 2


def test_a_flow_charge_alone_dims_nobody():
    plan = plan_site([500] * 8, BUY, SELL, [lights()], flow=FlowCharge([900.0] * 8, 0.0, [0] * 8))
    assert plan.setpoints["lights"] == [1_000] * 8


def test_the_exact_plan_dims_as_little():
    limit = [10_000] * 4 + [1_200] * 4
    plan = exact_site_plan([500] * 8, BUY, SELL, [lights()], import_max_w=limit)
    assert plan.setpoints["lights"] == [1_000] * 4 + [700] * 4


def test_what_lights_are_told_is_never_too_dark_while_somebody_is_there():
    at = {"power_w": 1_000, "minimum_share": 0.4, "hours": (8.0, 18.0), "zone": "Europe/Berlin"}
    assert lighting_power_w(0, now_s=NOON_S, **at) == 400
    assert lighting_power_w(0, now_s=NOON_S + 8 * 3600, **at) == 0
    assert lighting_power_w(5_000, now_s=NOON_S, **at) == 1_000


@pytest.mark.parametrize(("price", "dims"), [(3_000, False), (6_000, True)], ids=["cheap", "dear"])
def test_a_plant_dims_lights_only_for_what_light_is_worth(price, dims):
    able = feasible_deviations(
        {"lights": [1_000] * 8},
        [lights()],
        [-500] * 2,
        2,
        [0] * 8,
        wear_ticks_per_kwh=300,
        price_max_ticks_per_kwh=price,
        seed=1,
    )
    assert bool((able.power_w < 0).any()) is dims


def test_light_is_not_offered_for_less_than_it_is_worth():
    plan = {"lights": [1_000] * 8}
    assert flexibility_of_plan("h001", [lights()], plan, 300).up_w == [0] * 8
    assert flexibility_of_plan("h001", [lights()], plan, 5_000).up_w == [600] * 8
