"""What stands where: buildings, connection points and the equipment in them."""

from enum import StrEnum

from ontology.base import Concept, Energy, EpochSeconds, Identifier, Label, Magnitude, PowerMagnitude

__all__ = [
    "Asset",
    "AssetCode",
    "AssetType",
    "Building",
    "BuildingCode",
    "BuildingType",
    "ControlType",
    "Phases",
    "UsagePoint",
]


class BuildingCode(StrEnum):
    """What a building is used for."""

    RESIDENTIAL = "RESIDENTIAL"
    OFFICE = "OFFICE"
    SCHOOL = "SCHOOL"
    COMMERCIAL = "COMMERCIAL"
    INDUSTRIAL = "INDUSTRIAL"


class Phases(StrEnum):
    """The phases that a usage point is connected to."""

    L1 = "L1"
    L2 = "L2"
    L3 = "L3"
    THREE = "3P"


class AssetCode(StrEnum):
    """Kinds of equipment."""

    PV = "PV"
    BESS = "BESS"
    EVSE = "EVSE"
    HEAT_PUMP = "HEAT_PUMP"
    HVAC = "HVAC"
    DHW = "DHW"
    LIGHTING = "LIGHTING"
    DSTATCOM = "DSTATCOM"
    METER = "METER"
    GATEWAY = "GATEWAY"


class ControlType(StrEnum):
    """How a device lets itself be controlled (S2, EN 50491-12-2)."""

    PEBC = "POWER_ENVELOPE_BASED_CONTROL"
    PPBC = "POWER_PROFILE_BASED_CONTROL"
    OMBC = "OPERATION_MODE_BASED_CONTROL"
    FRBC = "FILL_RATE_BASED_CONTROL"
    DDBC = "DEMAND_DRIVEN_BASED_CONTROL"
    NOT_CONTROLABLE = "NOT_CONTROLABLE"


class Building(Concept, frozen=True, kw_only=True, tag="parity:Building"):
    """A building of the community (CIM ServiceLocation, S4BLDG Building)."""

    building_id: Identifier
    type_id: Identifier
    geo_zone: Identifier
    segment_id: Identifier
    usage_point_id: Identifier
    floor_area_m2: Magnitude = 0.0


class BuildingType(Concept, frozen=True, kw_only=True, tag="parity:BuildingType"):
    """A kind of building in the catalogue (D8.1 3.2)."""

    type_id: Identifier
    code: BuildingCode


class UsagePoint(Concept, frozen=True, kw_only=True, tag="parity:UsagePoint"):
    """Where a site meets the grid and is metered (CIM UsagePoint; UFTP EntityAddress)."""

    usage_point_id: Identifier
    phases: Phases
    import_max_w: PowerMagnitude
    export_max_w: PowerMagnitude
    congestion_point_id: Label = ""


class AssetType(Concept, frozen=True, kw_only=True, tag="parity:AssetType"):
    """A kind of equipment in the catalogue (S2 ControlType, saref:Device)."""

    type_id: Identifier
    code: AssetCode
    control_type: ControlType = ControlType.NOT_CONTROLABLE


class Asset(Concept, frozen=True, kw_only=True, tag="parity:Asset"):
    """A piece of equipment and its owner (S2 ResourceManagerDetails, s4ener:Device)."""

    asset_id: Identifier
    type_id: Identifier
    owner: Identifier
    usage_point_id: Identifier
    rated_power_w: PowerMagnitude
    capacity_wh: Energy = 0
    controllable: bool = False
    vendor: Label = ""
    installed_at_s: EpochSeconds = 0
