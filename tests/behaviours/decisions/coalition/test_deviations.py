from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from behaviours.decisions.coalition.profiles import bid_capacity, coarse_profile
from behaviours.decisions.coalition.schedules import feasible_deviations
from behaviours.decisions.envelopes import battery_envelope, photovoltaic_envelope, tank_envelope
from behaviours.decisions.site_plan import plan_site
from ontology.storage import StorageModel, StorageStatus, ThermalModel, ThermalStatus

START_S = 900 * 1000
STEPS = 96


def battery(state_of_charge):
    model = StorageModel(
        asset_id="bess",
        capacity_wh=10_000,
        fill_min_wh=500,
        fill_max_wh=9_500,
        charge_max_w=5_000,
        discharge_max_w=4_000,
        charge_efficiency=0.95,
        discharge_efficiency=0.9,
        leakage_w=0,
    )
    status = StorageStatus(
        asset_id="bess", time_s=START_S, state_of_charge=state_of_charge, power_w=0, state_of_health=1
    )
    return battery_envelope(model, status, START_S)


def tank(temperature_degc):
    model = ThermalModel(
        asset_id="dhw",
        resistance_k_per_w=0.5,
        capacity_j_per_k=200 * 4186,
        cop=1.0,
        temperature_min_degc=45,
        temperature_max_degc=58,
    )
    status = ThermalStatus(
        asset_id="dhw", time_s=START_S, temperature_degc=temperature_degc, power_w=0, outdoor_degc=18
    )
    return tank_envelope(model, status, 150.0, 2_000, START_S)


def site(state_of_charge=0.5, temperature_degc=52):
    envelopes = [battery(state_of_charge), tank(temperature_degc)]
    plan = plan_site([400] * STEPS, [2000] * STEPS, [650] * STEPS, envelopes)
    return plan.setpoints, envelopes


def able(setpoints, envelopes, target, first=4, price=5_000, seed=1):
    return feasible_deviations(
        setpoints,
        envelopes,
        target,
        first,
        [2000] * STEPS,
        wear_ticks_per_kwh=300,
        price_max_ticks_per_kwh=price,
        seed=seed,
    )


def content_wh(envelope, powers_w):
    gain, loss = envelope.charge_efficiency, envelope.discharge_efficiency
    return list(accumulate((w * gain if w > 0 else w / loss) / 4 for w in powers_w))


@settings(max_examples=25, deadline=None)
@given(
    st.floats(0.1, 0.9),
    st.floats(46, 57),
    st.lists(st.integers(-4000, 4000).filter(bool), min_size=1, max_size=12),
    st.integers(1, 40),
    st.integers(0, 1000),
)
def test_every_deviation_keeps_what_every_device_can_do(charge, warmth, target, first, seed):
    setpoints, envelopes = site(charge, warmth)
    found = able(setpoints, envelopes, target, first, seed=seed)
    for envelope in envelopes:
        for powers in found.setpoints_w[envelope.subject].tolist():
            for step, power_w in enumerate(powers):
                assert envelope.power_min_w[step] <= power_w <= envelope.power_max_w[step]
            contents = content_wh(envelope, powers)
            planned = content_wh(envelope, setpoints[envelope.subject])
            for step, content in enumerate(contents):
                low = min(envelope.energy_min_wh[step], planned[step])
                high = max(envelope.energy_max_wh[step], planned[step])
                assert low - 2 <= content <= high + 2


def test_doing_nothing_comes_first_and_costs_nothing():
    setpoints, envelopes = site()
    found = able(setpoints, envelopes, [-2000] * 4)
    assert not found.power_w[0].any()
    assert found.cost_ticks[0] == 0
    assert found.setpoints_w["bess"][0].tolist() == setpoints["bess"]


def test_a_deviation_is_what_its_set_points_differ_from_the_plan():
    setpoints, envelopes = site()
    found = able(setpoints, envelopes, [-2000] * 4)
    change = sum(found.setpoints_w[name][:, 4:8] - np.asarray(setpoints[name])[4:8] for name in setpoints)
    assert (found.power_w == change).all()


@pytest.mark.parametrize("sign", [-1, 1])
def test_there_are_many_and_they_go_the_way_that_is_wanted(sign):
    setpoints, envelopes = site()
    found = able(setpoints, envelopes, [sign * 2000] * 4)
    assert len(found.power_w) > 15
    assert (found.power_w.sum(axis=1) * sign > 1000).sum() > 5


def test_none_costs_more_than_the_product_pays():
    setpoints, envelopes = site()
    found = able(setpoints, envelopes, [-2000] * 4, price=400)
    worth = np.abs(found.power_w).sum(axis=1) / 4 * 400 / 1000
    assert (found.cost_ticks <= worth + 1).all()


def test_what_cannot_move_offers_nothing():
    plant = photovoltaic_envelope("pv", [0] * STEPS, START_S)
    found = able({"pv": [0] * STEPS}, [plant], [-1000] * 4)
    assert len(found.power_w) == 1


def test_a_profile_says_no_more_than_six_coarse_blocks():
    profile = coarse_profile(START_S, list(range(0, 9600, 100)), [1003] * STEPS, [0] * STEPS)
    assert len(profile.net_w) == len(profile.up_w) == 6
    quantum = 0.05 * 9500
    assert all(abs(value / quantum - round(value / quantum)) < 0.01 for value in profile.net_w)


def test_a_bid_never_offers_more_than_there_is():
    rows = np.array([[0, 0, 0, 0], [-900, -1000, -700, 0]])
    capacity = bid_capacity(rows, [-5000] * 4)
    assert all(bid <= most for bid, most in zip(capacity, [900, 1000, 700, 0], strict=True))
