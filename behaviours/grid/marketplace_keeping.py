"""What the DSO's marketplace remembers over a restart beside orders: requests, offers, emergency calls."""

from collections.abc import Iterator
from typing import TypeVar

import msgspec

from behaviours.behaviour import Behaviour, every, when
from behaviours.decisions.bilateral_contract import BilateralContract, activation_ticks
from behaviours.grid.dso_settings import DsoSettings
from ontology.base import Concept
from ontology.flexibility_trading import DemandResponseReport, DRSignal, FlexOffer, FlexRequest
from ontology.marketplace import EmergencyCall

__all__ = ["REMEMBERED_S", "MarketplaceKeeping"]

_REQUEST, _OFFER, _CALL = "marketplace request ", "marketplace offer ", "marketplace call "
REMEMBERED_S = 45 * 86_400
"""How long it is remembered: as far as any baseline looks back."""

C = TypeVar("C", bound=Concept)


class MarketplaceKeeping(Behaviour):
    """Writes down what is asked for, offered and called for, and tells the repository."""

    settings: DsoSettings

    def note_request(self, request: FlexRequest) -> None:
        """Keep a request that goes out."""
        self.keep(
            f"{_REQUEST}{request.period_start_s} {request.congestion_point} {request.revision}", request
        )

    def note_offer(self, seller: str, offer: FlexOffer, message_id: str) -> None:
        """Keep an offer that keeps the rules, and whose it is."""
        self.keep(f"{_OFFER}{offer.period_start_s} {seller} {message_id}", offer)

    def note_call(self, signal: DRSignal) -> None:
        """Keep that direct control was called for."""
        duration_h = signal.duration_s / 3600
        call = EmergencyCall(
            signal_id=signal.signal_id,
            segment_id=signal.segment_id,
            start_s=signal.start_s,
            duration_s=signal.duration_s,
            contract_id=signal.contract_id,
            limit_w=signal.limit_w,
            ordered_wh=round((signal.delta_w or 0) * duration_h),
        )
        self._keep_call(call)

    def note_report(self, report: DemandResponseReport, contract: BilateralContract | None) -> None:
        """Keep what an emergency call brought about, and what is paid for it."""
        for name in self.agent.kept_names(f"{_CALL}{report.start_s} "):
            call = self.kept(name, EmergencyCall)
            if call is not None and call.signal_id == report.signal_id:
                hours = report.step_s / 3600
                self._keep_call(
                    msgspec.structs.replace(
                        call,
                        ordered_wh=call.ordered_wh or round(report.ordered_w * call.duration_s / 3600),
                        delivered_wh=round(sum(report.delivered_w) * hours),
                        reported=True,
                        paid_ticks=activation_ticks(contract, report) if contract else 0,
                    )
                )

    def _keep_call(self, call: EmergencyCall) -> None:
        self.keep(f"{_CALL}{call.start_s} {call.signal_id}", call)
        self.tell(self.settings.repository, call)

    @when("started")
    @every(minutes=24 * 60)
    def forget(self) -> None:
        """Forget what is older than any baseline looks back."""
        oldest_s = self.now_s() - REMEMBERED_S
        for prefix in (_REQUEST, _OFFER, _CALL):
            for name in self.agent.kept_names(prefix):
                if int(name.removeprefix(prefix).partition(" ")[0]) < oldest_s:
                    self.keep(name, None)

    # -- what is remembered, the older first ------------------------------------------------------

    def requests(self) -> Iterator[FlexRequest]:
        """Yield the requests."""
        return self._all(_REQUEST, FlexRequest)

    def offers(self) -> Iterator[tuple[str, FlexOffer]]:
        """Yield the offers that kept the rules, each with its seller."""
        for name in self.agent.kept_names(_OFFER):
            offer = self.kept(name, FlexOffer)
            if offer is not None:
                yield name.split(" ")[3], offer

    def calls(self) -> Iterator[EmergencyCall]:
        """Yield the calls for direct control."""
        return self._all(_CALL, EmergencyCall)

    def _all(self, prefix: str, kind: type[C]) -> Iterator[C]:
        for name in self.agent.kept_names(prefix):
            content = self.kept(name, kind)
            if content is not None:
                yield content
