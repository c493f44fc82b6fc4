"""What DSO and aggregators have agreed for trading flexibility, and when each step is due (SPEC 2.5)."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from behaviours.decisions.flexibility_market.baselines import Baseline
from ontology.base import INTERVAL_S

__all__ = ["NOT_CHOSEN", "FlexibilityTerms", "Metered", "ProcurementTerms"]

NOT_CHOSEN = "not chosen"
"""Why an offer is turned down that keeps every rule."""


class Metered(StrEnum):
    """Where delivery is measured."""

    POOL = "POOL"
    """At all meters of a congestion point, as UFTP has it: what others do differently counts, too."""
    DEVICES = "DEVICES"
    """At the devices that deliver (dedicated measurement devices, Regulation (EU) 2019/943 Article 7b)."""


class FlexibilityTerms(msgspec.Struct, frozen=True, kw_only=True):
    """The market's terms, known to both sides."""

    baseline: Baseline = Baseline.D_PROGNOSIS
    metered: Metered = Metered.POOL
    penalty_ticks_per_kwh: int = 2000
    """For each kWh that was ordered and is missing."""
    contracts_w: Mapping[str, int] = {}
    """Power in W that a contract keeps ready at each congestion point, by the contract's id."""
    aggregator_account: str = ""
    dso_account: str = ""


class ProcurementTerms(FlexibilityTerms, frozen=True, kw_only=True):
    """What the DSO adds for itself: what it is ready to pay, and when it acts before delivery."""

    willingness_ticks_per_kwh: int = 3000
    loading_max: float = 0.95
    """The loading that requests aim at."""
    request_lead_s: int = 5400
    offer_lead_s: int = 3600
    order_lead_s: int = 2700
    span_s: int = 14_400
    """How far a request reaches: what is put off must not come back while congestion lasts."""
    day_zone: str = ""
    """IANA zone whose midnight no request passes; empty where nothing is counted by days (as UFTP does)."""
    answer_within_s: float = 5.0
    """How long a seller may take to answer an order before it is said again."""

    @property
    def outlook_steps(self) -> int:
        """How many intervals ahead congestion must be foreseen for requests to be made."""
        return (self.request_lead_s + self.span_s) // INTERVAL_S + 2
