"""The central system's side of OCPP 1.6J for one charge point."""

import asyncio
from collections.abc import Sequence
from typing import Any

from ocpp.exceptions import PropertyConstraintViolationError, SecurityError
from ocpp.v16 import ChargePoint, call, call_result
from ocpp.v16.enums import Action

from environments.devices.ocpp.link import SILENT, Desk, Socket, afterwards, answers, asked, heard
from environments.devices.ocpp.meter_values import samples_in
from environments.devices.ocpp.profiles import Profile, schedule_payload
from environments.devices.ocpp.settings import ChargePointSettings
from environments.wire.frames import iso
from ontology.errors import Refused

__all__ = ["CentralSide16"]

_MEASURANDS = ("Energy.Active.Import.Register", "Power.Active.Import", "SoC")


class CentralSide16(ChargePoint):  # type: ignore[misc]
    """Answers a charge point and asks it; what it says goes to its desk."""

    version = "1.6"

    def __init__(self, settings: ChargePointSettings, socket: Socket, desk: Desk, answer_s: float) -> None:
        """Serve a connection."""
        super().__init__(settings.identity, socket, response_timeout=answer_s, logger=SILENT)
        self._settings, self._socket, self._desk = settings, socket, desk
        self._ended = asyncio.Event()

    async def listen(self) -> None:
        """Take what the charge point says until the connection ends."""
        try:
            await heard(self, self._socket, self._desk.count)
        finally:
            self._ended.set()

    # -- what it says -------------------------------------------------------------------------

    @answers(Action.boot_notification)
    def on_boot(self, charge_point_vendor: str, charge_point_model: str, **more: Any) -> Any:
        """Answer a charge point that has started; who is not admitted is rejected."""
        admitted = self._desk.boot(
            charge_point_vendor, charge_point_model, str(more.get("firmware_version", ""))
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
    def on_authorize(self, id_tag: str, **_: Any) -> Any:
        """Tell whether a token may charge."""
        self._admit()
        return call_result.Authorize(id_tag_info=self._about(id_tag))

    @answers(Action.start_transaction)
    def on_start_transaction(
        self, connector_id: int, id_tag: str, meter_start: int, timestamp: str, **_: Any
    ) -> Any:
        """Begin a transaction; one that began offline is written down whoever it is for."""
        self._admit()
        self._check(connector_id)
        given = self._desk.begin(
            connector_id,
            timestamp,
            token=id_tag,
            origin=f"{connector_id} {id_tag.upper()} {meter_start} {timestamp}",
            transaction_id="",
            meter_wh=float(meter_start),
        )
        return call_result.StartTransaction(transaction_id=int(given), id_tag_info=self._about(id_tag))

    @answers(Action.stop_transaction)
    def on_stop_transaction(self, transaction_id: int, meter_stop: int, timestamp: str, **more: Any) -> Any:
        """End a transaction."""
        self._admit()
        samples = samples_in(more.get("transaction_data") or ())
        self._desk.measure(str(transaction_id), 0, samples)
        self._desk.end(
            str(transaction_id),
            timestamp,
            meter_wh=float(meter_stop),
            reason=str(more.get("reason", "Local")),
        )
        token = more.get("id_tag")
        return call_result.StopTransaction(id_tag_info=self._about(token) if token else None)

    @answers(Action.meter_values)
    def on_meter_values(self, connector_id: int, meter_value: Sequence[Any], **more: Any) -> Any:
        """Take meter values; those of the whole charge point are about no session."""
        self._admit()
        if connector_id:
            self._check(connector_id)
            transaction = more.get("transaction_id")
            known = "" if transaction is None else str(transaction)
            self._desk.measure(known, connector_id, samples_in(meter_value))
        return call_result.MeterValues()

    @answers(Action.status_notification)
    def on_status_notification(self, connector_id: int, error_code: str, status: str, **_: Any) -> Any:
        """Note a connector's state."""
        self._admit()
        self._desk.report_status(connector_id, status, "" if error_code == "NoError" else error_code)
        return call_result.StatusNotification()

    @answers(Action.data_transfer)
    def on_data_transfer(self, **_: Any) -> Any:
        """Know no vendor's own messages."""
        return call_result.DataTransfer(status="UnknownVendorId")

    @answers(Action.firmware_status_notification)
    def on_firmware_status(self, **_: Any) -> Any:
        """Take note."""
        return call_result.FirmwareStatusNotification()

    @answers(Action.diagnostics_status_notification)
    def on_diagnostics_status(self, **_: Any) -> Any:
        """Take note."""
        return call_result.DiagnosticsStatusNotification()

    @answers(Action.security_event_notification)
    def on_security_event(self, **_: Any) -> Any:
        """Count what the charge point says about its security."""
        self._desk.count("security events")
        return call_result.SecurityEventNotification()

    # -- what it is asked ---------------------------------------------------------------------

    async def configure(self, meter_every_s: int) -> None:
        """Have it measure energy, power and, where it can, how full the vehicle is."""
        await self._change("MeterValueSampleInterval", str(meter_every_s))
        for wanted in (_MEASURANDS, _MEASURANDS[:2], _MEASURANDS[:1]):
            if await self._change("MeterValuesSampledData", ",".join(wanted)):
                return

    async def set_profile(self, connector: int, profile: Profile, transaction_id: str) -> None:
        """Give it a charging profile."""
        told: dict[str, Any] = {
            "charging_profile_id": profile.profile_id,
            "stack_level": profile.stack_level,
            "charging_profile_purpose": profile.purpose.value,
            "charging_profile_kind": "Relative" if profile.start_s is None else "Absolute",
            "charging_schedule": schedule_payload(profile, self._settings),
        }
        if transaction_id:
            told["transaction_id"] = int(transaction_id)
        payload = call.SetChargingProfile(connector_id=connector, cs_charging_profiles=told)
        await self._expect(payload, "Accepted")

    async def clear_profile(self, profile_id: int) -> None:
        """Take a charging profile back."""
        await self._expect(call.ClearChargingProfile(id=profile_id), "Accepted", "Unknown")

    async def start_transaction(self, connector: int, token: str) -> None:
        """Start a transaction."""
        payload = call.RemoteStartTransaction(id_tag=token, connector_id=connector)
        await self._expect(payload, "Accepted")

    async def stop_transaction(self, transaction_id: str) -> None:
        """Stop a transaction."""
        await self._expect(call.RemoteStopTransaction(transaction_id=int(transaction_id)), "Accepted")

    async def reserve(self, connector: int, reservation_id: int, token: str, until_s: int) -> None:
        """Keep a connector for a token."""
        payload = call.ReserveNow(
            connector_id=connector, expiry_date=iso(until_s), id_tag=token, reservation_id=reservation_id
        )
        await self._expect(payload, "Accepted")

    async def release(self, reservation_id: int) -> None:
        """Give a reservation back."""
        await self._expect(call.CancelReservation(reservation_id=reservation_id), "Accepted")

    async def ask_meter(self, connector: int) -> None:
        """Ask for meter values now."""
        payload = call.TriggerMessage(requested_message="MeterValues", connector_id=connector)
        await self._expect(payload, "Accepted")

    # -- inside -------------------------------------------------------------------------------

    async def _change(self, key: str, value: str) -> bool:
        try:
            payload = call.ChangeConfiguration(key=key, value=value)
            await self._expect(payload, "Accepted", "RebootRequired")
        except Refused:
            self._desk.count("configuration refused")
            return False
        return True

    async def _expect(self, payload: Any, *accepted: str) -> None:
        """Ask the charge point.

        Raises: Refused when it answers with anything else, Unavailable when it does not.
        """
        answer = await asked(self, payload, self._ended)
        if answer.status not in accepted:
            raise Refused(f"{self.id}: {type(payload).__name__}: {answer.status}")

    def _about(self, token: str) -> dict[str, str]:
        return {"status": "Accepted" if self._desk.is_known(token) else "Invalid"}

    def _admit(self) -> None:
        if not self._desk.is_admitted():
            raise SecurityError(details={"cause": "the boot was not accepted"})

    def _check(self, connector: int) -> None:
        if not 1 <= connector <= len(self._settings.names):
            raise PropertyConstraintViolationError(details={"cause": f"connector {connector} is not known"})
