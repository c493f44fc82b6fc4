"""What the catalogues begin with (SPEC 3.4): an entry is called what its code is."""

from ontology.assets import AssetCode, AssetType, BuildingCode, BuildingType, ControlType
from ontology.base import Concept
from ontology.measurements import Quantity, SensorType
from ontology.users import UserRole, UserRoleCode

__all__ = ["CATALOGUES"]

_UNITS = {
    Quantity.ACTIVE_POWER_W: ("W", 1.0, -1e6, 1e6),
    Quantity.REACTIVE_POWER_VAR: ("var", 1.0, -1e6, 1e6),
    Quantity.ENERGY_WH: ("Wh", 1.0, 0.0, 1e12),
    Quantity.VOLTAGE_V: ("V", 0.1, 0.0, 1000.0),
    Quantity.CURRENT_A: ("A", 0.01, 0.0, 1000.0),
    Quantity.FREQUENCY_HZ: ("Hz", 0.001, 45.0, 55.0),
    Quantity.TEMPERATURE_DEGC: ("degC", 0.1, -50.0, 120.0),
    Quantity.IRRADIANCE_W_PER_M2: ("W/m2", 1.0, 0.0, 1500.0),
    Quantity.WIND_SPEED_M_PER_S: ("m/s", 0.1, 0.0, 75.0),
    Quantity.STATE_OF_CHARGE: ("1", 0.001, 0.0, 1.0),
    Quantity.RATIO: ("1", 0.001, 0.0, 1e6),
    Quantity.DURATION_S: ("s", 1.0, 0.0, 1e9),
}
_CONTROL = {
    AssetCode.PV: ControlType.PEBC,
    AssetCode.BESS: ControlType.FRBC,
    AssetCode.EVSE: ControlType.FRBC,
    AssetCode.HEAT_PUMP: ControlType.FRBC,
    AssetCode.HVAC: ControlType.DDBC,
    AssetCode.DHW: ControlType.FRBC,
    AssetCode.LIGHTING: ControlType.PEBC,
}
_PERMISSIONS = {
    UserRoleCode.PROSUMER: ["own:read", "own:write", "consent:write", "wallet:read"],
    UserRoleCode.EV_DRIVER: ["own:read", "own:write", "consent:write"],
    UserRoleCode.DSO: ["grid:read", "grid:write", "flexibility:request"],
    UserRoleCode.AGGREGATOR: ["portfolio:read", "flexibility:write"],
    UserRoleCode.MARKET_OPERATOR: ["users:read", "users:write", "catalogues:write", "markets:write"],
    UserRoleCode.ADMIN: ["catalogues:write", "tokens:write"],
}

CATALOGUES: tuple[Concept, ...] = (
    *(UserRole(role_id=code, code=code, permissions=_PERMISSIONS[code]) for code in UserRoleCode),
    *(BuildingType(type_id=code, code=code) for code in BuildingCode),
    *(
        AssetType(type_id=code, code=code, control_type=_CONTROL.get(code, ControlType.NOT_CONTROLABLE))
        for code in AssetCode
    ),
    *(
        SensorType(
            sensor_type_id=quantity,
            quantity=quantity,
            unit=unit,
            resolution=step,
            range_min=low,
            range_max=high,
        )
        for quantity, (unit, step, low, high) in _UNITS.items()
    ),
)
"""What there is to choose from before anybody adds to it; an entry is called what its code is."""
