"""placeholder"""
import msgspec
from behaviours.behaviour import Behaviour
class ExternalMarketsSettings(msgspec.Struct, frozen=True, kw_only=True):
    dso: str
    seed: int
class ExternalBidding(Behaviour): ...
class BidClearing(Behaviour): ...
