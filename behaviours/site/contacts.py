"""Whom the agents of a site know: each other, and the community's services."""

import msgspec

__all__ = ["SiteContacts"]


class SiteContacts(msgspec.Struct, frozen=True, kw_only=True):
    """Addresses by function; empty where a site has no such agent."""

    gateway: str = ""
    prosumer: str = ""
    oracle: str = ""
    blockchain: str = ""
    pv: str = ""
    bess: str = ""
    ev: str = ""
    p2h: str = ""
    aggregator: str = ""
    market_engine: str = ""
    repository: str = ""
    dso: str = ""
