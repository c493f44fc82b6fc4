from itertools import pairwise

from hypothesis import given, settings

from behaviours.decisions.flexibility import deviations
from behaviours.decisions.flexibility_costs import cost_steps, deviation_costs
from behaviours.decisions.site_plan import plan_site
from tests.behaviours.decisions.test_site_plan import FLAT_BUY, FLAT_SELL, STEPS, battery, sites, vehicle

DEAR_EVENING = [1_000] * 48 + [2_000] * 48


def curves_of(devices, buy, sell, steps=8):
    plan = plan_site([500] * STEPS, buy, sell, devices)
    price = [b if net > 0 else s for b, s, net in zip(buy, sell, plan.net_w, strict=True)]
    return cost_steps(devices, plan.setpoints, price, steps, fee_ticks_per_kwh=300)


def test_a_vehicle_that_can_wait_at_equal_prices_asks_for_its_fee_alone():
    up, _ = curves_of([vehicle(11_000, stay=40)], FLAT_BUY, FLAT_SELL)
    assert [(step.power_w, step.cost_ticks_per_kwh) for step in up[0]] == [(11_000, 300)]


def test_waiting_until_dearer_hours_costs_the_difference():
    car = vehicle(11_000, stay=60)
    costs = deviation_costs(car, [11_000] * 4 + [0] * 92, [1_000] * 4 + [1_400] * 92)
    assert costs.less[0] == 400
    assert costs.less[3] == 400


def test_what_a_battery_gives_is_bought_back_with_its_losses_and_its_wear():
    costs = deviation_costs(battery(0.5), [0] * STEPS, FLAT_BUY, wear_ticks_per_kwh=100)
    assert costs.less[0] == 2_000 / 0.95**2 - 2_000 + 100


def test_cheap_devices_come_first_in_a_curve():
    planned = {"bess": [0] * STEPS, "ev": [11_000] * 4 + [0] * 92}
    up, _ = cost_steps([battery(0.5), vehicle(11_000, stay=40)], planned, FLAT_BUY, steps=4)
    car, store = up[0]
    assert (car.power_w, car.cost_ticks_per_kwh) == (11_000, 0)
    assert (store.power_w, store.cost_ticks_per_kwh) == (5_000, 317)


def test_to_take_more_of_dear_energy_costs_what_it_saves_later_less():
    idle = deviation_costs(battery(0.5), [0] * STEPS, DEAR_EVENING)
    assert idle.more[0] == 0
    assert idle.more[95] == 2_000


@settings(deadline=None, max_examples=30)
@given(sites())
def test_curves_add_up_to_what_the_devices_can_do_and_never_fall(site):
    base, buy, sell, devices = site
    plan = plan_site(base, buy, sell, devices)
    price = [b if net > 0 else s for b, s, net in zip(buy, sell, plan.net_w, strict=True)]
    up, down = cost_steps(devices, plan.setpoints, price, STEPS)
    able = [deviations(each, plan.setpoints[each.subject]) for each in devices]
    for step in range(STEPS):
        assert sum(each.power_w for each in up[step]) == sum(less[step] for less, _ in able)
        assert sum(each.power_w for each in down[step]) == sum(more[step] for _, more in able)
        for curve in (up[step], down[step]):
            assert len(curve) <= 5
            assert all(a.cost_ticks_per_kwh < b.cost_ticks_per_kwh for a, b in pairwise(curve))
