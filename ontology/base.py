"""What every concept of the ontology shares: immutability, strictness, units and time base."""

import msgspec

ONTOLOGY = "parity/1.0"
INTERVAL_S = 900
INTERVALS_A_DAY = 96
TICKS_PER_CURRENCY = 10_000
"""Price ticks in one unit of currency: prices are integers of 10⁻⁴ EUR (SPEC 1.3)."""


class Concept(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """Something that agents talk about; a subclass sets its wire tag, such as `parity:Lem`."""
