import pytest

from behaviours.decisions.flexibility import flexibility_of_plan, flexibility_of_portfolio
from behaviours.decisions.site_plan import plan_site
from ontology.errors import InvalidInput
from tests.behaviours.decisions.test_site_plan import FLAT_BUY, FLAT_SELL, battery, vehicle


def of_site(*devices):
    plan = plan_site([500] * 96, FLAT_BUY, FLAT_SELL, devices)
    return flexibility_of_plan("h001", devices, plan.setpoints, cost_ticks_per_kwh=300)


def test_an_idle_battery_can_give_and_take():
    envelope = battery(0.5)
    flexibility = flexibility_of_plan("h001", [envelope], {"bess": [0] * 96})
    assert flexibility.up_w == [5_000] * 96
    assert flexibility.down_w == [5_000] * 96


def test_a_charging_vehicle_can_pause_and_an_urgent_one_cannot():
    assert of_site(vehicle(11_000, stay=40)).up_w[0] == 11_000
    assert of_site(vehicle(11_000, stay=4)).up_w[0] == 0


def test_a_portfolio_can_do_what_its_members_can():
    one, two = of_site(battery(0.5)), of_site(battery(0.5), vehicle(11_000))
    both = flexibility_of_portfolio("portfolio", [one, two])
    assert both.up_w[0] == one.up_w[0] + two.up_w[0]
    assert both.cost_ticks_per_kwh[0] == 300


def test_without_devices_or_members_there_is_nothing_to_offer():
    assert flexibility_of_plan("h001", [], {}) is None
    assert flexibility_of_portfolio("portfolio", []) is None


def test_members_of_other_hours_are_refused():
    one = of_site(battery(0.5))
    later = type(one)(**{**{f: getattr(one, f) for f in one.__struct_fields__}, "start_s": 900})
    with pytest.raises(InvalidInput, match="same steps"):
        flexibility_of_portfolio("portfolio", [one, later])
