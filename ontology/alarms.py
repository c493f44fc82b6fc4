"""What is wrong with a site's equipment."""

from enum import StrEnum

from ontology.base import Concept, EpochSeconds, Identifier, PowerMagnitude

__all__ = ["AlarmKind", "AssetAlarm"]


class AlarmKind(StrEnum):
    """What an asset does that it should not."""

    UNDERPERFORMANCE = "UNDERPERFORMANCE"
    """It gives far less than it should."""
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    """It does not keep to what it was told."""


class AssetAlarm(Concept, frozen=True, kw_only=True, tag="parity:AssetAlarm"):
    """An asset does not do as it should, or does so again (SPEC 4.6; SunSpec Evt, OCPP StatusNotification).

    Powers are means over what was looked at, without sign.
    """

    site: Identifier
    asset_id: Identifier
    kind: AlarmKind
    time_s: EpochSeconds
    is_raised: bool = True
    measured_w: PowerMagnitude
    expected_w: PowerMagnitude
