"""Meter registers and charging limits: what holds whatever charge points send and agents want."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from environments.devices.ocpp.controls import ConnectorControls, Told
from environments.devices.ocpp.emulated.profile_stack import ProfileStack, held_profile
from environments.devices.ocpp.meter_values import EnergyRegister, samples_in
from environments.devices.ocpp.profiles import MOST_PERIODS, Purpose, limit_of, schedule_payload
from environments.devices.ocpp.settings import ChargePointSettings, Rate
from ontology.control import Instruction, Priority

NOW_S = 1_780_000_000


def settings(**changes: object) -> ChargePointSettings:
    return ChargePointSettings(identity="CP-1", password_file="none", **changes)  # type: ignore[arg-type]


@given(
    st.lists(st.tuples(st.floats(0, 900), st.integers(1, 900)), min_size=1, max_size=20),
    st.integers(0, 2**31),
    st.sampled_from([1, 10, 1_000]),
)
def test_what_flows_is_what_is_counted_however_the_register_is_rounded(
    flows: list[tuple[float, int]], start_wh: int, decimals: int
) -> None:
    register, total_wh, time_s = EnergyRegister(last_wh=float(start_wh), time_s=0), float(start_wh), 0
    for flow_wh, pause_s in flows:
        total_wh, time_s = total_wh + flow_wh, time_s + pause_s
        register = register.advanced(round(total_wh * decimals) / decimals, time_s, 11_000)
    assert register.delivered_wh == pytest.approx(total_wh - start_wh, abs=1 / decimals)


@given(
    st.lists(st.tuples(st.floats(0, 1e9, allow_nan=False), st.integers(0, 10_000)), max_size=30),
    st.integers(1, 22_000),
)
def test_no_register_makes_energy_that_cannot_have_flowed(
    readings: list[tuple[float, int]], power_max_w: int
) -> None:
    register = EnergyRegister()
    for energy_wh, time_s in readings:
        before = register
        register = register.advanced(energy_wh, time_s, power_max_w)
        gained_wh = register.delivered_wh - before.delivered_wh
        assert 0 <= gained_wh <= 1.5 * power_max_w * max(0, time_s - before.time_s) / 3_600 + 1_000.001


@given(st.floats(0, 30_000), st.sampled_from(Rate), st.sampled_from([1, 2, 3]), st.floats(207, 253))
def test_a_limit_is_a_multiple_of_a_tenth_and_never_above_what_is_meant(
    power_w: float, rate: Rate, phases: int, voltage_v: float
) -> None:
    point = settings(rate=rate, phases=phases, voltage_v=voltage_v)
    limit = limit_of(power_w, point)
    assert Decimal(str(limit)) % Decimal("0.1") == 0
    volts = voltage_v * phases if rate is Rate.AMPERES else 1.0
    assert limit * volts <= min(power_w, point.power_max_w) + 1e-6
    assert limit == 0 or limit * volts >= point.least_w - 0.1 * volts


@pytest.mark.parametrize(
    ("values", "energy_wh", "power_w", "state"),
    [
        ([{"value": "1.5", "unit": "kWh"}], 1_500.0, None, None),
        ([{"value": "12.34"}], 12.34, None, None),
        ([{"value": "7.2", "unit": "kW", "measurand": "Power.Active.Import"}], None, 7_200.0, None),
        (
            [
                {"value": "2300", "unit": "W", "measurand": "Power.Active.Import", "phase": each}
                for each in ("L1", "L2", "L3")
            ],
            None,
            6_900.0,
            None,
        ),
        ([{"value": "3", "unit": "kW", "measurand": "Power.Active.Export"}], None, -3_000.0, None),
        ([{"value": "55", "unit": "Percent", "measurand": "SoC", "location": "EV"}], None, None, 0.55),
        ([{"value": "140", "measurand": "SoC"}], None, None, 1.0),
        ([{"value": 2.5, "unit_of_measure": {"unit": "Wh", "multiplier": 3}}], 2_500.0, None, None),
        ([{"value": "NaN"}, {"value": "OCMF|…", "format": "SignedData"}], None, None, None),
        ([{"value": "9", "unit": "varh"}], None, None, None),
        ([{"value": "9", "location": "Inlet"}], None, None, None),
    ],
)
def test_meter_values_of_both_versions(
    values: list[dict[str, object]], energy_wh: float | None, power_w: float | None, state: float | None
) -> None:
    (sample,) = samples_in([{"timestamp": "2026-01-01T00:00:00Z", "sampled_value": values}])
    assert sample.energy_wh == (None if energy_wh is None else pytest.approx(energy_wh))
    assert sample.power_w == (None if power_w is None else pytest.approx(power_w))
    assert sample.state_of_charge == (None if state is None else pytest.approx(state))


def test_what_is_told_for_later_leaves_what_holds_until_then() -> None:
    controls = ConnectorControls(1, settings(current_min_a=0.0))

    def limit(start_s: int, power_w: int) -> Instruction:
        return Instruction(
            instruction_id="i",
            asset_id="ev",
            execution_time_s=start_s,
            valid_until_s=start_s + 900,
            power_max_w=power_w,
            priority=Priority.DSO_RED,
        )

    controls.take(limit(NOW_S, 3_000), NOW_S)
    controls.take(limit(NOW_S + 900, 5_000), NOW_S)
    controls.take(limit(NOW_S + 3_600, 1_000), NOW_S)
    (profile,) = controls.profiles(NOW_S, in_session=False)
    assert profile.periods == ((0, 3_000.0), (900, 5_000.0), (1_800, 11_000.0), (3_600, 1_000.0))
    assert profile.duration_s == 4_500


@given(
    st.lists(st.integers(0, 11_000), min_size=1, max_size=96),
    st.integers(0, 11_000),
    st.integers(1, 50_000),
    st.integers(0, 90_000),
    st.booleans(),
)
def test_what_a_charge_point_holds_is_the_plan_within_the_limit(
    plan_w: list[int], limit_w: int, limit_s: int, later_s: int, alone: bool
) -> None:
    point = settings(names=("a",) if alone else ("a", "b"), current_min_a=0.0)
    controls = ConnectorControls(1, point)
    powers = tuple((NOW_S + 900 * step, float(power_w)) for step, power_w in enumerate(plan_w))
    until_s = NOW_S + 900 * len(plan_w)
    controls.plan = Told(powers, until_s, Priority.MARKET)
    controls.limit = Told(((NOW_S, float(limit_w)),), NOW_S + limit_s, Priority.DSO_RED)
    stack = ProfileStack()
    for profile in controls.profiles(NOW_S, in_session=True):
        assert 1 <= len(profile.periods) <= MOST_PERIODS
        told = {
            "stack_level": profile.stack_level,
            "charging_profile_purpose": profile.purpose.value,
            "charging_profile_kind": "Absolute",
        }
        where = 0 if profile.purpose is Purpose.STATION else 1
        schedule = schedule_payload(profile, point)
        stack.put(held_profile(where, told, schedule, profile.profile_id, 230.0))
    when_s = NOW_S + later_s
    allowed_w = stack.limit_w(1, when_s, NOW_S)
    planned_w = controls.plan.at(when_s) if controls.plan else None
    most_w = float(limit_w) if later_s < limit_s else float("inf")
    if planned_w is not None and len(controls.profiles(NOW_S, in_session=True)[-1].periods) < MOST_PERIODS:
        assert allowed_w == pytest.approx(min(planned_w, most_w), abs=0.1)
    assert allowed_w <= most_w + 0.1 or not alone
