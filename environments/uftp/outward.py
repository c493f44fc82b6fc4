"""From concepts to records of UFTP messages: intervals become ISPs of a local day."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, TypeAlias

import msgspec

from environments.uftp.elements import Record
from environments.uftp.terms import ANY_DAY, ISP_DURATION, LocalDay, MarketTerms
from ontology.base import INTERVAL_S
from ontology.errors import InvalidInput, Problem, problem
from ontology.flexibility_trading import (
    DPrognosis,
    FlexMetering,
    FlexOffer,
    FlexOfferRevocation,
    FlexOrder,
    FlexRequest,
    FlexReservation,
    FlexResponse,
    FlexSettlement,
    FlexSettlementResponse,
    OrderSettlement,
    ResponseResult,
)

__all__ = ["Outward"]

_Dated: TypeAlias = DPrognosis | FlexRequest | FlexOffer | FlexOrder | FlexReservation | FlexMetering


class Outward:
    """Writes the records of one message, and notes in `wrong` what UFTP cannot say."""

    def __init__(self, terms: MarketTerms, name: str) -> None:
        """Write for a market, a message of a name."""
        self._terms = terms
        self._name = name
        self.wrong: list[Problem] = []

    def prognosis(self, document: DPrognosis) -> Record:
        """Write a D-prognosis."""
        return self._flex(document)

    def request(self, document: FlexRequest) -> Record:
        """Write a request."""
        return self._flex(document)

    def reservation(self, document: FlexReservation) -> Record:
        """Write an update of a reservation."""
        return self._flex(document)

    def order(self, document: FlexOrder) -> Record:
        """Write an order."""
        return self._flex(document)

    def offer(self, document: FlexOffer) -> Record:
        """Write an offer; UFTP counts no revisions of offers."""
        day = self._day(document)
        options = [
            msgspec.structs.asdict(each)
            | {"intervals": self._isps(each.intervals, day, f"OfferOption[{i}].ISP")}
            for i, each in enumerate(document.options)
        ]
        return self._frame(document, day) | {"options": options}

    def revocation(self, document: FlexOfferRevocation) -> Record:
        """Write a revocation."""
        return msgspec.structs.asdict(document)

    def metering(self, document: FlexMetering) -> Record:
        """Write metered powers in kW; UFTP meters know no baselines, and one ISP each."""
        day = self._day(document)
        spans = self._isps(document.intervals, day, "Profile[0].ISP")
        values = [
            {"start": span["start"] + i, "value": Decimal(span["actual_w"]) / 1000}
            for span in spans
            for i in range(span["duration"])
        ]
        profile = {"profile": "Power", "unit": "kW", "intervals": values}
        ean = self._terms.meter_of(document.congestion_point)
        return self._frame(document, day) | {"ean": ean, "profiles": [profile]}

    def settlement(self, document: FlexSettlement) -> Record:
        """Write a settlement of orders; no contract is settled by it."""
        first, last = (self._day_at(each) for each in (document.period_start_s, document.period_end_s - 1))
        orders = [self._settled(each, f"FlexOrderSettlement[{i}]") for i, each in enumerate(document.orders)]
        # The schema demands a ContractSettlement: one of nothing, outside any contract.
        nothing = {"period": first.date, "intervals": [{"start": 1, "reserved_w": 0}]}
        return {
            "result": ResponseResult.ACCEPTED,
            "period_start": first.date,
            "period_end": last.date,
            "currency": document.currency,
            "orders": orders,
            "contracts": [{"periods": [nothing]}],
        }

    def settlement_response(self, document: FlexSettlementResponse) -> Record:
        """Write verdicts on a settlement; that it could be read makes the message itself accepted."""
        orders = [msgspec.structs.asdict(each) for each in document.orders]
        return {
            "result": ResponseResult.ACCEPTED,
            "settlement_message_id": document.settlement_message_id,
            "orders": orders,
        }

    def response(self, document: FlexResponse) -> Record:
        """Write whether a document is taken; semicolons separate the reasons."""
        reasons = "; ".join(each.replace(";", ",") for each in document.reasons)
        return msgspec.structs.asdict(document) | {"rejection_reason": reasons}

    def _flex(self, document: DPrognosis | FlexRequest | FlexOrder | FlexReservation) -> Record:
        day = self._day(document)
        return self._frame(document, day) | {"intervals": self._isps(document.intervals, day, "ISP")}

    def _frame(self, document: _Dated, day: LocalDay) -> Record:
        return msgspec.structs.asdict(document) | {
            "isp_duration": ISP_DURATION,
            "time_zone": self._terms.time_zone,
            "period": day.date,
            "congestion_point": self._terms.entity_address(document.congestion_point),
        }

    def _day(self, document: _Dated) -> LocalDay:
        """Return the day that a document's period is, or is a part of."""
        if document.time_zone != self._terms.inside_zone:
            self._note("TimeZone", document.time_zone, self._terms.inside_zone)
        day = self._day_at(document.period_start_s)
        if document.period_end_s > day.end_s:
            self._note("Period", document.period_end_s, f"the end, at most {day.end_s}, of {day.date}")
        return day

    def _day_at(self, instant_s: int) -> LocalDay:
        try:
            return self._terms.day_at(instant_s)
        except InvalidInput as error:
            self.wrong += error.problems
            return ANY_DAY

    def _isps(self, intervals: Iterable[Any], day: LocalDay, path: str) -> list[Record]:
        """Return intervals as ISPs of a day; one that is longer stays one, with a duration."""
        return [self._isp(each, day, f"{path}[{i}]") for i, each in enumerate(intervals)]

    def _isp(self, interval: Any, day: LocalDay, path: str) -> Record:
        end_s = interval.start_s + interval.duration_s
        if interval.duration_s % INTERVAL_S:
            self._note(f"{path}.Duration", f"{interval.duration_s} s", f"whole {ISP_DURATION}")
        elif interval.start_s < day.start_s or end_s > day.end_s:
            self._note(
                f"{path}.Start", interval.start_s, f"an ISP of {day.date}, [{day.start_s}, {day.end_s})"
            )
        else:
            place = {"start": day.isp_at(interval.start_s), "duration": interval.duration_s // INTERVAL_S}
            return msgspec.structs.asdict(interval) | place
        return msgspec.structs.asdict(interval) | {"start": 1, "duration": 1}

    def _settled(self, order: OrderSettlement, path: str) -> Record:
        day = self._day_at(order.intervals[0].start_s) if order.intervals else None
        isps = self._isps(order.intervals, day, f"{path}.ISP") if day else []
        return msgspec.structs.asdict(order) | {
            "period": day.date if day else None,
            "congestion_point": self._terms.entity_address(order.congestion_point),
            "intervals": isps,
        }

    def _note(self, path: str, value: object, expected: str) -> None:
        self.wrong.append(problem(f"{self._name}.{path}", value, expected))
