"""The flexibility market of a scenario, and participants outside."""

from typing import Annotated, Literal

from msgspec import Meta

from launch.schema.section import Price, Section

__all__ = ["FlexibilityMarket", "Uftp", "UftpCounterparty", "UftpPoint"]


class UftpPoint(Section, frozen=True, kw_only=True):
    """What a segment is called outside."""

    segment: Annotated[str, Meta(description="of the grid, such as `segment-001`")]
    address: Annotated[
        str, Meta(description="entity address of the congestion point: `ean.…` or `ea1.yyyy-mm.domain:name`")
    ]
    meter: Annotated[
        str,
        Meta(description="EAN of its meter, E and digits; an `ean.` address of 16 or 18 needs none"),
    ] = ""


class UftpCounterparty(Section, frozen=True, kw_only=True):
    """A participant outside: an aggregator where `role` is dso, a DSO where it is agr."""

    domain: Annotated[str, Meta(description="its Internet domain, which names it")]
    endpoint: Annotated[
        str, Meta(description="where its messages are posted to: https, or http on this machine")
    ]
    public_key_file: Annotated[str, Meta(description="its Ed25519 key in base64 (a file)")]
    segments: Annotated[
        tuple[str, ...], Meta(description="where it trades; empty = at all `congestion_points`")
    ] = ()


class Uftp(Section, frozen=True, kw_only=True):
    """Trade with participants outside by UFTP, in live runs; see uftp.md."""

    role: Annotated[
        Literal["dso", "agr"],
        Meta(description="who trades outside: `dso` buys there too, `agr` sells to DSOs there"),
    ]
    domain: Annotated[str, Meta(description="own Internet domain, which names the party outside")]
    key_file: Annotated[
        str, Meta(description="own Ed25519 key in base64 (a file that only its owner may read)")
    ]
    listen: Annotated[
        str, Meta(description="host and port that take messages; behind a proxy for TLS; port 0 = any")
    ] = "127.0.0.1:8080"
    zone: Annotated[
        str, Meta(description="IANA zone of a continent, whose days are periods; by default the scenario's")
    ] = ""
    congestion_points: Annotated[
        tuple[UftpPoint, ...], Meta(min_length=1, description="segments that are traded at outside")
    ]
    counterparties: Annotated[
        tuple[UftpCounterparty, ...], Meta(min_length=1, description="with whom; nobody else is heard")
    ]


class FlexibilityMarket(Section, frozen=True, kw_only=True):
    """The explicit flexibility market: the DSO asks, aggregators offer, it orders and pays (UFTP)."""

    active: Annotated[
        bool, Meta(description="whether the DSO buys flexibility where congestion is foreseen")
    ] = False
    willingness: Annotated[Price, Meta(description="EUR/kWh that the DSO pays at most")] = 0.30
    penalty: Annotated[Price, Meta(description="EUR/kWh for what was ordered and is missing")] = 0.20
    loading: Annotated[
        float, Meta(gt=0, le=1, description="of the rated power or current, that requests aim at")
    ] = 0.95
    baseline: Annotated[
        Literal["d-prognosis", "same-slot-7d", "high-5-of-10", "mbma", "control-group"],
        Meta(description="what a deviation is measured from"),
    ] = "d-prognosis"
    metered: Annotated[
        Literal["pool", "devices"],
        Meta(
            description="where delivery is measured: at all meters of the congestion point (UFTP), or at the "
            "devices that deliver, against what was planned of them"
        ),
    ] = "pool"
    request_minutes: Annotated[int, Meta(ge=30, le=120, description="before delivery requests are made")] = 90
    offer_minutes: Annotated[int, Meta(ge=25, le=120, description="before delivery offers are due")] = 60
    order_minutes: Annotated[int, Meta(ge=20, le=120, description="before delivery orders are placed")] = 45
    reserved_kw: Annotated[
        float, Meta(ge=0, le=100_000, description="kept ready by contract on each feeder, kW")
    ] = 0.0
    uftp: Annotated[Uftp | None, Meta(description="trade with participants outside the community")] = None
