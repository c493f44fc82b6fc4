"""The markets of a scenario, inside and outside."""

from typing import Annotated, Literal

from msgspec import Meta

from launch.schema.section import Price, Section

__all__ = ["Agreement", "Contract", "ExternalMarkets", "Indicator", "Product", "Tariff", "Tariffs", "Window"]


class Tariff(Section, frozen=True, kw_only=True):
    """Prices of one grid state, EUR/kWh: sell_usual ≤ sell_peer ≤ buy_peer ≤ buy_usual (SPEC 2.2)."""

    buy_usual: Annotated[Price, Meta(description="EUR/kWh paid to the supplier (pbBAU)")]
    sell_usual: Annotated[Price, Meta(description="EUR/kWh paid by the supplier (psBAU)")]
    buy_peer: Annotated[Price, Meta(description="EUR/kWh paid inside the community (pbP2P)")]
    sell_peer: Annotated[Price, Meta(description="EUR/kWh received inside the community (psP2P)")]
    beta: Annotated[Price, Meta(description="EUR/kWh², on the community's net flow (implicit flexibility)")]


GREEN = Tariff(buy_usual=0.20, sell_usual=0.065, buy_peer=0.14, sell_peer=0.08, beta=0.0)
YELLOW = Tariff(buy_usual=0.24, sell_usual=0.063, buy_peer=0.14, sell_peer=0.08, beta=0.025)


class Tariffs(Section, frozen=True, kw_only=True):
    """The LEM parameters of each grid state; in RED the market is paused and GREEN's usual prices hold."""

    mechanism: Annotated[
        Literal["community", "mid-market", "supply-demand", "pay-as-bid", "pay-as-clear"],
        Meta(description="how prices are found; the last two are double auctions"),
    ] = "community"

    flow: Annotated[
        Literal["per-player", "community"],
        Meta(description="what beta is multiplied with: the net flow a player, or (as published) of all"),
    ] = "per-player"
    green: Annotated[Tariff, Meta(description="no stress on the grid")] = GREEN
    yellow: Annotated[Tariff, Meta(description="violations foreseen")] = YELLOW


class Product(Section, frozen=True, kw_only=True):
    """Flexibility that somebody wants each day, for which a virtual power plant is formed."""

    id: Annotated[
        str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$", description="unique; names the plants with the date")
    ]
    kind: Annotated[
        Literal["flex-request", "external", "demand-response", "local-market"],
        Meta(description="where the demand comes from"),
    ] = "flex-request"
    initiator: Annotated[
        str, Meta(description="who forms the plant: `aggregator`, or the id of a site's prosumer")
    ] = "aggregator"
    segment: Annotated[str, Meta(description="feeder that its members are on; empty = any")] = ""
    hour: Annotated[float, Meta(ge=0, lt=24, description="when delivery begins, local time")]
    hours: Annotated[float, Meta(ge=0.25, le=24, description="how long it lasts")] = 1.0
    power_kw: Annotated[
        float,
        Meta(ge=-100_000, le=100_000, description="kW; negative = consume less or give more than planned"),
    ]
    price: Annotated[Price, Meta(description="EUR/kWh that the buyer pays for what is delivered")] = 0.15
    lead_hours: Annotated[float, Meta(ge=0.25, le=12, description="negotiation begins this long before")] = (
        0.5
    )


class ExternalMarkets(Section, frozen=True, kw_only=True):
    """Where the aggregator sells flexibility outside the community, emulated."""

    products: Annotated[
        tuple[Literal["intraday", "mfrr", "fcr-d-up", "fcr-d-down"], ...],
        Meta(description="intraday energy and reserves; FCR-D needs a step_s of 60 or less"),
    ] = ("intraday",)
    scale: Annotated[
        float,
        Meta(gt=0, le=1, description="of the markets' 0.1 MW at least and by steps; 0.001 is 100 W"),
    ] = 0.001


class Window(Section, frozen=True, kw_only=True):
    """When a contract holds, in the scenario's local time; what is not said is always."""

    from_hour: Annotated[float, Meta(ge=0, lt=24, description="begins each day")] = 0
    to_hour: Annotated[float, Meta(gt=0, le=24, description="ends each day")] = 24
    weekdays: Annotated[
        tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...],
        Meta(description="empty = every day"),
    ] = ()
    months: Annotated[
        tuple[Annotated[int, Meta(ge=1, le=12)], ...], Meta(description="1 to 12; empty = every month")
    ] = ()


class Contract(Section, frozen=True, kw_only=True):
    """Power that the aggregator holds ready for the DSO's emergencies (RED)."""

    id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$", description="unique")]
    power_kw: Annotated[float, Meta(gt=0, le=100_000, description="reserved, kW")]
    availability: Annotated[Price, Meta(description="EUR for each kW and hour that it is held ready")] = 0
    activation: Annotated[Price, Meta(description="EUR/kWh for what is delivered")] = 0
    members: Annotated[
        float, Meta(ge=0, le=1, description="share of the payment for energy that the aggregator hands on")
    ] = 0.8
    response_s: Annotated[int, Meta(ge=1, le=900, description="it is there after so many seconds")] = 60
    activations_a_day: Annotated[int, Meta(ge=1, le=96, description="at most")] = 4
    segment: Annotated[str, Meta(description="feeder that it is for; empty = any")] = ""
    windows: Annotated[tuple[Window, ...], Meta(description="when it holds; none = always")] = ()


class Indicator(Section, frozen=True, kw_only=True):
    """An indicator of an agreement; the rule says when it is violated."""

    id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$", description="unique")]
    function: Annotated[
        Literal[
            "K_PMAX",
            "K_SCR",
            "K_SSR",
            "K_TMAX",
            "K_TMIN",
            "K_FDR",
            "K_BLE",
            "K_FCE",
            "K_RESP",
            "K_EVS",
            "K_AVAIL",
            "K_ENERGY",
        ],
        Meta(description="what is measured, in W, Wh, °C, s or as a ratio; see service-levels.md"),
    ]
    rule: Annotated[Literal["gt", "lt"], Meta(description="violated above (gt) or below (lt) the limit")]
    limit: Annotated[float, Meta(ge=-1e9, le=1e9, description="in the function's unit")]
    penalty_tokens: Annotated[int, Meta(ge=0, le=10**12, description="that a violation costs")] = 0
    tolerance: Annotated[
        float, Meta(ge=0, le=1, description="share of the limit that a graded penalty forgives")
    ] = 0
    most_tokens: Annotated[
        int, Meta(ge=0, le=10**12, description="makes the penalty grow with the excess, up to this; 0 = flat")
    ] = 0
    sites: Annotated[tuple[str, ...], Meta(description="whom it is about; empty = every site")] = ()


class Agreement(Section, frozen=True, kw_only=True):
    """A service-level agreement between the aggregator and sites, for some hours of the run."""

    id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$", description="unique")]
    after_hours: Annotated[float, Meta(ge=0, le=8784, description="begins this long after the run's start")]
    hours: Annotated[float, Meta(ge=0.25, le=8784, description="how long it lasts")]
    indicators: Annotated[tuple[Indicator, ...], Meta(min_length=1, description="what it is judged by")]
