"""Who is let in to the central system, and what it makes of messages that are amiss, sent twice or late."""

import asyncio
import base64
import json
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from ocpp_helpers import DRIVER, PASSWORD, TOKEN, Yard, in_yard, of_kind, until
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from environments.devices.ocpp import CentralSystem, CentralSystemSettings, ChargePointSettings
from environments.live.certificates import issue_certificate
from environments.repository.agent_store import MemoryAgentStore, SqliteAgentStore
from environments.simulation.clock import WallClock
from environments.wire.frames import iso
from ontology.charging import EvConnectionEvent, EvDisconnectionEvent, EvSocUpdate, EvUserInput
from ontology.control import Priority
from ontology.errors import InvalidInput, Unavailable


class Raw:
    """A charge point by hand: messages as they are on the wire."""

    def __init__(self, socket: ClientConnection, yard: Yard) -> None:
        self.socket, self.yard = socket, yard
        self._number = 0

    async def call(self, action: str, **payload: Any) -> Any:
        """Call, answer whatever is asked meanwhile with Accepted, and return the answer's last part."""
        self._number += 1
        await self.socket.send(json.dumps([2, str(self._number), action, payload]))
        while True:
            message = json.loads(await asyncio.wait_for(self.socket.recv(), 8))
            if message[0] == 2:
                answer: Any = {"status": "Accepted"}
                await self.socket.send(json.dumps([3, message[1], answer]))
            elif message[1] == str(self._number):
                return message[2]

    async def start(self, timestamp: str, meter_wh: int = 0, token: str = TOKEN) -> int:
        answer = await self.call(
            "StartTransaction", connectorId=1, idTag=token, meterStart=meter_wh, timestamp=timestamp
        )
        return int(answer["transactionId"])

    async def meter(self, transaction_id: int, timestamp: str, value: str, unit: str = "Wh") -> None:
        sampled = [{"value": value, "unit": unit}]
        await self.call(
            "MeterValues",
            connectorId=1,
            transactionId=transaction_id,
            meterValue=[{"timestamp": timestamp, "sampledValue": sampled}],
        )

    async def stop(self, transaction_id: int, timestamp: str, meter_wh: int) -> None:
        await self.call(
            "StopTransaction", transactionId=transaction_id, timestamp=timestamp, meterStop=meter_wh
        )


def connected(
    yard: Yard, identity: str = "CP-1", password: str = PASSWORD, name: str = "", **options: Any
) -> Any:
    login = base64.b64encode(f"{name or identity}:{password}".encode()).decode()
    given: dict[str, Any] = {
        "subprotocols": ["ocpp1.6"],
        "additional_headers": {"Authorization": f"Basic {login}"},
        "proxy": None,
    }
    return connect(f"{yard.central.url}/{identity}", **(given | options))


def by_hand(
    act: Callable[[Raw], Awaitable[None]], folder: Path, version: str = "1.6", **changes: Any
) -> None:
    async def main(yard: Yard) -> None:
        async with connected(yard, subprotocols=[f"ocpp{version}"]) as socket:
            await act(Raw(socket, yard))

    in_yard(main, folder, version, **changes)


# -- who is let in ------------------------------------------------------------------------------


def test_who_is_unknown_or_has_another_password_is_turned_away_and_counted(tmp_path: Path) -> None:
    async def act(yard: Yard) -> None:
        async def status(**login: Any) -> int:
            with pytest.raises(InvalidStatus) as turned_away:
                await connected(yard, **login)
            return turned_away.value.response.status_code

        attempts = [
            status(identity="CP-9"),
            status(password="another-password-here"),
            status(name="CP-9"),
            status(additional_headers={}),
            status(additional_headers={"Authorization": "Basic ???"}),
        ]
        assert await asyncio.gather(*attempts) == [404, 401, 401, 401, 401]
        assert yard.central.counts == {"unknown charge points": 1, "wrong passwords": 4}
        assert not yard.station.is_connected
        with pytest.raises(Unavailable):
            await yard.device().percepts()

    in_yard(act, tmp_path, "1.6")


def test_who_speaks_no_version_that_is_spoken_here_is_turned_away(tmp_path: Path) -> None:
    async def act(yard: Yard) -> None:
        with pytest.raises(InvalidStatus):
            await connected(yard, subprotocols=["ocpp1.5"])

    in_yard(act, tmp_path, "1.6")


def test_who_is_not_admitted_is_rejected_and_begins_no_transaction(tmp_path: Path) -> None:
    async def act(point: Raw) -> None:
        boot = await point.call("BootNotification", chargePointVendor="v", chargePointModel="m")
        assert boot["status"] == "Rejected"
        answer = await point.call(
            "StartTransaction", connectorId=1, idTag=TOKEN, meterStart=0, timestamp="2026-01-01T00:00:00Z"
        )
        assert answer == "SecurityError"
        assert point.yard.station.record.running(1) is None

    by_hand(act, tmp_path, admitted=False)


def test_in_security_profile_2_a_charge_point_checks_the_certificate(tmp_path: Path) -> None:
    ca_file = issue_certificate(tmp_path, "localhost")
    tls = {
        "security_profile": 2,
        "host": "localhost",
        "certificate": str(tmp_path / "localhost_cert.pem"),
        "key": str(tmp_path / "localhost_key.pem"),
    }

    async def act(yard: Yard) -> None:
        assert yard.central.url.startswith("wss://")
        stranger = yard.absent_point(trust=ssl.create_default_context())
        await until(lambda: yard.clock.now_s() and stranger.failures > 1)
        assert not yard.station.is_connected
        point = await yard.point(trust=ssl.create_default_context(cafile=str(ca_file)))
        await yard.charging(point)

    in_yard(act, tmp_path, "2.0.1", **tls)


def test_settings_that_are_wrong_are_told_all_at_once(tmp_path: Path) -> None:
    (tmp_path / "open").write_text("a-password-that-all-may-read")
    (tmp_path / "open").chmod(0o644)
    point = ChargePointSettings(
        identity="CP 1", password_file=str(tmp_path / "open"), fallback_w=99_000, phases=4, names=("a", "a")
    )
    settings = CentralSystemSettings(charge_points=(point,), port=99_999)
    with pytest.raises(InvalidInput) as wrong:
        CentralSystem(settings, MemoryAgentStore(), WallClock())
    paths = {each.path for each in wrong.value.problems}
    assert paths >= {
        "port",
        "certificate",
        "tokens",
        str(tmp_path / "open"),
        "charge_points[0].identity",
        "charge_points[0].fallback_w",
        "charge_points[0].phases",
        "charge_points.names",
    }


# -- messages that are amiss ----------------------------------------------------------------------

MALFORMED = [
    "",
    "no json",
    "{}",
    "[]",
    "[2]",
    "[9, 1, 2]",
    '[2, "1", {"a": 1}, {}]',
    '[2, "1", "Heartbeat", []]',
    '[2, "1", "Heartbeat", null]',
    "[" * 5_000,
    b"\xff\xfe",
]


def test_what_cannot_be_read_is_counted_and_disturbs_nothing(tmp_path: Path) -> None:
    async def act(point: Raw) -> None:
        for message in MALFORMED:
            await point.socket.send(message)
        assert "currentTime" in await point.call("Heartbeat")
        assert point.yard.station.counts["messages malformed"] == len(MALFORMED)

    by_hand(act, tmp_path)


def test_who_sends_nothing_that_can_be_read_is_disconnected(tmp_path: Path) -> None:
    async def act(point: Raw) -> None:
        for _ in range(20):
            await point.socket.send("no json")
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(point.socket.recv(), 5)
        await until(lambda: not point.yard.station.is_connected)

    by_hand(act, tmp_path)


def test_what_breaks_the_schema_or_is_not_known_is_answered_with_an_error(tmp_path: Path) -> None:
    async def act(point: Raw) -> None:
        assert await point.call("BootNotification", chargePointVendor="v") == "ProtocolError"
        assert await point.call("Dance") == "NotSupported"
        assert await point.call("StartTransaction", connectorId="one") in (
            "ProtocolError",
            "TypeConstraintViolation",
        )
        answer = await point.call(
            "StartTransaction", connectorId=7, idTag=TOKEN, meterStart=0, timestamp="2026-01-01T00:00:00Z"
        )
        assert answer == "PropertyConstraintViolation"

    by_hand(act, tmp_path)


def test_who_does_not_answer_is_waited_for_once_and_told_what_holds_when_it_does(tmp_path: Path) -> None:
    async def act(yard: Yard) -> None:
        limits = list[float]()
        async with connected(yard) as socket:
            await until(lambda: yard.station.is_connected)
            for limit_w, why in ((5_000, "no answer"), (6_000, "as soon as"), (7_000, "as soon as")):
                with pytest.raises(Unavailable, match=why):
                    await yard.instruct(power_max_w=limit_w, priority=Priority.DSO_RED)
            while not limits or limits[-1] != 7_000:
                message = json.loads(await asyncio.wait_for(socket.recv(), 8))
                await socket.send(json.dumps([3, message[1], {"status": "Accepted"}]))
                profile = message[3].get("csChargingProfiles", {})
                if profile.get("stackLevel") == 1:
                    (period,) = profile["chargingSchedule"]["chargingSchedulePeriod"]
                    limits.append(period["limit"])
            await until(lambda: not yard.station.health().untold)

    in_yard(act, tmp_path, "1.6", answer_s=0.3)


# -- sent twice, late or odd ----------------------------------------------------------------------


def test_a_start_and_a_stop_that_are_sent_again_are_one_session(tmp_path: Path) -> None:
    async def act(point: Raw) -> None:
        now_s = point.yard.clock.now_s()
        began, ended = iso(now_s - 600), iso(now_s)
        first = await point.start(began, 100)
        assert await point.start(began, 100) == first
        await point.stop(first, ended, 1_100)
        await point.stop(first, ended, 1_100)
        assert await point.start(began, 100) == first  # also when it is over
        assert point.yard.station.record.running(1) is None
        reports = await point.yard.device().percepts()
        assert [type(each) for each in reports] == [EvConnectionEvent, EvSocUpdate, EvDisconnectionEvent]
        assert of_kind(EvDisconnectionEvent, reports)[0].energy_delivered_wh == 1_000
        assert point.yard.station.counts["stops repeated"] == 1

    by_hand(act, tmp_path)


def test_the_store_forgets_nothing_that_was_answered(tmp_path: Path) -> None:
    store = SqliteAgentStore(tmp_path / "agents.sqlite")

    async def act(yard: Yard) -> None:
        yard.store = store  # type: ignore[assignment]
        await yard.central.close()
        await yard.open()
        async with connected(yard) as socket:
            given = await Raw(socket, yard).start(iso(yard.clock.now_s()))
        await yard.central.close()
        await yard.open()
        async with connected(yard) as socket:
            point = Raw(socket, yard)
            await point.stop(given, iso(yard.clock.now_s()), 500)
            assert await point.start(iso(yard.clock.now_s() + 1)) > given
        (end,) = of_kind(EvDisconnectionEvent, await yard.device().percepts())
        assert end.energy_delivered_wh == 500

    in_yard(act, tmp_path, "1.6")
    store.close()


def test_meter_values_in_any_unit_late_and_after_a_reset_add_up(tmp_path: Path) -> None:
    async def act(point: Raw) -> None:
        now_s = point.yard.clock.now_s()
        given = await point.start(iso(now_s - 3_600), 5_000)
        await point.meter(given, iso(now_s - 3_000), "6.5", "kWh")
        assert point.yard.delivered_wh == 1_500
        await point.meter(given, iso(now_s - 3_300), "5500")  # late: nothing new
        assert point.yard.delivered_wh == 1_500
        await point.meter(given, iso(now_s - 2_000), "300.4")  # begun anew
        assert point.yard.delivered_wh == 1_800
        await point.meter(given, iso(now_s - 1_000), "not a number")
        await point.stop(given, iso(now_s), 1_300)
        (end,) = of_kind(EvDisconnectionEvent, await point.yard.device().percepts())
        assert end.energy_delivered_wh == 2_800
        assert point.yard.station.counts["registers begun anew"] == 1

    by_hand(act, tmp_path)


@pytest.mark.parametrize("timestamp", ["1970-01-01T00:00:00Z", "2099-01-01T00:00:00Z", "yesterday"])
def test_a_clock_that_cannot_be_right_does_not_date_a_session(timestamp: str, tmp_path: Path) -> None:
    async def act(point: Raw) -> None:
        await point.start(timestamp)
        (connection,) = of_kind(EvConnectionEvent, await point.yard.device().percepts())
        assert connection.time_s == pytest.approx(point.yard.clock.now_s(), abs=3)

    by_hand(act, tmp_path)


def test_a_new_start_ends_a_session_whose_stop_was_lost(tmp_path: Path) -> None:
    async def act(point: Raw) -> None:
        now_s = point.yard.clock.now_s()
        first = await point.start(iso(now_s - 600))
        await point.meter(first, iso(now_s - 300), "700")
        await point.start(iso(now_s), 900, token="CARD-2")
        reports = await point.yard.device().percepts()
        (end,) = of_kind(EvDisconnectionEvent, reports)
        assert (end.energy_delivered_wh, end.reason) == (700, "superseded")
        first_vehicle, second_vehicle = [each.vehicle for each in of_kind(EvConnectionEvent, reports)]
        assert first_vehicle == DRIVER
        assert second_vehicle.startswith("CP-1-")  # not known here

    by_hand(act, tmp_path)


def test_a_session_of_2_0_1_is_known_by_any_of_its_events_and_says_what_the_vehicle_needs(
    tmp_path: Path,
) -> None:
    async def act(point: Raw) -> None:
        now_s = point.yard.clock.now_s()

        async def event(kind: str, number: int, wh: float) -> None:
            await point.call(
                "TransactionEvent",
                eventType=kind,
                timestamp=iso(now_s),
                triggerReason="MeterValuePeriodic",
                seqNo=number,
                transactionInfo={"transactionId": "t-1"},
                meterValue=[{"timestamp": iso(now_s), "sampledValue": [{"value": wh}]}],
            )

        await event("Updated", 3, 100.0)  # what was before it is lost
        needs = {"energyAmount": 9_000, "evMinCurrent": 6, "evMaxCurrent": 16, "evMaxVoltage": 400}
        answer = await point.call(
            "NotifyEVChargingNeeds",
            evseId=1,
            chargingNeeds={
                "requestedEnergyTransfer": "AC_three_phase",
                "departureTime": iso(now_s + 7_200),
                "acChargingParameters": needs,
            },
        )
        assert answer["status"] == "Processing"
        for _ in range(2):
            await event("Ended", 4, 600.0)
        reports = await point.yard.device().percepts()
        (wish,) = of_kind(EvUserInput, reports)
        assert (wish.requested_energy_wh, wish.departure_s) == (9_000, int(now_s + 7_200))
        (end,) = of_kind(EvDisconnectionEvent, reports)
        assert (end.session_id, end.energy_delivered_wh) == ("CP-1-t-1", 500)

    by_hand(act, tmp_path, "2.0.1")
