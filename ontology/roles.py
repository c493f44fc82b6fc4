"""Who takes part: the agent roles of D8.1 (SPEC 1.1)."""

from enum import StrEnum

__all__ = ["Role"]


class Role(StrEnum):
    """What an agent is in the community; policy and contracts grant rights by role."""

    PROSUMER = "prosumer"
    ORACLE = "oracle"
    BLOCKCHAIN = "blockchain"
    GATEWAY = "gateway"
    PV = "pv"
    BESS = "bess"
    EV = "ev"
    P2H = "p2h"
    AGGREGATOR = "aggregator"
    DSO = "dso"
    DSTATCOM = "dstatcom"
    MARKET_OPERATOR = "market-operator"
    REPOSITORY = "repository"
    EXTERNAL_MARKETS = "external-markets"
    FLEXIBILITY_GATEWAY = "flexibility-gateway"
    UI = "ui"
