"""An existing charging platform by OCPI 2.2.1, in place of charge points of one's own (D8.1 4.1.2)."""

from environments.devices.ocpi.platform import OcpiEvse, OcpiPlatform, OcpiSettings

__all__ = ["OcpiEvse", "OcpiPlatform", "OcpiSettings"]
