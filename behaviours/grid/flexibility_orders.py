"""What the DSO knows of its orders, and how they stand (SPEC 2.5)."""

import msgspec

from behaviours.decisions.flexibility_market.flexibility_settlement import ordered_powers
from behaviours.decisions.flexibility_market.marketplace import acquired_flexibility
from ontology.base import INTERVAL_S
from ontology.flexibility_trading import FlexOrder, OrderSettlement
from ontology.marketplace import AcquiredFlexibility, AcquisitionState

__all__ = ["OrderRecord", "OrderState", "acquired"]


class OrderState(msgspec.Struct, frozen=True):
    """How far an order has come; each step is taken once."""

    accepted: bool = False
    settlement: OrderSettlement | None = None
    agreed: bool = False
    disputed: str = ""
    paid: bool = False


class OrderRecord(msgspec.Struct):
    """What the DSO knows of an order: whose it is, against which baseline (W), and how it stands."""

    aggregator: str
    order: FlexOrder
    baseline_w: dict[int, int]
    offered_wh: int = 0
    """What the offer's greatest option would have come to."""
    state: OrderState = OrderState()

    @property
    def powers_w(self) -> dict[int, int]:
        """The deviation ordered, in W by start of interval."""
        return ordered_powers(self.order)

    @property
    def end_s(self) -> int:
        """When its last interval ends."""
        return max(self.powers_w) + INTERVAL_S


def acquired(record: OrderRecord) -> AcquiredFlexibility:
    """Return what an order has come to, as it is told."""
    state = record.state
    return acquired_flexibility(
        record.order,
        record.aggregator,
        _step_of(record),
        state.settlement,
        offered_wh=record.offered_wh,
        dispute=state.disputed,
    )


def _step_of(record: OrderRecord) -> AcquisitionState:
    """Return how far an order has come."""
    state = record.state
    if state.disputed:
        return AcquisitionState.DISPUTED
    steps = {
        AcquisitionState.PAID: state.paid,
        AcquisitionState.AGREED: state.agreed,
        AcquisitionState.METERED: state.settlement is not None,
        AcquisitionState.ACCEPTED: state.accepted,
    }
    return next((step for step, reached in steps.items() if reached), AcquisitionState.ORDERED)
