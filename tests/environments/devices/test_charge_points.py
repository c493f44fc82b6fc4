"""Charge points of both versions on real sockets: sessions, profiles, power cuts, people."""

from contextlib import suppress
from pathlib import Path

import pytest
from ocpp_helpers import DRIVER, TOKEN, Yard, in_yard, instruction, of_kind, until

from environments.devices.ocpp import Rate
from environments.devices.ocpp.emulated import EmulatedVehicle
from environments.devices.ocpp.emulated.profile_stack import HeldProfile
from environments.devices.ocpp.profiles import Purpose
from ontology.charging import ChargingSchedule, EvConnectionEvent, EvDisconnectionEvent, EvSocUpdate
from ontology.control import InstructionState, Priority
from ontology.errors import Refused, Unavailable

both_versions = pytest.mark.parametrize("version", ["1.6", "2.0.1"])


@both_versions
def test_a_session_is_told_from_plugging_in_to_unplugging(version: str, tmp_path: Path) -> None:
    async def act(yard: Yard) -> None:
        point = await yard.point(speed=60.0)
        await yard.charging(point, state_of_charge=0.5)
        (connection,) = of_kind(EvConnectionEvent, await yard.device().percepts())
        assert (connection.asset_id, connection.vehicle) == ("point-1", DRIVER)
        await until(lambda: yard.delivered_wh > 50)
        (progress,) = of_kind(EvSocUpdate, await yard.device().percepts())
        assert progress.session_id == connection.session_id
        assert 0.5 < progress.state_of_charge < 0.6
        assert progress.power_w == pytest.approx(4_200, abs=1)  # what always holds
        point.unplug()
        await until(lambda: yard.station.record.running(1) is None)
        (end,) = of_kind(EvDisconnectionEvent, await yard.device().percepts())
        assert end.energy_delivered_wh == pytest.approx(point.connectors[1].register_wh, abs=1)
        assert await yard.device().percepts() == []
        assert yard.station.health().statuses[1] == "Available"

    in_yard(act, tmp_path, version)


@both_versions
def test_a_set_point_and_a_limit_hold_together(version: str, tmp_path: Path) -> None:
    async def act(yard: Yard) -> None:
        point = await yard.point()
        assert await yard.instruct(setpoint_w=9_000) is InstructionState.REJECTED  # nobody is there
        await yard.charging(point)
        assert await yard.instruct(setpoint_w=9_000) is InstructionState.STARTED
        await until(lambda: point.connectors[1].power_w == 9_000)
        assert await yard.instruct(power_max_w=5_000, priority=Priority.DSO_RED) is InstructionState.STARTED
        await until(lambda: point.connectors[1].power_w == 5_000)
        assert await yard.instruct(setpoint_w=8_000) is InstructionState.STARTED
        assert await yard.instruct(power_max_w=8_000) is InstructionState.REJECTED  # RED is above the market
        await until(lambda: point.connectors[1].power_w == 5_000)
        assert await yard.instruct(mode="auto") is InstructionState.STARTED
        assert point.profiles.limit_w(1, yard.clock.now_s(), 0) == 4_200
        await yard.instruct(power_max_w=0, priority=Priority.DSO_RED)
        assert await yard.instruct(mode="auto") is InstructionState.STARTED
        assert point.profiles.limit_w(1, yard.clock.now_s(), 0) == 0  # RED is not the market's to take back
        assert await yard.instruct(mode="auto", priority=Priority.DSO_RED) is InstructionState.STARTED
        await until(lambda: point.connectors[1].power_w == 4_200)
        assert await yard.instruct(setpoint_w=-2_000) is InstructionState.REJECTED
        assert await yard.instruct(mode="dance") is InstructionState.REJECTED

    in_yard(act, tmp_path, version)


@both_versions
def test_a_whole_day_is_told_in_96_periods(version: str, tmp_path: Path) -> None:
    async def act(yard: Yard) -> None:
        point = await yard.point()
        await yard.charging(point)
        running = yard.station.record.running(1)
        start_s = int(yard.clock.now_s())
        powers = [5_000 + 50 * step for step in range(96)]
        plan = ChargingSchedule(session_id=running.session_id, start_s=start_s, power_w=powers)
        assert await yard.device().follow(plan) is InstructionState.STARTED
        (held,) = [each for each in point.profiles.held if each.purpose is Purpose.SESSION]
        assert len(held.periods) == 96
        assert [each.power_w for each in held.periods] == pytest.approx(powers)
        other = ChargingSchedule(session_id="another", start_s=start_s, power_w=powers)
        assert await yard.device().follow(other) is InstructionState.REJECTED

    in_yard(act, tmp_path, version)


@both_versions
def test_without_a_central_system_the_plan_runs_out_and_what_always_holds_remains(
    version: str, tmp_path: Path
) -> None:
    async def act(yard: Yard) -> None:
        point = await yard.point()
        await yard.charging(point)
        now_s = int(yard.clock.now_s())
        await yard.instruct(setpoint_w=9_000, valid_until_s=now_s + 3)
        await point.cut()
        await until(lambda: point.connectors[1].power_w == 9_000, 2)
        await until(lambda: point.connectors[1].power_w == 4_200, 4)
        with pytest.raises(Unavailable):
            await yard.instruct(setpoint_w=1_000)

    in_yard(act, tmp_path, version)


@both_versions
def test_sessions_that_pass_offline_are_told_later_with_their_own_times(version: str, tmp_path: Path) -> None:
    async def act(yard: Yard) -> None:
        point = await yard.point(speed=60.0)
        await point.cut()
        began_s = yard.clock.now_s()
        point.plug(EmulatedVehicle(), TOKEN)
        await until(lambda: point.connectors[1].register_wh > 20)
        point.unplug()
        ended_s = yard.clock.now_s()
        await yard.clock.sleep_until(ended_s + 1.2)
        assert point.waiting >= 2
        point.restore()
        await until(lambda: not point.waiting and point.is_connected)
        reports = await yard.device().percepts()
        (connection,), (end,) = of_kind(EvConnectionEvent, reports), of_kind(EvDisconnectionEvent, reports)
        assert int(began_s) <= connection.time_s <= end.time_s <= ended_s
        assert end.energy_delivered_wh == pytest.approx(point.connectors[1].register_wh, abs=1)
        assert connection.session_id == end.session_id

    in_yard(act, tmp_path, version)


@both_versions
def test_a_red_limit_that_cannot_be_told_is_told_with_the_next_connection(
    version: str, tmp_path: Path
) -> None:
    async def act(yard: Yard) -> None:
        point = await yard.point()
        await yard.charging(point)
        await point.cut()
        await until(lambda: not yard.station.is_connected)
        with pytest.raises(Unavailable):
            await yard.instruct(power_max_w=0, priority=Priority.DSO_RED)
        point.restore()
        await until(lambda: point.connectors[1].power_w == 0, 9)

    in_yard(act, tmp_path, version)


@both_versions
def test_of_two_connectors_each_keeps_to_its_own_limit(version: str, tmp_path: Path) -> None:
    async def act(yard: Yard) -> None:
        point = await yard.point()
        await yard.charging(point, 1)
        await yard.charging(point, 2)
        await yard.instruct(1, setpoint_w=9_000)
        await yard.instruct(2, setpoint_w=8_000)
        await yard.instruct(1, power_max_w=4_500, priority=Priority.DSO_RED)
        await until(lambda: point.connectors[1].power_w == 4_500)
        await until(lambda: point.connectors[2].power_w == 8_000)

    in_yard(act, tmp_path, version, connectors=2)


@both_versions
def test_a_station_that_takes_no_limit_for_itself_keeps_its_connector_to_it(
    version: str, tmp_path: Path
) -> None:
    async def act(yard: Yard) -> None:
        point = await yard.point()
        put = point.profiles.put

        def put_of_connectors(profile: HeldProfile) -> None:
            if profile.purpose is Purpose.STATION:
                raise Refused("not supported")
            put(profile)

        point.profiles.put = put_of_connectors  # type: ignore[method-assign]
        await yard.charging(point)
        await yard.instruct(setpoint_w=9_000)
        told = await yard.instruct(power_max_w=4_150, priority=Priority.DSO_RED)
        assert told is InstructionState.STARTED
        await until(lambda: point.connectors[1].power_w == 4_150)
        await yard.instruct(mode="stop")
        await until(lambda: point.connectors[1].session is None)
        assert point.profiles.limit_w(1, yard.clock.now_s(), 0) == 4_150  # whoever comes next

    in_yard(act, tmp_path, version)


@both_versions
def test_amperes_are_told_where_a_charge_point_wants_them(version: str, tmp_path: Path) -> None:
    async def act(yard: Yard) -> None:
        point = await yard.point()
        await yard.charging(point)
        await yard.instruct(setpoint_w=7_000)  # 10.14 A a phase
        await until(lambda: point.connectors[1].power_w == pytest.approx(10.1 * 690))

    in_yard(act, tmp_path, version, rate=Rate.AMPERES)


@both_versions
def test_sessions_are_started_and_stopped_from_afar_and_connectors_reserved(
    version: str, tmp_path: Path
) -> None:
    async def act(yard: Yard) -> None:
        point = await yard.point()
        now_s = int(yard.clock.now_s())
        reservation = await yard.device().reserve("CARD-9", now_s + 60)
        point.plug(EmulatedVehicle())
        await yard.instruct(mode="start")
        await yard.clock.sleep_until(yard.clock.now_s() + 0.3)
        assert yard.station.record.running(1) is None  # it is kept for another
        await yard.device().release(reservation)
        with pytest.raises(Refused):
            await yard.device().release(reservation)
        assert await yard.instruct(mode="start") is InstructionState.STARTED
        await until(lambda: yard.station.record.running(1))
        assert await yard.instruct(mode="stop") is InstructionState.STARTED
        await until(lambda: yard.station.record.running(1) is None)
        reports = await yard.device().percepts()
        assert of_kind(EvDisconnectionEvent, reports)[0].reason == "Remote"

    in_yard(act, tmp_path, version)


@both_versions
def test_an_unknown_token_does_not_charge_and_offline_is_stopped_when_it_is_heard_of(
    version: str, tmp_path: Path
) -> None:
    async def act(yard: Yard) -> None:
        point = await yard.point()
        point.plug(EmulatedVehicle(), "CARD-X")
        await until(lambda: point.counts["tokens refused"])
        assert yard.station.record.running(1) is None
        point.unplug()
        await point.cut()
        point.plug(EmulatedVehicle(), "CARD-X")
        await until(lambda: point.connectors[1].session)
        point.restore()
        await until(lambda: point.counts["tokens refused"] == 2 and not point.waiting)
        assert point.connectors[1].session is None
        (end,) = of_kind(EvDisconnectionEvent, await yard.device().percepts())
        assert end.reason == "DeAuthorized"

    in_yard(act, tmp_path, version)


@both_versions
def test_a_central_system_that_starts_anew_goes_on_with_the_session(version: str, tmp_path: Path) -> None:
    async def act(yard: Yard) -> None:
        point = await yard.point(speed=60.0)
        await yard.charging(point)
        (connection,) = of_kind(EvConnectionEvent, await yard.device().percepts())
        port = yard.central.port
        await yard.central.close()
        before_wh = point.connectors[1].register_wh
        await until(lambda: point.connectors[1].register_wh > before_wh + 50)
        await yard.open(port)
        told = of_kind(EvConnectionEvent, await yard.device().percepts())
        assert told == [connection]  # nobody asked again before the end: told twice rather than never
        await until(lambda: yard.station.is_connected and not point.waiting)
        point.unplug()
        await until(lambda: yard.station.record.running(1) is None)
        reports = await yard.device().percepts()
        (end,) = of_kind(EvDisconnectionEvent, reports)
        assert of_kind(EvConnectionEvent, reports) == []
        assert end.session_id == connection.session_id
        assert end.energy_delivered_wh == pytest.approx(point.connectors[1].register_wh, abs=1)

    in_yard(act, tmp_path, version)


@both_versions
def test_a_storm_of_connections_leaves_one_and_the_session(version: str, tmp_path: Path) -> None:
    async def act(yard: Yard) -> None:
        point = await yard.point()
        await yard.charging(point)
        for _ in range(30):
            await point.cut()
            point.restore()
            await until(lambda: point.is_connected)
        with suppress(Unavailable):  # then it is told again by itself
            await yard.instruct(setpoint_w=9_000)
        await until(lambda: point.connectors[1].power_w == 9_000)
        assert len(of_kind(EvConnectionEvent, await yard.device().percepts())) == 1

    in_yard(act, tmp_path, version)


def test_an_instruction_that_is_over_is_refused(tmp_path: Path) -> None:
    async def act(yard: Yard) -> None:
        old = instruction("point-1", yard.clock.now_s() - 3_600, power_max_w=5_000)
        assert (await yard.device().instruct(old)).status is InstructionState.REJECTED

    in_yard(act, tmp_path, "1.6")
