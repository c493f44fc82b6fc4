"""The tables of people and of what was done, and what the catalogues begin with (SPEC 3.4, 5 to 9)."""

import sqlalchemy as sa

from ontology.assets import AssetCode, AssetType, BuildingCode, BuildingType, ControlType
from ontology.base import Concept
from ontology.measurements import Quantity, SensorType
from ontology.users import UserRole, UserRoleCode

__all__ = ["CATALOGUES", "METADATA", "SCHEMA_VERSION", "actions", "people", "schema"]

METADATA = sa.MetaData()
SCHEMA_VERSION = 1

schema = sa.Table("registry_schema", METADATA, sa.Column("version", sa.Integer, primary_key=True))
"""One row: which version of this module made the tables."""

people = sa.Table(
    "people",
    METADATA,
    sa.Column("user_id", sa.Text, primary_key=True, comment="random; says nothing"),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("site_index", sa.Text, unique=True, comment="keyed hash of the site; empty when erased"),
    sa.Column("email_index", sa.Text, unique=True, comment="keyed hash of the e-mail; empty when erased"),
    sa.Column("record", sa.LargeBinary, comment="all that is known, sealed under the person's key"),
    sa.Column("registered_at_s", sa.BigInteger, nullable=False),
    sa.Column("erased_at_s", sa.BigInteger),
)
"""One row a person."""

actions = sa.Table(
    "actions",
    METADATA,
    sa.Column(
        "number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True
    ),
    sa.Column("time_s", sa.BigInteger, nullable=False),
    sa.Column("actor", sa.Text, nullable=False, comment="an agent's address, a token's name or `operator`"),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("about", sa.Text, nullable=False, comment="a user id or an entry; never a pseudonym"),
    sa.Column("outcome", sa.Text, nullable=False),
)
"""Who did what to whom; rows are added and never changed."""

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
