"""An emulated charge point's side of OCPP 1.6J."""

from collections.abc import Mapping
from typing import Any

from ocpp.v16 import ChargePoint, call, call_result
from ocpp.v16.enums import Action

from environments.devices.ocpp.emulated.charge_point import EmulatedChargePoint, SessionEvent
from environments.devices.ocpp.emulated.connector import EmulatedConnector
from environments.devices.ocpp.emulated.profile_stack import held_profile
from environments.devices.ocpp.link import SILENT, Socket, answers, heard
from environments.devices.ocpp.profiles import Purpose
from environments.wire.frames import iso, seconds_of
from ontology.errors import InvalidInput, Refused

__all__ = ["EmulatedSide16"]

_REASONS = {"EVDisconnected", "Local", "Remote", "DeAuthorized", "PowerLoss"}


class EmulatedSide16(ChargePoint):  # type: ignore[misc]
    """Speaks for an emulated charge point on one connection."""

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
        answer = await self.call(
            call.BootNotification(charge_point_vendor="parity", charge_point_model="emulated"), suppress=False
        )
        self._point.configuration["HeartbeatInterval"] = str(max(1, answer.interval))
        return bool(answer.status == "Accepted")

    async def heartbeat(self) -> None:
        """Say that it is there."""
        await self.call(call.Heartbeat(), suppress=False)

    async def authorise(self, token: str) -> bool:
        """Ask whether a token may charge."""
        answer = await self.call(call.Authorize(id_tag=token), suppress=False)
        return bool(answer.id_tag_info["status"] == "Accepted")

    async def report_status(self, connector: EmulatedConnector) -> None:
        """Tell a connector's state."""
        payload = call.StatusNotification(
            connector_id=connector.number, error_code="NoError", status=connector.status
        )
        await self.call(payload, suppress=False)

    async def deliver(self, event: SessionEvent) -> bool:
        """Tell of a session; what follows a start waits for the number that it is given."""
        session = event.session
        if event.kind == "start":
            answer = await self.call(
                call.StartTransaction(
                    connector_id=session.connector,
                    id_tag=session.token,
                    meter_start=session.meter_start_wh,
                    timestamp=iso(event.time_s),
                ),
                suppress=False,
            )
            session.transaction_id = str(answer.transaction_id)
            return bool(answer.id_tag_info["status"] == "Accepted")
        if event.kind == "meter":
            payload: Any = call.MeterValues(
                connector_id=session.connector,
                meter_value=[_sampled(event)],
                transaction_id=int(session.transaction_id),
            )
        else:
            payload = call.StopTransaction(
                meter_stop=round(event.register_wh),
                timestamp=iso(event.time_s),
                transaction_id=int(session.transaction_id),
                reason=event.reason if event.reason in _REASONS else "Other",
            )
        await self.call(payload, suppress=False)
        return True

    # -- what it is asked ---------------------------------------------------------------------

    @answers(Action.change_configuration)
    def on_change_configuration(self, key: str, value: str, **_: Any) -> Any:
        """Take a setting that it knows."""
        if key in ("MeterValueSampleInterval", "HeartbeatInterval") and not value.isdigit():
            return call_result.ChangeConfiguration(status="Rejected")
        self._point.configuration[key] = value
        return call_result.ChangeConfiguration(status="Accepted")

    @answers(Action.set_charging_profile)
    def on_set_charging_profile(
        self, connector_id: int, cs_charging_profiles: Mapping[str, Any], **_: Any
    ) -> Any:
        """Hold a charging profile, as far as it makes sense here."""
        told, point = cs_charging_profiles, self._point
        try:
            held = held_profile(
                connector_id,
                told,
                told["charging_schedule"],
                int(told["charging_profile_id"]),
                point.settings.phase_v,
            )
            at = point.connectors.get(connector_id)
            if held.purpose is Purpose.SESSION and (at is None or at.session is None):
                raise Refused("no session")
            if held.purpose is Purpose.STATION and connector_id != 0:
                raise Refused("a station's profile is for connector 0")
            point.profiles.put(held)
        except Refused:
            return call_result.SetChargingProfile(status="Rejected")
        return call_result.SetChargingProfile(status="Accepted")

    @answers(Action.clear_charging_profile)
    def on_clear_charging_profile(self, id: int | None = None, **_: Any) -> Any:
        """Let go of a charging profile."""
        cleared = self._point.profiles.clear(id)
        return call_result.ClearChargingProfile(status="Accepted" if cleared else "Unknown")

    @answers(Action.remote_start_transaction)
    def on_remote_start(self, id_tag: str, connector_id: int = 1, **_: Any) -> Any:
        """Begin a session where a vehicle waits."""
        at = self._point.connectors.get(connector_id)
        able = at is not None and at.vehicle is not None and at.session is None
        if able and at is not None:
            self._point.spawn_begin(at, id_tag)
        return call_result.RemoteStartTransaction(status="Accepted" if able else "Rejected")

    @answers(Action.remote_stop_transaction)
    def on_remote_stop(self, transaction_id: int, **_: Any) -> Any:
        """End a session."""
        at = self._point.session_of(str(transaction_id))
        if at is not None:
            self._point.spawn_end(at, "Remote")
        return call_result.RemoteStopTransaction(status="Accepted" if at else "Rejected")

    @answers(Action.reserve_now)
    def on_reserve_now(
        self, connector_id: int, expiry_date: str, id_tag: str, reservation_id: int, **_: Any
    ) -> Any:
        """Keep a connector for a token."""
        at = self._point.connectors.get(connector_id)
        if at is None or at.session is not None:
            return call_result.ReserveNow(status="Occupied" if at else "Rejected")
        try:
            at.reserved = (reservation_id, id_tag, float(seconds_of(expiry_date)))
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
    def on_trigger_message(self, requested_message: str, connector_id: int = 0, **_: Any) -> Any:
        """Tell what the meters say."""
        if requested_message != "MeterValues":
            return call_result.TriggerMessage(status="NotImplemented")
        self._point.spawn_measure(connector_id)
        return call_result.TriggerMessage(status="Accepted")


def _sampled(event: SessionEvent) -> dict[str, Any]:
    values = [
        {"value": f"{event.register_wh:.1f}", "measurand": "Energy.Active.Import.Register", "unit": "Wh"},
        {"value": f"{event.power_w / 1_000:.3f}", "measurand": "Power.Active.Import", "unit": "kW"},
        {"value": f"{event.state_of_charge * 100:.1f}", "measurand": "SoC", "unit": "Percent"},
    ]
    return {"timestamp": iso(event.time_s), "sampled_value": values}
