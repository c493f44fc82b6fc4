"""People and what they may do, and the players that they are in the market."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from ontology.base import Address, Concept, EpochSeconds, Identifier, Label, Part
from ontology.roles import Role

__all__ = ["Player", "Preference", "Registration", "User", "UserRole", "UserRoleCode", "UserStatus"]


class UserStatus(StrEnum):
    """Where a user's account stands."""

    INVITED = "INVITED"
    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    ERASED = "ERASED"


class UserRoleCode(StrEnum):
    """What a person is in the community (HEMRM roles)."""

    PROSUMER = "PROSUMER"
    DSO = "DSO"
    AGGREGATOR = "AGGREGATOR"
    MARKET_OPERATOR = "MARKET_OPERATOR"
    ADMIN = "ADMIN"
    EV_DRIVER = "EV_DRIVER"


class Preference(Part, frozen=True, kw_only=True):
    """One setting that a user made."""

    name: Identifier
    value: Label


class User(Concept, frozen=True, kw_only=True, tag="parity:User"):
    """A person known to the community (CIM Customer, foaf:Person); name and email stay in the repository."""

    user_id: Identifier
    role_id: Identifier
    pseudonym: Label = ""
    wallet_id: Label = ""
    building_ids: Annotated[list[Identifier], Meta(max_length=100)] = []
    name: Label = ""
    email: Label = ""
    preferences: Annotated[list[Preference], Meta(max_length=100)] = []
    status: UserStatus = UserStatus.ACTIVE
    consent_reference: Label = ""


class UserRole(Concept, frozen=True, kw_only=True, tag="parity:UserRole"):
    """What people of a kind may do (HEMRM; SUPSI's player role)."""

    role_id: Identifier
    code: UserRoleCode
    permissions: Annotated[list[Identifier], Meta(max_length=200)] = []


class Player(Concept, frozen=True, kw_only=True, tag="parity:Player"):
    """An agent as a participant of the market, under its pseudonym (SUPSI Player); also its registration."""

    address: Address
    role: Role
    segment_id: Label = ""
    player: Label = ""
    valid_from_s: EpochSeconds = 0
    valid_to_s: EpochSeconds = 0
    """Until when it plays under this pseudonym; 0 where that does not end."""

    def plays_at(self, time_s: int) -> bool:
        """Tell whether this pseudonym is in use at a time."""
        return self.valid_from_s <= time_s and not self.has_ended(time_s)

    def has_ended(self, time_s: int) -> bool:
        """Tell whether this pseudonym is out of use at a time."""
        return 0 < self.valid_to_s <= time_s


Registration = Player
"""What an agent sends to make itself known."""
