"""An emulated charging station's side of OCPP 2.0.1."""

from collections.abc import Mapping, Sequence
from typing import Any

from ocpp.v201 import ChargePoint, call, call_result
from ocpp.v201.enums import Action

from environments.devices.ocpp.emulated.charge_point import EmulatedChargePoint, SessionEvent
from environments.devices.ocpp.emulated.connector import EmulatedConnector
from environments.devices.ocpp.emulated.profile_stack import held_profile
from environments.devices.ocpp.link import SILENT, Socket, answers, heard
from environments.devices.ocpp.profiles import Purpose
from environments.wire.frames import iso, seconds_of
from ontology.errors import InvalidInput, Refused

__all__ = ["EmulatedSide201"]

_KINDS = {"start": "Started", "meter": "Updated", "stop": "Ended"}
_TRIGGERS = {"start": "Authorized", "meter": "MeterValuePeriodic", "stop": "EVDeparted"}
_SETTINGS = {"TxUpdatedInterval": "MeterValueSampleInterval", "TxUpdatedMeasurands": "MeterValuesSampledData"}


class EmulatedSide201(ChargePoint):  # type: ignore[misc]
    """Speaks for an emulated charging station on one connection."""

    def __init__(self, point: EmulatedChargePoint, socket: Socket) -> None:
        """Speak on a connection."""
        super().__init__(point.settings.identity, socket, response_timeout=10, logger=SILENT)
        self._point, self._socket = point, socket

    async def listen(self) -> None:
        """Answer the central system until the connection ends."""
        await heard(self, self._socket, lambda what: self._point.counts.update([what]))

    # -- what it says -------------------------------------------------------------------------

    async def boot(self) -> bool:
        """Say that it has started."""
        station = {"vendor_name": "parity", "model": "emulated"}
        answer = await self.call(
            call.BootNotification(charging_station=station, reason="PowerUp"), suppress=False
        )
        self._point.configuration["HeartbeatInterval"] = str(max(1, answer.interval))
        return bool(answer.status == "Accepted")

    async def heartbeat(self) -> None:
        """Say that it is there."""
        await self.call(call.Heartbeat(), suppress=False)

    async def authorise(self, token: str) -> bool:
        """Ask whether a token may charge."""
        answer = await self.call(call.Authorize(id_token=_token(token)), suppress=False)
        return bool(answer.id_token_info["status"] == "Accepted")

    async def report_status(self, connector: EmulatedConnector) -> None:
        """Tell an EVSE's state."""
        status = connector.status if connector.status in ("Available", "Reserved") else "Occupied"
        payload = call.StatusNotification(
            timestamp=iso(self._point.clock.now_s()),
            connector_status=status,
            evse_id=connector.number,
            connector_id=1,
        )
        await self.call(payload, suppress=False)

    async def deliver(self, event: SessionEvent) -> bool:
        """Tell of a session."""
        session = event.session
        about: dict[str, Any] = {"transaction_id": session.transaction_id}
        if event.kind == "stop":
            about["stopped_reason"] = event.reason
        answer = await self.call(
            call.TransactionEvent(
                event_type=_KINDS[event.kind],
                timestamp=iso(event.time_s),
                trigger_reason=_TRIGGERS[event.kind],
                seq_no=event.sequence,
                transaction_info=about,
                meter_value=[_sampled(event)],
                offline=event.offline,
                evse={"id": session.connector, "connector_id": 1},
                id_token=_token(session.token) if event.kind == "start" else None,
            ),
            suppress=False,
        )
        return bool((answer.id_token_info or {"status": "Accepted"})["status"] == "Accepted")

    # -- what it is asked ---------------------------------------------------------------------

    @answers(Action.set_variables)
    def on_set_variables(self, set_variable_data: Sequence[Mapping[str, Any]], **_: Any) -> Any:
        """Take the settings that it knows."""
        results = []
        for each in set_variable_data:
            name = _SETTINGS.get(each["variable"]["name"])
            if name is not None:
                self._point.configuration[name] = each["attribute_value"]
            status = "Accepted" if name else "UnknownVariable"
            results.append(
                {"attribute_status": status, "component": each["component"], "variable": each["variable"]}
            )
        return call_result.SetVariables(set_variable_result=results)

    @answers(Action.set_charging_profile)
    def on_set_charging_profile(self, evse_id: int, charging_profile: Mapping[str, Any], **_: Any) -> Any:
        """Hold a charging profile, as far as it makes sense here."""
        told, point = charging_profile, self._point
        try:
            held = held_profile(
                evse_id, told, told["charging_schedule"][0], int(told["id"]), point.settings.phase_v
            )
            at = point.connectors.get(evse_id)
            running = at.session.transaction_id if at is not None and at.session is not None else None
            if held.purpose is Purpose.SESSION and held.transaction_id != running:
                raise Refused("no such session")
            if held.purpose is Purpose.STATION and evse_id != 0:
                raise Refused("a station's profile is for EVSE 0")
            point.profiles.put(held)
        except Refused:
            return call_result.SetChargingProfile(status="Rejected")
        return call_result.SetChargingProfile(status="Accepted")

    @answers(Action.clear_charging_profile)
    def on_clear_charging_profile(self, charging_profile_id: int | None = None, **_: Any) -> Any:
        """Let go of a charging profile."""
        cleared = self._point.profiles.clear(charging_profile_id)
        return call_result.ClearChargingProfile(status="Accepted" if cleared else "Unknown")

    @answers(Action.request_start_transaction)
    def on_request_start(self, id_token: Mapping[str, Any], evse_id: int = 1, **_: Any) -> Any:
        """Begin a session where a vehicle waits."""
        at = self._point.connectors.get(evse_id)
        able = at is not None and at.vehicle is not None and at.session is None
        if able and at is not None:
            self._point.spawn_begin(at, id_token["id_token"])
        return call_result.RequestStartTransaction(status="Accepted" if able else "Rejected")

    @answers(Action.request_stop_transaction)
    def on_request_stop(self, transaction_id: str, **_: Any) -> Any:
        """End a session."""
        at = self._point.session_of(transaction_id)
        if at is not None:
            self._point.spawn_end(at, "Remote")
        return call_result.RequestStopTransaction(status="Accepted" if at else "Rejected")

    @answers(Action.reserve_now)
    def on_reserve_now(
        self, id: int, expiry_date_time: str, id_token: Mapping[str, Any], evse_id: int = 1, **_: Any
    ) -> Any:
        """Keep an EVSE for a token."""
        at = self._point.connectors.get(evse_id)
        if at is None or at.session is not None:
            return call_result.ReserveNow(status="Occupied" if at else "Rejected")
        try:
            at.reserved = (id, id_token["id_token"], float(seconds_of(expiry_date_time)))
        except InvalidInput:
            return call_result.ReserveNow(status="Rejected")
        return call_result.ReserveNow(status="Accepted")

    @answers(Action.cancel_reservation)
    def on_cancel_reservation(self, reservation_id: int, **_: Any) -> Any:
        """Let go of a reservation."""
        for at in self._point.connectors.values():
            if at.reserved is not None and at.reserved[0] == reservation_id:
                at.reserved = None
                return call_result.CancelReservation(status="Accepted")
        return call_result.CancelReservation(status="Rejected")

    @answers(Action.trigger_message)
    def on_trigger_message(self, requested_message: str, **more: Any) -> Any:
        """Tell what the meters say."""
        if requested_message != "MeterValues":
            return call_result.TriggerMessage(status="NotImplemented")
        evse = more.get("evse") or {}
        self._point.spawn_measure(int(evse.get("id", 0)))
        return call_result.TriggerMessage(status="Accepted")


def _token(token: str) -> dict[str, str]:
    return {"id_token": token, "type": "ISO14443"}


def _sampled(event: SessionEvent) -> dict[str, Any]:
    values = [
        {
            "value": round(event.register_wh / 1_000, 4),
            "measurand": "Energy.Active.Import.Register",
            "unit_of_measure": {"unit": "Wh", "multiplier": 3},
        },
        {"value": event.power_w, "measurand": "Power.Active.Import", "unit_of_measure": {"unit": "W"}},
        {"value": round(event.state_of_charge * 100, 1), "measurand": "SoC"},
    ]
    return {"timestamp": iso(event.time_s), "sampled_value": values}
