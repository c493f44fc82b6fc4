"""Our adapter at a pymodbus server that is built from SunSpec's own models."""

import asyncio

import pytest
from sunspec2 import device as sunspec
from sunspec_peers import COMMON, bus, chain_of, order, served, settings, words

from environments.devices.sunspec.discovery import NotSunSpec, discovered
from ontology.control import InstructionState, Priority
from ontology.errors import Unavailable
from ontology.measurements import Measurement, Quantity
from ontology.storage import StorageStatus

INVERTER = {
    "A_SF": -1, "V_SF": -1, "W": 3217, "W_SF": 0, "Hz": 5002, "Hz_SF": -2, "WH": 12345, "WH_SF": 0, "St": 4,
}  # fmt: skip
NAMEPLATE = {"DERTyp": 4, "WRtg": 600, "WRtg_SF": 1}
CONTROLS = {
    "WMaxLimPct": 100, "WMaxLimPct_SF": 0, "WMaxLimPct_RvrtTms": 0, "WMaxLim_Ena": 0, "Conn": 1,
}  # fmt: skip
STORAGE = {
    "WChaMax": 50, "WChaMax_SF": 2, "StorCtl_Mod": 0, "ChaState": 5550, "ChaState_SF": -2, "InOutWRte_SF": -2,
    "InWRte": 10_000, "OutWRte": 10_000, "InOutWRte_RvrtTms": 0,
}  # fmt: skip
METER = {
    "W": -1500, "W_SF": 0, "Hz": 4998, "Hz_SF": -2, "TotWhExp": 900, "TotWhImp": 1200, "TotWh_SF": 1,
}  # fmt: skip
MEASURED = {"W": -800, "W_SF": 0, "ACType": 2}
CAPACITY = {"WHRtg": 100, "WH_SF": 2, "SoC": 421, "SoH": 980, "Pct_SF": -1}
DER_CONTROLS = {
    "WMaxLimPctEna": 0, "WMaxLimPct": 1000, "WMaxLimPctRvrt": 1000, "WMaxLimPctEnaRvrt": 0,
    "WMaxLimPctRvrtTms": 0, "WMaxLimPct_SF": -1, "WSetEna": 0, "WSetMod": 1, "WSet": 0, "WSetRvrt": 0,
    "WSetEnaRvrt": 0, "WSetRvrtTms": 0, "WSet_SF": 0,
}  # fmt: skip
RATED = {"WMaxRtg": 6000, "WMax": 5000, "W_SF": 0}

LEGACY_PV = (COMMON, (103, INVERTER), (120, NAMEPLATE), (123, CONTROLS))
LEGACY_BATTERY = (COMMON, (103, INVERTER | {"W": -400}), (120, NAMEPLATE), (124, STORAGE))
MODERN = (COMMON, (701, MEASURED), (702, RATED), (704, DER_CONTROLS), (713, CAPACITY))


def at(models, name, test, **given):
    """Run a test with a device at a unit of models; it gets server, device and the models' places."""

    async def run():
        registers, places = chain_of(*models)
        async with served({1: registers}) as server, bus() as site:
            device = site.sunspec(name, settings(server.address, **given))
            await test(server, device, places)

    asyncio.run(run())


# -- what devices report ---------------------------------------------------------------------------


@pytest.mark.parametrize("models", [LEGACY_PV, MODERN], ids=["103", "701"])
def test_an_inverter_tells_its_power_with_production_negative(models):
    async def test(server, device, places):
        (report,) = await device.percepts()
        assert isinstance(report, Measurement)
        assert (report.subject, report.quantity) == ("h001-pv", Quantity.ACTIVE_POWER_W)
        assert report.value == (-3217 if models is LEGACY_PV else 800)
        assert device.health.is_up

    at(models, "pv", test)


@pytest.mark.parametrize(
    ("models", "charge", "power_w", "health"),
    [(MODERN, 0.421, 800, 0.98), (LEGACY_BATTERY, 0.555, 400, 1.0)],
    ids=["713", "124"],
)
def test_a_battery_tells_charge_and_power_with_charging_positive(models, charge, power_w, health):
    async def test(server, device, places):
        (report,) = await device.percepts()
        assert isinstance(report, StorageStatus)
        assert (report.state_of_charge, report.power_w) == (pytest.approx(charge), power_w)
        assert report.state_of_health == pytest.approx(health)

    at(models, "bess", test)


def test_a_hybrid_inverters_battery_is_read_at_its_own_port():
    ports = {
        "NPrt": 2, "DCW_SF": 0,
        "Prt": [{"PrtTyp": 0, "DCW": 2500}, {"PrtTyp": 1, "DCW": -700}],
    }  # fmt: skip

    async def run():
        registers, _ = chain_of(COMMON, (701, MEASURED), (713, CAPACITY))
        more = words(sunspec.Model(model_id=714, data=ports).get_mb())
        async with served({1: registers[:-2] + more + registers[-2:]}) as server, bus() as site:
            device = site.sunspec("bess", settings(server.address, power="battery"))
            (report,) = await device.percepts()
            assert report.power_w == 700  # charging while the plant generates

    asyncio.run(run())


def test_a_meter_tells_power_and_frequency_with_import_positive_and_can_be_turned_round():
    async def test(server, device, places):
        reports = {each.quantity: each for each in await device.percepts()}
        assert reports[Quantity.ACTIVE_POWER_W].value == (-1500 if device._settings.power_sign == 1 else 1500)
        assert reports[Quantity.FREQUENCY_HZ].value == pytest.approx(49.98)
        assert {each.subject for each in reports.values()} == {"h001"}

    at((COMMON, (203, METER)), "meter", test)
    at((COMMON, (203, METER)), "meter", test, power_sign=-1)


@pytest.mark.parametrize(
    "lacking",
    [{"W": None}, {"W_SF": None}, {"W_SF": 44}],
    ids=["power", "scale factor", "a scale factor out of range"],
)
def test_a_value_that_is_not_implemented_is_absence_not_zero(lacking):
    async def test(server, device, places):
        with pytest.raises(Unavailable, match="nothing of its power"):
            await device.percepts()

    at((COMMON, (103, INVERTER | lacking)), "pv", test)


def test_a_state_of_charge_that_cannot_be_is_not_believed():
    async def test(server, device, places):
        with pytest.raises(Unavailable, match="state of charge"):
            await device.percepts()

    at((*MODERN[:-1], (713, CAPACITY | {"SoC": 4210})), "bess", test)


# -- finding models --------------------------------------------------------------------------------


def found(registers, base=40_000):
    async def run():
        async with served({1: registers}, base) as server, bus() as site:
            return await discovered(site.link_to(server.address), 1)

    return asyncio.run(run())


@pytest.mark.parametrize("base", [40_000, 50_000, 0])
def test_a_chain_is_found_wherever_it_may_begin(base):
    chain = found(chain_of(*LEGACY_PV)[0], base)
    assert (chain.base, [model.model_id for model in chain.models]) == (base, [1, 103, 120, 123])
    assert chain.nameplate == ("Acme", "One", "7", "0815")
    assert chain.wrong == ""


def test_models_that_nobody_knows_are_passed_over():
    registers, _ = chain_of(COMMON)
    strange = [64_999, 3, 1, 2, 3]
    chain = found(registers[:-2] + strange + chain_of((203, METER))[0][2:])
    assert [model.model_id for model in chain.models] == [1, 64_999, 203]


def test_a_chain_without_an_end_or_with_a_wrong_length_gives_what_was_found_and_says_so():
    registers, _ = chain_of(*LEGACY_PV, end=())
    assert found(registers).wrong.startswith("no end of the chain")
    assert len(found(registers).models) == 4
    assert "0 registers" in found([*chain_of(COMMON)[0][:-2], 103, 0, 0, 0]).wrong


def test_a_length_after_the_end_mark_is_not_needed():
    assert found(chain_of(*LEGACY_PV, end=(0xFFFF,))[0]).wrong == ""


def test_what_is_no_sunspec_device_is_said_to_be_none():
    with pytest.raises(NotSunSpec, match="no SunSpec models at 40000, 50000, 0"):
        found([1, 2, 3, 4])


def test_a_device_that_was_exchanged_is_not_taken_for_the_old_one():
    async def test(server, device, places):
        with pytest.raises(Unavailable, match="'0815', not '4711'"):
            await device.percepts()

    at(LEGACY_PV, "pv", test, serial="4711")


def test_a_model_that_is_gone_is_looked_for_again():
    async def test(server, device, places):
        await device.percepts()
        server.poke(1, places[103], 64_000)  # a firmware update that has no such model any more
        with pytest.raises(Unavailable, match="has model 64000"):
            await device.percepts()
        with pytest.raises(Unavailable, match="nothing of its power"):
            await device.percepts()
        server.poke(1, places[103], 103)
        await device.percepts()

    at(LEGACY_PV, "pv", test)


# -- obeying ---------------------------------------------------------------------------------------


def test_a_cap_is_written_with_the_time_after_which_it_ends_by_itself():
    async def test(server, device, places):
        status = await device.instruct(order("h001-pv", power_min_w=-2_500, priority=Priority.DSO_RED))
        assert status.status is InstructionState.STARTED
        percent, time_s, on = (server.peek(1, places[123] + k) for k in (5, 7, 9))
        assert (percent, time_s, on) == (41, 60, 1)  # of 6,000 W, rounded down: 2,460 W
        written = [
            address - 40_000 - places[123] for _, function, address, _ in server.asked if function == 16
        ]
        assert written == [7, 5, 9]  # first the time, last the switch

    at(LEGACY_PV, "pv", test)


@pytest.mark.parametrize(
    ("what", "percent"),
    [
        ({"setpoint_w": -3_000}, 600),
        ({"setpoint_w": 3_000}, 600),
        ({"power_max_w": 1_000}, 200),
        ({"power_min_w": -1_000, "power_max_w": 0}, 200),
        ({"power_min_w": -9_000}, 1_000),
        ({"setpoint_w": 0}, 0),
    ],
)
def test_a_plant_understands_caps_whichever_way_they_are_written(what, percent):
    async def test(server, device, places):
        await device.instruct(order("h001-pv", **what))
        assert server.peek(1, places[704] + 15) == percent
        assert server.peek(1, places[704] + 14) == 1

    at(MODERN, "pv", test)


def test_a_cap_of_model_704_can_fall_back_to_another():
    async def test(server, device, places):
        await device.instruct(order("h001-pv", setpoint_w=-4_000))
        cap, fallback, falls_back = (server.peek(1, places[704] + k) for k in (15, 16, 17))
        assert (cap, fallback, falls_back) == (800, 300, 1)

    at(MODERN, "pv", test, fallback_w=-1_500)


@pytest.mark.parametrize(("setpoint_w", "told"), [(1_500, -1_500), (-2_000, 2_000)])
def test_a_battery_of_model_704_charges_by_a_negative_set_point(setpoint_w, told):
    async def test(server, device, places):
        await device.instruct(order("h001-bess", setpoint_w=setpoint_w))
        high, low, on, mode = (server.peek(1, places[704] + k) for k in (24, 25, 22, 23))
        assert ((high << 16 | low) - (1 << 32 if high >> 15 else 0), on, mode) == (told, 1, 1)
        assert server.peek(1, places[704] + 32) == 60

    at(MODERN, "bess", test)


@pytest.mark.parametrize(
    ("what", "into", "out", "mode"),
    [
        ({"setpoint_w": 2_500}, 5_000, -5_000 & 0xFFFF, 3),
        ({"setpoint_w": -1_000}, -2_000 & 0xFFFF, 2_000, 3),
        ({"power_max_w": 500}, 1_000, 10_000, 1),
        ({"power_min_w": -500, "power_max_w": 500}, 1_000, 1_000, 3),
    ],
    ids=["charge", "discharge", "limit charging", "limit both"],
)
def test_a_battery_of_model_124_is_forced_by_its_two_limits(what, into, out, mode):
    async def test(server, device, places):
        status = await device.instruct(order("h001-bess", **what))
        assert status.status is InstructionState.STARTED
        assert [server.peek(1, places[124] + k) for k in (13, 12, 5, 15)] == [into, out, mode, 60]

    at(LEGACY_BATTERY, "bess", test)


def test_without_a_watchdog_of_its_own_a_device_is_told_nothing_unless_that_is_allowed():
    models = (COMMON, (103, INVERTER), (120, NAMEPLATE), (123, CONTROLS | {"WMaxLimPct_RvrtTms": None}))

    async def refused(server, device, places):
        status = await device.instruct(order("h001-pv", setpoint_w=0))
        assert status.status is InstructionState.REJECTED
        assert not [each for each in server.asked if each[1] == 16]

    async def allowed(server, device, places):
        status = await device.instruct(order("h001-pv", setpoint_w=0))
        assert status.status is InstructionState.STARTED

    at(models, "pv", refused)
    at(models, "pv", allowed, without_watchdog=True)


def test_what_the_device_has_not_taken_was_not_done():
    async def test(server, device, places):
        server.frozen.add(40_000 + places[123] + 5)
        status = await device.instruct(order("h001-pv", setpoint_w=-1_000))
        assert status.status is InstructionState.REJECTED
        assert device.health.counts["not taken"] == 1

    at(LEGACY_PV, "pv", test)


@pytest.mark.parametrize(
    ("models", "name"),
    [
        ((COMMON, (103, INVERTER)), "pv"),
        ((COMMON, (103, INVERTER)), "bess"),
        ((COMMON, (203, METER)), "meter"),
    ],
    ids=["no controls", "no storage", "a meter"],
)
def test_what_a_device_has_no_models_for_is_rejected(models, name):
    async def test(server, device, places):
        status = await device.instruct(order(f"h001-{name}", setpoint_w=-1_000))
        assert status.status is InstructionState.REJECTED

    at(models, name, test)


def test_an_instruction_for_another_device_is_rejected_and_nothing_is_written():
    async def test(server, device, places):
        status = await device.instruct(order("h002-pv", setpoint_w=0))
        assert status.status is InstructionState.REJECTED
        assert server.asked == []

    at(LEGACY_PV, "pv", test)
