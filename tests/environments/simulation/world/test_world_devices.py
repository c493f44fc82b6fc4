"""Devices: what they report, what they obey, and what no instruction can make them do."""

import asyncio
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from world_helpers import (
    SUMMER,
    WINTER,
    bare_site,
    device,
    epoch,
    full_site,
    percepts,
    run,
    tell,
    world,
)

from environments.simulation.world import (
    BatterySettings,
    EvSettings,
    HeatPumpSettings,
    HotWaterSettings,
    PvSettings,
)
from ontology.charging import EvConnectionEvent, EvDisconnectionEvent, EvSocUpdate, EvUserInput
from ontology.control import InstructionState, Priority
from ontology.grid import GridMeasurement
from ontology.measurements import IntervalReading, Measurement, Quantity
from ontology.storage import StorageModel, StorageStatus, ThermalModel, ThermalStatus

NOON = 12 * 4


def test_a_site_has_the_devices_of_its_settings() -> None:
    model = world(full_site(), bare_site("h002"))
    assert [each.name for each in model.devices("h001")] == ["meter", "pv", "bess", "ev", "heat_pump", "dhw"]
    assert [each.name for each in model.devices("h002")] == ["meter"]


def test_the_meter_reports_the_interval_that_has_ended() -> None:
    model = world()
    assert percepts(model, "meter") == []
    table = run(model, 3)
    (reading,) = percepts(model, "meter")
    assert isinstance(reading, IntervalReading)
    assert (reading.subject, reading.start_s) == ("h001", model.now_s - 900)
    assert reading.consumed_wh == table["consumed_wh"][-1]
    assert reading.produced_wh == table["produced_wh"][-1]
    assert reading.consumed_w == 4 * reading.consumed_wh


def test_a_meter_of_imports_measures_a_site_or_its_feeder() -> None:
    model = world(full_site(), bare_site("h002"), step_s=60)
    one, all_of_them = (model.import_meter("h001", of_feeder=each) for each in (False, True))
    assert asyncio.run(one.percepts()) == []
    model.step()
    (own,), (feeder,) = asyncio.run(one.percepts()), asyncio.run(all_of_them.percepts())
    assert (own.subject, feeder.subject) == ("h001", "segment-001")
    assert own.value == pytest.approx(model.power_w[:, 0].sum(), abs=0.1)
    assert feeder.value == pytest.approx(model.power_w.sum(), abs=0.1)


def test_in_a_fast_world_the_meter_tells_power_and_frequency() -> None:
    model = world(step_s=60)
    model.step()
    power, frequency = percepts(model, "meter")
    assert isinstance(power, Measurement)
    assert power.quantity is Quantity.ACTIVE_POWER_W
    assert isinstance(frequency, Measurement)
    assert 49.8 < frequency.value < 50.2


def test_every_device_reports_its_own_concepts() -> None:
    model = world()
    run(model, NOON)
    (pv,) = percepts(model, "pv")
    assert isinstance(pv, Measurement)
    assert pv.subject == "h001-pv"
    assert pv.value < 0
    assert isinstance(percepts(model, "bess")[0], StorageStatus)
    for name in ("heat_pump", "dhw"):
        (status,) = percepts(model, name)
        assert isinstance(status, ThermalStatus)
        assert status.asset_id == f"h001-{name}"
        assert status.outdoor_degc == pytest.approx(model.outdoor_degc)


def test_devices_describe_themselves_to_their_managers() -> None:
    model = world()
    for name, kind in (("bess", StorageModel), ("ev", StorageModel), ("heat_pump", ThermalModel)):
        assert isinstance(device(model, name).describe(), kind)
    assert device(model, "meter").describe() is None
    assert device(model, "ev").describe().discharge_max_w == 0  # type: ignore[union-attr]


def test_a_battery_obeys_and_is_idle_when_the_instruction_is_over() -> None:
    model = world()
    assert tell(model, "bess", setpoint_w=2_000) is InstructionState.STARTED
    model.step()
    model.step()
    assert model.site_table()["battery_wh"].tolist() == [500, 0]


def test_an_instruction_for_later_waits_for_its_time() -> None:
    model = world()
    state = tell(model, "bess", setpoint_w=1_000, execution_time_s=model.now_s + 900)
    assert state is InstructionState.ACCEPTED
    assert run(model, 3)["battery_wh"].tolist() == [0, 250, 0]


def test_an_instruction_that_is_over_or_for_another_asset_is_rejected() -> None:
    model = world()
    assert tell(model, "bess", setpoint_w=1_000, execution_time_s=model.now_s - 900) is (
        InstructionState.REJECTED
    )
    assert tell(model, "meter", setpoint_w=1_000) is InstructionState.REJECTED
    assert tell(model, "bess", mode="dance") is InstructionState.REJECTED


def test_the_higher_priority_prevails_while_it_is_valid() -> None:
    model = world()
    tell(model, "bess", setpoint_w=1_000, priority=Priority.CONTRACT)
    assert tell(model, "bess", setpoint_w=3_000, priority=Priority.LOCAL_OPT) is InstructionState.REJECTED
    model.step()
    tell(model, "bess", setpoint_w=3_000, priority=Priority.LOCAL_OPT)
    model.step()
    assert model.site_table()["battery_wh"].tolist() == [250, 750]


def test_a_limit_of_the_grid_holds_whatever_is_planned() -> None:
    model = world()
    tell(model, "bess", power_max_w=400, priority=Priority.DSO_RED, seconds=1_800)
    assert tell(model, "bess", setpoint_w=3_000) is InstructionState.STARTED
    assert run(model, 1)["battery_wh"].tolist() == [100]


def test_a_bare_mode_gives_the_device_back_to_itself() -> None:
    model = world()
    tell(model, "bess", setpoint_w=1_000, seconds=3_600)
    assert tell(model, "bess", mode="auto") is InstructionState.STARTED
    assert run(model, 1)["battery_wh"].tolist() == [0]


def test_a_battery_gives_back_less_than_it_took() -> None:
    battery = BatterySettings(
        capacity_wh=10_000,
        power_w=5_000,
        efficiency=0.9,
        minimum_state_of_charge=0,
        initial_state_of_charge=0,
    )
    model = world(bare_site(battery=battery))
    tell(model, "bess", setpoint_w=5_000, seconds=7_200)
    run(model, 8)
    tell(model, "bess", setpoint_w=-5_000, seconds=14_400)
    flows = run(model, 16)["battery_wh"]
    assert -flows[flows < 0].sum() / flows[flows > 0].sum() == pytest.approx(0.9, abs=0.002)


@settings(max_examples=8, deadline=None)
@given(orders=st.lists(st.integers(-50_000, 50_000), min_size=24, max_size=24))
def test_no_set_point_drives_a_device_beyond_its_limits(orders: list[int]) -> None:
    model = world(full_site(ev=EvSettings(capacity_wh=40_000, v2g=True)), start_s=WINTER + 18 * 3_600)
    for order in orders:
        for name in ("bess", "ev", "heat_pump", "dhw", "pv"):
            tell(model, name, setpoint_w=order)
        model.step()
        battery, car = model.batteries, model.vehicles
        assert 400 - 1e-6 <= battery.stored_wh[0] <= 8_000
        assert abs(model.power_w[2, 0]) <= 4_000
        assert 0 <= car.stored_wh[0] <= 40_000
        assert abs(model.power_w[3, 0]) <= 11_000
        assert 0 <= model.power_w[4, 0] <= 3_000
        assert 0 <= model.power_w[5, 0] <= 2_000
        assert model.tanks.tank_degc[0] <= 68.1


def test_pv_makes_nothing_at_night_and_never_more_than_it_can() -> None:
    table = run(world(bare_site(pv=PvSettings(kwp=8.0))))
    pv = table["pv_wh"]
    assert (pv[:8] == 0).all()
    assert (pv[-8:] == 0).all()
    assert -8_000 / 4 < pv.min() < -8_000 / 4 * 0.3


@pytest.mark.parametrize(
    "order",
    [{"setpoint_w": -1_000}, {"setpoint_w": 1_000}, {"power_min_w": -1_000}, {"power_max_w": 1_000}],
    ids=lambda order: next(f"{name} {value}" for name, value in order.items()),
)
def test_pv_is_curtailed_however_it_is_written(order: dict[str, int]) -> None:
    model = world(bare_site(pv=PvSettings(kwp=8.0)))
    run(model, NOON - 4)
    free = model.site_table()["pv_wh"][-1]
    tell(model, "pv", **order)
    capped, after = run(model, 2)["pv_wh"][-2:]
    assert free < -250
    assert capped == pytest.approx(-250, abs=1)
    assert after < -250


@cache
def commute(step_s: int = 900) -> tuple[list, list]:
    """Three days of four commuters."""
    names = ["h001", "h002", "h003", "h004"]
    sites = [bare_site(name, ev=EvSettings(capacity_wh=58_000)) for name in names]
    model = world(*sites, start_s=SUMMER, step_s=step_s)
    seen: list = []
    for _ in range(96 * 3):
        model.step_interval()
        for name in names:
            seen += percepts(model, "ev", name)
    return seen, [each for each in seen if isinstance(each, EvDisconnectionEvent)]


@pytest.mark.parametrize("step_s", [300, 900])
def test_a_car_left_alone_leaves_with_what_its_driver_asked_for(step_s: int) -> None:
    seen, left = commute(step_s)
    asked = {each.session_id: each for each in seen if isinstance(each, EvUserInput)}
    arrived = {each.session_id: each for each in seen if isinstance(each, EvConnectionEvent)}
    assert len(left) >= 6
    for session in left:
        wish = asked[session.session_id]
        possible = 11_000 * (session.time_s - wish.time_s) / 3_600
        assert session.energy_delivered_wh >= min(wish.requested_energy_wh, possible) - 2
        assert session.time_s == wish.departure_s
        assert arrived[session.session_id].power_max_w == 11_000


def test_every_event_of_a_car_is_reported_once() -> None:
    seen, left = commute()
    connected = [each.session_id for each in seen if isinstance(each, EvConnectionEvent)]
    assert len(set(connected)) == len(connected)
    assert {each.session_id for each in left} <= set(connected)
    updates = {each.session_id for each in seen if isinstance(each, EvSocUpdate)}
    assert updates <= set(connected)


def test_reading_a_charger_twice_at_an_instant_gives_the_same() -> None:
    model = world()
    assert percepts(model, "ev") == percepts(model, "ev") != []
    model.step()
    assert not any(isinstance(each, EvConnectionEvent) for each in percepts(model, "ev"))


def test_a_car_obeys_while_it_is_there() -> None:
    model = world(bare_site(ev=EvSettings(capacity_wh=58_000)), start_s=SUMMER)
    while not (model.vehicles.plugged[0] and model.vehicles.stored_wh[0] < 45_000):
        model.step()
    tell(model, "ev", setpoint_w=3_000)
    model.step()
    tell(model, "ev", setpoint_w=0)
    model.step()
    assert model.site_table()["ev_wh"][-2:].tolist() == pytest.approx([750, 0], abs=1)


def test_only_a_car_that_may_discharges_and_not_below_its_minimum() -> None:
    willing = EvSettings(capacity_wh=58_000, v2g=True, minimum_state_of_charge=0.5)
    model = world(bare_site("h001", ev=willing), bare_site("h002", ev=EvSettings(capacity_wh=58_000)))
    for _ in range(96):
        for site in ("h001", "h002"):
            tell(model, "ev", site=site, setpoint_w=-11_000)
        before = model.vehicles.stored_wh.copy()
        there = model.vehicles.plugged.copy()
        model.step()
        if there[0] and model.vehicles.plugged[0]:
            assert model.vehicles.stored_wh[0] >= min(before[0], 29_000) - 1e-6
    table = model.site_table()
    assert table["ev_wh"][::2].min() < 0 <= table["ev_wh"][1::2].min()


def test_a_house_left_alone_stays_warm_through_winter_days() -> None:
    table = run(world(bare_site(heat_pump=HeatPumpSettings()), start_s=WINTER), 96 * 3)
    assert table["indoor_degc"].min() > 20.0
    assert table["indoor_degc"].max() < 23.0
    assert 3 * 8_000 < table["heat_pump_wh"].sum() < 3 * 40_000


def test_a_heat_pump_told_to_rest_protects_the_house() -> None:
    model = world(bare_site(heat_pump=HeatPumpSettings(capacity_j_per_k=1e7)), start_s=WINTER)
    for _ in range(96):
        tell(model, "heat_pump", setpoint_w=0)
        model.step()
    cold = model.site_table()["indoor_degc"]
    assert 18.5 < cold.min() < 19.5


def test_a_warmer_set_point_preheats() -> None:
    one, other = (world(bare_site(heat_pump=HeatPumpSettings()), start_s=WINTER) for _ in range(2))
    tell(one, "heat_pump", setpoint_degc=22.5, seconds=6 * 3_600)
    warm, plain = run(one, 24), run(other, 24)
    assert warm["indoor_degc"][-1] > plain["indoor_degc"][-1] + 0.5
    assert warm["heat_pump_wh"].sum() > plain["heat_pump_wh"].sum()


def test_tanks_stay_warm_and_are_disinfected_every_week() -> None:
    sites = [bare_site(f"h{number:03d}", hot_water=HotWaterSettings()) for number in range(1, 13)]
    model = world(*sites, start_s=epoch("2024-03-01"))
    table = run(model, 96 * 7 + 4)
    tanks = table["tank_degc"].reshape(-1, 12)
    assert (tanks.max(axis=0) >= 60).all()
    assert np.percentile(tanks, 2) > 40
    daily_wh = table["dhw_wh"].sum() / 12 / 7
    assert 3_000 < daily_wh < 9_000


def test_a_feeder_is_measured_at_its_busbar() -> None:
    model = world()
    monitor = model.monitor("segment-001")
    assert asyncio.run(monitor.percepts()) == []
    assert monitor.strain() is None
    run(model, 1)
    (measured,) = asyncio.run(monitor.percepts())
    assert isinstance(measured, GridMeasurement)
    assert all(220 < each < 245 for each in measured.voltage_v)
    strain = monitor.strain()
    assert strain is not None
    assert strain.voltage_min_pu <= strain.voltage_max_pu
    assert monitor.strain_now().loading > 0
