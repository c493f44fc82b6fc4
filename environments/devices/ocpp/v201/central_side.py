"""The central system's side of OCPP 2.0.1 for one charging station."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from ocpp.exceptions import PropertyConstraintViolationError, SecurityError
from ocpp.v201 import ChargePoint, call, call_result
from ocpp.v201.enums import Action

from environments.devices.ocpp.link import SILENT, Desk, Socket, afterwards, answers, asked, heard
from environments.devices.ocpp.meter_values import samples_in
from environments.devices.ocpp.profiles import Profile, Purpose, schedule_payload
from environments.devices.ocpp.settings import ChargePointSettings
from environments.wire.frames import iso
from ontology.errors import Refused

__all__ = ["CentralSide201"]

_MEASURANDS = ("Energy.Active.Import.Register", "Power.Active.Import", "SoC")
_TOKEN_TYPE = "ISO14443"
_PURPOSES = {Purpose.STATION: "ChargingStationMaxProfile"}


class CentralSide201(ChargePoint):  # type: ignore[misc]
    """Answers a charging station and asks it; what it says goes to its desk. Connectors are EVSEs here."""

    version = "2.0.1"

    def __init__(self, settings: ChargePointSettings, socket: Socket, desk: Desk, answer_s: float) -> None:
        """Serve a connection."""
        super().__init__(settings.identity, socket, response_timeout=answer_s, logger=SILENT)
        self._settings, self._socket, self._desk = settings, socket, desk
        self._ended = asyncio.Event()
        self._remote_starts = 0

    async def listen(self) -> None:
        """Take what the station says until the connection ends."""
        try:
            await heard(self, self._socket, self._desk.count)
        finally:
            self._ended.set()

    # -- what it says -------------------------------------------------------------------------

    @answers(Action.boot_notification)
    def on_boot(self, charging_station: Mapping[str, Any], **_: Any) -> Any:
        """Answer a station that has started; who is not admitted is rejected."""
        admitted = self._desk.boot(
            str(charging_station["vendor_name"]),
            str(charging_station["model"]),
            str(charging_station.get("firmware_version", "")),
        )
        return call_result.BootNotification(
            current_time=self._desk.now(),
            interval=self._desk.heartbeat_s,
            status="Accepted" if admitted else "Rejected",
        )

    @afterwards(Action.boot_notification)
    async def after_boot(self, **_: Any) -> None:
        """Tell it what it is to keep to."""
        await self._desk.settle()

    @answers(Action.heartbeat)
    def on_heartbeat(self, **_: Any) -> Any:
        """Answer with the time."""
        self._desk.is_admitted()
        return call_result.Heartbeat(current_time=self._desk.now())

    @answers(Action.authorize)
    def on_authorize(self, id_token: Mapping[str, Any], **_: Any) -> Any:
        """Tell whether a token may charge."""
        self._admit()
        return call_result.Authorize(id_token_info=self._about(id_token))

    @answers(Action.transaction_event)
    def on_transaction_event(
        self,
        event_type: str,
        timestamp: str,
        seq_no: int,
        transaction_info: Mapping[str, Any],
        **more: Any,
    ) -> Any:
        """Follow a transaction, also where its beginning was never heard of."""
        self._admit()
        transaction_id = str(transaction_info["transaction_id"])
        samples = samples_in(more.get("meter_value") or ())
        token: Mapping[str, Any] = more.get("id_token") or {}
        if event_type == "Started" or not self._desk.knows(transaction_id):
            self._desk.begin(
                self._evse(more.get("evse")),
                timestamp,
                token=str(token.get("id_token", "")),
                origin=transaction_id,
                transaction_id=transaction_id,
                meter_wh=samples[0].energy_wh if samples and event_type == "Started" else None,
            )
        self._desk.measure(transaction_id, 0, samples)
        if event_type == "Ended":
            reason = str(transaction_info.get("stopped_reason", "Local"))
            self._desk.end(transaction_id, timestamp, meter_wh=None, reason=reason)
        return call_result.TransactionEvent(id_token_info=self._about(token) if token else None)

    @answers(Action.meter_values)
    def on_meter_values(self, evse_id: int, meter_value: Sequence[Any], **_: Any) -> Any:
        """Take meter values; those of the whole station are about no session."""
        self._admit()
        if evse_id:
            self._check(evse_id)
            self._desk.measure("", evse_id, samples_in(meter_value))
        return call_result.MeterValues()

    @answers(Action.status_notification)
    def on_status_notification(self, connector_status: str, evse_id: int, **_: Any) -> Any:
        """Note an EVSE's state."""
        self._admit()
        self._desk.report_status(evse_id, connector_status, "")
        return call_result.StatusNotification()

    @answers(Action.notify_ev_charging_needs)
    def on_charging_needs(self, charging_needs: Mapping[str, Any], evse_id: int, **_: Any) -> Any:
        """Take what the vehicle says that it needs, and by when (ISO 15118); the plan follows."""
        self._admit()
        self._check(evse_id)
        wanted = (
            charging_needs.get("ac_charging_parameters") or charging_needs.get("dc_charging_parameters") or {}
        )
        departure, energy_wh = charging_needs.get("departure_time"), wanted.get("energy_amount")
        if departure is None or energy_wh is None:
            return call_result.NotifyEVChargingNeeds(status="Rejected")
        self._desk.wish(evse_id, int(energy_wh), str(departure))
        return call_result.NotifyEVChargingNeeds(status="Processing")

    @answers(Action.notify_ev_charging_schedule)
    def on_charging_schedule(self, **_: Any) -> Any:
        """Take note."""
        return call_result.NotifyEVChargingSchedule(status="Accepted")

    @answers(Action.data_transfer)
    def on_data_transfer(self, **_: Any) -> Any:
        """Know no vendor's own messages."""
        return call_result.DataTransfer(status="UnknownVendorId")

    @answers(Action.security_event_notification)
    def on_security_event(self, **_: Any) -> Any:
        """Count what the station says about its security."""
        self._desk.count("security events")
        return call_result.SecurityEventNotification()

    @answers(Action.firmware_status_notification)
    def on_firmware_status(self, **_: Any) -> Any:
        """Take note."""
        return call_result.FirmwareStatusNotification()

    @answers(Action.log_status_notification)
    def on_log_status(self, **_: Any) -> Any:
        """Take note."""
        return call_result.LogStatusNotification()

    @answers(Action.notify_event)
    def on_event(self, **_: Any) -> Any:
        """Take note."""
        return call_result.NotifyEvent()

    @answers(Action.notify_report)
    def on_report(self, **_: Any) -> Any:
        """Take note."""
        return call_result.NotifyReport()

    @answers(Action.notify_charging_limit)
    def on_charging_limit(self, **_: Any) -> Any:
        """Count that somebody else limits the station."""
        self._desk.count("limits by others")
        return call_result.NotifyChargingLimit()

    @answers(Action.cleared_charging_limit)
    def on_cleared_limit(self, **_: Any) -> Any:
        """Take note."""
        return call_result.ClearedChargingLimit()

    @answers(Action.reservation_status_update)
    def on_reservation_status(self, **_: Any) -> Any:
        """Take note."""
        return call_result.ReservationStatusUpdate()

    # -- what it is asked ---------------------------------------------------------------------

    async def configure(self, meter_every_s: int) -> None:
        """Have it measure energy, power and, where it can, how full the vehicle is."""
        interval = _variable("SampledDataCtrlr", "TxUpdatedInterval", str(meter_every_s))
        await self._change([interval])
        for wanted in (_MEASURANDS, _MEASURANDS[:2], _MEASURANDS[:1]):
            if await self._change([_variable("SampledDataCtrlr", "TxUpdatedMeasurands", ",".join(wanted))]):
                return

    async def set_profile(self, connector: int, profile: Profile, transaction_id: str) -> None:
        """Give it a charging profile."""
        schedule = schedule_payload(profile, self._settings) | {"id": profile.profile_id}
        told: dict[str, Any] = {
            "id": profile.profile_id,
            "stack_level": profile.stack_level,
            "charging_profile_purpose": _PURPOSES.get(profile.purpose, profile.purpose.value),
            "charging_profile_kind": "Relative" if profile.start_s is None else "Absolute",
            "charging_schedule": [schedule],
        }
        if transaction_id:
            told["transaction_id"] = transaction_id
        await self._expect(call.SetChargingProfile(evse_id=connector, charging_profile=told), "Accepted")

    async def clear_profile(self, profile_id: int) -> None:
        """Take a charging profile back."""
        payload = call.ClearChargingProfile(charging_profile_id=profile_id)
        await self._expect(payload, "Accepted", "Unknown")

    async def start_transaction(self, connector: int, token: str) -> None:
        """Start a transaction."""
        self._remote_starts += 1
        payload = call.RequestStartTransaction(
            id_token=_token(token), remote_start_id=self._remote_starts, evse_id=connector
        )
        await self._expect(payload, "Accepted")

    async def stop_transaction(self, transaction_id: str) -> None:
        """Stop a transaction."""
        await self._expect(call.RequestStopTransaction(transaction_id=transaction_id), "Accepted")

    async def reserve(self, connector: int, reservation_id: int, token: str, until_s: int) -> None:
        """Keep an EVSE for a token."""
        payload = call.ReserveNow(
            id=reservation_id, expiry_date_time=iso(until_s), id_token=_token(token), evse_id=connector
        )
        await self._expect(payload, "Accepted")

    async def release(self, reservation_id: int) -> None:
        """Give a reservation back."""
        await self._expect(call.CancelReservation(reservation_id=reservation_id), "Accepted")

    async def ask_meter(self, connector: int) -> None:
        """Ask for meter values now."""
        payload = call.TriggerMessage(requested_message="MeterValues", evse={"id": connector})
        await self._expect(payload, "Accepted")

    # -- inside -------------------------------------------------------------------------------

    async def _change(self, variables: Sequence[Mapping[str, Any]]) -> bool:
        try:
            answer = await asked(self, call.SetVariables(set_variable_data=list(variables)), self._ended)
        except Refused:
            self._desk.count("configuration refused")
            return False
        taken = all(
            each["attribute_status"] in ("Accepted", "RebootRequired") for each in answer.set_variable_result
        )
        if not taken:
            self._desk.count("configuration refused")
        return taken

    async def _expect(self, payload: Any, *accepted: str) -> None:
        """Ask the station.

        Raises: Refused when it answers with anything else, Unavailable when it does not.
        """
        answer = await asked(self, payload, self._ended)
        if answer.status not in accepted:
            raise Refused(f"{self.id}: {type(payload).__name__}: {answer.status}")

    def _about(self, token: Mapping[str, Any]) -> dict[str, str]:
        known = self._desk.is_known(str(token.get("id_token", "")))
        return {"status": "Accepted" if known else "Invalid"}

    def _admit(self) -> None:
        if not self._desk.is_admitted():
            raise SecurityError(details={"cause": "the boot was not accepted"})

    def _evse(self, evse: Mapping[str, Any] | None) -> int:
        """Return which EVSE an event is about: the one it names, or the only one."""
        number = int(evse["id"]) if evse else 1 if len(self._settings.names) == 1 else 0
        self._check(number)
        return number

    def _check(self, evse: int) -> None:
        if not 1 <= evse <= len(self._settings.names):
            raise PropertyConstraintViolationError(details={"cause": f"EVSE {evse} is not known"})


def _token(token: str) -> dict[str, str]:
    return {"id_token": token, "type": _TOKEN_TYPE}


def _variable(component: str, name: str, value: str) -> dict[str, Any]:
    return {"attribute_value": value, "component": {"name": component}, "variable": {"name": name}}
