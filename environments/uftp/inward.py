"""From records of UFTP messages to the fields of concepts: ISPs of a local day become intervals.

What is wrong is noted with UFTP's rejection reason in the place of what was expected.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from environments.uftp.elements import Record
from environments.uftp.terms import ANY_DAY, ISP_DURATION, LocalDay, MarketTerms
from ontology.base import INTERVAL_S
from ontology.errors import InvalidInput, Problem, problem
from ontology.flexibility_trading import Disposition, OrderVerdict, ResponseResult, TradeDocument

__all__ = ["Inward"]

_FRAME = frozenset(
    {"version", "sender_domain", "recipient_domain", "sent_at_s", "message_id", "conversation_id"}
)
_LOCAL = frozenset({"isp_duration", "time_zone", "period", "congestion_point"})
_NO_REASON = "no reason given"
_WATTS_A_KWH = Decimal(1000 * 3600) / INTERVAL_S


class Inward:
    """Reads the record of one message, and notes in `wrong` what breaks the market's terms."""

    def __init__(self, terms: MarketTerms, name: str, sole_option: Callable[[str], str]) -> None:
        """Read for a market a message of a name; `sole_option` tells the only option of an offer."""
        self._terms = terms
        self._name = name
        self._sole_option = sole_option
        self.wrong: list[Problem] = []

    def prognosis(self, record: Record) -> Record:
        """Read a D-prognosis."""
        return self._flex(record)

    def reservation(self, record: Record) -> Record:
        """Read an update of a reservation."""
        return self._flex(record)

    def request(self, record: Record) -> Record:
        """Read a request; where the schema's optional disposition is missing, power is left free."""
        fields = self._flex(record)
        for each in fields["intervals"]:
            each["disposition"] = each["disposition"] or Disposition.AVAILABLE
        return fields

    def offer(self, record: Record) -> Record:
        """Read an offer; it is unsolicited when it says so, or names no request."""
        day = self._day(record)
        options = [
            each | {"intervals": self._intervals(each["intervals"], day, f"OfferOption[{i}].ISP")}
            for i, each in enumerate(record["options"])
        ]
        unsolicited = record["unsolicited"] or not record["request_message_id"]
        return self._dated(record, day) | {"options": options, "unsolicited": unsolicited}

    def order(self, record: Record) -> Record:
        """Read an order; one that names no option means the only one of its offer."""
        offer = record["offer_message_id"]
        if not offer:
            self._note("FlexOfferMessageID", "", "Unknown FlexOfferMessageID reference")
        option = record["option_reference"] or (self._sole_option(offer) if offer else "")
        if offer and not option:
            self._note("OptionReference", "", "Invalid Message, which of the offer's options is ordered")
        return self._flex(record) | {"option_reference": option}

    def revocation(self, record: Record) -> Record:
        """Read a revocation."""
        return {"offer_message_id": record["offer_message_id"]}

    def metering(self, record: Record) -> Record:
        """Read metered powers: the profile of powers, or else import less export."""
        day = self._day(record)
        powers_w = self._powers_w({each["profile"]: each for each in record["profiles"]})
        spans = [{"start": isp, "duration": 1, "actual_w": power_w} for isp, power_w in powers_w]
        fields = {
            "revision": record["revision"],
            "congestion_point": self._terms.metered_by(record["ean"]),
            "intervals": self._intervals(spans, day, "Profile.ISP"),
        }
        return self._period(day) | fields

    def settlement(self, record: Record) -> Record:
        """Read a settlement of orders; what it says of contracts is not read."""
        if record["result"] != ResponseResult.ACCEPTED:
            self._note("Result", record["result"], "Invalid Message")
        first, last = self._named(record["period_start"]), self._named(record["period_end"])
        if last.start_s < first.start_s:
            self._note("PeriodEnd", record["period_end"], "Period out of bounds")
        orders = [
            self._settled(each, first, last, f"FlexOrderSettlement[{i}]")
            for i, each in enumerate(record["orders"])
        ]
        return {
            "period_start_s": first.start_s,
            "period_end_s": last.end_s,
            "currency": record["currency"],
            "orders": orders,
        }

    def settlement_response(self, record: Record) -> Record:
        """Read verdicts on a settlement; one that is rejected as a whole is disputed order by order."""
        rejected = record["result"] == ResponseResult.REJECTED
        why = record["rejection_reason"] or _NO_REASON
        orders = [
            each
            | (
                {"verdict": OrderVerdict.DISPUTED, "reason": each["reason"] or why}
                if rejected
                else _stated(each)
            )
            for each in record["orders"]
        ]
        return {"settlement_message_id": record["settlement_message_id"], "orders": orders}

    @classmethod
    def response_to(cls, document: TradeDocument) -> Callable[["Inward", Record], Record]:
        """Return how responses to a kind of document are read."""
        return lambda _, record: _response(document, record)

    # ------------------------------------------------------------------------------- parts

    def _flex(self, record: Record) -> Record:
        day = self._day(record)
        return self._dated(record, day) | {"intervals": self._intervals(record["intervals"], day, "ISP")}

    def _dated(self, record: Record, day: LocalDay) -> Record:
        rest = {field: value for field, value in record.items() if field not in _FRAME | _LOCAL}
        congestion_point = self._terms.name_of(record["congestion_point"])
        return self._period(day) | rest | {"congestion_point": congestion_point}

    def _period(self, day: LocalDay) -> Record:
        return {
            "period_start_s": day.start_s,
            "period_end_s": day.end_s,
            "time_zone": self._terms.inside_zone,
        }

    def _day(self, record: Record) -> LocalDay:
        """Return a message's period; its zone may have another name when its day is the same."""
        if record["isp_duration"] != ISP_DURATION:
            self._note("ISP-Duration", record["isp_duration"], "ISP duration rejected")
        day = self._named(record["period"])
        try:
            agreed = self._terms.day(record["period"], record["time_zone"]) == day
        except InvalidInput:
            agreed = False
        if not agreed:
            self._note("TimeZone", record["time_zone"], "TimeZone rejected")
        return day

    def _named(self, day: date) -> LocalDay:
        try:
            return self._terms.day(day)
        except InvalidInput:
            self._note("Period", day.isoformat(), "Period out of bounds")
            return ANY_DAY

    def _intervals(self, isps: Iterable[Mapping[str, Any]], day: LocalDay, path: str) -> list[Record]:
        """Return ISPs as intervals; each must be one of the day and be addressed once."""
        seen: set[int] = set()
        intervals = []
        for i, each in enumerate(isps):
            start, end = each["start"], each["start"] + each["duration"]
            if end > day.isps + 1:
                self._note(f"{path}[{i}]", f"{start} to {end - 1} of {day.isps}", "ISPs out of bounds")
                continue
            if not seen.isdisjoint(range(start, end)):
                self._note(f"{path}[{i}]", start, "ISP conflict")
            seen.update(range(start, end))
            rest = {field: value for field, value in each.items() if field not in ("start", "duration")}
            span = {"start_s": day.start_of(start), "duration_s": each["duration"] * INTERVAL_S}
            intervals.append(rest | span)
        return intervals

    def _powers_w(self, profiles: Mapping[str, Record]) -> list[tuple[int, int]]:
        """Return the mean power of each metered ISP, by its number."""
        for profile, unit in (("Power", "kW"), ("ImportEnergy", "kWh"), ("ExportEnergy", "kWh")):
            if profile in profiles and profiles[profile]["unit"] != unit:
                self._note(f"Profile.{profile}.Unit", profiles[profile]["unit"], f"Invalid Message, {unit}")
        if "Power" in profiles:
            return [(each["start"], _whole(each["value"] * 1000)) for each in profiles["Power"]["intervals"]]
        if not {"ImportEnergy", "ExportEnergy"} <= profiles.keys():
            self._note("Profile", ", ".join(profiles), "Invalid Message, Power or both energies")
            return []
        exported = {each["start"]: each["value"] for each in profiles["ExportEnergy"]["intervals"]}
        imported = {each["start"]: each["value"] for each in profiles["ImportEnergy"]["intervals"]}
        if imported.keys() != exported.keys():
            self._note("Profile", "", "Invalid Message, imports and exports of the same ISPs")
            return []
        return [(isp, _whole((value - exported[isp]) * _WATTS_A_KWH)) for isp, value in imported.items()]

    def _settled(self, order: Record, first: LocalDay, last: LocalDay, path: str) -> Record:
        day = self._named(order["period"])
        if not first.start_s <= day.start_s <= last.start_s:
            self._note(f"{path}.Period", order["period"].isoformat(), "Period out of bounds")
        intervals = self._intervals(order["intervals"], day, f"{path}.ISP")
        for each in intervals:
            each["deficiency_w"] = each["deficiency_w"] or each["deficiency_misspelt_w"]
            del each["deficiency_misspelt_w"]
        rest = {
            field: value for field, value in order.items() if field not in ("period", "prognosis_message_id")
        }
        congestion_point = self._terms.name_of(order["congestion_point"])
        return rest | {"congestion_point": congestion_point, "intervals": intervals}

    def _note(self, path: str, value: object, reason: str) -> None:
        self.wrong.append(problem(f"{self._name}.{path}", value, reason))


def _response(document: TradeDocument, record: Record) -> Record:
    reasons = [each.strip() for each in record["rejection_reason"].split(";") if each.strip()]
    if record["result"] == ResponseResult.REJECTED and not reasons:
        reasons = [_NO_REASON]
    reference = record["reference_message_id"]
    return {
        "document": document,
        "reference_message_id": reference,
        "result": record["result"],
        "reasons": reasons,
    }


def _stated(status: Record) -> Record:
    disputed = status["verdict"] == OrderVerdict.DISPUTED
    return {"reason": status["reason"] or (_NO_REASON if disputed else "")}


def _whole(power_w: Decimal) -> int:
    return int(power_w.quantize(Decimal(1), ROUND_HALF_EVEN))
