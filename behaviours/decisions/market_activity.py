"""Which markets are active under which traffic light."""

from enum import StrEnum

from ontology.grid import GridState

__all__ = ["Market", "active_markets", "is_active"]


class Market(StrEnum):
    """What is traded, or called upon."""

    LOCAL_ENERGY = "LOCAL_ENERGY"
    IMPLICIT_FLEXIBILITY = "IMPLICIT_FLEXIBILITY"
    """Prices that carry congestion: the local market with YELLOW parameters (SPEC 2.4)."""
    EXPLICIT_FLEXIBILITY = "EXPLICIT_FLEXIBILITY"
    """Requests, offers and orders between DSO and aggregator (SPEC 2.5)."""
    EMERGENCY_RESPONSE = "EMERGENCY_RESPONSE"
    """Signals under bilateral contracts, which must be served (SPEC 2.7)."""
    EXTERNAL = "EXTERNAL"
    """Ancillary services and wholesale (SPEC 2.6)."""


ACTIVE = {
    GridState.GREEN: frozenset({Market.LOCAL_ENERGY, Market.EXTERNAL}),
    GridState.YELLOW: frozenset(
        {Market.LOCAL_ENERGY, Market.IMPLICIT_FLEXIBILITY, Market.EXPLICIT_FLEXIBILITY}
    ),
    GridState.RED: frozenset({Market.EMERGENCY_RESPONSE}),
}
"""D8.1 3.8.1, SPEC 2.1."""


def active_markets(state: GridState | None) -> frozenset[Market]:
    """Return the markets that are active under a state; an unknown state counts as GREEN."""
    return ACTIVE[state or GridState.GREEN]


def is_active(market: Market, state: GridState | None) -> bool:
    """Tell whether a market is active under a state; an unknown state counts as GREEN."""
    return market in active_markets(state)
